//! A small training step with every family of ops: planned without overlap, the same bits with any
//! number of threads, and no allocation once it runs.

#[path = "common/counting_allocator.rs"]
mod counting_allocator;

mod common;

use autograd::{Executor, NonFinite, Passes, Phase, Value};
use common::{PROTOTYPES, build, executor, run};
use tensor::Cpu;

fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

/// One test, since the counter covers the whole process.
#[test]
fn a_running_step_allocates_nothing_and_gives_the_same_bits_on_any_threads() {
    let mut digests = Vec::new();
    for threads in [1, 2, 3, 8] {
        digests.push(on_threads(threads, || {
            let (mut executor, step) = executor(&Passes::all());
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
        let (mut executor, step) = executor(&Passes::all());
        let mut order: Vec<u32> = (0..PROTOTYPES as u32).collect();
        // Warm-up: each thread gets its packing buffers, and rayon's queues grow to size.
        for number in 0..200 {
            run(&mut executor, &step, number, &mut order);
        }
        let before = counting_allocator::allocations();
        for number in 0..20 {
            run(&mut executor, &step, number, &mut order);
        }
        let during = counting_allocator::allocations() - before;
        assert_eq!(during, 0, "20 steps allocated {during} times");
    });
}

#[test]
fn the_plan_overlaps_nothing_that_lives() {
    let (executor, _) = executor(&Passes::all());
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
    let (mut shared, step) = executor(&Passes::all());
    let (mut graph, _) = build(&Passes::all()).unwrap();
    let all: Vec<Value> = graph.nodes().iter().flat_map(|node| &node.outputs).copied().collect();
    all.iter().for_each(|&value| graph.keep(value));
    let mut apart = Executor::new(graph, &Cpu).unwrap();
    let inputs = [step.images, step.teacher, step.teacher_prototypes];
    for value in inputs.into_iter().chain(step.weights.iter().copied()) {
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
    for &weight in step.weights.iter().chain(&step.averages) {
        assert_eq!(shared.read(weight), apart.read(weight));
    }
}

#[test]
fn the_first_non_finite_value_is_named() {
    let (mut executor, step) = executor(&Passes::all());
    let mut order: Vec<u32> = (0..PROTOTYPES as u32).collect();
    assert_eq!(executor.first_non_finite(&Phase::ALL), Ok(None));
    run(&mut executor, &step, 0, &mut order);
    // Large enough for the second convolution to overflow.
    let len = executor.graph().shape(step.weights[1]).elements();
    executor.write(step.weights[1], &vec![3e38; len]);
    let Ok(Some(NonFinite::Op(op, name))) = executor.first_non_finite(&Phase::ALL) else {
        panic!("no op")
    };
    assert_eq!((op.name().as_str(), name.as_str()), ("conv2d_sums of block", ""));
    assert!(op.inputs.iter().all(|input| input.first_non_finite().is_none()));
    assert!(op.outputs[0].first_non_finite().is_some());
    executor.write(step.weights[1], &vec![f32::NAN; len]);
    let given = NonFinite::Given("parameter", "conv2".to_owned());
    assert_eq!(executor.first_non_finite(&Phase::ALL), Ok(Some(given)));
}

/// Fused and not: one number that is not finite, in the loss or in a single gradient, and nothing that
/// the update writes has changed; the next step goes on as if it had not been.
#[test]
fn an_update_of_what_is_not_finite_changes_nothing() {
    for passes in [Passes::all(), Passes::none()] {
        let (mut executor, step) = executor(&passes);
        let (mut undisturbed, _) = common::executor(&passes);
        let mut order: Vec<u32> = (0..PROTOTYPES as u32).collect();
        let loss = run(&mut executor, &step, 0, &mut order.clone());
        run(&mut undisturbed, &step, 0, &mut order.clone());
        assert_eq!(executor.read(step.report), [0.0, loss]);
        let updated = |executor: &mut Executor| -> Vec<Vec<u32>> {
            let changed = |name: &str| matches!(name, "average" | "buffer");
            let values = executor.graph().values();
            let state: Vec<Value> =
                values.filter(|(_, info)| changed(&info.name)).map(|(v, _)| v).collect();
            let values = step.weights.iter().chain(&state);
            values.map(|&v| executor.read(v).into_iter().map(f32::to_bits).collect()).collect()
        };
        let before = updated(&mut executor);
        assert_eq!(before.len(), 3 * step.weights.len());

        // Weights' gradients are finite, but for one; the images' are not needed.
        for (value, at) in [(step.teacher, 5), (step.images, 77)] {
            let data = executor.read(value);
            executor.write_part(value, at, &[f32::NAN]);
            let loss = run(&mut executor, &step, 0, &mut order.clone());
            executor.write(value, &data);
            let report = executor.read(step.report);
            assert_eq!((report[0], report[1].to_bits()), (1.0, loss.to_bits()));
            assert!(updated(&mut executor) == before, "{passes}");
        }
        order.rotate_left(1);
        let after = [&mut executor, &mut undisturbed]
            .map(|executor| run(executor, &step, 1, &mut order.clone()));
        assert_eq!(after[0].to_bits(), after[1].to_bits());
        assert!(updated(&mut executor) == updated(&mut undisturbed));
        assert!(updated(&mut executor) != before);
    }
}

/// Recording the ops one by one does what running them does, and shows what they are given.
#[test]
fn recorded_ops_are_those_of_the_step() {
    let [(mut recorded, step), (mut whole, _)] = [(); 2].map(|()| executor(&Passes::all()));
    let order: Vec<u32> = (0..PROTOTYPES as u32).collect();
    let loss = run(&mut whole, &step, 0, &mut order.clone());
    run(&mut recorded, &step, 0, &mut order.clone());
    let ops: Vec<_> = (0..whole.graph().nodes().len())
        .map(|place| (recorded.record(place).unwrap(), whole.record(place).unwrap()))
        .collect();
    assert!(ops.iter().all(|(a, b)| a == b && a.first_difference(b).is_none()));
    let writes = |name: &str| ops.iter().find(|(op, _)| op.kernel.name() == name).unwrap();
    let terms = &writes("streaming_loss").0.outputs[0];
    assert!(f32::from_bits(terms.bits[0]) < loss, "the second step's loss is lower");
    let (update, _) = writes("lars");
    assert!(update.before.iter().all(Option::is_some));
    assert_ne!(update.before[0].as_ref(), Some(&update.outputs[0]));
    let mut changed = update.clone();
    changed.outputs[1].bits[3] ^= 1;
    let (output, element, [a, b]) = update.first_difference(&changed).unwrap();
    assert_eq!((output, element, a.to_bits() ^ b.to_bits()), (1, 3, 1));
}
