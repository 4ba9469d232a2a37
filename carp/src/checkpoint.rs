//! `checkpoint.safetensors`: student, teacher, optimizer and running statistics in PyTorch's
//! layouts, with settings and progress as metadata. Everything random is a pure function of seed
//! and step, so a resumed run continues with the same bits.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use files::hex;
use safetensors::tensor::{Dtype, TensorInfo};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use weights::{SafeTensorsReader, TensorHeader, WeightsFile, little_endian, write_safetensors};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::fingerprint::Fingerprint;
use crate::learner::Learner;
use crate::tensor_source::{TensorSource, part_len};

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

/// An open checkpoint: its header in memory, its numbers in the file.
pub struct Checkpoint {
    file: SafeTensorsReader,
    tensors: Vec<(String, TensorInfo)>,
    metadata: BTreeMap<String, String>,
}

/// Writes a checkpoint atomically, straight from where the tensors are. They are read twice: the
/// checksum stands before them in the file.
///
/// # Errors
/// I/O errors.
pub fn save(
    path: &Path,
    config: &Config,
    data: &Fingerprint,
    tensors: &mut dyn TensorSource,
    progress: Progress,
) -> Result<()> {
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
    let checksum = checksum(&metadata, tensors).map_err(|source| Error::io(path, source))?;
    metadata.insert(CHECKSUM.to_owned(), checksum);
    let header = |(name, shape)| TensorHeader { name, dtype: Dtype::F32, shape };
    let headers: Vec<_> = tensors.tensors().into_iter().map(header).collect();
    Ok(write_safetensors(path, metadata, &headers, |index, out| {
        tensors.read(index, &mut |part| little_endian(part, |bytes| out.write_all(bytes)))
    })?)
}

/// Opens weights of any program; those in a checkpoint of this one are checked first.
///
/// # Errors
/// Those of [`WeightsFile::open`], and of [`Checkpoint::load`] for a checkpoint.
pub fn open_weights(path: &Path) -> Result<WeightsFile> {
    let file = WeightsFile::open(path)?;
    // Either will do: one flipped bit may be in the other.
    if ["carp.format", "carp.config"].iter().any(|key| file.metadata(key).is_some()) {
        Checkpoint::load(path)?;
    }
    Ok(file)
}

impl Checkpoint {
    /// Opens a checkpoint and reads it once, to check it.
    ///
    /// # Errors
    /// A missing file, not safetensors, truncated, changed since it was written, or not written by
    /// this program.
    pub fn load(path: &Path) -> Result<Checkpoint> {
        let file = SafeTensorsReader::open(path)?;
        let metadata: BTreeMap<_, _> =
            file.header().metadata().clone().unwrap_or_default().into_iter().collect();
        let format = metadata.get("carp.format").map(String::as_str);
        let is_unchecked = format == Some(UNCHECKED);
        if !is_unchecked && format != Some(FORMAT) {
            return Err(Error::data(path, "not a checkpoint of this program"));
        }
        let infos = file.header().tensors().into_iter();
        let tensors: Vec<_> = infos.map(|(name, info)| (name, info.clone())).collect();
        if let Some((name, info)) = tensors.iter().find(|(_, info)| info.dtype != Dtype::F32) {
            let detail = format!("{name} is {:?}, should be F32", info.dtype);
            return Err(Error::data(path, detail));
        }
        let mut checkpoint = Checkpoint { file, tensors, metadata };
        if !is_unchecked {
            let metadata = checkpoint.metadata.clone();
            let found = checksum(&metadata, &mut checkpoint);
            if checkpoint.entry(CHECKSUM)? != found.map_err(|source| Error::io(path, source))? {
                let detail = "has changed since it was written: its checksum is another one";
                return Err(Error::data(path, detail));
            }
        }
        Ok(checkpoint)
    }

    /// The settings of the run that wrote it.
    ///
    /// # Errors
    /// If they are missing or invalid.
    pub fn config(&self) -> Result<Config> {
        Config::parse(self.entry("carp.config")?, &self.file.path().display().to_string())
    }

    /// The progress of that run.
    ///
    /// # Errors
    /// If it is missing or invalid.
    pub fn progress(&self) -> Result<Progress> {
        serde_json::from_str(self.entry("carp.progress")?)
            .map_err(|error| Error::data(self.file.path(), format!("carp.progress: {error}")))
    }

    /// The data of that run; `None` in a checkpoint of a version that did not record them.
    ///
    /// # Errors
    /// If they are invalid.
    pub fn data(&self) -> Result<Option<Fingerprint>> {
        let entry = self.metadata.get("carp.data").map(|text| serde_json::from_str(text));
        let data = entry.transpose();
        data.map_err(|error| Error::data(self.file.path(), format!("carp.data: {error}")))
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

    /// SHA-256 of the weights: see [`weights_sha256`].
    ///
    /// # Errors
    /// I/O errors.
    pub fn weights_sha256(&mut self) -> Result<String> {
        weights_sha256(self).map_err(|source| Error::io(self.file.path(), source))
    }

    fn entry(&self, key: &str) -> Result<&str> {
        let entry = self.metadata.get(key).map(String::as_str);
        entry.ok_or_else(|| Error::data(self.file.path(), format!("its metadata lacks {key}")))
    }

    /// Sets all tensors of a learner; each must be there.
    ///
    /// # Errors
    /// A missing tensor, or one of another shape. I/O errors.
    pub fn restore(&mut self, learner: &mut Learner) -> Result<()> {
        for (index, (name, shape)) in learner.tensors().into_iter().enumerate() {
            let refuse = |detail: String| Err(Error::data(self.file.path(), detail));
            let Some(place) = self.tensors.iter().position(|(found, _)| *found == name) else {
                return refuse(format!("has no tensor {name}"));
            };
            let found = &self.tensors[place].1.shape;
            if *found != shape {
                return refuse(format!("{name} is {found:?}, should be {shape:?}"));
            }
            let mut start = 0;
            let copied = self.read(place, &mut |part| {
                learner.write_rows(index, start, part);
                start += part.len();
                Ok(())
            });
            copied.map_err(|source| Error::io(self.file.path(), source))?;
        }
        Ok(())
    }
}

impl TensorSource for Checkpoint {
    fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        self.tensors.iter().map(|(name, info)| (name.clone(), info.shape.clone())).collect()
    }

    fn read(
        &mut self,
        index: usize,
        take: &mut dyn FnMut(&[f32]) -> io::Result<()>,
    ) -> io::Result<()> {
        let (_, info) = &self.tensors[index];
        let mut numbers = Vec::new();
        self.file.read(info, 4 * part_len(&info.shape), |bytes| {
            numbers.clear();
            numbers.extend(bytes.as_chunks().0.iter().copied().map(f32::from_le_bytes));
            take(&numbers)
        })
    }
}

/// SHA-256, in hexadecimal, over names, shapes and numbers (little-endian) of student and teacher,
/// sorted by name.
///
/// # Errors
/// I/O errors of the source.
pub fn weights_sha256(tensors: &mut dyn TensorSource) -> io::Result<String> {
    let of_network = |name: &str| name.starts_with("student.") || name.starts_with("teacher.");
    digest(Sha256::new(), tensors, of_network)
}

/// SHA-256 of everything in a checkpoint but the checksum itself.
fn checksum(
    metadata: &BTreeMap<String, String>,
    tensors: &mut dyn TensorSource,
) -> io::Result<String> {
    let entries: BTreeMap<_, _> = metadata.iter().filter(|(key, _)| *key != CHECKSUM).collect();
    let mut start = Sha256::new();
    start.update(format!("{entries:?}\n"));
    digest(start, tensors, |_| true)
}

/// The digest that goes on with the tensors of these names, sorted.
fn digest(
    mut digest: Sha256,
    tensors: &mut dyn TensorSource,
    is_in: impl Fn(&str) -> bool,
) -> io::Result<String> {
    let mut sorted: Vec<_> = tensors.tensors().into_iter().enumerate().collect();
    sorted.sort_by(|(_, (a, _)), (_, (b, _))| a.cmp(b));
    for (index, (name, shape)) in sorted {
        if is_in(&name) {
            digest.update(format!("{name} {shape:?}\n"));
            tensors.read(index, &mut |part| {
                little_endian(part, |bytes| {
                    digest.update(bytes);
                    Ok(())
                })
            })?;
        }
    }
    Ok(hex(&digest.finalize()))
}

#[cfg(test)]
mod tests {
    use safetensors::tensor::TensorView;

    use super::*;
    use crate::learner::NamedTensor;

    fn tensors() -> Vec<NamedTensor> {
        vec![
            ("teacher.b".to_owned(), vec![2, 2], vec![1.0, -0.0, f32::MIN_POSITIVE, 4.0]),
            ("student.a".to_owned(), vec![3], vec![0.1, 0.2, 0.3]),
            ("student.none".to_owned(), vec![0], vec![]),
        ]
    }

    fn written(folder: &Path) -> std::path::PathBuf {
        let path = folder.join("checkpoint.safetensors");
        let progress = Progress { step: 12, seconds: 3.25 };
        let config = Config { seed: 5, ..Config::default() };
        save(&path, &config, &Fingerprint::default(), &mut tensors(), progress).unwrap();
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
        let mut checkpoint = Checkpoint::load(&written(folder.path())).unwrap();
        let found = checkpoint.tensors();
        for (name, shape, data) in tensors() {
            let at = found.iter().position(|tensor| *tensor == (name.clone(), shape.clone()));
            let mut got = Vec::new();
            let keep = &mut |part: &[f32]| {
                got.extend(part.iter().map(|x| x.to_bits()));
                Ok(())
            };
            checkpoint.read(at.expect("name and shape"), keep).unwrap();
            assert_eq!(got, data.iter().map(|x| x.to_bits()).collect::<Vec<_>>(), "{name}");
        }
        assert_eq!(checkpoint.progress().unwrap(), Progress { step: 12, seconds: 3.25 });
        assert_eq!(checkpoint.config().unwrap(), Config { seed: 5, ..Config::default() });
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
            std::fs::write(&path, &changed).unwrap();
            assert!(open_weights(&path).is_err(), "byte {at}");
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
        let digest = weights_sha256(&mut tensors()).unwrap();
        let changed = |change: fn(&mut Vec<NamedTensor>)| {
            let mut tensors = tensors();
            change(&mut tensors);
            weights_sha256(&mut tensors).unwrap()
        };
        assert_eq!(digest.len(), 64);
        assert_eq!(changed(|tensors| tensors.reverse()), digest);
        assert_ne!(changed(|tensors| tensors[0].0 = "teacher.c".to_owned()), digest);
        assert_ne!(changed(|tensors| tensors[0].1 = vec![4]), digest);
        assert_ne!(changed(|tensors| tensors[0].2[1] = 0.0), digest);
        // sha256sum of "student.a [1]\n" and the bytes 00 00 80 3f.
        let mut one = vec![("student.a".to_owned(), vec![1], vec![1.0])];
        let want = "94ea3b693efe50f702e5f83a8c78e7be3a7d6c9821589aec8a189067411fb6d8";
        assert_eq!(weights_sha256(&mut one).unwrap(), want);
    }
}
