//! A small training step with every family of ops.

use autograd::{BatchNormParams, Executor, Graph, LossInputs, Passes, Phase, Result, Value};
use tensor::Cpu;
use tensor::random::{Purpose, Stream};

/// Handles of the step.
pub struct Step {
    pub images: Value,
    pub teacher: Value,
    pub teacher_prototypes: Value,
    pub permutation: Value,
    pub weights: Vec<Value>,
    pub averages: Vec<Value>,
    pub scalars: [Value; 2],
    /// Whether all was finite, and the loss.
    pub report: Value,
}

pub const BATCH: usize = 16;
pub const PROTOTYPES: usize = 40;

fn norm(g: &mut Graph, name: &str, channels: usize, weights: &mut Vec<Value>) -> BatchNormParams {
    let weight = g.param(&format!("{name}.weight"), [channels]);
    let bias = g.param(&format!("{name}.bias"), [channels]);
    weights.extend([weight, bias]);
    let running_mean = g.state(&format!("{name}.mean"), [channels]);
    let running_var = g.state(&format!("{name}.var"), [channels]);
    BatchNormParams { weight, bias, running_mean, running_var }
}

/// Two views through four convolutions, pools, a head and the loss against given teacher embeddings;
/// then a moving average and LARS.
pub fn build(passes: &Passes) -> Result<(Graph, Step)> {
    let mut graph = Graph::new();
    let g = &mut graph;
    let images = g.input("images", [2 * BATCH, 12, 12, 3]);
    let teacher = g.input("teacher", [2 * BATCH, 16]);
    let teacher_prototypes = g.input("teacher_prototypes", [PROTOTYPES, 16]);
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
    let w4 = weight(g, "linear2", &[16, 16]);
    let v = weight(g, "prototypes", &[PROTOTYPES, 16]);
    let w5 = weight(g, "conv3", &[8, 1, 1, 8]);
    let w6 = weight(g, "conv4", &[8, 3, 3, 8]);
    let b3 = weight(g, "bias", &[16]);
    let b4 = weight(g, "bias2", &[16]);
    let [n1, n2, n3, n4] = ["n1", "n2", "n3", "n4"].map(|name| norm(g, name, 8, &mut weights));
    let mut x = g.conv2d(images, w1, 1, 1)?;
    x = g.batch_norm(x, n1, true, 1e-5, 0.1)?;
    x = g.relu(x);
    x = g.conv2d(x, w5, 1, 0)?;
    x = g.batch_norm(x, n3, true, 1e-5, 0.1)?;
    x = g.relu(x);
    x = g.max_pool2d(x, 3, 2, 1)?;
    let mut y = g.scope("block", |g| g.conv2d(x, w2, 1, 1))?;
    y = g.batch_norm(y, n2, true, 1e-5, 0.1)?;
    y = g.add(y, x)?;
    x = g.relu(y);
    y = g.conv2d(x, w6, 1, 1)?;
    y = g.batch_norm(y, n4, true, 1e-5, 0.1)?;
    y = g.add(y, x)?;
    x = g.relu(y);
    x = g.avg_pool2d(x, 2, 2, 0)?;
    x = g.global_avg_pool(x)?;
    x = g.linear(x, w3, Some(b3))?;
    x = g.gelu(x);
    x = g.linear(x, w4, Some(b4))?;
    let inputs =
        LossInputs { student: x, teacher, student_prototypes: v, teacher_prototypes, permutation };
    let terms = g.carp_loss(inputs, 7)?;
    g.keep(terms.loss);
    g.fuse(passes);
    let seed = g.in_phase(Phase::Backward, |g| g.fill([1], 1.0));
    let grads = g.backward(&[(terms.loss, seed)], &weights)?;
    let averages = g.in_phase(Phase::Update, |g| -> Result<_> {
        let average = |&w: &Value| g.state("average", g.shape(w));
        let averages: Vec<_> = weights.iter().map(average).collect();
        for (&w, &average) in weights.iter().zip(&averages) {
            g.ema(scalars[1], w, average)?;
        }
        for (&w, grad) in weights.iter().zip(grads) {
            let buffer = g.state("buffer", g.shape(w));
            let grad = grad.expect("every weight reaches the loss");
            if g.shape(w).len() > 1 {
                g.lars((0.9, 0.02), (scalars[0], scalars[1]), grad, w, buffer)?;
            } else {
                g.sgd(0.9, (scalars[0], scalars[1]), grad, w, buffer)?;
            }
        }
        Ok(averages)
    })?;
    g.fuse(passes);
    let report = g.guard_updates(&[terms.loss]);
    let step = Step {
        images,
        teacher,
        teacher_prototypes,
        permutation,
        weights,
        averages,
        scalars,
        report,
    };
    Ok((graph, step))
}

/// The step with weights and inputs from fixed random streams.
pub fn executor(passes: &Passes) -> (Executor, Step) {
    let (graph, step) = build(passes).unwrap();
    let mut executor = Executor::new(graph, &Cpu).unwrap();
    let inputs = [step.images, step.teacher, step.teacher_prototypes];
    let inputs = inputs.into_iter().chain(step.weights.iter().copied());
    for (i, value) in (0..).zip(inputs) {
        let mut stream = Stream::new(1, Purpose::Test, 0, i);
        let len = executor.graph().shape(value).elements();
        let data: Vec<f32> = (0..len).map(|_| 0.5 * stream.normal()).collect();
        executor.write(value, &data);
    }
    (executor, step)
}

/// One step with its own partition and settings, as in a training loop.
pub fn run(executor: &mut Executor, step: &Step, number: u32, order: &mut [u32]) -> f32 {
    order.rotate_left(number as usize % PROTOTYPES);
    executor.write_u32(step.permutation, order);
    executor.write(step.scalars[0], &[0.1]);
    executor.write(step.scalars[1], &[0.01]);
    executor.run_all().unwrap();
    let mut loss = [0.0];
    executor.read_part(step.report, 1, &mut loss);
    loss[0]
}
