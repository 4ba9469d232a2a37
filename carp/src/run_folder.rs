//! The folder of a run: `config.toml`, `metrics.jsonl`, `checkpoint.safetensors` and the one before
//! it, `result.json` and the image `neighbours.png`. The file `lock` keeps a second process out while
//! one trains.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use files::{FolderLock, write_atomically};
use serde::Serialize;

use crate::checkpoint::{self, Checkpoint, Progress};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::fingerprint::Fingerprint;
use crate::kept_checkpoints::{self, checkpoint_of};
use crate::metrics::{KnnLine, Metrics};
use crate::run_result::RunResult;
use crate::tensor_source::TensorSource;

/// An open run folder, closed to other processes.
pub struct RunFolder {
    path: PathBuf,
    metrics: File,
    _lock: FolderLock,
}

impl RunFolder {
    /// Creates the folder of a new run: `path`, or the next free `runs/NAME-N`.
    ///
    /// # Errors
    /// A folder that already holds a checkpoint, is in use, or cannot be created.
    pub fn create(path: Option<&Path>, name: &str, config: &Config) -> Result<RunFolder> {
        let path = match path {
            Some(path) => {
                std::fs::create_dir_all(path).map_err(|source| Error::io(path, source))?;
                path.to_owned()
            }
            None => create_next(Path::new("runs"), name)?,
        };
        let lock = FolderLock::take(&path)?;
        if checkpoint_of(&path).exists() {
            return Err(Error::usage(format!(
                "{} holds a checkpoint: resume it with --resume, or choose another --out",
                path.display()
            )));
        }
        write_atomically(&path.join("config.toml"), config.to_toml().as_bytes())?;
        let file = path.join("metrics.jsonl");
        let metrics = File::create(&file).map_err(|source| Error::io(file, source))?;
        Ok(RunFolder { path, metrics, _lock: lock })
    }

    /// Opens the folder of an earlier run, with its last whole checkpoint, and a line if that is not
    /// the last one.
    ///
    /// # Errors
    /// A folder that is in use, or files that cannot be read.
    pub fn open(path: &Path) -> Result<(RunFolder, Checkpoint, Option<String>)> {
        let checkpoint = checkpoint_of(path);
        // First, so that a folder that is no run's gets no lock.
        checkpoint.metadata().map_err(|source| match path.join("config.toml").exists() {
            true if source.kind() == std::io::ErrorKind::NotFound => {
                let detail =
                    "has no checkpoint, since the run ended before its first: start it again";
                Error::data(path, detail)
            }
            _ => Error::io(&checkpoint, source),
        })?;
        let lock = FolderLock::take(path)?;
        let (checkpoint, line) = kept_checkpoints::load(path)?;
        let metrics = open_metrics(path)?;
        Ok((RunFolder { path: path.to_owned(), metrics, _lock: lock }, checkpoint, line))
    }

    /// The result of the run, if `checkpoint` is its end.
    ///
    /// # Errors
    /// A result that cannot be read.
    pub fn result(&self, checkpoint: &mut Checkpoint) -> Result<Option<RunResult>> {
        let file = self.path.join("result.json");
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::io(file, source)),
        };
        let result: RunResult =
            serde_json::from_str(&text).map_err(|error| Error::data(file, error.to_string()))?;
        let is_end = result.steps == checkpoint.progress()?.step
            && result.weights_sha256 == checkpoint.weights_sha256()?;
        Ok(is_end.then_some(result))
    }

    /// Drops from `metrics.jsonl` what came after the checkpoint at `progress`: later steps, and the
    /// measurement at that step, which is made anew.
    ///
    /// # Errors
    /// Files that cannot be read or written.
    pub fn rewind(&mut self, progress: Progress) -> Result<()> {
        let file = self.path.join("metrics.jsonl");
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(Error::io(file, source)),
        };
        let is_earlier = |line: &&str| {
            serde_json::from_str::<serde_json::Value>(line).is_ok_and(|line| {
                let next = progress.step as u64 + u64::from(line["knn"].is_null());
                line["step"].as_u64().is_some_and(|step| step < next)
            })
        };
        let kept: String = text.lines().filter(is_earlier).flat_map(|line| [line, "\n"]).collect();
        write_atomically(&file, kept.as_bytes())?;
        self.metrics = open_metrics(&self.path)?;
        Ok(())
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a step's metrics.
    ///
    /// # Errors
    /// I/O errors.
    pub fn append(&mut self, metrics: &Metrics) -> Result<()> {
        self.append_line(metrics)
    }

    /// Appends a measurement of k-NN accuracy.
    ///
    /// # Errors
    /// I/O errors.
    pub fn append_knn(&mut self, step: usize, knn: f64) -> Result<()> {
        self.append_line(&KnnLine { step, knn })
    }

    fn append_line(&mut self, line: &impl Serialize) -> Result<()> {
        let line = serde_json::to_string(line).expect("plain numbers") + "\n";
        // One write per line: a killed run leaves whole lines.
        self.metrics
            .write_all(line.as_bytes())
            .map_err(|source| Error::io(self.path.join("metrics.jsonl"), source))
    }

    /// Writes a checkpoint; the last one becomes the one before.
    ///
    /// # Errors
    /// I/O errors.
    pub fn save_checkpoint(
        &self,
        config: &Config,
        data: &Fingerprint,
        tensors: &mut dyn TensorSource,
        progress: Progress,
    ) -> Result<()> {
        // A checkpoint that outlives a power cut has all its steps' lines.
        match self.metrics.sync_data() {
            // A device or a pipe.
            Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => {}
            synced => {
                synced.map_err(|source| Error::io(self.path.join("metrics.jsonl"), source))?;
            }
        }
        kept_checkpoints::save(&self.path, |path| {
            checkpoint::save(path, config, data, tensors, progress)
        })
    }

    /// Writes `result.json`.
    ///
    /// # Errors
    /// I/O errors.
    pub fn write_result(&self, result: &RunResult) -> Result<()> {
        let json = serde_json::to_string_pretty(result).expect("plain numbers") + "\n";
        Ok(write_atomically(&self.path.join("result.json"), json.as_bytes())?)
    }
}

/// Creates the next free `runs/NAME-N`, which no other process gets.
fn create_next(runs: &Path, name: &str) -> Result<PathBuf> {
    std::fs::create_dir_all(runs).map_err(|source| Error::io(runs, source))?;
    let mut number = 1;
    loop {
        let path = runs.join(format!("{name}-{number}"));
        match std::fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
            Err(source) => return Err(Error::io(path, source)),
        }
    }
}

fn open_metrics(folder: &Path) -> Result<File> {
    let file = folder.join("metrics.jsonl");
    let metrics = OpenOptions::new().create(true).append(true).open(&file);
    metrics.map_err(|source| Error::io(file, source))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::run_result::peak_rss_bytes;

    fn metrics(step: usize) -> Metrics {
        Metrics {
            step,
            epoch: 0.5,
            loss: 4.5,
            consistency: Some(4.25),
            entropy: Some(0.25),
            lr: 0.1,
            teacher_momentum: 0.99,
            images_per_second: 10.0,
            waiting: 0.0,
            relative_loss: None,
            diversity: None,
            digest: None,
        }
    }

    fn result() -> RunResult {
        RunResult {
            knn_before: Some(0.5),
            knn_after: None,
            knn_pixels: Some(0.25),
            weights_sha256: "00".to_owned(),
            steps: 3,
            seconds: 1.5,
            images_per_second: 64.0,
            planned_peak_bytes: 1 << 33,
            peak_rss_bytes: peak_rss_bytes(),
        }
    }

    fn lines(folder: &Path) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_new_folder_holds_the_settings_and_a_line_per_step_at_once() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("a/b");
        let config = Config { seed: 9, ..Config::default() };
        let mut folder = RunFolder::create(Some(&path), "unused", &config).unwrap();
        let text = std::fs::read_to_string(folder.path().join("config.toml")).unwrap();
        assert_eq!(Config::parse(&text, "config.toml").unwrap(), config);
        folder.append(&metrics(1)).unwrap();
        assert_eq!(lines(&path).len(), 1);
        folder.append_knn(1, 0.5).unwrap();
        let lines = lines(&path);
        assert_eq!((lines[0]["step"].as_u64(), lines[0]["loss"].as_f64()), (Some(1), Some(4.5)));
        assert_eq!((lines[1]["step"].as_u64(), lines[1]["knn"].as_f64()), (Some(1), Some(0.5)));
    }

    #[test]
    fn a_folder_with_a_checkpoint_is_refused_and_left_alone() {
        let temp = tempfile::tempdir().unwrap();
        let config = Config::default();
        let mut folder = RunFolder::create(Some(temp.path()), "x", &config).unwrap();
        folder.append(&metrics(1)).unwrap();
        folder
            .save_checkpoint(&config, &Fingerprint::default(), &mut vec![], Progress::default())
            .unwrap();
        drop(folder);
        let error = RunFolder::create(Some(temp.path()), "x", &config).err().unwrap();
        assert_eq!(error.exit_code(), 2);
        let line = error.to_string();
        assert!(line.contains("--resume") && line.lines().count() == 1, "{line}");
        assert_eq!(lines(temp.path()).len(), 1);
        // A file in its place is a one-line error too.
        let file = temp.path().join("config.toml");
        let error = RunFolder::create(Some(&file), "x", &config).err().unwrap().to_string();
        assert!(error.contains("config.toml") && error.lines().count() == 1, "{error}");
    }

    #[test]
    fn names_are_numbered() {
        let temp = tempfile::tempdir().unwrap();
        let runs = temp.path().join("runs");
        let next = || create_next(&runs, "shapes").unwrap();
        assert_eq!(next(), runs.join("shapes-1"));
        std::fs::create_dir(runs.join("shapes-3")).unwrap();
        assert_eq!(next(), runs.join("shapes-2"));
        // At the same time, everyone gets one of their own.
        let paths: BTreeSet<PathBuf> = std::thread::scope(|scope| {
            let threads = [(); 8].map(|()| scope.spawn(next));
            threads.map(|thread| thread.join().unwrap()).into()
        });
        assert_eq!(paths, (4..12).map(|number| runs.join(format!("shapes-{number}"))).collect());
    }

    #[test]
    fn a_folder_has_one_user() {
        let temp = tempfile::tempdir().unwrap();
        let config = Config::default();
        let folder = RunFolder::create(Some(temp.path()), "x", &config).unwrap();
        folder
            .save_checkpoint(&config, &Fingerprint::default(), &mut vec![], Progress::default())
            .unwrap();
        for error in [
            RunFolder::create(Some(temp.path()), "x", &config).err().unwrap(),
            RunFolder::open(temp.path()).err().unwrap(),
        ] {
            assert!(error.to_string().contains("is in use"), "{error}");
            assert_eq!(error.exit_code(), 2);
        }
        drop(folder);
        assert!(RunFolder::open(temp.path()).is_ok());
    }

    #[test]
    fn a_reopened_folder_forgets_what_came_after_the_checkpoint() {
        let temp = tempfile::tempdir().unwrap();
        let config = Config::default();
        let mut folder = RunFolder::create(Some(temp.path()), "x", &config).unwrap();
        (1..=4).for_each(|step| folder.append(&metrics(step)).unwrap());
        folder.append_knn(2, 0.5).unwrap();
        // A line cut short when the run was killed.
        folder.metrics.write_all(b"{\"step\":2,\"lo").unwrap();
        let progress = Progress { step: 2, seconds: 1.0 };
        folder.rewind(progress).unwrap();
        folder.append_knn(2, 0.75).unwrap();
        folder.append(&metrics(3)).unwrap();
        let steps: Vec<_> = lines(temp.path()).iter().map(|l| l["step"].as_u64()).collect();
        assert_eq!(steps, [Some(1), Some(2), Some(2), Some(3)]);
        assert_eq!(lines(temp.path())[2]["knn"].as_f64(), Some(0.75));
        // Without metrics there is nothing to drop.
        std::fs::remove_file(temp.path().join("metrics.jsonl")).unwrap();
        folder.rewind(progress).unwrap();
        folder.append(&metrics(3)).unwrap();
        assert_eq!(lines(temp.path()).len(), 1);
    }

    #[test]
    fn a_result_belongs_to_its_checkpoint() {
        let temp = tempfile::tempdir().unwrap();
        let config = Config::default();
        let folder = RunFolder::create(Some(temp.path()), "x", &config).unwrap();
        let save = |step, weight| {
            let mut tensors = vec![("student.a".to_owned(), vec![1], vec![weight])];
            let progress = Progress { step, seconds: 1.0 };
            folder
                .save_checkpoint(&config, &Fingerprint::default(), &mut tensors, progress)
                .unwrap();
            let mut checkpoint = Checkpoint::load(&checkpoint_of(temp.path())).unwrap();
            folder.result(&mut checkpoint).unwrap()
        };
        assert_eq!(save(3, 1.0), None);
        let mut tensors = vec![("student.a".to_owned(), vec![1], vec![1.0])];
        let weights_sha256 = checkpoint::weights_sha256(&mut tensors).unwrap();
        let result = RunResult { weights_sha256, ..result() };
        folder.write_result(&result).unwrap();
        assert_eq!(save(3, 1.0), Some(result));
        assert_eq!(save(2, 1.0), None);
        assert_eq!(save(3, 2.0), None);
    }

    #[test]
    fn the_result_has_every_key() {
        let temp = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(Some(temp.path()), "x", &Config::default()).unwrap();
        folder.write_result(&result()).unwrap();
        let text = std::fs::read_to_string(temp.path().join("result.json")).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["knn_before"], 0.5);
        assert!(json["knn_after"].is_null());
        assert_eq!(
            (&json["steps"], &json["planned_peak_bytes"]),
            (&3.into(), &(1u64 << 33).into())
        );
        for key in
            ["knn_pixels", "weights_sha256", "seconds", "images_per_second", "peak_rss_bytes"]
        {
            assert!(!json[key].is_null(), "{key}");
        }
        // This process has had more than 1 MiB and less than 1 TiB.
        assert!((1 << 20..1 << 40).contains(&peak_rss_bytes()), "{}", peak_rss_bytes());
    }
}
