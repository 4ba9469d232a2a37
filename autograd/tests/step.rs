//! A small training step with every family of ops: planned without overlap, the same bits with any
//! number of threads, and no allocation once it runs.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use autograd::{BatchNormParams, Executor, Graph, Phase, Result, Value};
use tensor::Cpu;
use tensor::packing_pool::PackingPool;
use tensor::random::{Purpose, Stream};

/// Counts what reaches the system.
struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: only counts and hands on.
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

/// Handles of the step.
struct Step {
    images: Value,
    teacher: Value,
    permutation: Value,
    weights: Vec<Value>,
    scalars: [Value; 2],
    loss: Value,
}

const BATCH: usize = 16;
const PROTOTYPES: usize = 40;

fn norm(g: &mut Graph, name: &str, channels: usize, weights: &mut Vec<Value>) -> BatchNormParams {
    let weight = g.param(&format!("{name}.weight"), [channels]);
    let bias = g.param(&format!("{name}.bias"), [channels]);
    weights.extend([weight, bias]);
    let running_mean = g.state(&format!("{name}.mean"), [channels]);
    let running_var = g.state(&format!("{name}.var"), [channels]);
    BatchNormParams { weight, bias, running_mean, running_var }
}

/// Two views through two convolutions, pools, a head and the loss against given teacher logits; then
/// a moving average and LARS.
fn build() -> Result<(Graph, Step)> {
    let mut graph = Graph::new();
    let g = &mut graph;
    let images = g.input("images", [2 * BATCH, 12, 12, 3]);
    let teacher = g.input("teacher", [2 * BATCH, PROTOTYPES]);
    let permutation = g.input_u32("permutation", [PROTOTYPES]);
    let scalars = ["lr", "m"].map(|name| g.input(name, [1]));
    let mut weights = Vec::new();
    let mut weight = |g: &mut Graph, name: &str, shape: &[usize]| {
        let value = g.param(name, shape);
        weights.push(value);
        value
    };
    let w1 = weight(g, "conv1", &[8, 3, 3, 3]);
    let w2 = weight(g, "conv2", &[8, 3, 3, 8]);
    let w3 = weight(g, "linear", &[16, 8]);
    let v = weight(g, "prototypes", &[PROTOTYPES, 16]);
    let (n1, n2) = (norm(g, "n1", 8, &mut weights), norm(g, "n2", 8, &mut weights));
    let mut x = g.conv2d(images, w1, 1, 1)?;
    x = g.batch_norm(x, n1, None, true, true, 1e-5, 0.1)?;
    x = g.max_pool2d(x, 3, 2, 1)?;
    let y = g.scope("block", |g| g.conv2d(x, w2, 1, 1))?;
    x = g.batch_norm(y, n2, Some(x), true, true, 1e-5, 0.1)?;
    x = g.avg_pool2d(x, 2, 2, 0)?;
    x = g.global_avg_pool(x)?;
    x = g.linear(x, w3, None)?;
    x = g.gelu(x);
    let prototypes = g.weight_norm(v);
    let logits = g.matmul(x, false, prototypes, true)?;
    let terms = g.partition_loss(logits, teacher, permutation, 7)?;
    let seed = g.in_phase(Phase::Backward, |g| g.fill([1], 1.0));
    let grads = g.backward(&[(terms.loss, seed)], &weights)?;
    g.in_phase(Phase::Update, |g| -> Result<()> {
        for (&w, grad) in weights.iter().zip(grads) {
            let shape = g.shape(w);
            let (buffer, average) = (g.state("buffer", shape), g.state("average", shape));
            g.ema(scalars[1], w, average)?;
            let grad = grad.expect("every weight reaches the loss");
            g.lars((0.9, 0.02), (scalars[0], scalars[1]), grad, w, buffer)?;
        }
        Ok(())
    })?;
    let loss = terms.loss;
    g.keep(loss);
    Ok((graph, Step { images, teacher, permutation, weights, scalars, loss }))
}

/// The step with weights and inputs drawn from fixed streams.
fn executor() -> (Executor, Step) {
    let (graph, step) = build().unwrap();
    let mut executor = Executor::new(graph, |len| Ok(Box::new(Cpu::new(len)?))).unwrap();
    let inputs = [step.images, step.teacher].into_iter().chain(step.weights.iter().copied());
    for (i, value) in (0..).zip(inputs) {
        let mut stream = Stream::new(1, Purpose::Test, 0, i);
        let len = executor.graph().shape(value).elements();
        let data: Vec<f32> = (0..len).map(|_| 0.5 * stream.normal()).collect();
        executor.write(value, &data);
    }
    (executor, step)
}

/// One step with a partition and settings of its own, as a training loop does it.
fn run(executor: &mut Executor, step: &Step, number: u32, order: &mut [u32]) -> f32 {
    order.rotate_left(number as usize % PROTOTYPES);
    executor.write_u32(step.permutation, order);
    executor.write(step.scalars[0], &[0.1]);
    executor.write(step.scalars[1], &[0.01]);
    executor.run_all().unwrap();
    executor.scalar(step.loss)
}

fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

/// One test, since the counter counts for the whole process.
#[test]
fn a_running_step_allocates_nothing_and_gives_the_same_bits_on_any_threads() {
    let mut digests = Vec::new();
    for threads in [1, 2, 3, 8] {
        digests.push(on_threads(threads, || {
            let (mut executor, step) = executor();
            let mut order: Vec<u32> = (0..PROTOTYPES as u32).collect();
            let first = run(&mut executor, &step, 0, &mut order);
            let last = (1..10).map(|n| run(&mut executor, &step, n, &mut order)).last().unwrap();
            assert!(last.is_finite() && last < first, "the loss went from {first} to {last}");
            let weights: Vec<u32> =
                step.weights.iter().flat_map(|&w| executor.read(w)).map(f32::to_bits).collect();
            weights
        }));
    }
    assert!(digests.windows(2).all(|pair| pair[0] == pair[1]), "bits depend on the threads");

    on_threads(2, || {
        let (mut executor, step) = executor();
        let mut order: Vec<u32> = (0..PROTOTYPES as u32).collect();
        // Warm-up: each thread gets its packing buffers and rayon's queues their size.
        for number in 0..200 {
            run(&mut executor, &step, number, &mut order);
        }
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        for number in 0..20 {
            run(&mut executor, &step, number, &mut order);
        }
        let during = ALLOCATIONS.load(Ordering::Relaxed) - before;
        assert_eq!(during, 0, "20 steps allocated {during} times");
    });
}

#[test]
fn the_plan_overlaps_nothing_that_lives() {
    let (executor, _) = executor();
    let plan = executor.plan();
    for (i, a) in plan.blocks.iter().enumerate() {
        assert!(a.slot.offset >= plan.persistent && a.slot.offset + a.slot.len <= plan.total);
        for b in &plan.blocks[i + 1..] {
            let together = a.first <= b.last && b.first <= a.last;
            let apart = a.slot.offset + a.slot.len <= b.slot.offset
                || b.slot.offset + b.slot.len <= a.slot.offset;
            assert!(!together || apart, "{a:?} and {b:?} share memory");
        }
    }
    let ratio = plan.total as f64 / plan.lower_bound as f64;
    assert!((1.0..1.2).contains(&ratio), "the arena is {ratio} of the lower bound");
}

#[test]
fn sharing_memory_changes_no_result() {
    let (mut shared, step) = executor();
    let (mut graph, _) = build().unwrap();
    let all: Vec<Value> = graph.values().map(|(value, _)| value).collect();
    all.iter().for_each(|&value| graph.keep(value));
    let mut apart = Executor::new(graph, |len| Ok(Box::new(Cpu::new(len)?))).unwrap();
    for value in [step.images, step.teacher].into_iter().chain(step.weights.iter().copied()) {
        let data = shared.read(value);
        apart.write(value, &data);
    }
    let mut order: Vec<u32> = (0..PROTOTYPES as u32).collect();
    for number in 0..3 {
        let a = run(&mut shared, &step, number, &mut order.clone());
        let b = run(&mut apart, &step, number, &mut order.clone());
        assert_eq!(a.to_bits(), b.to_bits());
        order.rotate_left(1);
    }
    for &weight in &step.weights {
        assert_eq!(shared.read(weight), apart.read(weight));
    }
}

#[test]
fn the_first_non_finite_value_is_named() {
    let (mut executor, step) = executor();
    let mut order: Vec<u32> = (0..PROTOTYPES as u32).collect();
    assert_eq!(executor.first_non_finite(), None);
    run(&mut executor, &step, 0, &mut order);
    // Numbers so large that the second convolution overflows.
    let len = executor.graph().shape(step.weights[1]).elements();
    executor.write(step.weights[1], &vec![3e38; len]);
    executor.run(Phase::Forward).unwrap();
    assert_eq!(executor.first_non_finite(), Some(("conv2d", "block".to_owned())));
    executor.write(step.weights[1], &vec![f32::NAN; len]);
    assert_eq!(executor.first_non_finite(), Some(("parameter", "conv2".to_owned())));
}
