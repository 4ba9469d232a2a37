//! `carp eval knn`: weighted k-nearest-neighbour accuracy.

use std::path::PathBuf;
use std::process::ExitCode;

use carp::checkpoint::Checkpoint;
use carp::error::{Error, Result};
use carp::evaluation::Evaluation;
use carp::learner::{Learner, cpu};
use carp::run_folder::checkpoint_path;
use clap::Args;

use crate::device::DeviceArgs;
use crate::on_threads;

#[derive(Args)]
pub struct KnnArgs {
    /// A run folder or a checkpoint file.
    checkpoint: PathBuf,
    /// Numbers of neighbours.
    #[arg(short, long, value_delimiter = ',', default_values_t = [10, 20, 100, 200])]
    k: Vec<usize>,
    /// Another folder with the data than the run had.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
}

pub fn run(args: &KnnArgs) -> Result<ExitCode> {
    let path = if args.checkpoint.is_dir() {
        checkpoint_path(&args.checkpoint)
    } else {
        args.checkpoint.clone()
    };
    let checkpoint = Checkpoint::load(&path)?;
    let mut config = checkpoint.config()?;
    if args.data.is_some() {
        config.data.path.clone_from(&args.data);
    }
    let device = args.device.open()?;
    let accuracies = on_threads(config.train.threads, || {
        let splits = config.data.open(config.seed)?;
        let Some(mut evaluation) = Evaluation::new(&config, &splits, &device)? else {
            let name = splits.pretrain.name();
            return Err(Error::Usage(format!("{name} has no labels to evaluate with")));
        };
        let mut learner = Learner::new(&config.step(), &cpu)?;
        learner.restore(|name| checkpoint.tensor(name))?;
        let quality = evaluation.measure(&learner.teacher_backbone())?;
        evaluation.accuracies(&quality.bank, &quality.queries, quality.dim, &args.k)
    })?;
    println!("{:>5}  {:>8}  {:>8}   (T = {})", "k", "top-1 %", "top-5 %", config.knn.temperature);
    for accuracy in accuracies {
        let (top1, top5) = (100.0 * accuracy.top1, 100.0 * accuracy.top5);
        println!("{:>5}  {top1:>8.2}  {top5:>8.2}", accuracy.k);
    }
    Ok(ExitCode::SUCCESS)
}
