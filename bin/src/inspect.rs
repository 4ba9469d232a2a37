//! `carp trace` and `carp plan`: the training step before it runs.

use std::path::PathBuf;
use std::process::ExitCode;

use autograd::{Graph, Plan, memory_map, trace as table};
use carp::error::{Error, Result};
use carp::step::Step;
use clap::Args;
use tensor::Cpu;

use crate::ConfigArgs;

#[derive(Args)]
pub struct TraceArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Print sums by kind of op instead of every op.
    #[arg(long)]
    summary: bool,
}

#[derive(Args)]
pub struct PlanArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Draw the memory map into this SVG file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Builds and plans the step of the settings, without allocating its arena.
fn planned(args: &ConfigArgs) -> Result<(Graph, Plan)> {
    let config = args.load()?;
    let (graph, _) = Step::new(&config.step())?;
    let plan = Plan::new(&graph, &Cpu::new(0));
    Ok((graph, plan))
}

pub fn trace(args: &TraceArgs) -> Result<ExitCode> {
    let (graph, plan) = planned(&args.config)?;
    let text =
        if args.summary { table::summary(&graph) } else { table::table(&graph, &plan) };
    print!("{text}");
    Ok(ExitCode::SUCCESS)
}

pub fn plan(args: &PlanArgs) -> Result<ExitCode> {
    let (graph, plan) = planned(&args.config)?;
    print!("{}", memory_map::report(&graph, &plan));
    if let Some(path) = &args.svg {
        std::fs::write(path, memory_map::svg(&graph, &plan))
            .map_err(|source| Error::Io { path: path.clone(), source })?;
        println!("memory map: {}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}
