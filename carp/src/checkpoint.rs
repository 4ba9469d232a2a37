//! `checkpoint.safetensors`: student, teacher, optimizer and running statistics in PyTorch's
//! layouts, with the settings and the place in the run as metadata. Everything random is a pure
//! function of seed and step, so a resumed run goes on with the same bits.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::learner::NamedTensor;

/// Version of the format, in the metadata.
const FORMAT: &str = "1";

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps done.
    pub step: usize,
    /// Seconds of training, without evaluations.
    pub seconds: f64,
}

/// A checkpoint in memory.
pub struct Checkpoint {
    path: PathBuf,
    tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    metadata: HashMap<String, String>,
}

/// Writes `bytes` so that the file is either the old one or the whole new one.
///
/// # Errors
/// What the system says.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial = path.with_file_name(name);
    let write = || {
        let mut file = std::fs::File::create(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&partial, path)
    };
    write().map_err(|source| Error::io(path, source))
}

/// Writes a checkpoint, whole or not at all.
///
/// # Errors
/// What the system says.
pub fn save(
    path: &Path,
    config: &Config,
    tensors: &[NamedTensor],
    progress: Progress,
) -> Result<()> {
    let bytes: Vec<Vec<u8>> =
        tensors.iter().map(|(_, _, data)| little_endian(data).collect()).collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
        (name.as_str(), view.expect("as many bytes as the shape says"))
    });
    let progress = serde_json::to_string(&progress).expect("plain numbers");
    let metadata = HashMap::from([
        ("carp.format".to_owned(), FORMAT.to_owned()),
        ("carp.config".to_owned(), config.to_toml()),
        ("carp.progress".to_owned(), progress),
        ("carp.seed".to_owned(), config.seed.to_string()),
    ]);
    let file = safetensors::serialize(views, Some(metadata))
        .map_err(|error| Error::data(path, format!("cannot be written: {error}")))?;
    write_atomically(path, &file)
}

fn little_endian(data: &[f32]) -> impl Iterator<Item = u8> + '_ {
    data.iter().flat_map(|x| x.to_le_bytes())
}

impl Checkpoint {
    /// Reads a checkpoint.
    ///
    /// # Errors
    /// No such file, not safetensors or cut short, not made by this program.
    pub fn load(path: &Path) -> Result<Checkpoint> {
        let bytes = std::fs::read(path).map_err(|source| Error::io(path, source))?;
        let broken = |error| Error::data(path, format!("not a whole safetensors file: {error}"));
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(broken)?;
        let file = SafeTensors::deserialize(&bytes).map_err(broken)?;
        let metadata = header.metadata().clone().unwrap_or_default();
        if metadata.get("carp.format").map(String::as_str) != Some(FORMAT) {
            return Err(Error::data(path, "not a checkpoint of this program"));
        }
        let mut tensors = BTreeMap::new();
        for (name, view) in file.iter() {
            if view.dtype() != Dtype::F32 {
                let detail = format!("{name} is {:?}, should be F32", view.dtype());
                return Err(Error::data(path, detail));
            }
            let number = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().expect("4 bytes"));
            let data = view.data().chunks_exact(4).map(number).collect();
            tensors.insert(name.to_owned(), (view.shape().to_vec(), data));
        }
        Ok(Checkpoint { path: path.to_owned(), tensors, metadata })
    }

    /// The settings of the run that wrote it.
    ///
    /// # Errors
    /// If they are missing or not right.
    pub fn config(&self) -> Result<Config> {
        Config::parse(self.entry("carp.config")?, &self.path.display().to_string())
    }

    /// How far that run was.
    ///
    /// # Errors
    /// If that is missing or not right.
    pub fn progress(&self) -> Result<Progress> {
        serde_json::from_str(self.entry("carp.progress")?)
            .map_err(|error| Error::data(&self.path, format!("carp.progress: {error}")))
    }

    fn entry(&self, key: &str) -> Result<&str> {
        let entry = self.metadata.get(key).map(String::as_str);
        entry.ok_or_else(|| Error::data(&self.path, format!("its metadata lacks {key}")))
    }

    /// A tensor's shape and numbers, in PyTorch's layout.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn tensor(&self, name: &str) -> Result<(&[usize], &[f32])> {
        let tensor = self.tensors.get(name);
        tensor
            .map(|(shape, data)| (&shape[..], &data[..]))
            .ok_or_else(|| Error::data(&self.path, format!("has no tensor {name}")))
    }
}

/// SHA-256 over names, shapes and numbers (little-endian) of student and teacher, in order of
/// names; in hexadecimal.
pub fn weights_sha256(tensors: &[NamedTensor]) -> String {
    let of_network = |name: &str| name.starts_with("student.") || name.starts_with("teacher.");
    let mut tensors: Vec<_> = tensors.iter().filter(|tensor| of_network(&tensor.0)).collect();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    let mut digest = Sha256::new();
    for (name, shape, data) in tensors {
        digest.update(format!("{name} {shape:?}\n"));
        digest.update(little_endian(data).collect::<Vec<u8>>());
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
