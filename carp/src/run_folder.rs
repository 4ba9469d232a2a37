//! The folder of a run: `config.toml`, `metrics.jsonl`, `checkpoint.safetensors`, `result.json` and
//! the picture `neighbours.png`.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::checkpoint::{self, Progress, write_atomically};
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

/// `result.json`. Accuracies are fractions, `None` where the data has no labels.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunResult {
    /// k-NN accuracy of the untrained network.
    pub knn_before: Option<f64>,
    /// k-NN accuracy of the trained teacher.
    pub knn_after: Option<f64>,
    /// k-NN accuracy of the pixels themselves.
    pub knn_pixels: Option<f64>,
    /// Digest of all saved tensors.
    pub weights_sha256: String,
    /// Micro-batches.
    pub steps: usize,
    /// Seconds of training, without evaluations.
    pub seconds: f64,
    /// Images over those seconds.
    pub images_per_second: f64,
    /// Bytes of the step's arena, known before it runs.
    pub planned_peak_bytes: usize,
    /// The most memory that the process had, as the system counts it.
    pub peak_rss_bytes: u64,
}

/// An open run folder.
pub struct RunFolder {
    path: PathBuf,
    metrics: File,
}

impl RunFolder {
    /// Makes the folder of a new run: `path`, or the next free `runs/NAME-N`.
    ///
    /// # Errors
    /// A folder that already holds a checkpoint, or that cannot be made.
    pub fn create(path: Option<&Path>, name: &str, config: &Config) -> Result<RunFolder> {
        let path = match path {
            Some(path) => path.to_owned(),
            None => next_free(Path::new("runs"), name),
        };
        if checkpoint_path(&path).exists() {
            return Err(Error::Usage(format!(
                "{} holds a checkpoint: go on with it by --resume, or choose another --out",
                path.display()
            )));
        }
        std::fs::create_dir_all(&path).map_err(|source| Error::io(&path, source))?;
        write_atomically(&path.join("config.toml"), config.to_toml().as_bytes())?;
        let file = path.join("metrics.jsonl");
        let metrics = File::create(&file).map_err(|source| Error::io(file, source))?;
        Ok(RunFolder { path, metrics })
    }

    /// Opens the folder of a run that goes on after `progress`; lines of later steps, written after
    /// the checkpoint, are dropped.
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

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a step's metrics.
    ///
    /// # Errors
    /// What the system says.
    pub fn append(&mut self, metrics: &Metrics) -> Result<()> {
        self.append_line(metrics)
    }

    /// Appends a measurement of k-NN accuracy.
    ///
    /// # Errors
    /// What the system says.
    pub fn append_knn(&mut self, step: usize, knn: f64) -> Result<()> {
        self.append_line(&KnnLine { step, knn })
    }

    fn append_line(&mut self, line: &impl Serialize) -> Result<()> {
        let line = serde_json::to_string(line).expect("plain numbers") + "\n";
        // One write per line: a kill leaves whole lines.
        self.metrics
            .write_all(line.as_bytes())
            .map_err(|source| Error::io(self.path.join("metrics.jsonl"), source))
    }

    /// Writes the checkpoint in place of the last one.
    ///
    /// # Errors
    /// What the system says.
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
    /// What the system says.
    pub fn write_result(&self, result: &RunResult) -> Result<()> {
        let json = serde_json::to_string_pretty(result).expect("plain numbers") + "\n";
        write_atomically(&self.path.join("result.json"), json.as_bytes())
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

/// The most memory that this process has had, in bytes; 0 where the system does not say.
pub fn peak_rss_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
