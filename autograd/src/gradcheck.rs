//! Checks gradients against central differences.
//!
//! For an op y = f(x_1, .., x_n) and a random cotangent u, the gradient of `L = <u, f(x)>` must
//! agree with `(L(x + h e_i) - L(x - h e_i)) / 2h`, where L is summed in f64.

use tensor::random::{Purpose, Stream};
use tensor::{Cpu, Result, Shape};

use crate::executor::Executor;
use crate::graph::{Graph, Phase, Value};

/// An input of the function under test.
#[derive(Clone, Debug)]
pub struct Input {
    /// Its shape.
    pub shape: Shape,
    /// Its elements.
    pub data: Vec<f32>,
}

impl Input {
    /// Uniform numbers in [low, high).
    pub fn uniform(stream: &mut Stream, shape: impl Into<Shape>, low: f32, high: f32) -> Input {
        let shape = shape.into();
        let data = (0..shape.elements()).map(|_| stream.range(low, high)).collect();
        Input { shape, data }
    }

    /// Numbers in random order, `gap` apart and at least a quarter of that from 0: no step of a difference
    /// crosses a kink of ReLU or of max-pooling.
    pub fn spaced(stream: &mut Stream, shape: impl Into<Shape>, gap: f32) -> Input {
        let shape = shape.into();
        let n = shape.elements() as u32;
        let mut order: Vec<u32> = (0..n).collect();
        stream.shuffle(&mut order);
        let data = order.iter().map(|&i| (i as f32 - (n / 2) as f32 + 0.25) * gap).collect();
        Input { shape, data }
    }
}

/// Maximum elements checked per input.
const SAMPLES: usize = 48;

/// The largest difference between a gradient and its central difference of step `h`, relative to
/// the largest gradient of that input, or to 1 if that is smaller.
///
/// `build` computes y from the inputs; `indices` are written to the values it returns along with y.
///
/// # Errors
/// Those of `build` and of the backward pass.
///
/// # Panics
/// If an input does not reach y.
pub fn largest_error(
    inputs: &[Input],
    h: f32,
    build: impl Fn(&mut Graph, &[Value]) -> Result<(Value, Vec<(Value, Vec<u32>)>)>,
) -> Result<f64> {
    let mut graph = Graph::new();
    let params: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(i, input)| graph.param(&format!("x{i}"), input.shape))
        .collect();
    let (y, indices) = build(&mut graph, &params)?;
    let cotangent = graph.input("cotangent", graph.shape(y));
    let grads: Vec<Value> = graph
        .backward(&[(y, cotangent)], &params)?
        .into_iter()
        .map(|grad| grad.expect("every input reaches y"))
        .collect();
    grads.iter().chain([&y]).for_each(|&value| graph.keep(value));

    let mut executor = Executor::new(graph, &Cpu)?;
    for (&param, input) in params.iter().zip(inputs) {
        executor.write(param, &input.data);
    }
    for (value, data) in &indices {
        executor.write_u32(*value, data);
    }
    let mut stream = Stream::new(0, Purpose::Test, 1, 0);
    let elements = executor.graph().shape(y).elements();
    let u: Vec<f32> = (0..elements).map(|_| stream.range(-1.0, 1.0)).collect();
    executor.write(cotangent, &u);
    executor.run(Phase::Forward)?;
    executor.run(Phase::Backward)?;
    let analytic: Vec<Vec<f32>> = grads.iter().map(|&grad| executor.read(grad)).collect();

    let mut worst = 0.0f64;
    for ((&param, input), grad) in params.iter().zip(inputs).zip(&analytic) {
        let scale = grad.iter().fold(1.0f64, |most, g| most.max(f64::from(g.abs())));
        let step = input.data.len().div_ceil(SAMPLES);
        for i in (0..input.data.len()).step_by(step) {
            let mut loss_at = |x: f32| -> Result<f64> {
                let mut data = input.data.clone();
                data[i] = x;
                executor.write(param, &data);
                executor.run(Phase::Forward)?;
                let y = executor.read(y);
                Ok(y.iter().zip(&u).map(|(y, u)| f64::from(*y) * f64::from(*u)).sum())
            };
            // The actual step in f32.
            let (above, below) = (input.data[i] + h, input.data[i] - h);
            let difference = (loss_at(above)? - loss_at(below)?) / f64::from(above - below);
            worst = worst.max((difference - f64::from(grad[i])).abs() / scale);
        }
        executor.write(param, &input.data);
    }
    Ok(worst)
}
