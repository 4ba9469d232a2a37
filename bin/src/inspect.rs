//! `carp trace` and `carp plan`: the training step before it runs.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use autograd::exchange::HostMemory;
use autograd::trace::bytes;
use autograd::{Graph, Plan, memory_map, trace as table};
use carp::config::Config;
use carp::error::Result;
use carp::learner::{Learner, planned_step};
use carp::pipeline::Pipeline;
use carp::step::StepConfig;
use clap::Args;
use datasets::{Dataset, Splits};
use evaluations::online_knn::KnnMemory;
use files::{check_output, write_atomically};
use tensor::Device;

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
    /// Plan one of so many processes that share train.shards (docs/distributed.md).
    #[arg(long, value_name = "R", default_value_t = 1)]
    ranks: usize,
    /// Draw the memory map as an SVG file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Builds and plans the configured step of one of the ranks, without allocating its arena.
fn planned(config: &Config, ranks: usize, device: &DeviceArgs) -> Result<(Graph, Plan)> {
    let device = device.name().with(config.train.numerics);
    let (graph, _) = planned_step(&StepConfig { ranks, ..step(config)? }, &device)?;
    let plan = Plan::new(&graph, &device);
    Ok((graph, plan))
}

/// The configured step; of a method that keeps something of each image, for the data's number.
pub fn step(config: &Config) -> Result<StepConfig> {
    let is_known = config.method.is_per_image();
    let images = if is_known { config.data.open(config.seed)?.pretrain.len() } else { 0 };
    Ok(StepConfig { images, ..config.step() })
}

pub fn trace(args: &TraceArgs) -> Result<ExitCode> {
    if let Some(steps) = args.measure {
        return measure(&args.config, &args.device, steps as usize);
    }
    let (graph, plan) = planned(&args.config.load()?, 1, &args.device)?;
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
    args.svg.as_deref().map_or(Ok(()), check_output)?;
    let config = args.config.load()?;
    let (graph, plan) = planned(&config, args.ranks, &args.device)?;
    crate::print::print(&memory_map::report(&graph, &plan));
    let arena = (plan.bytes(), HostMemory::of(&graph).bytes());
    let device = args.device.name().with(config.train.numerics);
    crate::print::print(&run_memory(&config, arena, args.ranks, &device)?);
    if let Some(path) = &args.svg {
        write_atomically(path, memory_map::svg(&graph, &plan).as_bytes())?;
        say!("memory map: {}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// What a run's small allocations take together, whatever the network: `tools/peak_memory.sh` finds 0
/// to 7 MiB.
const PROGRAM: usize = 3 << 20;

/// What a run takes beside the step's arena, and all of it at its peak.
fn run_memory(
    config: &Config,
    (arena, exchanged): (usize, usize),
    ranks: usize,
    device: &dyn Device,
) -> Result<String> {
    let Config { train, views, data, .. } = config;
    let part = train.batch_size / ranks;
    let batches = Pipeline::bytes(&views.views(), data.channels(), part, train.prefetch);
    let (images, knn) = match data.open(config.seed) {
        Ok(splits) => (images(&splits), KnnMemory::planned(config, &splits, device)?),
        Err(error) => return Ok(format!("beside it: unknown without the data ({error})\n")),
    };
    // The batches are gone when the last features and the pixels are compared.
    let during = batches + knn.features;
    let end = 2 * knn.features + knn.pixels;
    let peak = arena + exchanged + images + knn.network + during.max(end) + PROGRAM;
    let mut text = "beside the arena, in a run:\n".to_owned();
    for (name, size, note) in [
        ("batches of views", batches, "train.prefetch, one being made, one in use"),
        ("exchange buffers", exchanged, "on the host: gradients on their way to other ranks"),
        ("images", images, "in memory; of image files at most data.cache_mib"),
        ("k-NN network", knn.network, "its arena and a batch of images"),
        ("k-NN features", knn.features, "bank and queries; twice at the end"),
        ("k-NN of raw pixels", knn.pixels, "at the end, without batches"),
        ("program", PROGRAM, "graph, scratch of views, picture of neighbours; about"),
        ("peak of a run", peak, "without code and stacks, 10 to 15 MiB"),
    ] {
        if name == "exchange buffers" && size == 0 {
            continue;
        }
        let _ = writeln!(text, "{name:<28} {:>11} {size:>14} B  {note}", bytes(size));
    }
    Ok(text)
}

/// Bytes of decoded images, of each data set once.
fn images(splits: &Splits) -> usize {
    let mut seen: Vec<&Arc<dyn Dataset>> = Vec::new();
    for data in [Some(&splits.pretrain), splits.train.as_ref(), splits.test.as_ref()] {
        seen.extend(data.filter(|data| !seen.iter().any(|other| Arc::ptr_eq(other, data))));
    }
    seen.iter().map(|data| data.memory()).sum()
}
