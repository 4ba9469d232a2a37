//! `carp bench conv`: convolution with its patches in memory, and with patches read in place.

use autograd::Graph;
use carp::error::Result;
use rayon::prelude::*;
use tensor::Cpu;
use tensor::Shape;
use tensor::cpu::conv2d::{self, patches::gather};
use tensor::cpu::gemm::{self, gemm};
use tensor::cpu::isa::Isa;
use tensor::geometry::{Conv2d, Gemm};

use super::contender::Contender;

/// Images, side, input and output channels of 3x3 convolutions, as in a ResNet for small images and
/// in one for large ones.
const SIZES: [(usize, usize, usize, usize); 4] =
    [(64, 32, 16, 16), (64, 16, 32, 32), (64, 8, 64, 64), (4, 56, 64, 64)];

pub fn contenders() -> Result<Vec<Contender>> {
    let mut all = Vec::new();
    for (n, side, c, o) in SIZES {
        let (x, weight) = (Shape::from([n, side, side, c]), Shape::from([o, 3, 3, c]));
        let conv = Conv2d::new(x, weight, 1, 1)?;
        all.push(with_patches(conv));
        all.push(in_place(conv));
        all.push(gradients(conv)?);
    }
    Ok(all)
}

fn name(what: &str, conv: Conv2d) -> String {
    format!("{what} {}x{}x{}x{} to {}", conv.n, conv.h, conv.w, conv.c, conv.o)
}

/// im2col, then one matrix product.
fn with_patches(conv: Conv2d) -> Contender {
    let g = Gemm { m: conv.rows(), n: conv.o, k: conv.patch(), trans_a: false, trans_b: true };
    let (x, weight) = buffers(conv);
    let mut patches = vec![0.0; conv.rows() * conv.patch()];
    let mut y = vec![0.0; conv.rows() * conv.o];
    let mut workspace = vec![0.0; gemm::workspace(g)];
    let bytes = 4 * (patches.len() + workspace.len());
    let moved = 4 * (x.len() + weight.len() + y.len()) + 2 * bytes;
    Contender {
        name: name("im2col", conv),
        flops: conv.flops(),
        made: bytes,
        moved,
        peak: bytes,
        run: Box::new(move || {
            let rows = 256;
            let parts = patches.par_chunks_mut(rows * conv.patch()).enumerate();
            parts.for_each(|(i, patches)| gather(conv, &x, i * rows, patches));
            gemm(g, &patches, &weight, &mut y, &mut workspace);
            Ok(())
        }),
    }
}

/// The kernel that training uses.
fn in_place(conv: Conv2d) -> Contender {
    let (x, weight) = buffers(conv);
    let mut y = vec![0.0; conv.rows() * conv.o];
    let mut workspace = vec![0.0; conv2d::forward_workspace(conv)];
    let bytes = 4 * workspace.len();
    let moved = 4 * (x.len() + weight.len() + y.len());
    Contender {
        name: name("in place", conv),
        flops: conv.flops(),
        made: bytes,
        moved,
        peak: bytes,
        run: Box::new(move || {
            conv2d::forward(Isa::widest(), conv, &x, &weight, &mut y, &mut workspace);
            Ok(())
        }),
    }
}

/// Forward and both gradients as training runs them.
fn gradients(conv: Conv2d) -> Result<Contender> {
    let mut graph = Graph::new();
    let x = graph.param("x", [conv.n, conv.h, conv.w, conv.c]);
    let weight = graph.param("weight", [conv.o, conv.r, conv.s, conv.c]);
    let dy = graph.input("dy", conv.y_shape());
    let y = graph.conv2d(x, weight, conv.stride, conv.padding)?;
    let grads = graph.backward(&[(y, dy)], &[x, weight])?;
    let results: Vec<_> = grads.into_iter().flatten().chain([y]).collect();
    Contender::graph(name("with gradients", conv), graph, &results, &Cpu)
}

fn buffers(conv: Conv2d) -> (Vec<f32>, Vec<f32>) {
    (vec![0.5; conv.n * conv.h * conv.w * conv.c], vec![0.25; conv.o * conv.patch()])
}
