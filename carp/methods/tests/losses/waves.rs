//! Inputs of a closed form, and losses run on them.

use autograd::gradcheck::Input;
use autograd::{Executor, Graph, Result, Value};
use tensor::Cpu;

/// `f_v[n,d] = sin(0.3 (v+1) + 0.7 (n+1) + 0.11 (d+1) (n+2))`.
pub struct Wave {
    pub v: usize,
    pub rows: usize,
    pub columns: usize,
}

impl Wave {
    pub fn data(&self) -> Vec<f32> {
        let element = |place: usize| {
            let (n, d) = ((place / self.columns) as f64, (place % self.columns) as f64);
            let angle = 0.3 * (self.v + 1) as f64 + 0.7 * (n + 1.0) + 0.11 * (d + 1.0) * (n + 2.0);
            angle.sin() as f32
        };
        (0..self.rows * self.columns).map(element).collect()
    }

    pub fn input(&self) -> Input {
        Input { shape: [self.rows, self.columns].into(), data: self.data() }
    }
}

/// Several waves of one shape below each other, as one input.
pub fn stacked(waves: &[Wave]) -> Input {
    let rows = waves.iter().map(|wave| wave.rows).sum::<usize>();
    let data = waves.iter().flat_map(Wave::data).collect();
    Input { shape: [rows, waves[0].columns].into(), data }
}

/// Each row divided by its length.
pub fn unit_rows(data: &[f32], columns: usize) -> Vec<f32> {
    let unit = |row: &[f32]| {
        let length = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
        row.iter().map(|&x| (f64::from(x) / length) as f32).collect::<Vec<_>>()
    };
    data.chunks(columns).flat_map(unit).collect()
}

/// The loss of the inputs, and its gradient by each that reaches it as something trained.
pub fn evaluate(
    inputs: &[Input],
    loss: impl Fn(&mut Graph, &[Value]) -> Result<Value>,
) -> (f64, Vec<Vec<f32>>) {
    let mut g = Graph::new();
    let x: Vec<Value> = inputs.iter().map(|input| g.param("x", input.shape)).collect();
    let loss = loss(&mut g, &x).unwrap();
    let seed = g.fill([1], 1.0);
    let grads = g.backward(&[(loss, seed)], &x).unwrap();
    g.keep(loss);
    grads.iter().flatten().for_each(|&grad| g.keep(grad));
    let mut executor = Executor::new(g, &Cpu).unwrap();
    for (&x, input) in x.iter().zip(inputs) {
        executor.write(x, &input.data);
    }
    executor.run_all().unwrap();
    let grads = grads.iter().flatten().map(|&grad| executor.read(grad)).collect();
    (f64::from(executor.scalar(loss)), grads)
}

/// Fails unless `got` is within `tolerance` of `want`, relative to it or to 1e-2.
pub fn close(name: &str, got: f64, want: f64, tolerance: f64) {
    let off = (got - want).abs() / want.abs().max(1e-2);
    assert!(off < tolerance, "{name}: {got}, should be {want}, off by {off}");
}
