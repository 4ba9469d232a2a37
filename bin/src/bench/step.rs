//! `carp bench step`: the configured training step with each loss variant.

use std::process::ExitCode;

use autograd::Passes;
use carp::config::Config;
use carp::error::{Error, Result};
use carp::loss::LossVariant;
use carp::step::Step;
use clap::Args;

use super::contender::Contender;
use super::peak::gemm_peak;
use super::race::{RaceArgs, race, table};
use crate::config_args::ConfigArgs;
use crate::device::DeviceArgs;
use crate::threads::on_threads;

#[derive(Args)]
pub struct StepArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    race: RaceArgs,
    #[command(flatten)]
    device: DeviceArgs,
}

/// Both benchmarks of the step choose passes of their own.
///
/// # Errors
/// Settings that choose some too.
pub fn refuse_passes(config: &Config, bench: &str) -> Result<()> {
    if config.train.fuse == Passes::all() {
        return Ok(());
    }
    let detail = format!("bench {bench} chooses the passes itself: leave out --fuse (train.fuse)");
    Err(Error::usage(detail))
}

pub fn run(args: &StepArgs) -> Result<ExitCode> {
    let config = args.config.load()?;
    refuse_passes(&config, "step")?;
    let device = args.device.open()?;
    let text = on_threads(args.race.threads, || {
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
    crate::print::print(&text);
    Ok(ExitCode::SUCCESS)
}
