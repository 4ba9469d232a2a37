//! All evaluations of a network at once: what runs is told by the data that is there, what comes
//! out is `results.json` and a table in Markdown, the paper's own numbers beside.

mod catalogue;
mod own;
mod paper;
mod protocols;
mod table;

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;
use serde_json::Value;

pub use self::catalogue::{box_of, evaluate_catalogue};
pub use self::own::evaluate_own;
pub use self::table::markdown;
use crate::checkpoint::write_atomically;
use crate::error::{Error, Result};
use crate::eval::copy_detection::CopyDetectionOptions;
use crate::eval::few_shot::FewShotOptions;
use crate::eval::knn::KnnOptions;
use crate::eval::linear::LinearSettings;
use crate::views::{EvalTransform, Filter};

/// An evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// Weighted k-NN.
    Knn,
    /// Linear classifier on frozen features.
    Linear,
    /// Linear SVMs on few images per class.
    FewShot,
    /// k-means clusters against classes.
    Kmeans,
    /// Revisited Oxford and Paris.
    Retrieval,
    /// Copydays.
    CopyDetection,
    /// Fine-tuning on few labels.
    Semi,
}

impl Protocol {
    /// In the order of the tables.
    pub const ALL: [Protocol; 7] = [
        Protocol::Linear,
        Protocol::Knn,
        Protocol::FewShot,
        Protocol::Kmeans,
        Protocol::Retrieval,
        Protocol::CopyDetection,
        Protocol::Semi,
    ];

    /// As commands and files name it.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Knn => "knn",
            Protocol::Linear => "linear",
            Protocol::FewShot => "few-shot",
            Protocol::Kmeans => "kmeans",
            Protocol::Retrieval => "retrieval",
            Protocol::CopyDetection => "copy-detection",
            Protocol::Semi => "semi",
        }
    }

    /// As tables head it.
    pub fn title(self) -> &'static str {
        match self {
            Protocol::Knn => "k-NN",
            Protocol::Linear => "Linear probe",
            Protocol::FewShot => "Few images per class",
            Protocol::Kmeans => "Clustering",
            Protocol::Retrieval => "Retrieval",
            Protocol::CopyDetection => "Copy detection",
            Protocol::Semi => "Semi-supervised",
        }
    }
}

/// What to run and how.
#[derive(Clone, Debug, Serialize)]
pub struct AllSettings {
    /// Which protocols, where the data fits them.
    pub protocols: Vec<Protocol>,
    /// Of k-NN.
    pub knn: KnnOptions,
    /// Of the linear probe.
    pub linear: LinearSettings,
    /// Share of the area in the linear probe's random crops; without it every image is seen once.
    pub crop_scale: Option<(f32, f32)>,
    /// Of the SVMs.
    pub few_shot: FewShotOptions,
    /// SVMs on all images only where the training set has at most so many.
    pub full_up_to: usize,
    /// Shares of the labels for fine-tuning.
    pub semi_shares: Vec<f64>,
    /// Passes over those images.
    pub semi_epochs: usize,
    /// Share of ImageNet's training images that are clustered.
    pub imagenet_clustered: f64,
    /// Longest side of an image in retrieval, in pixels.
    pub fit: usize,
    /// Crop the queries of retrieval to their boxes: the benchmark's way, not the authors'.
    pub query_boxes: bool,
    /// Side that images are stretched to in copy detection, in pixels.
    pub copy_side: usize,
    /// Of each ranking in copy detection, what counts; 0 is all of it.
    pub copy_top: usize,
    /// A folder of further images for copy detection's database.
    pub distractors: Option<PathBuf>,
    /// Seed of all that is drawn.
    pub seed: u64,
}

/// How the networks look at images.
#[derive(Clone, Debug)]
pub struct Look {
    /// With bicubic resizing.
    pub transform: EvalTransform,
    /// Resize for every protocol alike; else some do bilinearly, as the authors' scripts do.
    pub fixed: bool,
}

impl Look {
    /// The one for protocols that resize with `filter` in the authors' scripts.
    fn transform(&self, filter: Filter) -> EvalTransform {
        let filter = if self.fixed { self.transform.filter } else { filter };
        EvalTransform { filter, ..self.transform.clone() }
    }
}

impl Default for AllSettings {
    /// The authors' scripts, and for fine-tuning SwAV's.
    fn default() -> AllSettings {
        AllSettings {
            protocols: Protocol::ALL.to_vec(),
            knn: KnnOptions::default(),
            linear: LinearSettings::imagenet(),
            crop_scale: Some((0.08, 1.0)),
            few_shot: FewShotOptions::default(),
            full_up_to: 10_000,
            semi_shares: vec![0.01, 0.1],
            semi_epochs: 20,
            imagenet_clustered: 0.1,
            fit: 512,
            query_boxes: false,
            copy_side: 320,
            copy_top: CopyDetectionOptions::default().top,
            distractors: None,
            seed: 0,
        }
    }
}

/// A number with its name: what a cell of a table holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// Such as "top-1, k = 20".
    pub name: String,
    /// In per cent, or for clustering's scores times 100.
    pub value: f64,
    /// Standard deviation over draws, where there are several.
    pub sd: Option<f64>,
}

impl Score {
    /// Of a fraction.
    pub fn percent(name: impl Into<String>, fraction: f64) -> Score {
        Score { name: name.into(), value: 100.0 * fraction, sd: None }
    }
}

/// What one protocol said of one network on one data set.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Name of the data set.
    pub data: String,
    /// teacher, student, untrained or pixels.
    pub network: &'static str,
    /// Which evaluation.
    pub protocol: Protocol,
    /// The settings that matter, in one line.
    pub settings: String,
    /// The headline numbers.
    pub scores: Vec<Score>,
    /// Seconds that it took, features not included.
    pub seconds: f64,
    /// Everything, with every setting.
    pub result: Value,
}

/// What was not measured.
#[derive(Clone, Debug, Serialize)]
pub struct Skipped {
    /// Name of the data set.
    pub data: String,
    /// Which network, where it is about one.
    pub network: Option<&'static str>,
    /// Which evaluation, where it is about one.
    pub protocol: Option<Protocol>,
    /// In one line.
    pub why: String,
    /// True where something is wrong, not just not there.
    pub is_fault: bool,
}

/// All that was measured of a checkpoint.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The checkpoint's file.
    pub checkpoint: String,
    /// The settings.
    pub settings: AllSettings,
    /// In the order of measuring.
    pub entries: Vec<Entry>,
    /// What was left out, and why.
    pub skipped: Vec<Skipped>,
}

/// What happens, for whoever shows it.
#[derive(Debug)]
pub enum Event<'a> {
    /// Features of so many images are being made.
    Features {
        /// Of which data set and network.
        what: String,
        /// Done.
        done: usize,
        /// In all.
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
    /// A protocol is done.
    Done(&'a Entry),
    /// Something was left out.
    Skipped(&'a Skipped),
}

/// A report under way: every entry is on the disk as soon as it is there.
pub struct Recorder<'a> {
    report: Report,
    folder: &'a Path,
    show: &'a mut dyn FnMut(Event),
}

impl<'a> Recorder<'a> {
    /// An empty report, to be written to `folder`, which is made if need be.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(
        checkpoint: &Path,
        settings: &AllSettings,
        folder: &'a Path,
        show: &'a mut dyn FnMut(Event),
    ) -> Result<Recorder<'a>> {
        std::fs::create_dir_all(folder).map_err(|source| Error::io(folder, source))?;
        let report = Report {
            checkpoint: checkpoint.display().to_string(),
            settings: settings.clone(),
            entries: vec![],
            skipped: vec![],
        };
        Ok(Recorder { report, folder, show })
    }

    /// True if this protocol is wanted.
    fn wants(&self, protocol: Protocol) -> bool {
        self.report.settings.protocols.contains(&protocol)
    }

    fn show(&mut self, event: Event) {
        (self.show)(event);
    }

    /// Runs `measure` and records what it says; its error is recorded too, and the rest goes on.
    fn measure(
        &mut self,
        (data, network, protocol): (&str, &'static str, Protocol),
        measure: impl FnOnce(&AllSettings) -> Result<Measured>,
    ) -> Result<()> {
        self.show(Event::Start { data, network, protocol });
        let start = Instant::now();
        match measure(&self.report.settings) {
            Ok(Measured { settings, scores, result }) => {
                let seconds = start.elapsed().as_secs_f64();
                let data = data.to_owned();
                let entry = Entry { data, network, protocol, settings, scores, seconds, result };
                self.show(Event::Done(&entry));
                self.report.entries.push(entry);
                self.save()
            }
            Err(error) => {
                self.skip(data, Some(network), Some(protocol), error.to_string(), true);
                Ok(())
            }
        }
    }

    fn skip(
        &mut self,
        data: &str,
        network: Option<&'static str>,
        protocol: Option<Protocol>,
        why: String,
        is_fault: bool,
    ) {
        let skipped = Skipped { data: data.to_owned(), network, protocol, why, is_fault };
        self.show(Event::Skipped(&skipped));
        self.report.skipped.push(skipped);
    }

    fn save(&self) -> Result<()> {
        let json = serde_json::to_string_pretty(&self.report).expect("plain numbers") + "\n";
        write_atomically(&self.folder.join("results.json"), json.as_bytes())?;
        write_atomically(&self.folder.join("results.md"), markdown(&self.report).as_bytes())
    }

    /// Writes what there is; the report.
    ///
    /// # Errors
    /// What the system says.
    pub fn finish(self) -> Result<Report> {
        self.save()?;
        Ok(self.report)
    }
}

/// What a protocol says.
struct Measured {
    settings: String,
    scores: Vec<Score>,
    result: Value,
}
