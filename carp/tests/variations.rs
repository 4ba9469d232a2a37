//! Settings that vary the method: each does what it says, and is part of a run's identity.

use std::sync::atomic::{AtomicUsize, Ordering};

use carp::checkpoint::Checkpoint;
use carp::config::Config;
use carp::kept_checkpoints::checkpoint_of;
use carp::learner::{LossParts, Terms};
use carp::run_folder::RunFolder;
use carp::train::{Outcome, TrainEvent, train};
use carp::trainer::Trainer;
use tensor::Cpu;

fn config(sets: &[(&str, &str)]) -> Config {
    let small = [("data.train_size", "64"), ("train.batch_size", "16"), ("model.width", "4")];
    let sets = small.iter().chain(sets).map(|&(key, value)| (key.to_owned(), value.to_owned()));
    Config::load("minimal", &sets.collect::<Vec<_>>()).unwrap()
}

/// The loss of the first steps, and the weights' SHA-256 after them.
fn steps(sets: &[(&str, &str)], count: usize) -> (Vec<Terms>, String) {
    let config = config(sets);
    let mut trainer = Trainer::new(&config, &Cpu).unwrap();
    let mut pipeline = trainer.pipeline(0).unwrap();
    let mut step = |step| trainer.step(step, pipeline.next_batch().unwrap()).unwrap();
    let terms = (0..count).map(&mut step).collect();
    (terms, trainer.weights_sha256())
}

fn parts(terms: Terms) -> LossParts {
    terms.parts.unwrap()
}

#[test]
fn without_the_entropy_term_the_loss_is_the_consistency() {
    let (with, all) = steps(&[], 2);
    let (without, alone) = steps(&[("model.entropy_term", "false")], 2);
    let [with, first] = [with[0], without[0]].map(parts);
    assert_eq!(without[0].loss, first.consistency);
    assert!(first.entropy > 0.0);
    // The first loss is before any update: only rounding differs between the loss's variants.
    assert!((with.consistency - first.consistency).abs() < 1e-5);
    assert!((with.entropy - first.entropy).abs() < 1e-5);
    assert_ne!(all, alone);
    // It is computed op by op, whatever is asked of the loss.
    let named = [("model.entropy_term", "false"), ("train.fuse", "tiled-loss")];
    assert_eq!(steps(&named, 1).0[0].loss, without[0].loss);
}

#[test]
fn a_fixed_partition_is_the_first_one_in_every_step() {
    // With all rates 0 and next to no randomness in the views, only the partition changes the loss.
    let still = [
        ("data.train_size", "16"),
        ("teacher.momentum", "1"),
        ("teacher.final_momentum", "1"),
        ("optimizer.base_lr", "1e-30"),
        ("optimizer.final_lr", "0"),
        ("views.local_count", "0"),
        ("views.global1.scale", "[1, 1]"),
        ("views.global2.scale", "[1, 1]"),
    ];
    let still: Vec<_> = ["global1", "global2"]
        .iter()
        .flat_map(|view| {
            ["flip", "jitter", "greyscale", "blur", "solarise"]
                .map(|kind| (format!("views.{view}.{kind}"), "0"))
        })
        .chain(still.map(|(key, value)| (key.to_owned(), value)))
        .collect();
    let with = |fixed| {
        let sets = still.iter().map(|(key, value)| (key.as_str(), *value));
        let sets: Vec<_> = sets.chain([("model.fixed_partition", fixed)]).collect();
        let losses = steps(&sets, 4).0;
        losses.iter().map(|terms| terms.loss).collect::<Vec<_>>()
    };
    let (drawn, fixed) = (with("false"), with("true"));
    assert_eq!(drawn[0], fixed[0]);
    let spread = |losses: &[f32]| {
        let differences = losses.iter().map(|loss| (loss - losses[0]).abs());
        differences.fold(0.0, f32::max)
    };
    // What is left is the crops' aspect ratio.
    assert!(spread(&drawn) > 10.0 * spread(&fixed), "{drawn:?} {fixed:?}");
}

#[test]
fn embeddings_take_the_length_that_is_set() {
    // Without any length all assignments are uniform: C is ln N_B, H is 0.
    let short = parts(steps(&[("model.embedding_length", "1e-6")], 1).0[0]);
    assert!(
        (short.consistency - 32f32.ln()).abs() < 1e-4 && short.entropy.abs() < 1e-4,
        "{short:?}"
    );
    // With a great one they are sharp.
    let long = parts(steps(&[("model.embedding_length", "1000")], 1).0[0]);
    assert!((long.consistency - short.consistency).abs() > 0.1, "{long:?}");
    let own = parts(steps(&[], 1).0[0]);
    assert_ne!(own, long);
}

#[test]
fn a_run_of_so_many_steps_resumes_and_ends_with_a_look() {
    let config = config(&[
        ("train.steps", "6"),
        ("model.entropy_term", "false"),
        ("model.fixed_partition", "true"),
        ("model.embedding_length", "10"),
    ]);
    let run = |folder: &std::path::Path, until: usize, resume: Option<Checkpoint>| {
        let trainer = Trainer::new(&config, &Cpu).unwrap();
        let done = AtomicUsize::new(0);
        let run_folder = match resume {
            Some(_) => RunFolder::open(folder).unwrap().0,
            None => RunFolder::create(Some(folder), "x", &config).unwrap(),
        };
        let mut show = |event: TrainEvent| {
            if let TrainEvent::Step(metrics) = event {
                done.store(metrics.step, Ordering::Relaxed);
            }
        };
        train(
            trainer,
            None,
            Some(run_folder),
            resume,
            &|| done.load(Ordering::Relaxed) == until,
            &mut show,
        )
        .unwrap()
    };
    let temp = tempfile::tempdir().unwrap();
    let (whole, parts) = (temp.path().join("whole"), temp.path().join("parts"));
    let Outcome::Finished(expected) = run(&whole, 7, None) else { panic!("it stopped") };
    assert_eq!(expected.steps, 6);
    let Outcome::Stopped { step: 2 } = run(&parts, 2, None) else { panic!("it went on") };
    let checkpoint = Checkpoint::load(&checkpoint_of(&parts)).unwrap();
    assert_eq!(checkpoint.config().unwrap(), config);
    let Outcome::Finished(result) = run(&parts, 7, Some(checkpoint)) else { panic!("it stopped") };
    assert_eq!(result.weights_sha256, expected.weights_sha256);
    let text = std::fs::read_to_string(parts.join("metrics.jsonl")).unwrap();
    let looks: Vec<bool> = text.lines().map(|line| line.contains("effective_rank")).collect();
    assert_eq!(looks, [true, false, false, false, false, true]);
}
