//! `carp trace` and `carp plan`: the training step before it runs.

use std::path::PathBuf;
use std::process::ExitCode;

use autograd::{Graph, Plan, memory_map, trace as table};
use carp::error::Result;
use carp::learner::Learner;
use carp::step::Step;
use clap::Args;
use files::{check_output, write_atomically};

use crate::config_args::ConfigArgs;
use crate::device::DeviceArgs;
use crate::print::say;
use crate::threads::on_threads;
use crate::timed_step::TimedStep;

#[derive(Args)]
pub struct TraceArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print totals per kind of op instead of every op.
    #[arg(long)]
    summary: bool,
    /// Run the step this many times and print the median time of each kind of op.
    #[arg(long, value_name = "STEPS", value_parser = clap::value_parser!(u32).range(1..))]
    measure: Option<u32>,
}

#[derive(Args)]
pub struct PlanArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// Draw the memory map as an SVG file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Builds and plans the configured step, without allocating its arena.
fn planned(args: &ConfigArgs, device: &DeviceArgs) -> Result<(Graph, Plan)> {
    let config = args.load()?;
    let device = device.name();
    let (graph, _) = Step::for_device(&config.step(), &device)?;
    let plan = Plan::new(&graph, &device);
    Ok((graph, plan))
}

pub fn trace(args: &TraceArgs) -> Result<ExitCode> {
    if let Some(steps) = args.measure {
        return measure(&args.config, &args.device, steps as usize);
    }
    let (graph, plan) = planned(&args.config, &args.device)?;
    let text =
        if args.summary { table::summary(&graph, None) } else { table::table(&graph, &plan) };
    crate::print::print(&text);
    Ok(ExitCode::SUCCESS)
}

/// Runs the step on initial weights and views of zeros: its time does not depend on the values.
fn measure(args: &ConfigArgs, device: &DeviceArgs, steps: usize) -> Result<ExitCode> {
    let config = args.load()?;
    let mut learner = Learner::new(&config.step(), device.open()?)?;
    learner.initialize(config.seed);
    let text = on_threads(config.train.threads, || {
        let executor = learner.executor_mut();
        let TimedStep { ops, whole } = TimedStep::measure(executor, steps)?;
        let summary = table::summary(executor.graph(), Some(&ops));
        Ok(format!("{summary}median {whole:.4} s per step over {steps} steps\n"))
    })?;
    crate::print::print(&text);
    Ok(ExitCode::SUCCESS)
}

pub fn plan(args: &PlanArgs) -> Result<ExitCode> {
    args.svg.as_deref().map_or(Ok(()), check_output)?;
    let (graph, plan) = planned(&args.config, &args.device)?;
    crate::print::print(&memory_map::report(&graph, &plan));
    if let Some(path) = &args.svg {
        write_atomically(path, memory_map::svg(&graph, &plan).as_bytes())?;
        say!("memory map: {}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}
