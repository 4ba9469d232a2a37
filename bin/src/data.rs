//! `carp data`: lists the paper's data sets, and checks a local copy.

use std::path::PathBuf;
use std::process::ExitCode;

use carp::error::Result;
use clap::{Args, Subcommand};
use datasets::DataConfig;
use datasets::catalogue::check::{CheckProgress, SplitReport, check};
use datasets::catalogue::{self, table};
use indicatif::{ProgressBar, ProgressStyle};

use crate::print::{print, say};
use crate::threads::on_threads;

#[derive(Subcommand)]
pub enum DataCommand {
    /// List the data sets: downloads, folder layout, splits and image counts.
    List(ListArgs),
    /// Count the images of a data set and decode every one.
    Check(CheckArgs),
}

#[derive(Args)]
pub struct ListArgs {
    /// Print a Markdown page.
    #[arg(long)]
    markdown: bool,
}

#[derive(Args)]
pub struct CheckArgs {
    /// Name of the data set, as in `carp data list`.
    name: String,
    /// Folder it was unpacked into.
    folder: PathBuf,
    /// Which of the ten official partitions of `dtd`.
    #[arg(long, value_name = "N", default_value_t = 1)]
    partition: usize,
    /// Threads; 0 means one per core.
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
}

pub fn run(command: &DataCommand) -> Result<ExitCode> {
    match command {
        DataCommand::List(args) => {
            print(&if args.markdown { table::markdown() } else { table::plain() });
            Ok(ExitCode::SUCCESS)
        }
        DataCommand::Check(args) => run_check(args),
    }
}

fn run_check(args: &CheckArgs) -> Result<ExitCode> {
    let set = catalogue::of_name(&args.name)?;
    let config = DataConfig {
        kind: set.kind,
        path: Some(args.folder.clone()),
        partition: args.partition,
        ..DataConfig::default()
    };
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} images, {per_sec}, {eta} left")
        .expect("a valid template");
    let bar = ProgressBar::new(0).with_style(style);
    let report = on_threads(args.threads, || {
        let report = check(set, &config, |progress| match progress {
            CheckProgress::Images(count) => bar.set_length(count as u64),
            CheckProgress::Opened => bar.inc(1),
        })?;
        Ok(report)
    });
    bar.finish_and_clear();
    let report = report?;
    say!("{} in {}", set.title, args.folder.display());
    for split in &report.splits {
        say!("  {:<14} {}", split.name, line(split));
        for broken in &split.broken {
            say!("    {broken}");
        }
    }
    if set.classes > 0 {
        let verdict = verdict(report.classes == report.expected_classes);
        say!("  {:<14} {} of {}: {verdict}", "classes", report.classes, set.classes);
    }
    let good = report.is_good();
    say!("{}", if good { "all good" } else { "NOT as published" });
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn line(split: &SplitReport) -> String {
    let Some(found) = split.found else { return "absent (optional)".to_owned() };
    let expected: Vec<String> = split.expected.iter().map(usize::to_string).collect();
    let counts = format!("{found} images of {}", expected.join(" or "));
    match split.broken.len() {
        0 => format!("{counts}: {}", verdict(split.is_complete())),
        broken => format!("{counts}: {}, {broken} broken:", verdict(split.is_complete())),
    }
}

fn verdict(is_good: bool) -> &'static str {
    if is_good { "good" } else { "WRONG COUNT" }
}
