//! `carp verify RUN`: repeats a run and compares it with what it recorded.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use autograd::RecordedOp;
use carp::checkpoint::Checkpoint;
use carp::error::{Error, Result};
use carp::fingerprint::Fingerprint;
use carp::kept_checkpoints::{checkpoint_of, previous};
use carp::memory_budget::MemoryBudget;
use carp::run_record::RunRecord;
use carp::run_settings;
use carp::trainer::Trainer;
use carp::verify::{Cause, Difference, verify};
use clap::Args;

use crate::bars::bar;
use crate::counted::counted;
use crate::device::DeviceArgs;
use crate::outputs::check_outputs;
use crate::print::{complain_of, say};
use crate::run_path::check_run_folder;
use crate::single_thread::SingleThread;
use crate::threads::on_threads;

#[derive(Args)]
pub struct VerifyArgs {
    /// Run folder.
    run: PathBuf,
    /// Repeat this many steps instead of all that were recorded.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    steps: Option<u32>,
    /// Start from the checkpoint before the last one instead of the untrained network.
    #[arg(long)]
    from_checkpoint: bool,
    #[command(flatten)]
    device: DeviceArgs,
    /// Threads; 0 means one per core [default: as in the run].
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Most memory of a step, such as 512MiB [default: as in the run].
    #[arg(long, value_name = "SIZE")]
    memory_budget: Option<MemoryBudget>,
    /// Where to write the first op that differs [default: difference.safetensors in the run folder].
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,
}

/// Exit code 0: all steps are as recorded; 1: one is not; 2: they cannot be compared.
pub fn run(args: &VerifyArgs) -> Result<ExitCode> {
    match repeat(args) {
        Err(error) if !matches!(error, Error::NonFinite { .. }) => {
            complain_of(&error);
            Ok(ExitCode::from(2))
        }
        repeated => repeated,
    }
}

fn repeat(args: &VerifyArgs) -> Result<ExitCode> {
    check_run_folder(&args.run)?;
    // Only a difference writes into the run's folder, which may be read-only.
    check_outputs(&args.audit, [&args.run])?;
    let audit = args.audit.clone().unwrap_or_else(|| args.run.join("difference.safetensors"));
    let mut record = RunRecord::read(&args.run)?;
    let last = checkpoint_of(&args.run);
    let mut last = if last.exists() { Some(Checkpoint::load(&last)?) } else { None };
    let (mut config, warning) = match &last {
        Some(checkpoint) => run_settings::of(&args.run, checkpoint)?,
        None => run_settings::read(&args.run)?,
    };
    if let Some(line) = warning {
        say!("warning: {line}");
    }
    last.iter_mut().try_for_each(|checkpoint| record.add(checkpoint))?;
    config.train.memory_budget = args.memory_budget.unwrap_or(config.train.memory_budget);
    let device = &args.device.open_with(config.train.numerics)?;
    let mut start = if args.from_checkpoint { Some(earlier(&args.run)?) } else { None };
    let first = start.as_ref().map_or(Ok(0), |start| start.progress().map(|at| at.step))?;
    let most = args.steps.map_or(usize::MAX, |steps| first + steps as usize);
    let range = first..record.last_step().min(most);
    let missing = record.missing(range.start + 1..range.end + 1);
    if missing.len() == range.len() {
        let run = args.run.display();
        let steps = args.steps.map_or(String::new(), |steps| format!(", of {steps}"));
        let detail = format!("{run} has recorded no step after step {first}{steps}");
        return Err(Error::usage(detail));
    }
    let threads = args.threads.unwrap_or(config.train.threads);
    let bar = bar("steps", range.len());
    let difference = on_threads(threads, || {
        let mut trainer = Trainer::planned(&config, device)?;
        if let Some(checkpoint) = &last
            && let Some(line) = checkpoint.check_data(&Fingerprint::of(trainer.splits())?)?
        {
            bar.suspend(|| say!("warning: {line}"));
        }
        match &mut start {
            Some(start) => start.restore(trainer.learner())?,
            None => trainer.initialize(),
        }
        let show = &mut |step| bar.set_position((step - first) as u64);
        verify(&mut trainer, &record, range.clone(), &SingleThread, show)
    });
    bar.finish_and_clear();
    if let Err(Error::NonFinite { op: Some(op), .. }) = &difference {
        write_op(&audit, op);
    }
    let steps = format!("steps {} to {}", range.start + 1, range.end);
    match difference? {
        Some(difference) => {
            tell(&difference, &audit);
            Ok(ExitCode::from(1))
        }
        None if record.has_digests(range.start + 1..range.end + 1) => {
            say!("{steps} are as recorded: loss and weights, to the bit");
            Ok(ExitCode::SUCCESS)
        }
        None => {
            let but = missing.first().map_or(String::new(), |first| {
                let lines = counted(missing.len(), "step");
                format!(", but for {lines} without a line in metrics.jsonl, the first step {first}")
            });
            say!("{steps} have the recorded losses{but}; weights were recorded only with --digest");
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The checkpoint before the last one.
fn earlier(run: &Path) -> Result<Checkpoint> {
    match previous(run)?.filter(|file| file.exists()) {
        Some(file) => Checkpoint::load(&file),
        None => Err(Error::usage(format!("{} has no checkpoint before its last", run.display()))),
    }
}

fn tell(difference: &Difference, audit: &Path) {
    let Difference { step, what, cause } = difference;
    say!("step {step} is not as recorded: {what}");
    let Cause::Op { step: at, here, there, there_as_recorded } = cause else {
        say!("one thread of this CPU gives the same as here, op by op: only the record differs");
        return;
    };
    let (output, element, [ours, theirs]) =
        here.first_difference(there).expect("the op that differs");
    let (name, place) = (here.name(), here.place);
    say!("first op that differs from one thread of this CPU: {name}, op {place} of step {at}:");
    say!("  element {element} of output {output} is {ours}, there {theirs}");
    let verdict = if *there_as_recorded { "is" } else { "is not" };
    say!("  step {step} {verdict} as recorded on one thread of this CPU");
    write_op(audit, there);
}

/// Writes the audit file of an op and says where, or why not: the op's error matters more.
pub fn write_op(file: &Path, op: &RecordedOp) {
    let name = file.display();
    match audit::write_op(file, op) {
        Ok(()) => say!("the op with its inputs: {name}; replay it with: carp audit {name}"),
        Err(error) => say!("warning: the op and its inputs are not kept: {error}"),
    }
}
