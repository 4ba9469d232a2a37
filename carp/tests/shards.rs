//! A batch in shards: the same bits for any number of ranks and threads, after a stop, and with
//! another number of ranks than before it; and what does not fit is refused.

#[path = "common/shards.rs"]
mod shards;

use std::sync::Arc;

use autograd::Transport;
use autograd::threads::Threads;
use carp::checkpoint::{Checkpoint, Progress, save};
use carp::config::Config;
use carp::fingerprint::Fingerprint;
use carp::learner::NamedTensor;
use carp::trainer::Trainer;
use shards::config;
use tensor::Cpu;

/// Steps of the runs below; 2 are an epoch.
const STEPS: usize = 5;
/// Where one of them stops: within the second epoch.
const STOP: usize = 3;

/// Takes steps as one of the ranks, from a checkpoint if there is one; returns all that a checkpoint
/// holds, and saves one where the first rank is told to.
fn run(
    config: &Config,
    transport: Arc<dyn Transport>,
    steps: std::ops::Range<usize>,
    file: &std::path::Path,
) -> Vec<NamedTensor> {
    let rank = transport.rank();
    let mut trainer = Trainer::among(config, &Cpu, transport).unwrap();
    if steps.start == 0 {
        trainer.initialize();
    } else {
        Checkpoint::load(file).unwrap().restore(trainer.learner()).unwrap();
    }
    let mut pipeline = trainer.pipeline(steps.start).unwrap();
    for step in steps.clone() {
        trainer.observed_step(step, pipeline.next_batch().unwrap()).unwrap();
    }
    if rank == 0 {
        let progress = Progress { step: steps.end, seconds: 0.0 };
        save(file, config, &Fingerprint::default(), trainer.learner(), progress).unwrap();
    }
    trainer.learner().copies()
}

/// The same as so many ranks, each with so many threads: they must agree.
fn run_as(
    config: &Config,
    ranks: usize,
    threads: usize,
    steps: std::ops::Range<usize>,
    file: &std::path::Path,
) -> Vec<NamedTensor> {
    let results = Threads::run(ranks, |transport| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| run(config, Arc::new(transport), steps.clone(), file))
    });
    assert!(results.iter().all(|result| *result == results[0]), "{ranks} ranks agree");
    results.into_iter().next().unwrap()
}

#[test]
fn ranks_threads_and_stops_change_no_bit() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("checkpoint.safetensors");
    for more in [&[][..], &[("train.accumulation", "2"), ("optimizer.name", "adamw")]] {
        let config = config(more).unwrap();
        let want = run_as(&config, 1, 1, 0..STEPS, &file);
        assert!(want.iter().all(|(_, _, data)| data.iter().all(|x| x.is_finite())));
        for (ranks, threads) in [(1, 3), (2, 1), (4, 1), (2, 2)] {
            let got = run_as(&config, ranks, threads, 0..STEPS, &file);
            assert!(got == want, "{ranks} ranks of {threads} threads");
        }
        for (before, after) in [(1, 1), (2, 4), (4, 1)] {
            run_as(&config, before, 1, 0..STOP, &file);
            let got = run_as(&config, after, 1, STOP..STEPS, &file);
            assert!(got == want, "{before} ranks, then {after}");
        }
    }
}

#[test]
fn the_number_of_shards_is_part_of_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("checkpoint.safetensors");
    let run = |shards| {
        let config = config(&[("train.shards", shards)]).unwrap();
        run_as(&config, 1, 1, 0..STEPS, &file)
    };
    let (one, four) = (run("1"), run("4"));
    assert!(one != four, "other sums, other bits");
    for ((name, _, one), (_, _, four)) in one.iter().zip(&four) {
        let most = one.iter().fold(1e-3f32, |most, x| most.max(x.abs()));
        let error = one.iter().zip(four).fold(0.0f32, |most, (a, b)| most.max((a - b).abs()));
        assert!(error < 1e-2 * most, "{name}: off by {error} of {most}");
    }
}

#[test]
fn shards_that_do_not_fit_are_one_line() {
    let refused = |more: &[(&str, &str)], part: &str| {
        let line = match config(more) {
            Ok(config) => Trainer::planned(&config, &Cpu).err().expect(part).to_string(),
            Err(error) => error.to_string(),
        };
        assert!(line.lines().count() == 1 && line.contains(part), "{line}");
    };
    let range = "should be a power of two that divides train.batch_size = 8";
    for shards in ["0", "3", "16"] {
        refused(&[("train.shards", shards)], range);
    }
    refused(&[("method.name", "dino")], "train.shards: 4, but only carp can train in shards");
    refused(&[("train.memory_budget", "1MiB")], "takes a batch in one shard");
    let config = config(&[]).unwrap();
    let eighth = Threads::ranks(8).swap_remove(0);
    let error = Trainer::among(&config, &Cpu, Arc::new(eighth)).err().unwrap();
    assert_eq!(error.to_string(), "ranks: 8 cannot share train.shards = 4 equally");
}
