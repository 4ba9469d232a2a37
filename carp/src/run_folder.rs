//! The folder of a run: `config.toml`, `metrics.jsonl`, `checkpoint.safetensors`, `result.json` and
//! the image `neighbours.png`.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use files::write_atomically;
use serde::Serialize;

use crate::checkpoint::{self, Progress};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::learner::NamedTensor;

/// One line of `metrics.jsonl` per step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Metrics {
    /// Steps done.
    pub step: usize,
    /// Epochs done, as a fraction.
    pub epoch: f64,
    /// C + H of the micro-batch, in nats.
    pub loss: f32,
    /// C.
    pub consistency: f32,
    /// H.
    pub entropy: f32,
    /// Learning rate.
    pub lr: f64,
    /// m of the teacher's moving average.
    pub teacher_momentum: f64,
    /// Images of the micro-batch over the time of the step.
    pub images_per_second: f64,
    /// Share of the step's time spent waiting for its views.
    pub waiting: f64,
}

/// A line of `metrics.jsonl` for a measurement.
#[derive(Serialize)]
struct KnnLine {
    step: usize,
    knn: f64,
}

/// `result.json`. Accuracies are fractions, `None` if the data has no labels.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunResult {
    /// k-NN accuracy of the untrained network.
    pub knn_before: Option<f64>,
    /// k-NN accuracy of the trained teacher.
    pub knn_after: Option<f64>,
    /// k-NN accuracy of raw pixels.
    pub knn_pixels: Option<f64>,
    /// SHA-256 of the student's and teacher's tensors, without optimizer state.
    pub weights_sha256: String,
    /// Micro-batches.
    pub steps: usize,
    /// Seconds of training, without evaluations.
    pub seconds: f64,
    /// Images per second of training.
    pub images_per_second: f64,
    /// Bytes of the step's arena, known before it runs.
    pub planned_peak_bytes: usize,
    /// Peak resident memory of the process, as the system counts it.
    pub peak_rss_bytes: u64,
}

/// An open run folder.
pub struct RunFolder {
    path: PathBuf,
    metrics: File,
}

impl RunFolder {
    /// Creates the folder of a new run: `path`, or the next free `runs/NAME-N`.
    ///
    /// # Errors
    /// A folder that already holds a checkpoint, or cannot be created.
    pub fn create(path: Option<&Path>, name: &str, config: &Config) -> Result<RunFolder> {
        let path = match path {
            Some(path) => path.to_owned(),
            None => next_free(Path::new("runs"), name),
        };
        if checkpoint_path(&path).exists() {
            return Err(Error::usage(format!(
                "{} holds a checkpoint: resume it with --resume, or choose another --out",
                path.display()
            )));
        }
        std::fs::create_dir_all(&path).map_err(|source| Error::io(&path, source))?;
        write_atomically(&path.join("config.toml"), config.to_toml().as_bytes())?;
        let file = path.join("metrics.jsonl");
        let metrics = File::create(&file).map_err(|source| Error::io(file, source))?;
        Ok(RunFolder { path, metrics })
    }

    /// Opens the folder of a run that resumes after `progress`; drops lines of later steps, written
    /// after the checkpoint.
    ///
    /// # Errors
    /// Files that cannot be read or written.
    pub fn reopen(path: &Path, progress: Progress) -> Result<RunFolder> {
        let file = path.join("metrics.jsonl");
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(Error::io(file, source)),
        };
        let is_earlier = |line: &&str| {
            serde_json::from_str::<serde_json::Value>(line)
                .is_ok_and(|line| line["step"].as_u64().is_some_and(|s| s <= progress.step as u64))
        };
        let kept: String = text.lines().filter(is_earlier).flat_map(|line| [line, "\n"]).collect();
        write_atomically(&file, kept.as_bytes())?;
        let metrics = OpenOptions::new().append(true).open(&file);
        let metrics = metrics.map_err(|source| Error::io(file, source))?;
        Ok(RunFolder { path: path.to_owned(), metrics })
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

    /// Replaces the last checkpoint.
    ///
    /// # Errors
    /// I/O errors.
    pub fn save_checkpoint(
        &self,
        config: &Config,
        tensors: &[NamedTensor],
        progress: Progress,
    ) -> Result<()> {
        checkpoint::save(&checkpoint_path(&self.path), config, tensors, progress)
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

/// The checkpoint of a run folder.
pub fn checkpoint_path(folder: &Path) -> PathBuf {
    folder.join("checkpoint.safetensors")
}

fn next_free(runs: &Path, name: &str) -> PathBuf {
    let numbered = (1..).map(|number| runs.join(format!("{name}-{number}")));
    numbered.into_iter().find(|path| !path.exists()).expect("numbers do not end")
}

/// Peak resident memory of this process in bytes; 0 if the system does not report it.
pub fn peak_rss_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(step: usize) -> Metrics {
        Metrics {
            step,
            epoch: 0.5,
            loss: 4.5,
            consistency: 4.25,
            entropy: 0.25,
            lr: 0.1,
            teacher_momentum: 0.99,
            images_per_second: 10.0,
            waiting: 0.0,
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
        folder.save_checkpoint(&config, &[], Progress::default()).unwrap();
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
        assert_eq!(next_free(temp.path(), "shapes"), temp.path().join("shapes-1"));
        for taken in ["shapes-1", "shapes-2", "shapes-4"] {
            std::fs::create_dir(temp.path().join(taken)).unwrap();
        }
        assert_eq!(next_free(temp.path(), "shapes"), temp.path().join("shapes-3"));
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
        let mut folder = RunFolder::reopen(temp.path(), progress).unwrap();
        folder.append(&metrics(3)).unwrap();
        let steps: Vec<_> = lines(temp.path()).iter().map(|l| l["step"].as_u64()).collect();
        assert_eq!(steps, [Some(1), Some(2), Some(2), Some(3)]);
        // Without metrics there is nothing to drop.
        std::fs::remove_file(temp.path().join("metrics.jsonl")).unwrap();
        RunFolder::reopen(temp.path(), progress).unwrap().append(&metrics(3)).unwrap();
        assert_eq!(lines(temp.path()).len(), 1);
    }

    #[test]
    fn the_result_has_every_key() {
        let temp = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(Some(temp.path()), "x", &Config::default()).unwrap();
        let result = RunResult {
            knn_before: Some(0.5),
            knn_after: None,
            knn_pixels: Some(0.25),
            weights_sha256: "00".to_owned(),
            steps: 3,
            seconds: 1.5,
            images_per_second: 64.0,
            planned_peak_bytes: 1 << 33,
            peak_rss_bytes: peak_rss_bytes(),
        };
        folder.write_result(&result).unwrap();
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
