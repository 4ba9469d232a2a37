//! `carp bench fuse`: the configured training step unfused, with each fusion pass alone, and with
//! all.

use std::path::PathBuf;
use std::process::ExitCode;

use autograd::graph::Node;
use autograd::{Graph, Pass, Passes};
use carp::error::{Error, Result};
use carp::step::{Step, StepConfig};
use clap::Args;

use super::contender::Contender;
use super::peak::gemm_peak;
use super::picture::{self, Bars};
use super::profile;
use super::race::{Measured, RoundsArgs, race, table};
use super::step::refuse_chosen;
use crate::config_args::ConfigArgs;
use crate::device::{DeviceArgs, DeviceName};
use crate::print::{complain, print, say};
use crate::threads::on_threads;

#[derive(Args)]
pub struct FuseArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    race: RoundsArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// Plot time, bytes moved and planned memory to FILE.svg and FILE.png.
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
}

/// The step under each choice of passes, without those that find nothing to fuse.
fn steps(config: &StepConfig) -> Result<Vec<(String, Graph)>> {
    let built = |passes: Passes| Step::new(&StepConfig { passes, ..config.clone() });
    let (plain, _) = built(Passes::none())?;
    let kernel = |node: &Node| node.kernel;
    let mut steps = Vec::new();
    for passes in Pass::ALL.map(|pass| Passes::new([pass])) {
        let name = passes.iter().last().map_or("", Pass::name);
        let (graph, _) = built(passes)?;
        if graph.nodes().iter().map(kernel).ne(plain.nodes().iter().map(kernel)) {
            steps.push((name.to_owned(), graph));
        } else {
            complain!("{name}: nothing to fuse in this step");
        }
    }
    steps.insert(0, ("none".to_owned(), plain));
    steps.push(("all".to_owned(), built(Passes::all())?.0));
    Ok(steps)
}

pub fn run(args: &FuseArgs) -> Result<ExitCode> {
    args.picture.as_deref().map_or(Ok(()), picture::check)?;
    let config = args.config.load()?;
    refuse_chosen(&config, "fuse")?;
    let steps = steps(&config.step())?;
    let named = |(name, graph): (String, Graph)| {
        (format!("{name} ({} kernels)", graph.nodes().len()), graph)
    };
    if args.device.name() == DeviceName::Emulate {
        if args.picture.is_some() {
            let detail = "--picture plots times, which --device emulate does not measure";
            return Err(Error::usage(format!("bench fuse: {detail}")));
        }
        let profiles = on_threads(config.train.threads, || {
            let profiles = steps.into_iter().map(named);
            profiles
                .map(|(name, graph)| profile::profile(name, graph, &[]))
                .collect::<Result<Vec<_>>>()
        })?;
        print(&profile::table(&profiles, false));
        return Ok(ExitCode::SUCCESS);
    }
    let device = &args.device.open_with(config.train.numerics)?;
    let names: Vec<String> = steps.iter().map(|(name, _)| name.clone()).collect();
    let measured = on_threads(config.train.threads, || {
        let contender = |(name, graph)| Contender::graph(name, graph, &[], device);
        let mut contenders =
            steps.into_iter().map(named).map(contender).collect::<Result<Vec<_>>>()?;
        contenders.push(gemm_peak(&args.device, device)?);
        race(&mut contenders, args.race.rounds as usize)
    })?;
    print(&table(&measured));
    if let Some(path) = &args.picture {
        picture::draw_bars(path, &names, &bars(&measured[..names.len()]))?;
        say!("picture: {} and .png", path.with_extension("svg").display());
    }
    Ok(ExitCode::SUCCESS)
}

fn bars(measured: &[Measured]) -> [Bars; 3] {
    let mebibytes = |bytes: usize| bytes as f64 / f64::from(1 << 20);
    let each = |value: &dyn Fn(&Measured) -> f64| measured.iter().map(value).collect();
    [
        Bars { title: "Time of a step, ms", values: each(&|m| 1e3 * m.seconds) },
        Bars { title: "Bytes moved, MiB", values: each(&|m| mebibytes(m.moved)) },
        Bars { title: "Planned memory, MiB", values: each(&|m| mebibytes(m.peak)) },
    ]
}
