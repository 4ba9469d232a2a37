//! The training loop among ranks: one folder, one end, and one error for all.

#[path = "common/shards.rs"]
mod shards;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use autograd::threads::Threads;
use autograd::{AbortOnPanic, RecordedOp, Transport};
use carp::checkpoint::Checkpoint;
use carp::config::Config;
use carp::error::{Error, Result};
use carp::ranks::{agree, is_shared, share_text};
use carp::run_folder::RunFolder;
use carp::train::{Outcome, TrainEvent, train};
use carp::trainer::Trainer;
use tensor::{Backend, Cpu, Device, Io, Kernel, Slot};

/// Three epochs with a digest of each step.
fn config(more: &[(&str, &str)]) -> Config {
    let own = [("data.train_size", "24"), ("train.epochs", "3"), ("train.digest", "true")];
    shards::config(&[&own, more].concat()).unwrap()
}

/// How a device fails.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Error,
    Panic,
}

/// The CPU, which fails at an op of the step that follows a first checkpoint.
#[derive(Clone)]
struct Failing {
    fault: Fault,
    is_due: Arc<AtomicBool>,
}

impl Device for Failing {
    fn workspace(&self, kernel: &Kernel) -> usize {
        Cpu.workspace(kernel)
    }

    fn open(&self, elements: usize) -> tensor::Result<Box<dyn Backend>> {
        Ok(Box::new(FailingBackend { cpu: Cpu.open(elements)?, device: self.clone() }))
    }
}

struct FailingBackend {
    cpu: Box<dyn Backend>,
    device: Failing,
}

impl Backend for FailingBackend {
    tensor::moves_data_by!(cpu);

    fn run(&mut self, kernel: &Kernel, io: &Io) {
        self.cpu.run(kernel, io);
    }

    fn all_finite(&mut self, x: Slot) -> bool {
        self.cpu.all_finite(x)
    }

    fn check(&mut self) -> tensor::Result<()> {
        let Failing { fault, is_due } = &self.device;
        match fault {
            _ if !is_due.load(Ordering::Relaxed) => Ok(()),
            Fault::Error => Err(tensor::Error::device("a fault of this device")),
            Fault::Panic => panic!("a fault of this program"),
        }
    }
}

/// Runs `work` as each of so many ranks; returns their results in order.
fn as_ranks<T: Send>(number: usize, work: impl Fn(Arc<dyn Transport>) -> T + Sync) -> Vec<T> {
    Threads::run(number, |rank| work(Arc::new(rank)))
}

/// Trains in the folder as one of the ranks, from its checkpoint if it has one.
fn train_as(
    config: &Config,
    device: &dyn Device,
    transport: Arc<dyn Transport>,
    path: &Path,
    is_asked: &dyn Fn() -> bool,
    show: &mut (dyn FnMut(TrainEvent) + Send),
) -> Result<Outcome> {
    let rank = transport.rank();
    let mut trainer = Trainer::among(config, device, transport)?;
    trainer.initialize();
    let (mut folder, mut resume) = (None, None);
    if rank == 0 && path.join("checkpoint.safetensors").exists() {
        let (opened, checkpoint, _) = RunFolder::open(path)?;
        (folder, resume) = (Some(opened), Some(checkpoint));
    } else if rank == 0 {
        folder = Some(RunFolder::create(Some(path), "", config)?);
    }
    train(trainer, None, folder, resume, is_asked, show)
}

/// Trains among ranks. The last one is asked to stop when it has taken `stop` steps.
fn run(config: &Config, ranks: usize, path: &Path, stop: usize) -> Vec<Result<Outcome>> {
    as_ranks(ranks, |transport| {
        let is_last = transport.rank() + 1 == ranks;
        let steps = AtomicUsize::new(0);
        let is_asked = || is_last && steps.load(Ordering::Relaxed) == stop;
        train_as(config, &Cpu, transport, path, &is_asked, &mut |event| {
            if let TrainEvent::Step(metrics) = event {
                steps.store(metrics.step, Ordering::Relaxed);
            }
        })
    })
}

/// Steps and digests in a run's folder.
fn digests(path: &Path) -> Vec<(u64, String)> {
    let text = std::fs::read_to_string(path.join("metrics.jsonl")).unwrap();
    let line = |line| serde_json::from_str::<serde_json::Value>(line).unwrap();
    let lines = text.lines().map(line);
    lines.map(|l| (l["step"].as_u64().unwrap(), l["digest"].as_str().unwrap().to_owned())).collect()
}

#[test]
fn all_stop_after_one_step_and_any_number_goes_on() {
    let temp = tempfile::tempdir().unwrap();
    let (config, whole) = (config(&[]), temp.path().join("whole"));
    run(&config, 1, &whole, usize::MAX).remove(0).unwrap();
    let want = digests(&whole);
    assert_eq!(want.len(), 9);
    for (before, after) in [(4, 2), (2, 1), (1, 4)] {
        let path = temp.path().join(format!("{before}-{after}"));
        for outcome in run(&config, before, &path, 4) {
            assert!(matches!(outcome.unwrap(), Outcome::Stopped { step: 4 }));
        }
        let checkpoint = Checkpoint::load(&path.join("checkpoint.safetensors")).unwrap();
        assert_eq!(checkpoint.progress().unwrap().step, 4);
        for outcome in run(&config, after, &path, usize::MAX) {
            assert!(matches!(outcome.unwrap(), Outcome::Finished(_)));
        }
        assert_eq!(digests(&path), want, "{before} ranks, then {after}");
    }
}

#[test]
fn a_number_that_is_not_finite_is_the_same_error_for_all() {
    let error = |ranks: usize| -> (String, RecordedOp) {
        let temp = tempfile::tempdir().unwrap();
        let config = config(&[("optimizer.base_lr", "1e30"), ("optimizer.warmup_epochs", "0")]);
        let mut all = run(&config, ranks, temp.path(), usize::MAX).into_iter().map(|outcome| {
            let error = outcome.unwrap_err();
            let line = error.to_string();
            let Error::NonFinite { op: Some(op), .. } = error else { panic!("{line}") };
            (line, *op)
        });
        let first = all.next().unwrap();
        assert!(all.all(|other| other == first), "{ranks} ranks agree");
        first
    };
    let (line, op) = error(1);
    for ranks in [2, 4] {
        let (other_line, other_op) = error(ranks);
        assert_eq!(other_line, line);
        assert_eq!((other_op.name(), other_op.outputs), (op.name(), op.outputs.clone()));
    }
}

#[test]
fn a_rank_that_fails_ends_the_others_and_the_checkpoint_stays() {
    let temp = tempfile::tempdir().unwrap();
    let config = config(&[("train.checkpoint_every_epochs", "1")]);
    let whole = temp.path().join("whole");
    run(&config, 1, &whole, usize::MAX).remove(0).unwrap();
    for (fault, failing) in [(Fault::Error, 1), (Fault::Panic, 2), (Fault::Panic, 0)] {
        let path = temp.path().join(format!("{fault:?}-{failing}"));
        let failed = Mutex::new(None);
        let lines = as_ranks(4, |transport| {
            let rank = transport.rank();
            let is_due = Arc::new(AtomicBool::new(false));
            let device = Failing { fault, is_due: Arc::clone(&is_due) };
            // As the command does its work.
            let work = || {
                let _guard = AbortOnPanic(&*transport);
                let show = &mut |event: TrainEvent| {
                    if matches!(event, TrainEvent::Saved) && rank == failing {
                        *failed.lock().unwrap() = Some(Instant::now());
                        is_due.store(true, Ordering::Relaxed);
                    }
                };
                let outcome =
                    train_as(&config, &device, Arc::clone(&transport), &path, &|| false, show);
                let error = outcome.unwrap_err();
                if !is_shared(&error) {
                    transport.abort(1);
                }
                error.to_string()
            };
            catch_unwind(AssertUnwindSafe(work)).unwrap_or("panicked".to_owned())
        });
        let seconds = failed.lock().unwrap().unwrap().elapsed().as_secs_f64();
        assert!(seconds < 10.0, "{seconds} s until all have ended");
        for (rank, line) in lines.iter().enumerate() {
            match fault {
                _ if rank != failing => {
                    assert_eq!(*line, format!("rank {failing} has ended all"));
                }
                Fault::Error => assert!(line.contains("a fault of this device"), "{line}"),
                Fault::Panic => assert_eq!(line, "panicked"),
            }
        }
        let checkpoint = Checkpoint::load(&path.join("checkpoint.safetensors")).unwrap();
        assert_eq!(checkpoint.progress().unwrap().step, 3);
        run(&config, 2, &path, usize::MAX).into_iter().for_each(|outcome| drop(outcome.unwrap()));
        assert_eq!(digests(&path), digests(&whole), "{fault:?} of rank {failing}, then resumed");
    }
}

#[test]
fn the_first_rank_that_fails_tells() {
    let lines = as_ranks(4, |ranks| {
        let mine = match ranks.rank() {
            1 | 2 => Err(Error::usage(format!("fault of {}", ranks.rank()))),
            _ => Ok(()),
        };
        agree(&*ranks, mine).unwrap_err().to_string()
    });
    let other = "rank 1 has failed";
    assert_eq!(lines, [other, "fault of 1", other, other]);
    assert!(as_ranks(4, |ranks| agree(&*ranks, Ok(())).is_ok()).into_iter().all(|ok| ok));
}

#[test]
fn all_get_the_first_ranks_text() {
    let text = |rank| "x".repeat(3 * rank) + "ä";
    let texts = as_ranks(4, |ranks| share_text(&*ranks, text(ranks.rank())).unwrap());
    assert_eq!(texts, ["ä"; 4]);
}
