//! `carp bench optimizer`: LARS over the convolutions of a ResNet-18, op by op, one kernel per
//! tensor, and one kernel for all tensors.

use autograd::{Graph, Passes, Phase};
use carp::error::Result;
use isa::Isa;
use tensor::Cpu;
use tensor::cpu::{pointwise, reduce};

use super::contender::Contender;

const MOMENTUM: f32 = 0.9;
const ETA: f32 = 1e-3;
const LR: f32 = 0.1;
const WEIGHT_DECAY: f32 = 1e-6;

/// Elements of ResNet-18's twenty convolutions.
fn sizes() -> Vec<usize> {
    let mut sizes = vec![64 * 7 * 7 * 3];
    for (channels, inputs) in [(64, 64), (128, 64), (256, 128), (512, 256)] {
        sizes.extend([channels * 9 * inputs, channels * 9 * channels]);
        sizes.extend([channels * 9 * channels; 2]);
        if inputs != channels {
            sizes.push(channels * inputs);
        }
    }
    sizes
}

pub fn contenders() -> Result<Vec<Contender>> {
    Ok(vec![
        op_by_op(),
        kernels("one kernel per tensor, 20 tensors", &Passes::none())?,
        kernels("one kernel over 20 tensors", &Passes::all())?,
    ])
}

fn kernels(name: &str, passes: &Passes) -> Result<Contender> {
    let mut graph = Graph::new();
    let g = &mut graph;
    let [lr, decay] = ["lr", "weight_decay"].map(|name| g.input(name, [1]));
    let mut updates = Vec::new();
    for len in sizes() {
        let [w, buffer] = ["w", "buffer"].map(|name| g.state(name, [len]));
        let grad = g.input("grad", [len]);
        updates.push((w, buffer, grad));
    }
    g.in_phase(Phase::Update, |g| {
        updates.iter().try_for_each(|&(w, buffer, grad)| {
            g.lars((MOMENTUM, ETA), (lr, decay), grad, w, buffer)
        })
    })?;
    g.fuse(passes);
    Contender::graph(name, graph, &[], &Cpu)
}

/// Weight, gradient and momentum buffer.
struct Tensor {
    weight: Vec<f32>,
    grad: Vec<f32>,
    buffer: Vec<f32>,
}

/// u = g + wd w; u = u eta |w| / |u|; buffer = momentum buffer + u; w = w - lr buffer.
fn op_by_op() -> Contender {
    let filled = |len: usize, value| vec![value; len];
    let tensor = |len| Tensor {
        weight: filled(len, 0.1),
        grad: filled(len, 0.01),
        buffer: filled(len, 0.0),
    };
    let mut tensors: Vec<Tensor> = sizes().into_iter().map(tensor).collect();
    let elements: usize = sizes().iter().sum();
    let longest = sizes().into_iter().max().unwrap_or_default();
    let mut update = vec![0.0; longest];
    let isa = Isa::preferred();
    Contender {
        name: "op by op, 20 tensors".into(),
        flops: 12 * elements as u64,
        made: 4 * elements,
        // scale 2, add 3, two norms 2, scale 2, scale 2, add 3, scale 2, add 3 numbers per element.
        moved: 4 * 19 * elements,
        peak: 4 * longest,
        run: Box::new(move || {
            for Tensor { weight, grad, buffer } in &mut tensors {
                let update = &mut update[..weight.len()];
                pointwise::scale(isa, WEIGHT_DECAY, weight, update);
                pointwise::add_assign(isa, grad, update);
                let [w_norm, u_norm] =
                    [&weight[..], &*update].map(|x| reduce::sum_of_squares(isa, x).sqrt());
                pointwise::scale_assign(isa, (f64::from(ETA) * w_norm / u_norm) as f32, update);
                pointwise::scale_assign(isa, MOMENTUM, buffer);
                pointwise::add_assign(isa, update, buffer);
                pointwise::scale(isa, -LR, buffer, update);
                pointwise::add_assign(isa, update, weight);
            }
            Ok(())
        }),
    }
}
