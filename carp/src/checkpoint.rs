//! `checkpoint.safetensors`: student, teacher, optimizer and running statistics in PyTorch's
//! layouts, with settings and progress as metadata. Everything random is a pure function of seed
//! and step, so a resumed run continues with the same bits.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use files::write_atomically;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::fingerprint::Fingerprint;
use crate::learner::NamedTensor;

/// Format version, in the metadata.
const FORMAT: &str = "2";
/// The version before, which has no checksum.
const UNCHECKED: &str = "1";
/// The metadata's key of the SHA-256 of all else in the file.
const CHECKSUM: &str = "carp.sha256";

/// Progress of a run.
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
    metadata: BTreeMap<String, String>,
}

/// Writes a checkpoint atomically.
///
/// # Errors
/// I/O errors.
pub fn save(
    path: &Path,
    config: &Config,
    data: &Fingerprint,
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
    let data = serde_json::to_string(data).expect("plain numbers and texts");
    let mut metadata: BTreeMap<String, String> = [
        ("carp.format", FORMAT.to_owned()),
        ("carp.config", config.to_toml()),
        ("carp.data", data),
        ("carp.progress", progress),
        ("carp.seed", config.seed.to_string()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    metadata.insert(CHECKSUM.to_owned(), checksum(&metadata, parts(tensors)));
    let file = safetensors::serialize(views, Some(metadata.into_iter().collect()))
        .map_err(|error| Error::data(path, format!("cannot be written: {error}")))?;
    Ok(write_atomically(path, &file)?)
}

fn little_endian(data: &[f32]) -> impl Iterator<Item = u8> + '_ {
    data.iter().flat_map(|x| x.to_le_bytes())
}

impl Checkpoint {
    /// Reads a checkpoint.
    ///
    /// # Errors
    /// A missing file, not safetensors, truncated, changed since it was written, or not written by
    /// this program.
    pub fn load(path: &Path) -> Result<Checkpoint> {
        let bytes = std::fs::read(path).map_err(|source| Error::io(path, source))?;
        let broken = |error| Error::data(path, format!("not a whole safetensors file: {error}"));
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(broken)?;
        let file = SafeTensors::deserialize(&bytes).map_err(broken)?;
        let metadata: BTreeMap<_, _> =
            header.metadata().clone().unwrap_or_default().into_iter().collect();
        let format = metadata.get("carp.format").map(String::as_str);
        let is_unchecked = format == Some(UNCHECKED);
        if !is_unchecked && format != Some(FORMAT) {
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
        let checkpoint = Checkpoint { path: path.to_owned(), tensors, metadata };
        if !is_unchecked
            && checkpoint.entry(CHECKSUM)? != checksum(&checkpoint.metadata, checkpoint.parts())
        {
            let detail = "has changed since it was written: its checksum is another one";
            return Err(Error::data(path, detail));
        }
        Ok(checkpoint)
    }

    fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        self.tensors.iter().map(|(name, (shape, data))| (&name[..], &shape[..], &data[..]))
    }

    /// The settings of the run that wrote it.
    ///
    /// # Errors
    /// If they are missing or invalid.
    pub fn config(&self) -> Result<Config> {
        Config::parse(self.entry("carp.config")?, &self.path.display().to_string())
    }

    /// The progress of that run.
    ///
    /// # Errors
    /// If it is missing or invalid.
    pub fn progress(&self) -> Result<Progress> {
        serde_json::from_str(self.entry("carp.progress")?)
            .map_err(|error| Error::data(&self.path, format!("carp.progress: {error}")))
    }

    /// The data of that run; `None` in a checkpoint of a version that did not record them.
    ///
    /// # Errors
    /// If they are invalid.
    pub fn data(&self) -> Result<Option<Fingerprint>> {
        let entry = self.metadata.get("carp.data").map(|text| serde_json::from_str(text));
        let data = entry.transpose();
        data.map_err(|error| Error::data(&self.path, format!("carp.data: {error}")))
    }

    /// Compares the data of that run with these; returns a line if it does not say which they were.
    ///
    /// # Errors
    /// Other data.
    pub fn check_data(&self, now: &Fingerprint) -> Result<Option<String>> {
        let Some(then) = self.data()? else {
            let line = "the checkpoint does not say what its data were: they may have changed";
            return Ok(Some(line.to_owned()));
        };
        match then.difference(now) {
            None => Ok(None),
            Some(difference) => Err(Error::usage(format!(
                "the data are not those that the run began with: {difference}; bring them back, \
                 or start a new run"
            ))),
        }
    }

    /// SHA-256 of the weights, as [`weights_sha256`] of its tensors.
    pub fn weights_sha256(&self) -> String {
        weights_digest(self.parts())
    }

    fn entry(&self, key: &str) -> Result<&str> {
        let entry = self.metadata.get(key).map(String::as_str);
        entry.ok_or_else(|| Error::data(&self.path, format!("its metadata lacks {key}")))
    }

    /// A tensor's shape and numbers, in PyTorch's layout.
    ///
    /// # Errors
    /// If there is none with that name.
    pub fn tensor(&self, name: &str) -> Result<(&[usize], &[f32])> {
        let tensor = self.tensors.get(name);
        tensor
            .map(|(shape, data)| (&shape[..], &data[..]))
            .ok_or_else(|| Error::data(&self.path, format!("has no tensor {name}")))
    }
}

/// SHA-256, in hexadecimal, over names, shapes and numbers (little-endian) of student and teacher,
/// sorted by name.
pub fn weights_sha256(tensors: &[NamedTensor]) -> String {
    weights_digest(parts(tensors))
}

/// A tensor's name, shape and numbers.
type Part<'a> = (&'a str, &'a [usize], &'a [f32]);

fn parts(tensors: &[NamedTensor]) -> impl Iterator<Item = Part<'_>> {
    tensors.iter().map(|(name, shape, data)| (&name[..], &shape[..], &data[..]))
}

fn weights_digest<'a>(tensors: impl Iterator<Item = Part<'a>>) -> String {
    let of_network = |name: &str| name.starts_with("student.") || name.starts_with("teacher.");
    digest(Sha256::new(), tensors.filter(|tensor| of_network(tensor.0)))
}

/// SHA-256 of everything in a checkpoint but the checksum itself.
fn checksum<'a>(
    metadata: &BTreeMap<String, String>,
    tensors: impl Iterator<Item = Part<'a>>,
) -> String {
    let entries: BTreeMap<_, _> = metadata.iter().filter(|(key, _)| *key != CHECKSUM).collect();
    let mut start = Sha256::new();
    start.update(format!("{entries:?}\n"));
    digest(start, tensors)
}

/// The digest that goes on with tensors, sorted by name.
fn digest<'a>(mut digest: Sha256, tensors: impl Iterator<Item = Part<'a>>) -> String {
    let mut tensors: Vec<_> = tensors.collect();
    tensors.sort_by_key(|tensor| tensor.0);
    for (name, shape, data) in tensors {
        digest.update(format!("{name} {shape:?}\n"));
        digest.update(little_endian(data).collect::<Vec<u8>>());
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensors() -> Vec<NamedTensor> {
        vec![
            ("teacher.b".to_owned(), vec![2, 2], vec![1.0, -0.0, f32::MIN_POSITIVE, 4.0]),
            ("student.a".to_owned(), vec![3], vec![0.1, 0.2, 0.3]),
            ("student.none".to_owned(), vec![0], vec![]),
        ]
    }

    fn written(folder: &Path) -> PathBuf {
        let path = folder.join("checkpoint.safetensors");
        let progress = Progress { step: 12, seconds: 3.25 };
        let config = Config { seed: 5, ..Config::default() };
        save(&path, &config, &Fingerprint::default(), &tensors(), progress).unwrap();
        path
    }

    /// The error from loading a file with these bytes: one line that names the file.
    fn refused(bytes: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        std::fs::write(&path, bytes).unwrap();
        let error = Checkpoint::load(&path).err().expect("should be refused");
        let line = error.to_string();
        assert_eq!((line.lines().count(), error.exit_code()), (1, 1), "{line}");
        assert!(line.contains("x.safetensors"), "{line}");
        line
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = Checkpoint::load(&written(folder.path())).unwrap();
        for (name, shape, data) in tensors() {
            let (got_shape, got) = checkpoint.tensor(&name).unwrap();
            assert_eq!(got_shape, shape);
            let bits = |data: &[f32]| data.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(got), bits(&data), "{name}");
        }
        assert_eq!(checkpoint.progress().unwrap(), Progress { step: 12, seconds: 3.25 });
        assert_eq!(checkpoint.config().unwrap(), Config { seed: 5, ..Config::default() });
        let error = checkpoint.tensor("student.c").unwrap_err().to_string();
        assert!(error.ends_with("checkpoint.safetensors: has no tensor student.c"), "{error}");
    }

    #[test]
    fn broken_files_are_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let whole = std::fs::read(written(folder.path())).unwrap();
        for length in [0, 7, 8, 100, whole.len() - 1] {
            assert!(refused(&whole[..length]).contains("not a whole safetensors file"));
        }
        assert!(refused(&[whole.as_slice(), &[0]].concat()).contains("not a whole safetensors"));
        assert!(refused(b"\x89PNG, not at all what it should be").contains("safetensors"));
        let absent = Checkpoint::load(&folder.path().join("none")).err().unwrap().to_string();
        assert!(absent.contains("none: No such file"), "{absent}");
        assert!(Checkpoint::load(folder.path()).is_err());
    }

    #[test]
    fn a_changed_bit_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path());
        let whole = std::fs::read(&path).unwrap();
        for at in 8..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert!(!refused(&changed).is_empty(), "byte {at}");
        }
        let mut last = whole.clone();
        *last.last_mut().unwrap() ^= 0x80;
        assert!(refused(&last).contains("has changed since it was written"));
    }

    #[test]
    fn files_of_others_are_one_line() {
        let file = |dtype, bytes: &[u8], format: Option<&str>| {
            let view = TensorView::new(dtype, vec![2], bytes).unwrap();
            let entry = |format: &str| [("carp.format".to_owned(), format.to_owned())].into();
            safetensors::serialize([("a", view)], format.map(entry)).unwrap()
        };
        let ours = |format| refused(&file(Dtype::F32, &[0; 8], format));
        assert!(ours(None).contains("not a checkpoint of this program"));
        assert!(ours(Some("3")).contains("not a checkpoint of this program"));
        assert!(ours(Some(FORMAT)).contains("lacks carp.sha256"));
        assert!(refused(&file(Dtype::F16, &[0; 4], Some(UNCHECKED))).contains("a is F16"));
        // Metadata that lacks what a resumed run needs.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, file(Dtype::F32, &[0; 8], Some(UNCHECKED))).unwrap();
        let checkpoint = Checkpoint::load(&path).unwrap();
        assert_eq!(checkpoint.data().unwrap(), None);
        let lacks = [checkpoint.config().unwrap_err(), checkpoint.progress().unwrap_err()];
        assert!(lacks.iter().all(|error| error.to_string().contains("lacks carp.")));
    }

    #[test]
    fn the_digest_sees_names_shapes_and_bits_but_no_order() {
        let digest = weights_sha256(&tensors());
        let changed = |change: fn(&mut Vec<NamedTensor>)| {
            let mut tensors = tensors();
            change(&mut tensors);
            weights_sha256(&tensors)
        };
        assert_eq!(digest.len(), 64);
        assert_eq!(changed(|tensors| tensors.reverse()), digest);
        assert_ne!(changed(|tensors| tensors[0].0 = "teacher.c".to_owned()), digest);
        assert_ne!(changed(|tensors| tensors[0].1 = vec![4]), digest);
        assert_ne!(changed(|tensors| tensors[0].2[1] = 0.0), digest);
        // sha256sum of "student.a [1]\n" and the bytes 00 00 80 3f.
        let one = [("student.a".to_owned(), vec![1], vec![1.0])];
        let want = "94ea3b693efe50f702e5f83a8c78e7be3a7d6c9821589aec8a189067411fb6d8";
        assert_eq!(weights_sha256(&one), want);
    }
}
