//! Features with labels as a safetensors file, written by `carp features` or another program and
//! read by every protocol.
//!
//! `features` is `[N,D]` of f32. `labels` is `[N]`, one class each (i64, i32 or u32), or `[N,C]`,
//! where a number above 0 means that an image shows class c. It is absent without labels. The file's
//! metadata may hold `classes`: the names of the classes by label, as a JSON list.

use std::path::Path;

use carp::error::{Error, Result};
use datasets::Labels;
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use weights::{SafeTensorsReader, TensorHeader, little_endian, write_safetensors};

use super::finite::check_finite;

/// Key of the metadata with the classes' names.
const CLASSES: &str = "classes";
/// Bytes read together: whole numbers of any type.
const PART: usize = 1 << 20;

/// Features of images, `[N,D]`, and their labels.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureSet {
    /// Row by row.
    pub features: Vec<f32>,
    /// D.
    pub dim: usize,
    /// One per row.
    pub labels: Labels,
    /// Names of the classes, by label; empty if they are not known.
    pub class_names: Vec<String>,
}

impl FeatureSet {
    /// N.
    pub fn rows(&self) -> usize {
        self.features.len() / self.dim
    }

    /// One class per image.
    ///
    /// # Errors
    /// Labels of another kind; `path` is for the message.
    pub fn classes(&self, path: &Path) -> Result<&[u32]> {
        match &self.labels {
            Labels::Single(labels) => Ok(labels),
            Labels::None => Err(Error::data(path, "has no `labels`; this protocol needs [N]")),
            Labels::Multi { classes, .. } => {
                let detail =
                    format!("labels are [N,{classes}]; this protocol needs one class, [N]");
                Err(Error::data(path, detail))
            }
        }
    }

    /// Checks that two sets are comparable.
    ///
    /// # Errors
    /// Features of different lengths.
    pub fn same_dim(&self, other: &FeatureSet) -> Result<()> {
        if self.dim == other.dim {
            return Ok(());
        }
        let (a, b) = (self.dim, other.dim);
        Err(Error::usage(format!(
            "features of {a} and {b} numbers: both must come from one network"
        )))
    }

    /// Checks that two sets are comparable, and their labels too.
    ///
    /// # Errors
    /// Features of different lengths; a label that has different names.
    pub fn same_classes(&self, other: &FeatureSet) -> Result<()> {
        self.same_dim(other)?;
        let mut names = self.class_names.iter().zip(&other.class_names);
        if let Some(label) = names.position(|(a, b)| a != b) {
            let (a, b) = (&self.class_names[label], &other.class_names[label]);
            return Err(Error::usage(format!(
                "class {label} is {a:?} in the one and {b:?} in the other features: both must come \
                 from one data set"
            )));
        }
        Ok(())
    }

    /// The names of the classes, by label, of the one of two sets that knows more of them.
    pub fn names<'a>(&'a self, other: &'a FeatureSet) -> &'a [String] {
        if self.class_names.len() < other.class_names.len() {
            &other.class_names
        } else {
            &self.class_names
        }
    }

    /// Reads a file; features are read in place, so peak memory is their own size.
    ///
    /// # Errors
    /// A missing file, not safetensors or truncated; tensors that are missing or of another type or
    /// shape; features that are not finite; labels below 0 or above any
    /// data set's.
    pub fn load(path: &Path) -> Result<FeatureSet> {
        let file = SafeTensorsReader::open(path)?;
        let io = |source| Error::io(path, source);
        let Some(info) = file.header().info("features") else {
            let detail = "has no tensor `features`, should be [N,D] of f32";
            return Err(Error::data(path, detail));
        };
        let &[rows, dim] = info.shape.as_slice() else {
            let detail = format!("features are {:?}, should be [N,D]", info.shape);
            return Err(Error::data(path, detail));
        };
        if info.dtype != Dtype::F32 || rows == 0 || dim == 0 {
            let detail = format!(
                "features are {:?} of {:?}, should be [N,D] of F32 and not empty",
                info.shape, info.dtype
            );
            return Err(Error::data(path, detail));
        }
        let mut features = Vec::with_capacity(rows * dim);
        file.read(info, PART, |bytes| {
            features.extend(bytes.as_chunks().0.iter().copied().map(f32::from_le_bytes));
            Ok(())
        })
        .map_err(io)?;
        check_finite(path, &features, dim)?;
        let labels = match file.header().info("labels") {
            Some(info) => {
                let mut data = Vec::new();
                file.read(info, PART, |bytes| {
                    data.extend_from_slice(bytes);
                    Ok(())
                })
                .map_err(io)?;
                read_labels(path, info, &data, rows)?
            }
            None => Labels::None,
        };
        let class_names = class_names(path, file.header())?;
        Ok(FeatureSet { features, dim, labels, class_names })
    }

    /// Writes a file atomically; labels as i64.
    ///
    /// # Errors
    /// I/O errors.
    pub fn save(&self, path: &Path) -> Result<()> {
        let rows = self.rows();
        let header =
            |name: &str, dtype, shape| TensorHeader { name: name.to_owned(), dtype, shape };
        let mut tensors = vec![header("features", Dtype::F32, vec![rows, self.dim])];
        let (shape, labels) = match &self.labels {
            Labels::None => (None, vec![]),
            Labels::Single(labels) => {
                (Some(vec![rows]), as_i64(labels.iter().map(|&label| label.into())))
            }
            Labels::Multi { classes, shown } => {
                (Some(vec![rows, *classes]), as_i64(shown.iter().map(|&label| label.into())))
            }
        };
        tensors.extend(shape.map(|shape| header("labels", Dtype::I64, shape)));
        let names = serde_json::to_string(&self.class_names).expect("text");
        let classes = (!self.class_names.is_empty()).then(|| (CLASSES.to_owned(), names));
        Ok(write_safetensors(
            path,
            classes.into_iter().collect(),
            &tensors,
            |index, out| match index {
                0 => little_endian(&self.features, |bytes| out.write_all(bytes)),
                _ => out.write_all(&labels),
            },
        )?)
    }
}

/// The bytes of labels in a file.
fn as_i64(labels: impl Iterator<Item = i64>) -> Vec<u8> {
    labels.flat_map(i64::to_le_bytes).collect()
}

/// The names of the classes, if the file has them.
fn class_names(path: &Path, header: &Metadata) -> Result<Vec<String>> {
    let Some(names) = header.metadata().as_ref().and_then(|all| all.get(CLASSES)) else {
        return Ok(vec![]);
    };
    serde_json::from_str(names).map_err(|error| {
        let detail = format!("its metadata {CLASSES:?} should be a JSON list of names: {error}");
        Error::data(path, detail)
    })
}

fn read_labels(path: &Path, info: &TensorInfo, data: &[u8], rows: usize) -> Result<Labels> {
    let numbers: Vec<i64> = match info.dtype {
        Dtype::I64 => data
            .chunks_exact(8)
            .map(|bytes| i64::from_le_bytes(bytes.try_into().expect("8 bytes")))
            .collect(),
        Dtype::I32 => data
            .chunks_exact(4)
            .map(|bytes| i32::from_le_bytes(bytes.try_into().expect("4 bytes")).into())
            .collect(),
        Dtype::U32 => data
            .chunks_exact(4)
            .map(|bytes| u32::from_le_bytes(bytes.try_into().expect("4 bytes")).into())
            .collect(),
        Dtype::U8 | Dtype::BOOL => data.iter().map(|&byte| byte.into()).collect(),
        other => {
            let detail = format!("labels are {other:?}, should be I64, I32, U32 or U8");
            return Err(Error::data(path, detail));
        }
    };
    match *info.shape {
        [n] if n == rows => {
            let label = |(row, &label): (usize, &i64)| {
                u32::try_from(label).map_err(|_| {
                    let most = u32::MAX;
                    let detail = format!("labels[{row}] is {label}, should be from 0 to {most}");
                    Error::data(path, detail)
                })
            };
            Ok(Labels::Single(numbers.iter().enumerate().map(label).collect::<Result<_>>()?))
        }
        [n, classes] if n == rows && classes > 0 => {
            let shown = numbers.iter().map(|&label| label.signum() as i32).collect();
            Ok(Labels::Multi { classes, shown })
        }
        _ => {
            let detail = format!(
                "labels are {:?}, features have {rows} rows: should be [{rows}] or [{rows},C]",
                info.shape
            );
            Err(Error::data(path, detail))
        }
    }
}

#[cfg(test)]
mod tests {
    use safetensors::tensor::TensorView;

    use super::*;

    fn written(labels: Labels) -> FeatureSet {
        FeatureSet {
            features: vec![1.0, -2.0, 0.5, 4.0, 0.0, 3.0],
            dim: 2,
            labels,
            class_names: vec![],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("features.safetensors");
        let multi = Labels::Multi { classes: 2, shown: vec![1, -1, 0, 1, -1, -1] };
        for labels in [Labels::None, Labels::Single(vec![4, 0, 7]), multi] {
            let set = written(labels);
            set.save(&path).unwrap();
            assert_eq!(FeatureSet::load(&path).unwrap(), set);
        }
        let class_names = ["a", "", "\"c\"\n"].map(str::to_owned).to_vec();
        let named = FeatureSet { class_names, ..written(Labels::Single(vec![2, 0, 1])) };
        named.save(&path).unwrap();
        assert_eq!(FeatureSet::load(&path).unwrap(), named);
        let line = written(Labels::None).classes(&path).unwrap_err().to_string();
        assert!(line.ends_with("has no `labels`; this protocol needs [N]"), "{line}");
    }

    #[test]
    fn faults_are_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("features.safetensors");
        let fault = |tensors: Vec<(&str, Dtype, Vec<usize>, Vec<u8>)>| {
            let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
                (*name, TensorView::new(*dtype, shape.clone(), bytes).unwrap())
            });
            std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
            FeatureSet::load(&path).unwrap_err().to_string()
        };
        let features = || ("features", Dtype::F32, vec![2, 1], vec![0; 8]);
        assert!(fault(vec![]).contains("no tensor `features`"));
        assert!(fault(vec![("features", Dtype::F32, vec![2], vec![0; 8])]).contains("[2]"));
        assert!(fault(vec![("features", Dtype::F16, vec![2, 1], vec![0; 4])]).contains("F16"));
        let nan = [1.0f32, f32::NAN].map(f32::to_le_bytes).concat();
        let line = fault(vec![("features", Dtype::F32, vec![2, 1], nan)]);
        assert!(line.contains("features[1,0] is NaN; 1 of 2 rows are not finite"), "{line}");
        let long = [1.0f32, 0.0, 3e38, 3e38].map(f32::to_le_bytes).concat();
        let line = fault(vec![("features", Dtype::F32, vec![2, 2], long)]);
        assert!(line.contains("features[1] has length 4.2e38, more than an f32"), "{line}");
        let view = TensorView::new(Dtype::F32, vec![1, 1], &[0; 4]).unwrap();
        let metadata = Some([("classes".to_owned(), "a, b".to_owned())].into());
        let file = safetensors::serialize([("features", view)], metadata).unwrap();
        std::fs::write(&path, file).unwrap();
        let line = FeatureSet::load(&path).unwrap_err().to_string();
        assert!(line.contains("\"classes\" should be a JSON list of names"), "{line}");
        let labels = |bytes: Vec<u8>| ("labels", Dtype::I32, vec![bytes.len() / 4], bytes);
        assert!(fault(vec![features(), labels(vec![0; 12])]).contains("should be [2] or [2,C]"));
        assert!(fault(vec![features(), labels(vec![255; 8])]).contains("labels[0] is -1"));
        let large = [0, 5_000_000_000].map(i64::to_le_bytes).concat();
        let large = ("labels", Dtype::I64, vec![2], large);
        assert!(fault(vec![features(), large]).contains("labels[1] is 5000000000"));
        std::fs::write(&path, [1, 2, 3]).unwrap();
        let line = FeatureSet::load(&path).unwrap_err().to_string();
        assert!(line.contains("not a whole safetensors file"), "{line}");
    }
}
