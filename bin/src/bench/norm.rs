//! `carp bench norm`: batch norm, residual add and ReLU as three ops and as one, with gradients.

use autograd::{BatchNormParams, Graph, Passes};
use carp::error::Result;
use tensor::Cpu;

use super::contender::Contender;

/// Images, side and channels at three depths of a ResNet for small images.
const SIZES: [(usize, usize, usize); 3] = [(64, 32, 16), (64, 16, 32), (64, 4, 128)];

pub fn contenders() -> Result<Vec<Contender>> {
    let mut all = Vec::new();
    for size in SIZES {
        for fused in [false, true] {
            all.push(contender(size, fused)?);
        }
    }
    Ok(all)
}

fn contender((n, side, channels): (usize, usize, usize), fused: bool) -> Result<Contender> {
    let mut graph = Graph::new();
    let shape = [n, side, side, channels];
    let [x, residual] = ["x", "residual"].map(|name| graph.param(name, shape));
    let dy = graph.input("dy", shape);
    let [weight, bias] = ["weight", "bias"].map(|name| graph.param(name, [channels]));
    let [running_mean, running_var] = ["mean", "var"].map(|name| graph.state(name, [channels]));
    let params = BatchNormParams { weight, bias, running_mean, running_var };
    let y = graph.batch_norm(x, params, true, 1e-5, 0.1)?;
    let y = graph.add(y, residual)?;
    let y = graph.relu(y);
    if fused {
        graph.fuse(&Passes::all());
    }
    let grads = graph.backward(&[(y, dy)], &[x, residual, weight, bias])?;
    let results: Vec<_> = grads.into_iter().flatten().chain([y]).collect();
    let kind = if fused { "one op" } else { "three ops" };
    Contender::graph(format!("{kind}, {n}x{side}x{side}x{channels}"), graph, &results, &Cpu)
}
