//! Batch norm folded into the convolution before it computes the same in no more memory.

use autograd::{BatchNormParams, Executor, FoldedNorm, Graph, Passes, Phase, Value};
use tensor::Cpu;
use tensor::random::{Purpose, Stream};

const CHANNELS: usize = 8;

/// A residual block with a downsampled shortcut in inference, as in ResNets.
struct Block {
    graph: Graph,
    x: Value,
    y: Value,
    /// Weight of a convolution, tensors of the batch norm behind it.
    layers: Vec<(Value, BatchNormParams)>,
}

/// With the third layer's weight also that of the second, if `shared`.
fn block(shared: bool) -> Block {
    let mut graph = Graph::new();
    let g = &mut graph;
    let x = g.input("x", [2, 9, 9, CHANNELS]);
    let mut layers: Vec<(Value, BatchNormParams)> = Vec::new();
    let mut layer = |g: &mut Graph, x: Value| {
        let weight = match layers.last() {
            Some(&(weight, _)) if shared => weight,
            _ => g.state("conv", [CHANNELS, 3, 3, CHANNELS]),
        };
        let [gamma, bias, running_mean, running_var] =
            ["gamma", "beta", "mean", "var"].map(|name| g.state(name, [CHANNELS]));
        let norm = BatchNormParams { weight: gamma, bias, running_mean, running_var };
        layers.push((weight, norm));
        let y = g.conv2d(x, weight, 1, 1).unwrap();
        g.batch_norm(y, norm, false, 1e-5, 0.1).unwrap()
    };
    let inner = layer(g, x);
    let inner = g.relu(inner);
    let shortcut = layer(g, x);
    let y = layer(g, inner);
    let y = g.add(y, shortcut).unwrap();
    let y = g.relu(y);
    g.keep(y);
    g.fuse(&Passes::all());
    Block { graph, x, y, layers }
}

/// The output with numbers from fixed random streams, and the planned bytes.
fn run(block: Block, folded: &[FoldedNorm]) -> (Vec<f32>, usize) {
    let mut executor = Executor::new(block.graph, &Cpu).unwrap();
    let mut streams = 0..;
    let mut write = |executor: &mut Executor, value: Value, least: f32, most: f32| {
        let mut stream = Stream::new(2, Purpose::Test, 0, streams.next().unwrap());
        let len = executor.graph().shape(value).elements();
        let data: Vec<f32> = (0..len).map(|_| stream.range(least, most)).collect();
        executor.write(value, &data);
        data
    };
    write(&mut executor, block.x, -1.0, 1.0);
    for (weight, norm) in block.layers {
        let numbers = write(&mut executor, weight, -0.3, 0.3);
        let gamma = write(&mut executor, norm.weight, -1.5, 1.5);
        let beta = write(&mut executor, norm.bias, -1.0, 1.0);
        let mean = write(&mut executor, norm.running_mean, -2.0, 2.0);
        let var = write(&mut executor, norm.running_var, 0.0, 3.0);
        if let Some(folded) = folded.iter().find(|folded| folded.weight == weight) {
            let (weight, bias) = folded.fold(&numbers, [&gamma, &beta, &mean, &var]);
            executor.write(folded.weight, &weight);
            executor.write(folded.norm.bias, &bias);
        }
    }
    executor.run(Phase::Forward).unwrap();
    (executor.read(block.y), executor.plan().bytes())
}

#[test]
fn folded_layers_compute_the_same_in_no_more_memory() {
    let mut small = block(false);
    let folded = small.graph.fold_batch_norms();
    let names: Vec<_> = small.graph.nodes().iter().map(|node| node.kernel.name()).collect();
    assert_eq!(folded.len(), 3);
    assert_eq!(names.iter().filter(|&&name| name == "bias_relu").count(), 1, "{names:?}");
    assert_eq!(names.iter().filter(|&&name| name == "add_bias").count(), 1, "{names:?}");
    assert_eq!(names.iter().filter(|&&name| name == "bias_add_relu").count(), 1, "{names:?}");
    let (got, bytes) = run(small, &folded);
    let (want, bytes_before) = run(block(false), &[]);
    let largest = want.iter().fold(0.0f32, |largest, y| largest.max(y.abs()));
    for (got, want) in got.iter().zip(&want) {
        assert!((got - want).abs() <= 1e-6 * largest, "{got}, should be {want}");
    }
    assert!(bytes <= bytes_before, "{bytes} bytes, {bytes_before} before");
}

#[test]
fn a_weight_with_two_readers_stays_as_it_is() {
    assert!(block(true).graph.fold_batch_norms().is_empty());
}

#[test]
fn training_folds_nothing() {
    let mut graph = Graph::new();
    let x = graph.input("x", [2, 9, 9, 1]);
    let weight = graph.param("conv", [1, 3, 3, 1]);
    let [gamma, bias, running_mean, running_var] =
        ["a", "b", "c", "d"].map(|n| graph.state(n, [1]));
    let norm = BatchNormParams { weight: gamma, bias, running_mean, running_var };
    let y = graph.conv2d(x, weight, 1, 1).unwrap();
    graph.batch_norm(y, norm, true, 1e-5, 0.1).unwrap();
    assert!(graph.fold_batch_norms().is_empty());
}
