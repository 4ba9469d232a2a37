//! A training step and its data pipeline allocate nothing once warmed up.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use carp::config::Config;
use carp::train::Trainer;
use tensor::Cpu;
use tensor::packing_pool::PackingPool;

/// Counts allocations from the system, over all threads.
struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: only counts and forwards.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: PackingPool<Counting> = PackingPool(Counting);

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
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            trainer.step(step, pipeline.next_batch().unwrap()).unwrap();
            counts.push(ALLOCATIONS.load(Ordering::Relaxed) - before);
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

    // Of several, one may get its first work later, and allocates then, once.
    let counts = allocations(2);
    let longest = counts.split(|&count| count > 0).map(<[usize]>::len).max();
    assert!(longest >= Some(STEPS / 2), "{counts:?}");
}
