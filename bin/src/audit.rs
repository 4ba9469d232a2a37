//! `carp audit FILE...`

use std::path::PathBuf;
use std::process::ExitCode;

use audit::{AuditReport, audit};
use carp::error::Result;
use clap::Args;

use crate::device::DeviceArgs;
use crate::print::{complain_of, say};
use crate::threads::on_threads;

#[derive(Args)]
pub struct AuditArgs {
    /// Recorded computations, one per file.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
    /// Threads; 0 means one per core.
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Print every output, not only those that differ.
    #[arg(long, short)]
    verbose: bool,
}

/// Exit code 0: all within tolerance; 1: some are not; 2: not a valid audit file. Every file is
/// checked.
pub fn run(args: &AuditArgs) -> Result<ExitCode> {
    on_threads(args.threads, || audit_all(args))
}

fn audit_all(args: &AuditArgs) -> Result<ExitCode> {
    let device = args.device.open()?;
    let mut code = 0;
    for file in &args.files {
        match audit(file, device) {
            Ok(report) => {
                let verdict = if report.passed() { "ok  " } else { "FAIL" };
                let (kind, outputs) = (&report.kind, report.comparisons.len());
                say!("{verdict} {} ({kind}, {outputs} outputs)", file.display());
                print_comparisons(&report, args.verbose);
                code = code.max(if report.passed() { 0 } else { 1 });
            }
            Err(error) => {
                complain_of(&error);
                code = 2;
            }
        }
    }
    Ok(ExitCode::from(code))
}

fn print_comparisons(report: &AuditReport, all: bool) {
    if let Some(line) = &report.ended {
        say!("       {line}");
    }
    for comparison in &report.comparisons {
        if let Some((place, value)) = comparison.non_finite {
            say!("       {}[{place}] is {value}", comparison.name);
        }
    }
    for comparison in report.comparisons.iter().filter(|c| all || !c.passed()) {
        let sign = if comparison.passed() { "<=" } else { "> " };
        say!(
            "       {:<48} off by {:.3e} {sign} {:.3e}",
            comparison.name,
            comparison.error,
            comparison.allowed
        );
    }
}
