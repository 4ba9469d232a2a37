//! A training step and its data pipeline allocate nothing once warmed up.

#[path = "../../autograd/tests/common/counting_allocator.rs"]
mod counting_allocator;

use carp::config::Config;
use carp::trainer::Trainer;
use carp::views::ViewPolicy;
use datasets::Image;
use tensor::Cpu;
use tensor::random::{Purpose, Stream};

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

/// Allocations while the authors' views are made of pictures of several sizes, in memory that has
/// seen one of the largest.
fn allocations_of_views() -> usize {
    let views = ViewPolicy::default().views();
    let sizes = views.sizes();
    let mut made: Vec<_> = sizes.iter().map(|size| vec![0.0; size * size * 3]).collect();
    let mut slices: Vec<&mut [f32]> = made.iter_mut().map(|view| &mut view[..]).collect();
    let images = [(375, 500), (500, 333), (90, 120)].map(|(height, width)| {
        let pixels = (0..height * width * 3).map(|i| (i * 7 % 251) as u8).collect();
        Image { height, width, channels: 3, pixels }
    });
    let mut scratch = views.scratch();
    let mut before = 0;
    for (i, image) in images.iter().cycle().take(30).enumerate() {
        if i == images.len() {
            before = counting_allocator::allocations();
        }
        let mut stream = Stream::new(0, Purpose::Views, 0, i as u64);
        views.make(image, &mut stream, &mut slices, &mut scratch);
    }
    counting_allocator::allocations() - before
}

/// One test, since the counter covers the whole process.
#[test]
fn a_running_step_and_its_pipeline_allocate_nothing() {
    assert_eq!(allocations_of_views(), 0);

    // A single thread has seen everything after the first step.
    let counts = allocations(1);
    assert!(counts[1..].iter().all(|&count| count == 0), "{counts:?}");

    // Of several, one may get its first work at any time, and allocates then, once: far less than
    // every other step would.
    let counts = allocations(2);
    assert!(counts.iter().sum::<usize>() < STEPS / 2, "{counts:?}");
}
