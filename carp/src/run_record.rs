//! What a run has recorded of its steps, to compare a repetition with.

use std::collections::BTreeMap;
use std::path::Path;

use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::learner::Terms;
use crate::metrics::{KnnLine, Metrics};
use crate::run_result::RunResult;
use crate::step_digest::step_digest;

/// The steps in a run's `metrics.jsonl`, and the SHA-256 of the weights after some of them.
pub struct RunRecord {
    /// By steps done.
    steps: BTreeMap<usize, Metrics>,
    /// By steps done: who recorded it, and what.
    weights: Vec<(usize, &'static str, String)>,
}

impl RunRecord {
    /// Reads the record in a run's folder. A last line that is being written is left out.
    ///
    /// # Errors
    /// Files that cannot be read; a line that is none of a step or a measurement.
    pub fn read(folder: &Path) -> Result<RunRecord> {
        let file = folder.join("metrics.jsonl");
        let text = std::fs::read_to_string(&file).map_err(|source| Error::io(&file, source))?;
        let mut steps = BTreeMap::new();
        for (number, line) in text.split_inclusive('\n').enumerate() {
            match serde_json::from_str::<Metrics>(line) {
                Ok(metrics) => drop(steps.insert(metrics.step, metrics)),
                Err(_) if !line.ends_with('\n') => {}
                Err(_) if serde_json::from_str::<KnnLine>(line).is_ok() => {}
                Err(error) => {
                    return Err(Error::data(file, format!("line {}: {error}", number + 1)));
                }
            }
        }
        let mut record = RunRecord { steps, weights: Vec::new() };
        if let Ok(text) = std::fs::read_to_string(folder.join("result.json"))
            && let Ok(result) = serde_json::from_str::<RunResult>(&text)
        {
            record.weights.push((result.steps, "result.json", result.weights_sha256));
        }
        Ok(record)
    }

    /// Adds what a checkpoint says.
    ///
    /// # Errors
    /// A checkpoint without its progress. I/O errors.
    pub fn add(&mut self, checkpoint: &mut Checkpoint) -> Result<()> {
        let step = checkpoint.progress()?.step;
        self.weights.push((step, "the checkpoint", checkpoint.weights_sha256()?));
        Ok(())
    }

    /// The last recorded step.
    pub fn last_step(&self) -> usize {
        self.steps.keys().copied().max().unwrap_or(0)
    }

    /// Those of these steps, counted from 1, that have no line.
    pub fn missing(&self, steps: impl Iterator<Item = usize>) -> Vec<usize> {
        steps.filter(|step| !self.steps.contains_key(step)).collect()
    }

    /// Whether each of these steps, counted from 1, has a digest.
    pub fn has_digests(&self, mut steps: impl Iterator<Item = usize>) -> bool {
        steps.all(|step| self.steps.get(&step).is_some_and(|metrics| metrics.digest.is_some()))
    }

    /// How a repeated step, counted from 1, differs from the record, if it does. Its weights' SHA-256 is
    /// only asked for where there is one to compare.
    pub fn difference(
        &self,
        step: usize,
        terms: Terms,
        weights: impl FnOnce() -> String,
    ) -> Option<String> {
        let metrics = self.steps.get(&step);
        if let Some(metrics) = metrics {
            let parts = terms.parts;
            let pairs = [
                ("loss", Some(metrics.loss), Some(terms.loss)),
                ("consistency", metrics.consistency, parts.map(|parts| parts.consistency)),
                ("entropy", metrics.entropy, parts.map(|parts| parts.entropy)),
            ];
            let mut both = pairs.into_iter().filter_map(|(term, was, is)| Some((term, was?, is?)));
            if let Some((term, was, is)) = both.find(|(_, was, is)| was != is) {
                return Some(format!("{term} was {was}, is {is}"));
            }
        }
        let digest = metrics.and_then(|metrics| metrics.digest.as_ref());
        let mut others = self.weights.iter().filter(|(at, ..)| *at == step).peekable();
        if digest.is_none() && others.peek().is_none() {
            return None;
        }
        let weights = weights();
        if let Some(was) = digest {
            let is = step_digest(terms, &weights);
            if *was != is {
                return Some(format!("the loss is the same, the digest was {was}, is {is}"));
            }
        }
        let (_, by, was) = others.find(|(.., was)| *was != weights)?;
        Some(format!("SHA-256 of the weights is {weights}, {by} has {was}"))
    }
}
