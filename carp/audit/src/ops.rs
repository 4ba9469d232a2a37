//! Replays single ops: builds the op's graph, runs it forward and backward.

use autograd::{BatchNormParams, Executor, Graph, Value};
use carp::error::Result;
use carp::layout;
use carp::learner::Device;

use crate::file::{Array, Inputs, Outputs};

/// A graph under construction and its input arrays.
pub(super) struct Replay<'a, 'b> {
    pub graph: Graph,
    inputs: &'a Inputs<'b>,
    device: Device<'a>,
    written: Vec<(Value, Vec<f32>)>,
    read: Vec<(String, Value)>,
}

impl<'a, 'b> Replay<'a, 'b> {
    pub fn new(inputs: &'a Inputs<'b>, device: Device<'a>) -> Self {
        Replay { graph: Graph::new(), inputs, device, written: Vec::new(), read: Vec::new() }
    }

    /// `in.NAME` as a tensor that can have a gradient.
    pub fn param(&mut self, name: &str) -> Result<Value> {
        let (shape, data) = self.inputs.f32(name)?;
        let own = layout::own_shape(shape);
        if own.len() > 4 {
            return Err(self.inputs.invalid(&format!("in.{name} has {} sizes", own.len())));
        }
        let value = self.graph.param(name, &own[..]);
        self.written.push((value, layout::from_pytorch(shape, data)));
        Ok(value)
    }

    /// Compares `value` with `out.NAME`.
    pub fn output(&mut self, name: &str, value: Value) {
        self.graph.keep(value);
        self.read.push((name.to_owned(), value));
    }

    /// The usual end of an op: y is an output and, if `in.grad_y` is given, so are the gradients of
    /// `wrt`, as `grad_NAME`.
    pub fn finish(mut self, y: Value, wrt: &[(&str, Value)]) -> Result<Outputs> {
        self.output("y", y);
        if self.inputs.optional("grad_y").is_some() {
            let grad_y = self.param("grad_y")?;
            self.gradients(y, grad_y, wrt)?;
        }
        self.run()
    }

    /// The gradients of `wrt` are outputs, as `grad_NAME`, from that of y.
    pub fn gradients(&mut self, y: Value, grad_y: Value, wrt: &[(&str, Value)]) -> Result<()> {
        let values: Vec<Value> = wrt.iter().map(|(_, value)| *value).collect();
        let grads = self.graph.backward(&[(y, grad_y)], &values)?;
        for ((name, _), grad) in wrt.iter().zip(grads) {
            self.output(&format!("grad_{name}"), grad.expect("y depends on every input"));
        }
        Ok(())
    }

    /// Runs the graph and reads the outputs.
    pub fn run(self) -> Result<Outputs> {
        let mut executor = Executor::new(self.graph, self.device)?;
        for (value, data) in &self.written {
            executor.write(*value, data);
        }
        executor.run_all()?;
        executor.finish()?;
        let read = |(name, value): (String, Value)| {
            let data = executor.read(value);
            let (shape, data) = layout::to_pytorch(&executor.graph().shape(value), data);
            (name, Array::f32(&shape, data))
        };
        Ok(self.read.into_iter().map(read).collect())
    }
}

pub fn conv2d(inputs: &Inputs, device: Device) -> Result<Outputs> {
    let (stride, padding) = (inputs.count("stride")?, inputs.count("padding")?);
    let mut replay = Replay::new(inputs, device);
    let (x, weight) = (replay.param("x")?, replay.param("weight")?);
    let y = replay.graph.conv2d(x, weight, stride, padding)?;
    replay.finish(y, &[("x", x), ("weight", weight)])
}

pub fn batch_norm(inputs: &Inputs, device: Device) -> Result<Outputs> {
    let (eps, momentum) = (inputs.number("eps")? as f32, inputs.number("momentum")? as f32);
    let training = inputs.flag("training")?;
    let mut replay = Replay::new(inputs, device);
    let x = replay.param("x")?;
    let [weight, bias] = [replay.param("weight")?, replay.param("bias")?];
    let [running_mean, running_var] = [replay.param("running_mean")?, replay.param("running_var")?];
    let params = BatchNormParams { weight, bias, running_mean, running_var };
    let y = replay.graph.batch_norm(x, params, training, eps, momentum)?;
    replay.output("running_mean", running_mean);
    replay.output("running_var", running_var);
    replay.finish(y, &[("x", x), ("weight", weight), ("bias", bias)])
}

pub fn pointwise(
    inputs: &Inputs,
    device: Device,
    op: impl Fn(&mut Graph, Value) -> Value,
) -> Result<Outputs> {
    let mut replay = Replay::new(inputs, device);
    let x = replay.param("x")?;
    let y = op(&mut replay.graph, x);
    replay.finish(y, &[("x", x)])
}

pub fn pool(inputs: &Inputs, device: Device, max: bool) -> Result<Outputs> {
    let kernel = inputs.count("kernel")?;
    let (stride, padding) = (inputs.count("stride")?, inputs.count("padding")?);
    let mut replay = Replay::new(inputs, device);
    let x = replay.param("x")?;
    let y = if max {
        replay.graph.max_pool2d(x, kernel, stride, padding)?
    } else {
        replay.graph.avg_pool2d(x, kernel, stride, padding)?
    };
    replay.finish(y, &[("x", x)])
}

pub fn linear(inputs: &Inputs, device: Device) -> Result<Outputs> {
    let mut replay = Replay::new(inputs, device);
    let [x, weight, bias] = [replay.param("x")?, replay.param("weight")?, replay.param("bias")?];
    let y = replay.graph.linear(x, weight, Some(bias))?;
    replay.finish(y, &[("x", x), ("weight", weight), ("bias", bias)])
}

pub fn weight_norm_linear(inputs: &Inputs, device: Device) -> Result<Outputs> {
    let mut replay = Replay::new(inputs, device);
    let [x, weight_v] = [replay.param("x")?, replay.param("weight_v")?];
    let weight = replay.graph.weight_norm(weight_v);
    let y = replay.graph.linear(x, weight, None)?;
    replay.finish(y, &[("x", x), ("weight_v", weight_v)])
}
