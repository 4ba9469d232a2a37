//! `carp bench step`: the configured training step with each loss variant.

use std::path::PathBuf;
use std::process::ExitCode;

use autograd::Passes;
use carp::config::Config;
use carp::error::{Error, Result};
use carp::loss::LossVariant;
use carp::memory_budget::MemoryBudget;
use carp::method::MethodConfig;
use carp::step::Step;
use clap::Args;

use super::breakdown::Breakdown;
use super::contender::Contender;
use super::peak::gemm_peak;
use super::picture;
use super::race::{RoundsArgs, race, table};
use crate::config_args::ConfigArgs;
use crate::device::DeviceArgs;
use crate::print::{print, say};
use crate::threads::on_threads;

#[derive(Args)]
pub struct StepArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Instead, run the step as it is configured, and show each kind of op with its share of what the
    /// machine can do.
    #[arg(long)]
    breakdown: bool,
    /// Draw the breakdown's roofline to FILE.svg and FILE.png.
    #[arg(long, value_name = "FILE", requires = "breakdown")]
    picture: Option<PathBuf>,
    #[command(flatten)]
    race: RoundsArgs,
    #[command(flatten)]
    device: DeviceArgs,
}

/// Both benchmarks of the step choose passes of their own, and plan without a memory budget.
///
/// # Errors
/// Settings that choose some too.
pub fn refuse_chosen(config: &Config, bench: &str) -> Result<()> {
    let detail = if config.train.fuse != Passes::all() {
        "chooses the passes itself: leave out --fuse (train.fuse)"
    } else if config.train.memory_budget != MemoryBudget::default() {
        "measures without a budget: leave out --memory-budget (train.memory_budget)"
    } else {
        return Ok(());
    };
    Err(Error::usage(format!("bench {bench} {detail}")))
}

/// Without a breakdown, the variants of CARP's loss race.
///
/// # Errors
/// Settings that choose one, or another method.
fn refuse_variant(config: &Config) -> Result<()> {
    let detail = if config.method != MethodConfig::Carp {
        format!("races variants of CARP's loss, not {}'s: add --breakdown", config.method.name())
    } else if config.model.loss_variant != Config::default().model.loss_variant {
        "runs every loss variant: leave out --loss-variant (model.loss_variant)".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::usage(format!("bench step {detail}")))
}

pub fn run(args: &StepArgs) -> Result<ExitCode> {
    let config = args.config.load()?;
    if args.breakdown {
        return break_down(args, &config);
    }
    refuse_chosen(&config, "step")?;
    refuse_variant(&config)?;
    let device = &args.device.open_with(config.train.numerics)?;
    let text = on_threads(config.train.threads, || {
        let mut contenders = LossVariant::ALL
            .into_iter()
            .map(|variant| {
                let step = carp::step::StepConfig { loss_variant: variant, ..config.step() };
                let (graph, _) = Step::new(&step)?;
                Contender::graph(format!("step, {}", variant.name()), graph, &[], device)
            })
            .collect::<Result<Vec<_>>>()?;
        contenders.push(gemm_peak(&args.device, device)?);
        Ok(table(&race(&mut contenders, args.race.rounds as usize)?))
    })?;
    print(&text);
    Ok(ExitCode::SUCCESS)
}

fn break_down(args: &StepArgs, config: &Config) -> Result<ExitCode> {
    args.picture.as_deref().map_or(Ok(()), picture::check)?;
    let runs = args.race.rounds as usize;
    let breakdown =
        on_threads(config.train.threads, || Breakdown::measure(config, &args.device, runs))?;
    print(&breakdown.table());
    if let Some(path) = &args.picture {
        picture::save(path, &breakdown)?;
        say!("picture: {} and .png", path.with_extension("svg").display());
    }
    Ok(ExitCode::SUCCESS)
}
