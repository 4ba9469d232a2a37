//! Every fusion pass alone, and all together, against the unfused step.

mod common;

use autograd::{BatchNormParams, Executor, Graph, LossInputs, Pass, Passes, Phase};
use common::{PROTOTYPES, Step, executor, run};
use tensor::random::{Purpose, Stream};
use tensor::shards::Shards;
use tensor::{Cpu, Kernel};

/// The last loss of some steps, and all weights and averages after them.
fn train(executor: &mut Executor, step: &Step) -> (f32, Vec<f32>) {
    let mut order: Vec<u32> = (0..PROTOTYPES as u32).collect();
    let loss = (0..4).map(|number| run(executor, step, number, &mut order)).last().unwrap();
    let tensors = step.weights.iter().chain(&step.averages);
    (loss, tensors.flat_map(|&value| executor.read(value)).collect())
}

/// Names of a phase's kernels, in order.
fn kernels(executor: &Executor, phase: Phase) -> Vec<&'static str> {
    let nodes = executor.graph().nodes().iter().filter(|node| node.phase == phase);
    nodes.map(|node| node.kernel.name()).collect()
}

#[test]
fn every_pass_gives_the_numbers_of_the_unfused_step() {
    let (mut plain, step) = executor(&Passes::none());
    let kernels = |executor: &Executor| -> Vec<Kernel> {
        executor.graph().nodes().iter().map(|node| node.kernel).collect()
    };
    let plain_kernels = kernels(&plain);
    let (loss, weights) = train(&mut plain, &step);
    let alone = Pass::ALL.map(|pass| Passes::new([pass]));
    for passes in alone.iter().chain([&Passes::all()]) {
        let (mut fused, step) = executor(passes);
        assert!(kernels(&fused) != plain_kernels, "{passes} finds nothing");
        let (fused_loss, fused_weights) = train(&mut fused, &step);
        // Only the loss kernels change the order of additions.
        let names = passes.to_string();
        if names.contains("loss") || names == "all" {
            let scale = weights.iter().fold(0.0f32, |most, w| most.max(w.abs()));
            let pairs = weights.iter().zip(&fused_weights);
            let error = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / scale;
            assert!(error < 1e-5, "{passes}: weights are off by {error}");
            assert!((loss - fused_loss).abs() < 1e-5 * loss.abs(), "{passes}: {loss} {fused_loss}");
        } else {
            assert_eq!((loss, &weights), (fused_loss, &fused_weights), "{passes}");
        }
    }
}

#[test]
fn all_passes_leave_few_kernels() {
    let (fused, _) = executor(&Passes::all());
    let forward = [
        "conv2d_sums",
        "batch_norm_from_sums",
        "conv2d_sums",
        "batch_norm_from_sums",
        "max_pool2d",
        "conv2d_sums",
        "batch_norm_from_sums",
        "conv2d_sums",
        "batch_norm_from_sums",
        "avg_pool2d",
        "global_avg_pool",
        "gemm",
        "bias_gelu",
        "gemm_bias",
        "streaming_loss",
    ];
    assert_eq!(kernels(&fused, Phase::Forward), forward);
    assert_eq!(kernels(&fused, Phase::Update), ["ema", "lars", "sgd"]);
    // Of four batch norms two have their gradient from a convolution: one by itself, one plus the
    // residual's.
    let backward = kernels(&fused, Phase::Backward);
    let count = |name: &str| backward.iter().filter(|&&kernel| kernel == name).count();
    assert_eq!(count("conv2d_grad_input_sums"), 2, "{backward:?}");
    assert_eq!(count("batch_norm_backward_from_sums"), 2, "{backward:?}");
    assert_eq!(count("add"), 1, "{backward:?}");
}

#[test]
fn values_that_somebody_needs_are_not_fused_away() {
    let build = |keep: bool, again: bool| {
        let mut g = Graph::new();
        let (x, w) = (g.input("x", [4, 3]), g.param("w", [5, 3]));
        let bias = g.param("bias", [5]);
        let product = g.matmul(x, false, w, true).unwrap();
        let y = g.add_bias(product, bias).unwrap();
        if keep {
            g.keep(product);
        }
        if again {
            g.add(product, y).unwrap();
        }
        g.fuse(&Passes::all());
        g.nodes().len()
    };
    assert_eq!((build(false, false), build(true, false), build(false, true)), (1, 2, 3));
}

#[test]
fn passes_are_named() {
    let named = |names: &str| names.parse::<Passes>().map(|passes| passes.to_string());
    assert_eq!(named("none").unwrap(), "none");
    assert_eq!(named("all").unwrap(), "all");
    assert_eq!(named("flat-update, bias-gelu").unwrap(), "bias-gelu,flat-update");
    assert_eq!(named("tiled-loss").unwrap(), "partition-loss,streaming-loss,tiled-loss");
    let line = named("bias-gelu,relu").unwrap_err();
    assert!(line.contains("\"relu\"") && line.contains("batch-norm-relu"), "{line}");
}

/// CARP's loss of embeddings 4 and of a teacher's `dim` wide, and whether the passes fuse it.
fn fuses_loss(dim: usize, uses_entropy: bool) -> bool {
    let mut g = Graph::new();
    let inputs = LossInputs {
        student: g.param("student", [6, 4]),
        teacher: g.input("teacher", [4, dim]),
        student_prototypes: g.param("prototypes", [9, 4]),
        teacher_prototypes: g.input("teacher_prototypes", [9, dim]),
        permutation: g.input_u32("permutation", [9]),
    };
    let terms = g.carp_loss(inputs, 3).unwrap();
    let mut loss = terms.loss;
    if uses_entropy {
        loss = g.add(loss, terms.entropy).unwrap();
    }
    g.keep(loss);
    g.fuse(&Passes::all());
    let seed = g.fill([1], 1.0);
    g.backward(&[(loss, seed)], &[inputs.student]).unwrap();
    g.nodes().iter().any(|node| node.kernel.name() == "streaming_loss")
}

#[test]
fn the_loss_is_fused_only_where_one_kernel_knows_all_that_is_asked() {
    assert!(fuses_loss(4, false));
    assert!(!fuses_loss(5, false), "embeddings of two widths");
    assert!(!fuses_loss(4, true), "the gradient of a term alone");
}

/// Kernels of a convolution and a batch norm, which reads it or its input, in the given mode.
fn conv_and_norm(reads_conv: bool, training: bool, shards: usize) -> Vec<&'static str> {
    let mut g = Graph::of_shards(Shards { all: shards, local: 1 });
    let (x, w) = (g.input("x", [2, 4, 4, 3]), g.param("w", [3, 3, 3, 3]));
    let [weight, bias] = ["weight", "bias"].map(|name| g.param(name, [3]));
    let [running_mean, running_var] = ["mean", "var"].map(|name| g.state(name, [3]));
    let y = g.conv2d(x, w, 1, 1).unwrap();
    let params = BatchNormParams { weight, bias, running_mean, running_var };
    g.batch_norm(if reads_conv { y } else { x }, params, training, 1e-5, 0.1).unwrap();
    g.fuse(&"batch-norm-sums".parse().unwrap());
    g.nodes().iter().map(|node| node.kernel.name()).collect()
}

/// Kernels of the gradient of a batch norm with ReLU before a convolution, which others read as well or not.
fn gradient_of_norm_and_conv(is_kept: bool, others: usize, shards: usize) -> Vec<&'static str> {
    let mut g = Graph::of_shards(Shards { all: shards, local: 1 });
    let (x, w) = (g.param("x", [2, 4, 4, 3]), g.param("w", [3, 3, 3, 3]));
    let [weight, bias] = ["weight", "bias"].map(|name| g.param(name, [3]));
    let [running_mean, running_var] = ["mean", "var"].map(|name| g.state(name, [3]));
    let params = BatchNormParams { weight, bias, running_mean, running_var };
    let z = g.batch_norm(x, params, true, 1e-5, 0.1).unwrap();
    let z = g.relu(z);
    let y = g.conv2d(z, w, 1, 1).unwrap();
    let y = (0..others).fold(y, |y, _| g.add(y, z).unwrap());
    let passes = "batch-norm-gradient-sums".parse().unwrap();
    g.fuse(&passes);
    g.split_batch_norm().unwrap();
    let dy = g.input("dy", [2, 4, 4, 3]);
    g.backward(&[(y, dy)], &[x, weight]).unwrap();
    let mut nodes = g.nodes().iter();
    let dz =
        nodes.find(|node| matches!(node.kernel, Kernel::Conv2dGradInput(_))).unwrap().outputs[0];
    if is_kept {
        g.keep(dz);
    }
    g.fuse(&passes);
    let nodes = g.nodes().iter().filter(|node| node.phase == Phase::Backward);
    nodes.map(|node| node.kernel.name()).collect()
}

#[test]
fn a_convolution_takes_the_gradient_sums_of_the_batch_norm_that_needs_them() {
    let fused = ["conv2d_grad_input_sums", "batch_norm_backward_from_sums"];
    assert_eq!(gradient_of_norm_and_conv(false, 0, 1), fused);
    assert_eq!(gradient_of_norm_and_conv(false, 1, 1), fused);
    assert_eq!(gradient_of_norm_and_conv(false, 2, 1), [&["add"][..], &fused].concat());
    // One that is kept, and shards.
    for (is_kept, shards) in [(true, 1), (false, 2)] {
        let kernels = gradient_of_norm_and_conv(is_kept, 0, shards);
        assert!(kernels.contains(&"conv2d_grad_input"), "{kernels:?}");
        assert!(!kernels.contains(&fused[1]), "{kernels:?}");
    }
}

#[test]
fn a_convolution_takes_the_sums_of_the_batch_norm_that_needs_them() {
    assert_eq!(conv_and_norm(true, true, 1), ["conv2d_sums", "batch_norm_from_sums"]);
    for (reads_conv, training, shards) in [(false, true, 1), (true, false, 1), (true, true, 2)] {
        assert_eq!(conv_and_norm(reads_conv, training, shards), ["conv2d", "batch_norm"]);
    }
}

#[test]
fn updates_that_depend_on_each_other_stay_apart() {
    let mut g = Graph::new();
    let m = g.input("m", [1]);
    let [a, b, c] = ["a", "b", "c"].map(|name| g.state(name, [5]));
    g.ema(m, a, b).unwrap();
    g.ema(m, b, c).unwrap();
    g.fuse(&Passes::all());
    assert_eq!(g.nodes().len(), 2);
    Executor::new(g, &Cpu).unwrap().run_all().unwrap();
}

#[test]
#[should_panic(expected = "keep it before fusing")]
fn a_value_that_was_fused_away_cannot_be_kept() {
    let mut g = Graph::new();
    let (x, w, bias) = (g.input("x", [4, 3]), g.param("w", [5, 3]), g.param("bias", [5]));
    let product = g.matmul(x, false, w, true).unwrap();
    g.add_bias(product, bias).unwrap();
    g.fuse(&Passes::all());
    g.keep(product);
    let _ = Executor::new(g, &Cpu);
}

/// A random network of layers on `[5,6]`, its updates, and the loss and all tensors after a step.
fn random_step(seed: u64, passes: &Passes) -> (usize, Vec<f32>) {
    const SHAPE: [usize; 2] = [5, 6];
    let mut random = Stream::new(seed, Purpose::Test, 7, 0);
    let mut g = Graph::new();
    let scalars = ["lr", "m"].map(|name| g.input(name, [1]));
    let (mut weights, mut state) = (Vec::new(), Vec::new());
    let mut values = vec![g.input("x", SHAPE)];
    for _ in 0..12 {
        let last = values[values.len() - 1];
        let other = values[random.below(values.len() as u32) as usize];
        let mut param = |g: &mut Graph, shape: &[usize]| {
            weights.push(g.param("w", shape));
            weights[weights.len() - 1]
        };
        let y = match random.below(6) {
            0 => {
                let (w, bias) = (param(&mut g, &[6, 6]), param(&mut g, &[6]));
                g.linear(last, w, Some(bias)).unwrap()
            }
            1 => {
                let [weight, bias] = [(); 2].map(|()| param(&mut g, &[6]));
                let [running_mean, running_var] = ["mean", "var"].map(|name| g.state(name, [6]));
                state.extend([running_mean, running_var]);
                let params = BatchNormParams { weight, bias, running_mean, running_var };
                g.batch_norm(last, params, random.chance(0.7), 1e-2, 0.1).unwrap()
            }
            2 => g.add(last, other).unwrap(),
            3 => g.gelu(last),
            4 => g.relu(last),
            _ => {
                let bias = param(&mut g, &[6]);
                g.add_bias(last, bias).unwrap()
            }
        };
        if random.chance(0.1) {
            g.keep(y);
        }
        values.push(y);
    }
    let loss = g.mean(values[values.len() - 1]);
    g.keep(loss);
    g.fuse(passes);
    let seed_value = g.in_phase(Phase::Backward, |g| g.fill([1], 1.0));
    let grads = g.backward(&[(loss, seed_value)], &weights).unwrap();
    g.in_phase(Phase::Update, |g| {
        let pairs: Vec<_> =
            weights.iter().zip(grads).filter_map(|(&w, grad)| Some((w, grad?))).collect();
        for &(w, _) in &pairs {
            let average = g.state("average", g.shape(w));
            state.push(average);
            g.ema(scalars[1], w, average).unwrap();
        }
        for (w, grad) in pairs {
            let buffer = g.state("buffer", g.shape(w));
            state.push(buffer);
            g.sgd(0.9, (scalars[0], scalars[1]), grad, w, buffer).unwrap();
        }
    });
    g.fuse(passes);
    let kernels = g.nodes().len();
    let mut executor = Executor::new(g, &Cpu).unwrap();
    for &value in [values[0]].iter().chain(&weights).chain(&state).chain(&scalars) {
        let len = executor.graph().shape(value).elements();
        let data: Vec<f32> = (0..len).map(|_| random.range(0.1, 1.0)).collect();
        executor.write(value, &data);
    }
    for _ in 0..2 {
        executor.run_all().unwrap();
    }
    let read = [loss].into_iter().chain(weights).chain(state);
    (kernels, read.flat_map(|value| executor.read(value)).collect())
}

#[test]
fn random_steps_keep_their_bits_under_every_pass() {
    let passes: Vec<_> = Pass::ALL.map(|pass| Passes::new([pass])).into();
    let mut fused = 0;
    for seed in 0..150 {
        let (kernels, want) = random_step(seed, &Passes::none());
        for passes in passes.iter().chain([&Passes::all()]) {
            let (fewer, got) = random_step(seed, passes);
            let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert!(bits(&got) == bits(&want), "seed {seed}, {passes}");
            fused += usize::from(fewer < kernels);
        }
    }
    assert!(fused > 300, "only {fused} steps had anything to fuse");
}
