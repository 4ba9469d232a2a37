//! The audit file itself: a safetensors file with a JSON string in its metadata.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use carp::error::{Error, Result};
use safetensors::tensor::{Dtype, SafeTensors};
use serde_json::{Map, Value as Json};

/// The elements of an [`Array`].
#[derive(Clone, Debug, PartialEq)]
pub enum Numbers {
    /// Single precision.
    F32(Vec<f32>),
    /// Double precision.
    F64(Vec<f64>),
    /// Indices and counts.
    I64(Vec<i64>),
}

/// The outputs of a computation: names without `out.`.
pub type Outputs = Vec<(String, Array)>;

/// A tensor in PyTorch's layout.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Its sizes.
    pub shape: Vec<usize>,
    /// Its elements.
    pub numbers: Numbers,
}

impl Array {
    /// A single-precision tensor.
    pub fn f32(shape: &[usize], data: Vec<f32>) -> Array {
        Array { shape: shape.to_vec(), numbers: Numbers::F32(data) }
    }

    /// All elements as f64.
    pub fn to_f64(&self) -> Vec<f64> {
        match &self.numbers {
            Numbers::F32(data) => data.iter().map(|&x| f64::from(x)).collect(),
            Numbers::F64(data) => data.clone(),
            Numbers::I64(data) => data.iter().map(|&x| x as f64).collect(),
        }
    }
}

/// A parsed audit file.
pub struct Record {
    path: PathBuf,
    /// The recorded computation.
    pub kind: String,
    settings: Map<String, Json>,
    /// Absolute tolerance.
    pub abs: f64,
    /// Tolerance relative to the largest element of the output.
    pub rel: f64,
    inputs: BTreeMap<String, Array>,
    /// Tensors `out.*`, named without that prefix.
    pub outputs: BTreeMap<String, Array>,
}

impl Record {
    /// Reads and checks `path`.
    ///
    /// # Errors
    /// A missing file, not safetensors, missing or bad `carp.audit`, tensors with other names or
    /// types.
    pub fn read(path: &Path) -> Result<Record> {
        let invalid = |detail: String| Error::data(path, detail);
        let bytes = std::fs::read(path).map_err(|source| Error::io(path, source))?;
        let broken = |error| invalid(format!("not a safetensors file: {error}"));
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(broken)?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(broken)?;
        let json = header
            .metadata()
            .as_ref()
            .and_then(|metadata| metadata.get("carp.audit"))
            .ok_or_else(|| invalid("no carp.audit in the metadata".into()))?;
        let json: Json = serde_json::from_str(json)
            .map_err(|error| invalid(format!("carp.audit is not JSON: {error}")))?;
        let Json::Object(mut audit) = json else {
            return Err(invalid("carp.audit is not a JSON object".into()));
        };
        let Some(Json::String(kind)) = audit.remove("kind") else {
            return Err(invalid("carp.audit has no kind".into()));
        };
        let settings = match audit.remove("settings") {
            Some(Json::Object(settings)) => settings,
            None => Map::new(),
            Some(_) => return Err(invalid("carp.audit: settings is not an object".into())),
        };
        let tolerance = audit.remove("tolerance").unwrap_or(Json::Null);
        let bound = |name: &str| {
            tolerance.get(name).and_then(Json::as_f64).filter(|bound| *bound >= 0.0).ok_or_else(
                || invalid(format!("carp.audit: tolerance.{name} should be a number, 0 or more")),
            )
        };
        let (abs, rel) = (bound("abs")?, bound("rel")?);
        let unknown = |key: &&String| !["abs", "rel"].contains(&key.as_str());
        let in_tolerance = tolerance.as_object().and_then(|bounds| bounds.keys().find(unknown));
        if let Some(key) = audit.keys().next().or(in_tolerance) {
            return Err(invalid(format!("carp.audit: unknown key {key:?}")));
        }
        let (mut inputs, mut outputs) = (BTreeMap::new(), BTreeMap::new());
        for (name, view) in tensors.iter() {
            let array = decode(view.dtype(), view.shape(), view.data())
                .ok_or_else(|| invalid(format!("{name} is {:?}, should be F32", view.dtype())))?;
            if array.shape.contains(&0) {
                return Err(invalid(format!("{name} is {:?}: it has no elements", array.shape)));
            }
            match (name.strip_prefix("in."), name.strip_prefix("out.")) {
                (Some(name), _) => inputs.insert(name.to_owned(), array),
                (_, Some(name)) => outputs.insert(name.to_owned(), array),
                _ => return Err(invalid(format!("{name} should start with in. or out."))),
            };
        }
        Ok(Record { path: path.to_owned(), kind, settings, abs, rel, inputs, outputs })
    }

    /// An error that names this file.
    pub fn invalid(&self, detail: &str) -> Error {
        Error::data(&self.path, detail)
    }
}

fn decode(dtype: Dtype, shape: &[usize], bytes: &[u8]) -> Option<Array> {
    let numbers = match dtype {
        Dtype::F32 => Numbers::F32(elements(bytes, f32::from_le_bytes)),
        Dtype::F64 => Numbers::F64(elements(bytes, f64::from_le_bytes)),
        Dtype::I64 => Numbers::I64(elements(bytes, i64::from_le_bytes)),
        _ => return None,
    };
    Some(Array { shape: shape.to_vec(), numbers })
}

fn elements<T, const N: usize>(bytes: &[u8], from: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.chunks_exact(N).map(|chunk| from(chunk.try_into().expect("N bytes"))).collect()
}

/// The inputs and settings of a record, tracking which are used: any left over at the end are
/// unknown to the kind.
pub struct Inputs<'a> {
    record: &'a Record,
    used: RefCell<BTreeSet<String>>,
}

impl<'a> Inputs<'a> {
    /// Nothing used yet.
    pub fn new(record: &'a Record) -> Inputs<'a> {
        Inputs { record, used: RefCell::default() }
    }

    /// An error that names the file.
    pub fn invalid(&self, detail: &str) -> Error {
        self.record.invalid(detail)
    }

    /// Tensor `in.NAME`, if there is one.
    pub fn optional(&self, name: &str) -> Option<&'a Array> {
        self.used.borrow_mut().insert(format!("in.{name}"));
        self.record.inputs.get(name)
    }

    /// Tensor `in.NAME`.
    ///
    /// # Errors
    /// If it is missing.
    pub fn array(&self, name: &str) -> Result<&'a Array> {
        self.optional(name).ok_or_else(|| self.invalid(&format!("in.{name} is missing")))
    }

    /// Tensor `in.NAME` of single precision: shape and elements.
    ///
    /// # Errors
    /// If it is missing or of another type.
    pub fn f32(&self, name: &str) -> Result<(&'a [usize], &'a [f32])> {
        let array = self.array(name)?;
        match &array.numbers {
            Numbers::F32(data) => Ok((&array.shape, data)),
            _ => Err(self.invalid(&format!("in.{name} is not F32"))),
        }
    }

    /// Tensor `in.NAME` as a permutation of its indices.
    ///
    /// # Errors
    /// If it is missing, of another type, or not a permutation.
    pub fn permutation(&self, name: &str) -> Result<Vec<u32>> {
        let array = self.array(name)?;
        let (Numbers::I64(data), [_]) = (&array.numbers, &array.shape[..]) else {
            return Err(self.invalid(&format!("in.{name} is not a list of I64")));
        };
        let mut seen = vec![false; data.len()];
        for &index in data {
            let place = usize::try_from(index).ok().and_then(|index| seen.get_mut(index));
            match place {
                Some(seen) if !*seen => *seen = true,
                _ => {
                    let detail =
                        format!("in.{name} is not a permutation of 0..{}: {index}", data.len());
                    return Err(self.invalid(&detail));
                }
            }
        }
        Ok(data.iter().map(|&index| index as u32).collect())
    }

    /// Tensor `in.NAME` as indices below `bound`: shape and elements, none where it is -100, PyTorch's
    /// mark of a label that does not count.
    ///
    /// # Errors
    /// If it is missing, of another type, or has another element.
    pub fn labels(&self, name: &str, bound: usize) -> Result<(&'a [usize], Vec<Option<u32>>)> {
        let array = self.array(name)?;
        let Numbers::I64(data) = &array.numbers else {
            return Err(self.invalid(&format!("in.{name} is not I64")));
        };
        let label = |&index: &i64| match usize::try_from(index) {
            Ok(label) if label < bound => Ok(Some(label as u32)),
            _ if index == -100 => Ok(None),
            _ => Err(self.invalid(&format!("in.{name} holds {index}, should be below {bound}"))),
        };
        Ok((&array.shape, data.iter().map(label).collect::<Result<_>>()?))
    }

    /// Names of all tensors `in.PREFIX*`, without `in.`.
    pub fn names(&self, prefix: &str) -> Vec<&'a str> {
        self.record.inputs.keys().filter(|n| n.starts_with(prefix)).map(String::as_str).collect()
    }

    /// Elements of the tensors `out.PREFIX0`, `out.PREFIX1` and so on.
    pub fn output_lens(&self, prefix: &str) -> Vec<usize> {
        let output = |place| self.record.outputs.get(&format!("{prefix}{place}"));
        (0..).map_while(output).map(|array| array.shape.iter().product()).collect()
    }

    /// Whether tensor `out.NAME` holds indices.
    pub fn wants_i64(&self, name: &str) -> bool {
        let output = self.record.outputs.get(name);
        output.is_some_and(|array| matches!(array.numbers, Numbers::I64(_)))
    }

    fn setting(&self, name: &str) -> Option<&'a Json> {
        self.used.borrow_mut().insert(format!("settings.{name}"));
        self.record.settings.get(name)
    }

    fn bad_setting(&self, name: &str, wants: &str) -> Error {
        let found = match self.setting(name) {
            Some(value) => format!("is {value}"),
            None => "is missing".to_owned(),
        };
        self.invalid(&format!("setting {name} {found}, should be {wants}"))
    }

    /// An optional setting.
    pub fn ignore(&self, name: &str) {
        let _ = self.setting(name);
    }

    /// A whole number of 0 or more.
    ///
    /// # Errors
    /// If it is missing or something else.
    pub fn count(&self, name: &str) -> Result<usize> {
        let value = self.setting(name).and_then(Json::as_u64);
        value.map(|v| v as usize).ok_or_else(|| self.bad_setting(name, "a whole number"))
    }

    /// A size of a tensor of the file: from 1 to the elements of its largest, so that nothing is
    /// allocated that the file does not justify.
    ///
    /// # Errors
    /// If it is missing or something else.
    pub fn size(&self, name: &str) -> Result<usize> {
        let arrays = self.record.inputs.values().chain(self.record.outputs.values());
        let most = arrays.map(|array| array.shape.iter().product()).max().unwrap_or(0);
        let size = self.count(name)?;
        if (1..=most).contains(&size) {
            return Ok(size);
        }
        Err(self.bad_setting(name, &format!("1 to {most}, which the file's largest tensor has")))
    }

    /// A whole number of 0 or more; `default` if it is missing.
    ///
    /// # Errors
    /// If it is something else.
    pub fn count_or(&self, name: &str, default: usize) -> Result<usize> {
        self.setting(name).map_or(Ok(default), |_| self.count(name))
    }

    /// A number.
    ///
    /// # Errors
    /// If it is missing or something else.
    pub fn number(&self, name: &str) -> Result<f64> {
        let value = self.setting(name).and_then(Json::as_f64);
        value.ok_or_else(|| self.bad_setting(name, "a number"))
    }

    /// True or false.
    ///
    /// # Errors
    /// If it is missing or something else.
    pub fn flag(&self, name: &str) -> Result<bool> {
        let value = self.setting(name).and_then(Json::as_bool);
        value.ok_or_else(|| self.bad_setting(name, "true or false"))
    }

    /// True or false; `default` if it is missing.
    ///
    /// # Errors
    /// If it is something else.
    pub fn flag_or(&self, name: &str, default: bool) -> Result<bool> {
        self.setting(name).map_or(Ok(default), |_| self.flag(name))
    }

    /// A string.
    ///
    /// # Errors
    /// If it is missing or something else.
    pub fn text(&self, name: &str) -> Result<&'a str> {
        let value = self.setting(name).and_then(Json::as_str);
        value.ok_or_else(|| self.bad_setting(name, "a string"))
    }

    /// A list of numbers.
    ///
    /// # Errors
    /// If it is missing or something else.
    pub fn list(&self, name: &str) -> Result<Vec<f64>> {
        self.setting(name)
            .and_then(Json::as_array)
            .and_then(|list| list.iter().map(Json::as_f64).collect::<Option<Vec<_>>>())
            .ok_or_else(|| self.bad_setting(name, "a list of numbers"))
    }

    /// One of several words, by their serde names.
    ///
    /// # Errors
    /// If it is missing or none of them.
    pub fn word<T: serde::de::DeserializeOwned>(&self, name: &str, wants: &str) -> Result<T> {
        self.setting(name)
            .and_then(|value| serde_json::from_value(value.clone()).ok())
            .ok_or_else(|| self.bad_setting(name, wants))
    }

    /// Fails if the file holds an input or a setting that was not used.
    ///
    /// # Errors
    /// Names the first one.
    pub fn finish(&self) -> Result<()> {
        let used = self.used.borrow();
        let inputs = self.record.inputs.keys().map(|name| format!("in.{name}"));
        let settings = self.record.settings.keys().map(|name| format!("settings.{name}"));
        match inputs.chain(settings).find(|name| !used.contains(name)) {
            Some(name) => {
                let detail = format!("{name} is not known for kind {}", self.record.kind);
                Err(self.invalid(&detail))
            }
            None => Ok(()),
        }
    }
}
