//! `carp report`: runs as a page.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use carp::error::Result;
use carp::learner::Device;
use carp::run_settings;
use clap::Args;
use files::write_atomically;
use report::page::page;
use report::run::Depth;

use crate::device::DeviceArgs;
use crate::outputs::check_outputs;
use crate::print::say;
use crate::run_path::check_run_folder;
use crate::threads::on_threads;

#[derive(Args)]
pub struct ReportArgs {
    /// Run folders, finished or not; several are shown side by side.
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// The page, one file that needs no other.
    #[arg(short, long, value_name = "FILE", default_value = "report.html")]
    output: PathBuf,
    /// Leave out what takes the weights and the data set.
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    device: DeviceArgs,
    /// Threads; 0 means one per core.
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
}

pub fn run(args: &ReportArgs) -> Result<ExitCode> {
    check_outputs([&args.output], &args.runs)?;
    let device = args.device.open()?;
    for run in &args.runs {
        check_run_folder(run)?;
        if let (_, Some(line)) = run_settings::read(run)? {
            say!("warning: {line}");
        }
    }
    let depth = if args.quick { Depth::Files } else { Depth::Network };
    on_threads(args.threads, || write_page(&args.output, &args.runs, depth, device))?;
    say!("report: {}", args.output.display());
    Ok(ExitCode::SUCCESS)
}

/// Writes a page about runs.
///
/// # Errors
/// A folder that is no run's, or a file that cannot be written.
pub fn write_page(file: &Path, runs: &[PathBuf], depth: Depth, device: Device) -> Result<()> {
    Ok(write_atomically(file, page(runs, depth, device)?.as_bytes())?)
}
