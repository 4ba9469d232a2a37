//! Every fusion pass alone, and all together, against the unfused step.

mod common;

use autograd::{Executor, Pass, Passes, Phase};
use common::{PROTOTYPES, Step, executor, run};

/// The last loss of some steps, and all weights and averages after them.
fn train(executor: &mut Executor, step: &Step) -> (f32, Vec<f32>) {
    let mut order: Vec<u32> = (0..PROTOTYPES as u32).collect();
    let loss = (0..4).map(|number| run(executor, step, number, &mut order)).last().unwrap();
    let tensors = step.weights.iter().chain(&step.averages);
    (loss, tensors.flat_map(|&value| executor.read(value)).collect())
}

/// How often each kernel occurs, as `name times`, in the order of first occurrence.
fn kernels(executor: &Executor, phase: Phase) -> Vec<&'static str> {
    let nodes = executor.graph().nodes().iter().filter(|node| node.phase == phase);
    nodes.map(|node| node.kernel.name()).collect()
}

#[test]
fn every_pass_gives_the_numbers_of_the_unfused_step() {
    let (mut plain, step) = executor(&Passes::none());
    let nodes = plain.graph().nodes().len();
    let (loss, weights) = train(&mut plain, &step);
    let alone = Pass::ALL.map(|pass| Passes::new([pass]));
    for passes in alone.iter().chain([&Passes::all()]) {
        let (mut fused, step) = executor(passes);
        assert!(fused.graph().nodes().len() < nodes, "{passes} finds nothing");
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
        "conv2d",
        "batch_norm",
        "max_pool2d",
        "conv2d",
        "batch_norm",
        "avg_pool2d",
        "global_avg_pool",
        "gemm",
        "bias_gelu",
        "gemm_bias",
        "streaming_loss",
    ];
    assert_eq!(kernels(&fused, Phase::Forward), forward);
    assert_eq!(kernels(&fused, Phase::Update), ["ema", "lars", "sgd"]);
}

#[test]
fn values_that_somebody_needs_are_not_fused_away() {
    let build = |keep: bool, again: bool| {
        let mut g = autograd::Graph::new();
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
