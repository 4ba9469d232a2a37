//! `carp bench inference`: a batch of features with batch norms as layers, and folded into the
//! convolutions as evaluations do it.

use std::process::ExitCode;

use autograd::{Graph, Passes};
use carp::config::Config;
use carp::error::Result;
use carp::nn::{Params, ResNet};
use clap::Args;

use super::contender::Contender;
use super::race::{RoundsArgs, race_and_print};
use crate::config_args::ConfigArgs;
use crate::device::DeviceName;

/// The network is the configured one; `knn.size` and `knn.batch_size` are those of its images.
#[derive(Args)]
pub struct InferenceArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    race: RoundsArgs,
}

pub fn run(args: &InferenceArgs) -> Result<ExitCode> {
    let config = args.config.load()?;
    race_and_print(config.train.threads, &args.race, || {
        let layers = contender("batch norm as layers", &config, |_| ())?;
        let folded = contender("folded", &config, |graph| drop(graph.fold_batch_norms()))?;
        Ok(vec![layers, folded])
    })
}

fn contender(name: &str, config: &Config, rewrite: impl Fn(&mut Graph)) -> Result<Contender> {
    let network = config.step().resnet;
    let (mut graph, mut params) = (Graph::new(), Params::new(false));
    let resnet = ResNet::new(&mut graph, &mut params, &network);
    let (batch, size) = (config.knn.batch_size, config.knn.size);
    let images = graph.input("images", [batch, size, size, network.in_channels]);
    let features = resnet.forward(&mut graph, images, false)?;
    graph.keep(features);
    graph.fuse(&Passes::all());
    rewrite(&mut graph);
    Contender::graph(name, graph, &[features], &DeviceName::Cpu)
}
