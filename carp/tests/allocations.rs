//! A training step and its data pipeline allocate nothing once warmed up.

#[path = "../../autograd/tests/common/counting_allocator.rs"]
mod counting_allocator;

use carp::config::Config;
use carp::train::Trainer;
use tensor::Cpu;

/// Steps observed, of a run twice as long: the pipeline is busy all the time.
const STEPS: usize = 200;

/// Allocations, by anyone, during each step of a small run, with `threads` threads for the step and
/// the same number for views.
fn allocations(threads: usize) -> Vec<usize> {
    let settings = [
        ("data.train_size", "40"),
        ("data.test_size", "10"),
        ("model.width", "4"),
        ("model.hidden", "16"),
        ("model.bottleneck", "8"),
        ("model.prototypes", "70"),
        ("model.partition_size", "16"),
        ("train.batch_size", "8"),
        ("train.accumulation", "1"),
        ("train.epochs", "80"),
        ("train.threads", &threads.to_string()),
        ("views.local_count", "2"),
        ("views.local.blur", "0.5"),
    ];
    let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let config = Config::load("shapes", &settings).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| {
        let mut trainer = Trainer::new(&config, &Cpu).unwrap();
        let mut pipeline = trainer.pipeline(0).unwrap();
        assert_eq!(trainer.steps(), 2 * STEPS);
        let mut counts = Vec::with_capacity(STEPS);
        for step in 0..STEPS {
            let before = counting_allocator::allocations();
            trainer.step(step, pipeline.next_batch().unwrap()).unwrap();
            counts.push(counting_allocator::allocations() - before);
        }
        counts
    })
}

/// One test, since the counter covers the whole process.
#[test]
fn a_running_step_and_its_pipeline_allocate_nothing() {
    // A single thread has seen everything after the first step.
    let counts = allocations(1);
    assert!(counts[1..].iter().all(|&count| count == 0), "{counts:?}");

    // Of several, one may get its first work at any time, and allocates then, once: far less than
    // every other step would.
    let counts = allocations(2);
    assert!(counts.iter().sum::<usize>() < STEPS / 2, "{counts:?}");
}
