//! Repeating a run: the step and the op that differ are named.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use autograd::trace::Recomputed;
use carp::config::Config;
use carp::run_folder::RunFolder;
use carp::run_record::RunRecord;
use carp::train::train;
use carp::trainer::Trainer;
use carp::verify::{Cause, verify};
use tensor::{Backend, Cpu, Device, Io, Kernel, Result, Slot};

/// The CPU, but the `at`th call of the kernel `name` gets one bit of its first output wrong.
struct Faulty {
    name: &'static str,
    at: usize,
}

struct FaultyBackend {
    cpu: Box<dyn Backend>,
    name: &'static str,
    until: AtomicUsize,
}

impl Device for Faulty {
    fn workspace(&self, kernel: &Kernel) -> usize {
        Cpu.workspace(kernel)
    }

    fn open(&self, elements: usize) -> Result<Box<dyn Backend>> {
        let Faulty { name, at } = *self;
        Ok(Box::new(FaultyBackend { cpu: Cpu.open(elements)?, name, until: at.into() }))
    }
}

impl Backend for FaultyBackend {
    tensor::moves_data_by!(cpu);

    fn all_finite(&mut self, x: Slot) -> bool {
        self.cpu.all_finite(x)
    }

    fn run(&mut self, kernel: &Kernel, io: &Io) {
        self.cpu.run(kernel, io);
        // From then on always, so that a repetition of the step sees it too.
        if kernel.name() == self.name && self.until.load(Ordering::Relaxed) > 0 {
            self.until.fetch_sub(1, Ordering::Relaxed);
        } else if kernel.name() == self.name {
            let slot = io.outputs[0].part(0, 1);
            let mut number = [0.0];
            self.cpu.read(slot, &mut number);
            self.cpu.write(slot, &[f32::from_bits(number[0].to_bits() ^ 1)]);
        }
    }
}

/// 8 steps, 4 of them an epoch, with every second one an update.
fn config(more: &[(&str, &str)]) -> Config {
    let settings = [
        ("data.train_size", "32"),
        ("data.test_size", "8"),
        ("model.width", "4"),
        ("model.hidden", "16"),
        ("model.bottleneck", "8"),
        ("model.prototypes", "40"),
        ("model.partition_size", "16"),
        ("train.batch_size", "8"),
        ("train.accumulation", "2"),
        ("train.epochs", "2"),
        ("train.threads", "2"),
    ];
    let settings = settings.iter().chain(more);
    let settings: Vec<_> = settings.map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
    Config::load("shapes", &settings).unwrap()
}

/// The record of a run in `folder`.
fn recorded(folder: &Path, config: &Config) -> RunRecord {
    let trainer = Trainer::new(config, &Cpu).unwrap();
    let run_folder = RunFolder::create(Some(folder), "x", config).unwrap();
    train(trainer, None, Some(run_folder), None, &|| false, &mut |_| ()).unwrap();
    RunRecord::read(folder).unwrap()
}

fn difference(
    config: &Config,
    record: &RunRecord,
    device: &dyn Device,
) -> Option<carp::verify::Difference> {
    let mut trainer = Trainer::new(config, device).unwrap();
    verify(&mut trainer, record, 0..record.last_step(), &Cpu, &mut |_| ()).unwrap()
}

#[test]
fn a_repeated_run_is_the_same() {
    let temp = tempfile::tempdir().unwrap();
    let config = config(&[("train.digest", "true")]);
    let record = recorded(temp.path(), &config);
    assert_eq!(record.last_step(), 8);
    assert!(record.has_digests(1..9) && !record.has_digests(1..10));
    assert!(difference(&config, &record, &Cpu).is_none());
}

#[test]
fn one_wrong_bit_is_traced_to_its_step_and_op() {
    let temp = tempfile::tempdir().unwrap();
    let config = config(&[("train.digest", "true")]);
    let record = recorded(temp.path(), &config);
    // Gradients show in the weights at the next update, after every second step. The fault of step 4
    // is there to stay, so that the repetition of that update has it in step 3 already.
    for (name, at, op_step, step) in
        [("batch_norm_backward", 0, 1, 2), ("sgd", 2, 6, 6), ("streaming_loss", 3, 3, 4)]
    {
        let found = difference(&config, &record, &Faulty { name, at }).unwrap();
        assert_eq!(found.step, step, "{found:?}");
        let Cause::Op { step, here, there, there_as_recorded } = found.cause else {
            panic!("no op")
        };
        assert_eq!((step, here.kernel.name(), there_as_recorded), (op_step, name, true));
        assert_eq!(here.inputs, there.inputs);
        let (output, element, [ours, theirs]) = here.first_difference(&there).unwrap();
        assert_eq!((output, element, ours.to_bits() ^ theirs.to_bits()), (0, 0, 1));
    }
}

/// A run is repeated within a memory budget: ops that make activations anew are compared, too.
#[test]
fn a_repetition_may_keep_to_a_budget() {
    let temp = tempfile::tempdir().unwrap();
    let free = config(&[("train.digest", "true")]);
    let record = recorded(temp.path(), &free);
    let bytes = Trainer::new(&free, &Cpu).unwrap().learner().executor().plan().bytes();
    let budget = format!("{}B", bytes / 10 * 8);
    let config = config(&[("train.digest", "true"), ("train.memory_budget", &budget)]);
    let mut trainer = Trainer::new(&config, &Cpu).unwrap();
    assert!(Recomputed::of(trainer.learner().executor().graph()).is_some());
    assert!(difference(&config, &record, &Cpu).is_none());
    let found =
        difference(&config, &record, &Faulty { name: "batch_norm_backward", at: 0 }).unwrap();
    let Cause::Op { step: 1, here, there_as_recorded: true, .. } = found.cause else {
        panic!("{:?}", found.what)
    };
    assert_eq!((found.step, here.kernel.name()), (2, "batch_norm_backward"));
}

#[test]
fn a_changed_record_is_the_records_fault() {
    let temp = tempfile::tempdir().unwrap();
    let config = config(&[("train.digest", "true")]);
    let digest = |step: usize| {
        let text = std::fs::read_to_string(temp.path().join("metrics.jsonl")).unwrap();
        let line: serde_json::Value =
            serde_json::from_str(text.lines().nth(step - 1).unwrap()).unwrap();
        (text, line["digest"].as_str().unwrap().to_owned())
    };
    recorded(temp.path(), &config);
    let (text, third) = digest(3);
    let changed = text.replace(&third, &digest(4).1);
    std::fs::write(temp.path().join("metrics.jsonl"), changed).unwrap();
    let record = RunRecord::read(temp.path()).unwrap();
    let found = difference(&config, &record, &Cpu).unwrap();
    assert!(found.step == 3 && matches!(found.cause, Cause::Record), "{found:?}");
    assert!(found.what.starts_with("the loss is the same, the digest was"), "{found:?}");
}

/// Without digests, losses and the weights at the end are known.
#[test]
fn a_run_without_digests_is_compared_by_its_losses() {
    let temp = tempfile::tempdir().unwrap();
    let config = config(&[]);
    let record = recorded(temp.path(), &config);
    assert!(!record.has_digests(1..2));
    assert!(difference(&config, &record, &Cpu).is_none());
    let found = difference(&config, &record, &Faulty { name: "sgd", at: 2 }).unwrap();
    assert!(found.step > 6, "{found:?}");
    let last = difference(&config, &record, &Faulty { name: "sgd", at: 3 }).unwrap();
    assert!(last.step == 8 && last.what.contains("result.json has"), "{last:?}");
}
