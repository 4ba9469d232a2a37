//! Runs protocols, and records and shows their results.

use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use carp::error::{Error, Result};
use datasets::Progress;
use files::write_atomically;

use super::protocol::Protocol;
use super::report::{Entry, EvaluationReport, Measured, Skipped};
use super::settings::AllSettings;
use super::table::markdown;

/// Progress events.
#[derive(Debug)]
pub enum EvaluationEvent<'a> {
    /// Feature extraction progress.
    Features {
        /// Data set and network.
        what: String,
        /// Done.
        done: usize,
        /// Total images.
        images: usize,
    },
    /// A protocol begins.
    Start {
        /// Data set.
        data: &'a str,
        /// Network.
        network: &'static str,
        /// Protocol.
        protocol: Protocol,
    },
    /// A part of the protocol is done.
    Progress {
        /// Queries, iterations, classifiers or updates done.
        done: usize,
        /// All there are.
        all: usize,
    },
    /// A protocol is done.
    Done(&'a Entry),
    /// Something was skipped.
    Skipped(&'a Skipped),
}

/// A report in progress: every entry is written to disk as soon as it exists.
pub struct Recorder<'a> {
    report: EvaluationReport,
    folder: &'a Path,
    show: &'a mut (dyn FnMut(EvaluationEvent) + Send),
}

impl<'a> Recorder<'a> {
    /// An empty report, to be written to `folder`, which is then created if necessary.
    pub fn new(
        checkpoint: &Path,
        settings: &AllSettings,
        folder: &'a Path,
        show: &'a mut (dyn FnMut(EvaluationEvent) + Send),
    ) -> Recorder<'a> {
        let report = EvaluationReport {
            checkpoint: checkpoint.display().to_string(),
            settings: settings.clone(),
            entries: vec![],
            skipped: vec![],
        };
        Recorder { report, folder, show }
    }

    /// True if this protocol was requested.
    pub(super) fn wants(&self, protocol: Protocol) -> bool {
        self.report.settings.protocols.contains(&protocol)
    }

    pub(super) fn show(&mut self, event: EvaluationEvent) {
        (self.show)(event);
    }

    /// Runs work on images, and shows how many of them are done.
    pub(super) fn images<T>(&mut self, what: &str, work: impl FnOnce(Progress) -> T) -> T {
        let show = Mutex::new(&mut self.show);
        work(Progress::new(&|done, images| {
            let mut show = show.lock().expect("nobody panics while it shows");
            show(EvaluationEvent::Features { what: what.to_owned(), done, images });
        }))
    }

    /// Runs `measure` and records its result; errors are recorded too, and the rest goes on.
    pub(super) fn measure(
        &mut self,
        (data, network, protocol): (&str, &'static str, Protocol),
        images: String,
        measure: impl FnOnce(&AllSettings, Progress) -> Result<Measured>,
    ) -> Result<()> {
        self.show(EvaluationEvent::Start { data, network, protocol });
        let start = Instant::now();
        let show = Mutex::new(&mut self.show);
        let report = |done, all| {
            let mut show = show.lock().expect("nobody panics while it shows");
            show(EvaluationEvent::Progress { done, all });
        };
        let measured = measure(&self.report.settings, Progress::new(&report));
        let mut fault = |why| self.skip(data, Some(network), Some(protocol), why, true);
        let Measured { settings, scores, result, faults } = match measured {
            Ok(measured) => measured,
            Err(error) => {
                fault(error.to_string());
                return Ok(());
            }
        };
        let is_measured = faults.is_empty() || !scores.is_empty();
        faults.into_iter().for_each(fault);
        if !is_measured {
            return Ok(());
        }
        let (data, seconds) = (data.to_owned(), start.elapsed().as_secs_f64());
        let entry = Entry { data, network, protocol, images, settings, scores, seconds, result };
        self.show(EvaluationEvent::Done(&entry));
        self.report.entries.push(entry);
        self.save()
    }

    pub(super) fn skip(
        &mut self,
        data: &str,
        network: Option<&'static str>,
        protocol: Option<Protocol>,
        why: String,
        is_fault: bool,
    ) {
        let skipped = Skipped { data: data.to_owned(), network, protocol, why, is_fault };
        self.show(EvaluationEvent::Skipped(&skipped));
        self.report.skipped.push(skipped);
    }

    /// Notes once that a data set has images that cannot be read, if it has.
    pub(super) fn note_unreadable(&mut self, data: &str, images: usize) {
        let why = format!("{images} unreadable images left out");
        let is_same = |skipped: &Skipped| skipped.data == data && skipped.why == why;
        if images > 0 && !self.report.skipped.iter().any(is_same) {
            self.skip(data, None, None, why, false);
        }
    }

    fn save(&self) -> Result<()> {
        std::fs::create_dir_all(self.folder).map_err(|source| Error::io(self.folder, source))?;
        let json = serde_json::to_string_pretty(&self.report).expect("plain numbers") + "\n";
        write_atomically(&self.folder.join("results.json"), json.as_bytes())?;
        let table = markdown(&self.report);
        Ok(write_atomically(&self.folder.join("results.md"), table.as_bytes())?)
    }

    /// The settings of the evaluations.
    pub(super) fn settings(&self) -> &AllSettings {
        &self.report.settings
    }

    /// Writes and returns the report.
    ///
    /// # Errors
    /// Nothing was measured, though nothing failed: says what was looked for. I/O errors.
    pub fn finish(self) -> Result<EvaluationReport> {
        let EvaluationReport { settings, entries, skipped, .. } = &self.report;
        if entries.is_empty() && !skipped.iter().any(|skipped| skipped.is_fault) {
            let wanted: Vec<&str> = settings.protocols.iter().map(|one| one.name()).collect();
            let wanted = wanted.join(", ");
            let detail = format!(
                "nothing to measure: this data and network allow no {wanted}; the paper's data \
                 sets are found with --data-root"
            );
            return Err(Error::usage(detail));
        }
        self.save()?;
        Ok(self.report)
    }
}
