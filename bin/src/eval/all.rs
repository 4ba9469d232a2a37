//! `carp eval all`: every evaluation that the data allows, in one table.

use std::path::PathBuf;
use std::process::ExitCode;

use carp::error::{Error, Result};
use clap::Args;
use clap::builder::TypedValueParser;
use evaluations::all::{
    AllSettings, EvaluationEvent, EvaluationReport, Look, Protocol, Recorder, evaluate_own,
    evaluate_paper_sets, markdown,
};
use evaluations::linear::LinearSettings;
use evaluations::network_file::{NetworkFile, NetworkName};
use files::{check_output_folder, write_atomically};
use indicatif::ProgressBar;

use crate::bars::bar;
use crate::data_args::DataArgs;
use crate::device::DeviceArgs;
use crate::limits::within;
use crate::network_args::{batch_size, network_name, network_option, tell};
use crate::one_of::one_of;
use crate::outputs::check_outputs;
use crate::print::{print, say};
use crate::run_path::check_checkpoint;
use crate::threads::on_threads;

#[derive(Args)]
pub struct AllArgs {
    /// Run folder, checkpoint, or third-party weights (safetensors or PyTorch .pth).
    checkpoint: PathBuf,
    /// Networks to compare [default: pixels, untrained and auto on a run's own data, else auto, the one
    /// that the method's authors evaluate].
    #[arg(long, alias = "networks", value_name = "NAME,...", value_delimiter = ',')]
    #[arg(value_parser = network_name())]
    network: Option<Vec<NetworkName>>,
    /// Prefix of torchvision's names, if it is not detected.
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,
    #[command(flatten)]
    device: DeviceArgs,
    /// Use the paper's data sets instead of the run's own: a folder with one folder per data set,
    /// named as in `carp data list` or by torchvision.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["preset", "dataset", "data"])]
    data_root: Option<PathBuf>,
    #[command(flatten)]
    data: DataArgs,
    /// Folder for results.json and results.md [default: eval in the run's folder].
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Run only these protocols.
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', value_parser = protocol())]
    protocols: Option<Vec<Protocol>>,
    /// Epochs of the linear probe [default: 100; 20 on iNaturalist, 30 on a run's own data].
    #[arg(long, value_name = "N")]
    linear_epochs: Option<usize>,
    /// Learning rates of the linear probe, trained side by side; the best is reported [default: 1;
    /// 0.3 on iNaturalist, 0.1, 0.3 and 1 on a run's own data].
    #[arg(long, value_name = "LR,...", value_delimiter = ',')]
    linear_lr: Option<Vec<f64>>,
    /// Train the linear probe on random crops, as the authors do, on a run's own data too (by
    /// default it uses fixed features there).
    #[arg(long)]
    augment: bool,
    /// Never use random crops: much faster.
    #[arg(long, conflicts_with = "augment")]
    no_augment: bool,
    /// Train full-data SVMs only on training sets of at most this many images.
    #[arg(long, value_name = "N", default_value_t = AllSettings::default().full_up_to)]
    full_up_to: usize,
    /// Percentages of the labels to fine-tune on.
    #[arg(long, value_name = "PERCENT,...", value_delimiter = ',', default_value = "1,10")]
    #[arg(allow_hyphen_values = true)]
    semi_percent: Vec<f64>,
    /// Epochs of fine-tuning.
    #[arg(long, value_name = "N", default_value_t = AllSettings::default().semi_epochs)]
    semi_epochs: usize,
    /// Crop retrieval queries to their boxes, as the benchmark does and the authors do not.
    #[arg(long)]
    query_boxes: bool,
    /// Longest side of a retrieval image.
    #[arg(long, value_name = "PIXELS", default_value_t = AllSettings::default().fit)]
    fit: usize,
    /// How much of each copy-detection ranking counts; 0 means all, as in its devkit.
    #[arg(long, value_name = "N", default_value_t = AllSettings::default().copy_top)]
    copy_top: usize,
    /// Folder of distractor images for copy detection.
    #[arg(long, value_name = "DIR")]
    distractors: Option<PathBuf>,
    /// Also write the report as JSON here.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Random seed.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Images per batch.
    #[arg(long, value_name = "B")]
    batch_size: Option<usize>,
    /// Threads; 0 means one per core.
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
}

fn protocol() -> impl TypedValueParser<Value = Protocol> {
    one_of(Protocol::ALL, Protocol::name)
}

impl AllArgs {
    fn settings(&self, own: bool) -> AllSettings {
        let mut settings = AllSettings::default();
        if let Some(protocols) = &self.protocols {
            settings.protocols.clone_from(protocols);
        }
        if self.no_augment || (own && !self.augment) {
            settings.crop_scale = None;
        }
        if own {
            settings.linear = LinearSettings::small();
        }
        for linear in [&mut settings.linear, &mut settings.inat18] {
            linear.epochs = self.linear_epochs.unwrap_or(linear.epochs);
            if let Some(lr) = &self.linear_lr {
                linear.lr.clone_from(lr);
            }
            linear.seed = self.seed;
        }
        settings.few_shot.seed = self.seed;
        settings.full_up_to = self.full_up_to;
        settings.semi_shares = self.semi_percent.iter().map(|percent| percent / 100.0).collect();
        settings.semi_epochs = self.semi_epochs;
        settings.query_boxes = self.query_boxes;
        settings.fit = self.fit;
        settings.copy_top = self.copy_top;
        settings.distractors.clone_from(&self.distractors);
        settings.seed = self.seed;
        settings
    }

    /// The output folder.
    fn folder(&self) -> Result<PathBuf> {
        match &self.out {
            Some(folder) => Ok(folder.clone()),
            None if self.checkpoint.is_dir() => Ok(self.checkpoint.join("eval")),
            None => Err(Error::usage("give an output folder: --out DIR".to_owned())),
        }
    }
}

pub fn run(args: &AllArgs) -> Result<ExitCode> {
    within("--fit", args.fit, 1..=usize::MAX)?;
    let settings = args.settings(args.data_root.is_none());
    settings.check()?;
    check_checkpoint(&args.checkpoint)?;
    let folder = args.folder()?;
    check_output_folder(&folder)?;
    check_outputs(&args.json, [&args.checkpoint])?;
    let mut screen = Screen::new();
    let report = on_threads(args.threads, || {
        let mut source = NetworkFile::open(&args.checkpoint, args.prefix.as_deref())?;
        let path = source.path().to_owned();
        let look = Look::of(&source)?;
        let look = (&look, batch_size(&source, args.batch_size)?);
        let mut show = |event: EvaluationEvent| screen.show(event);
        let mut recorder = Recorder::new(&path, &settings, &folder, &mut show);
        let all = [NetworkName::Pixels, NetworkName::Untrained, NetworkName::Auto];
        let default = if args.data_root.is_some() { &all[2..] } else { &all[..] };
        let networks = args.network.as_deref().unwrap_or(default).iter();
        let mut networks: Vec<_> = networks.map(|&network| source.resolved(network)).collect();
        let mut seen = Vec::new();
        networks.retain(|network| {
            !seen.contains(network) && {
                seen.push(*network);
                true
            }
        });
        for &network in &networks {
            tell(&source, network, network_option)?;
        }
        let device = args.device.open()?;
        if let Some(root) = &args.data_root {
            if !root.is_dir() {
                return Err(Error::data(root, "no such folder"));
            }
            let root = (root.as_path(), args.data.strict);
            evaluate_paper_sets(&mut recorder, &mut source, &networks, root, look, device)?;
        } else {
            let (data, seed) = args.data.config(&source)?;
            evaluate_own(&mut recorder, &mut source, &networks, (&data, seed), look, device)?;
        }
        recorder.finish()
    });
    screen.bar.finish_and_clear();
    let report = report?;
    print(&markdown(&report));
    if let Some(path) = &args.json {
        let json = serde_json::to_string_pretty(&report).expect("plain numbers") + "\n";
        write_atomically(path, json.as_bytes())?;
    }
    say!("\nwrote results.json and results.md to {}", folder.display());
    Ok(exit_code(&report))
}

/// The exit code reports a fault in one part, even if the rest succeeded.
fn exit_code(report: &EvaluationReport) -> ExitCode {
    let faults = report.skipped.iter().any(|skipped| skipped.is_fault);
    ExitCode::from(u8::from(faults))
}

/// The terminal during the evaluations.
struct Screen {
    bar: ProgressBar,
    /// What it shows.
    part: String,
}

impl Screen {
    fn new() -> Screen {
        Screen { bar: bar("", 0), part: String::new() }
    }

    fn show(&mut self, event: EvaluationEvent) {
        match event {
            EvaluationEvent::Features { what, done, images } => {
                self.part(format!("images of {what}"));
                self.bar.set_length(images as u64);
                self.bar.set_position(done as u64);
            }
            EvaluationEvent::Start { data, network, protocol } => {
                self.part(format!("{data}, {network}: {}", protocol.title()));
            }
            EvaluationEvent::Progress { done, all } => {
                self.bar.set_length(all as u64);
                self.bar.set_position(done as u64);
            }
            EvaluationEvent::Done(entry) => {
                let first = entry.scores.first();
                let first = first.map_or(String::new(), |s| format!("{} {:.2} %", s.name, s.value));
                let title = entry.protocol.title();
                let (data, network, seconds) = (&entry.data, entry.network, entry.seconds);
                self.line(&format!("{data}, {network}, {title}: {first} ({seconds:.1} s)"));
            }
            EvaluationEvent::Skipped(skipped) => {
                let network = skipped.network.map_or(String::new(), |n| format!(", {n}"));
                let what = skipped.protocol.map_or(String::new(), |p| format!(", {}", p.title()));
                let what = network + &what;
                let kind = if skipped.is_fault { "failed" } else { "skipped" };
                self.line(&format!("{}{what} {kind}: {}", skipped.data, skipped.why));
            }
        }
    }

    /// Begins another part of the work, if it is another.
    fn part(&mut self, part: String) {
        if self.part != part {
            self.bar.reset();
            self.bar.set_message(part.clone());
            self.part = part;
        }
    }

    fn line(&self, line: &str) {
        if self.bar.is_hidden() {
            say!("{line}");
        } else {
            self.bar.println(line);
        }
    }
}
