//! `carp bench gemm`: matrix products of a training step, by our microkernel with each instruction
//! set and by the crate `matrixmultiply`.

use carp::error::Result;
use isa::Isa;
use rayon::prelude::*;
use tensor::cpu::gemm::{self, Strides, gemm};
use tensor::geometry::Gemm;

use super::contender::Contender;
use super::matrixmultiply;

/// What is multiplied: a 1x1 convolution of a ResNet-50 at 14x14, its gradient by the weight, a
/// layer of the head, and a square.
const PRODUCTS: [(&str, Gemm); 4] = [
    ("1x1", Gemm { m: 16 * 14 * 14, n: 256, k: 1024, trans_a: false, trans_b: true }),
    ("by weight", Gemm { m: 256, n: 1024, k: 16 * 14 * 14, trans_a: true, trans_b: false }),
    ("linear", Gemm { m: 256, n: 2048, k: 2048, trans_a: false, trans_b: true }),
    ("square", Gemm { m: 1024, n: 1024, k: 1024, trans_a: false, trans_b: false }),
];

pub fn contenders() -> Result<Vec<Contender>> {
    let mut contenders = Vec::new();
    for (what, g) in PRODUCTS {
        let name = |by: &str| format!("{what} {}x{}x{} {by}", g.m, g.k, g.n);
        contenders.push(theirs(name("matrixmultiply"), g));
        contenders.extend(Isa::available().map(|isa| ours(name(isa.name()), g, isa)));
    }
    Ok(contenders)
}

fn ours(name: String, g: Gemm, isa: Isa) -> Contender {
    let [a, b, mut c] = buffers(g);
    let mut workspace = vec![0.0; gemm::workspace(g)];
    let made = 4 * workspace.len();
    contender(name, g, made, move || gemm(isa, g, &a, &b, &mut c, &mut workspace))
}

/// A part of C's rows per thread.
fn theirs(name: String, g: Gemm) -> Contender {
    let Gemm { m, n, k, trans_a, trans_b } = g;
    let [a, b, mut c] = buffers(g);
    let a_strides = Strides::new(if trans_a { m } else { k }, trans_a);
    let b_strides = Strides::new(if trans_b { k } else { n }, trans_b);
    contender(name, g, 0, move || {
        let rows = m.div_ceil(rayon::current_num_threads());
        c.par_chunks_mut(rows * n).enumerate().for_each(|(part, c)| {
            let a = &a[part * rows * a_strides.row..];
            matrixmultiply::sgemm((c.len() / n, k, n), (a, a_strides), (&b, b_strides), c);
        });
    })
}

fn contender(
    name: String,
    g: Gemm,
    made: usize,
    mut run: impl FnMut() + Send + 'static,
) -> Contender {
    let moved = 4 * (g.m * g.k + g.k * g.n + g.m * g.n);
    let run = Box::new(move || {
        run();
        Ok(())
    });
    Contender { name, flops: g.flops(), made, moved, peak: made, run }
}

fn buffers(g: Gemm) -> [Vec<f32>; 3] {
    [g.m * g.k, g.k * g.n, g.m * g.n].map(|len| vec![0.5; len])
}
