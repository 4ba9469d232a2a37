//! Replays optimizers and schedules.

use autograd::{Graph, Value};
use carp::error::Result;
use carp::learner::Device;
use carp::schedule::Cosine;
use tensor::kernel::AdamW;

use crate::file::{Array, Inputs, Numbers, Outputs};

/// A parameter updated by T recorded gradients; tensors keep PyTorch's element order, which does
/// not affect an optimizer.
pub fn optimizer(kind: &str, inputs: &Inputs, device: Device) -> Result<Outputs> {
    let lrs = inputs.list("lr")?;
    let weight_decay = inputs.number("weight_decay")? as f32;
    let (shape, param) = inputs.f32("param")?;
    let (grads_shape, grads) = inputs.f32("grads")?;
    if grads_shape.first() != Some(&lrs.len()) || grads_shape[1..] != *shape {
        let detail = format!(
            "in.grads {grads_shape:?} is not [T, ...] with T = {} learning rates and in.param \
             {shape:?}",
            lrs.len()
        );
        return Err(inputs.invalid(&detail));
    }

    let mut graph = Graph::new();
    let len = [param.len()];
    let w = graph.param("param", len);
    let grad = graph.input("grad", len);
    let [lr, wd] = ["lr", "weight_decay"].map(|name| graph.input(name, [1]));
    let correction = graph.input("correction", [2]);
    let adamw = append_update(kind, inputs, &mut graph, w, grad, (lr, wd, correction), shape)?;

    let mut executor = autograd::Executor::new(graph, device)?;
    executor.write(w, param);
    executor.write(wd, &[weight_decay]);
    for (t, &rate) in (1..).zip(&lrs) {
        executor.write(lr, &[rate as f32]);
        if let Some(adamw) = adamw {
            executor.write(correction, &adamw.correction(t));
        }
        let first = (t - 1) * param.len();
        executor.write(grad, &grads[first..first + param.len()]);
        executor.run_all()?;
    }
    executor.finish()?;
    Ok(vec![("param".into(), Array::f32(shape, executor.read(w)))])
}

/// Appends the optimizer's op and returns AdamW's settings, none of the others.
fn append_update(
    kind: &str,
    inputs: &Inputs,
    graph: &mut Graph,
    w: Value,
    grad: Value,
    (lr, wd, correction): (Value, Value, Value),
    shape: &[usize],
) -> Result<Option<AdamW>> {
    let [first, second] = ["first", "second"].map(|name| graph.state(name, graph.shape(w)));
    if kind == "adamw" {
        let betas = inputs.list("betas")?;
        let &[beta1, beta2] = &betas[..] else {
            return Err(inputs.invalid("setting betas should be two numbers"));
        };
        let settings = AdamW { betas: (beta1, beta2), eps: inputs.number("eps")? as f32 };
        // The optimizers share one row of the format: settings that AdamW does not use may be
        // present.
        inputs.ignore("momentum");
        inputs.ignore("eta");
        graph.adamw(settings, (lr, wd, correction), grad, w, (first, second))?;
        return Ok(Some(settings));
    }
    let momentum = inputs.number("momentum")? as f32;
    if kind == "sgd" {
        inputs.ignore("eta");
        graph.sgd(momentum, (lr, wd), grad, w, first)?;
    } else if shape.len() > 1 {
        let eta = inputs.number("eta")? as f32;
        graph.lars((momentum, eta), (lr, wd), grad, w, first)?;
    } else {
        // LARS neither scales nor decays 1-D tensors (docs/method.md, 1.8).
        inputs.ignore("eta");
        let no_decay = graph.input("no_decay", [1]);
        graph.sgd(momentum, (lr, no_decay), grad, w, first)?;
    }
    Ok(None)
}

pub fn schedule(inputs: &Inputs) -> Result<Outputs> {
    let schedule = Cosine {
        base: inputs.number("base")?,
        end: inputs.number("final")?,
        steps: inputs.size("steps")?,
        warmup_steps: inputs.count("warmup_steps")?,
        warmup_start: inputs.number("warmup_start")?,
    };
    if schedule.warmup_steps > schedule.steps {
        let detail = format!(
            "setting warmup_steps {} is above steps {}",
            schedule.warmup_steps, schedule.steps
        );
        return Err(inputs.invalid(&detail));
    }
    let values = (0..schedule.steps).map(|step| schedule.at(step)).collect();
    let values = Array { shape: vec![schedule.steps], numbers: Numbers::F64(values) };
    Ok(vec![("values".into(), values)])
}
