//! `carp trace` and `carp plan`: the training step before it runs.

use std::path::PathBuf;
use std::process::ExitCode;

use autograd::{Graph, Plan, memory_map, trace as table};
use carp::config::Config;
use carp::error::Result;
use carp::learner::{Learner, planned_step};
use carp::step::{Step, StepConfig};
use clap::Args;
use files::write_atomically;

use crate::config_args::ConfigArgs;
use crate::device::DeviceArgs;
use crate::outputs::check_outputs;
use crate::print::say;
use crate::run_memory::{self, RunMemory};
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
    /// Plan one of so many processes that share train.shards (docs/distributed.md).
    #[arg(long, value_name = "R", default_value_t = 1)]
    ranks: usize,
    /// Draw the memory map as an SVG file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Builds and plans the configured step of one of the ranks, without allocating its arena.
fn planned(config: &Config, ranks: usize, device: &DeviceArgs) -> Result<(Graph, Step, Plan)> {
    let device = device.with(config.train.numerics)?;
    let (graph, step) = planned_step(&StepConfig { ranks, ..step(config)? }, &device)?;
    let plan = Plan::new(&graph, &device);
    Ok((graph, step, plan))
}

/// The configured step; of a method that keeps something of each image, for the data's number.
pub fn step(config: &Config) -> Result<StepConfig> {
    let is_known = config.method.is_per_image();
    let images = if is_known { config.data.size(config.seed)?.pretrain } else { 0 };
    Ok(StepConfig { images, ..config.step() })
}

pub fn trace(args: &TraceArgs) -> Result<ExitCode> {
    if let Some(steps) = args.measure {
        return measure(&args.config, &args.device, steps as usize);
    }
    let (graph, _, plan) = planned(&args.config.load()?, 1, &args.device)?;
    let text =
        if args.summary { table::summary(&graph, None) } else { table::table(&graph, &plan) };
    crate::print::print(&text);
    Ok(ExitCode::SUCCESS)
}

/// Runs the step on initial weights and views of zeros: its time does not depend on the values.
fn measure(args: &ConfigArgs, device: &DeviceArgs, steps: usize) -> Result<ExitCode> {
    let config = args.load()?;
    let device = device.open_with(config.train.numerics)?;
    let mut learner = Learner::new(&step(&config)?, &device)?;
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
    check_outputs(&args.svg, [&args.config.preset_file()])?;
    let config = args.config.load()?;
    let (graph, step, plan) = planned(&config, args.ranks, &args.device)?;
    crate::print::print(&memory_map::report(&graph, &plan));
    let device = args.device.with(config.train.numerics)?;
    let run = match config.data.size(config.seed) {
        Ok(data) => {
            let arena = run_memory::arena(&config, &plan, &device);
            let step = (&graph, &step);
            RunMemory::planned(&config, &data, step, args.ranks, &device)?.report(arena)
        }
        Err(error) => format!("beside it: unknown without the data ({error})\n"),
    };
    crate::print::print(&run);
    if let Some(path) = &args.svg {
        write_atomically(path, memory_map::svg(&graph, &plan).as_bytes())?;
        say!("memory map: {}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}
