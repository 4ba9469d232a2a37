//! `carp weights`: inspects checkpoints, third-party ones included, and exports backbones.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use carp::checkpoint::open_weights;
use carp::error::Result;
use carp::kept_checkpoints::checkpoint_of;
use clap::{Args, Subcommand};
use evaluations::backbone::{candidates, compare};
use evaluations::export::export;
use evaluations::network_file::{NetworkFile, NetworkName, chosen, config_of};
use evaluations::network_role::Role;

use crate::network_args::tell;
use crate::outputs::check_outputs;
use crate::print::{print, say};
use crate::run_path::check_checkpoint;

/// How many names of a list are printed.
const SHOWN: usize = 8;

#[derive(Subcommand)]
pub enum WeightsCommand {
    /// List the networks in a file, with missing and unused tensors.
    Show(ShowArgs),
    /// Export a backbone as safetensors with torchvision's names.
    Export(ExportArgs),
}

#[derive(Args)]
pub struct ShowArgs {
    /// Run folder, safetensors file, or torch.save file.
    file: PathBuf,
    /// List every tensor.
    #[arg(long)]
    all: bool,
}

#[derive(Args)]
pub struct ExportArgs {
    /// Run folder, safetensors file, or torch.save file.
    checkpoint: PathBuf,
    /// Output file.
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// Export the student [default: the network that the method's authors evaluate, or the teacher of
    /// third-party weights].
    #[arg(long)]
    student: bool,
    /// Export the teacher.
    #[arg(long, conflicts_with_all = ["student", "prefix"])]
    teacher: bool,
    /// Prefix of torchvision's names, if it is not detected.
    #[arg(long, value_name = "PREFIX", conflicts_with = "student")]
    prefix: Option<String>,
}

pub fn run(command: &WeightsCommand) -> Result<ExitCode> {
    match command {
        WeightsCommand::Show(args) => show(args),
        WeightsCommand::Export(args) => export_weights(args),
    }
}

fn show(args: &ShowArgs) -> Result<ExitCode> {
    check_checkpoint(&args.file)?;
    let path = checkpoint_of(&args.file);
    let file = open_weights(&path)?;
    let mut text =
        format!("{}: {}, {} tensors\n", path.display(), file.format().name(), file.tensors().len());
    if args.all {
        for tensor in file.tensors() {
            let _ = writeln!(text, "  {:<5} {:?} {}", tensor.type_name, tensor.shape, tensor.name);
        }
    }
    let unreadable: Vec<String> = file
        .tensors()
        .iter()
        .filter(|tensor| tensor.view.is_err())
        .map(|tensor| format!("{} ({})", tensor.name, tensor.type_name))
        .collect();
    if !unreadable.is_empty() {
        let _ = writeln!(text, "not readable as f32: {}", listed(&unreadable));
    }
    if !file.classes().is_empty() {
        let _ = writeln!(text, "read past, nothing was run: objects of {}", listed(file.classes()));
    }
    // A file whose settings cannot be read is shown as one without any.
    let config = config_of(&file).unwrap_or_default();
    let chosen = chosen(&file, config.as_ref(), NetworkName::Auto, None);
    for candidate in candidates(&file) {
        let is_chosen = chosen.as_ref().is_ok_and(|chosen| *chosen == candidate);
        let role = match candidate.role {
            Some(Role::Student) => ", a student",
            Some(Role::Teacher) => ", a teacher",
            None => "",
        };
        let mark = if is_chosen { ", taken by default" } else { "" };
        let _ = writeln!(text, "under {:?}{role}{mark}:", candidate.prefix);
        match compare(&file, &candidate) {
            Err(error) => {
                let _ = writeln!(text, "  {error}");
            }
            Ok(found) => {
                let config = found.config;
                let stem = format!("{:?}", config.stem).to_lowercase();
                let _ = writeln!(
                    text,
                    "  {} of width {}, stem {stem}, {} channels: {} tensors, features of {} numbers",
                    config.arch.name(),
                    config.width,
                    config.in_channels,
                    found.tensors.len(),
                    config.features()
                );
                let _ = writeln!(text, "  missing: {}", listed(&found.missing));
                let _ = writeln!(text, "  left over: {}", listed(&found.left_over));
                let _ = writeln!(text, "  elsewhere in the file: {} tensors", found.elsewhere);
            }
        }
    }
    print(&text);
    chosen.map(|_| ExitCode::SUCCESS)
}

/// The first names, and how many more there are.
fn listed(names: &[String]) -> String {
    match names.len() {
        0 => "nothing".to_owned(),
        count if count <= SHOWN => names.join(", "),
        count => format!("{} and {} more", names[..SHOWN].join(", "), count - SHOWN),
    }
}

fn export_weights(args: &ExportArgs) -> Result<ExitCode> {
    check_outputs([&args.out], [&args.checkpoint])?;
    check_checkpoint(&args.checkpoint)?;
    let mut source = NetworkFile::open(&args.checkpoint, args.prefix.as_deref())?;
    let network = match (args.student, args.teacher) {
        (true, _) => NetworkName::Student,
        (_, true) => NetworkName::Teacher,
        _ => NetworkName::Auto,
    };
    let option = |role| match role {
        Role::Student => "--student",
        Role::Teacher => "--teacher",
    };
    tell(&source, network, option)?;
    let backbone = source.backbone(network)?;
    export(&backbone, &args.out)?;
    say!("{}: {} tensors with torchvision's names", args.out.display(), backbone.tensors.len());
    Ok(ExitCode::SUCCESS)
}
