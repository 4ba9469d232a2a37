//! The forward pass.

use super::convolve::{convolve, convolve_workspace};
use super::filter::Filter;
use crate::cpu::gemm;
use crate::cpu::isa::Isa;
use crate::geometry::{Conv2d, Gemm};

fn as_gemm(conv: Conv2d) -> Gemm {
    Gemm { m: conv.rows(), n: conv.o, k: conv.c, trans_a: false, trans_b: true }
}

/// Elements of scratch memory for [`forward`].
pub fn forward_workspace(conv: Conv2d) -> usize {
    if conv.is_plain_gemm() {
        return gemm::workspace(as_gemm(conv));
    }
    convolve_workspace(conv)
}

/// Convolution of x `[N,H,W,C]` with weight `[O,R,S,C]` into y `[N,P,Q,O]`.
pub fn forward(
    isa: Isa,
    conv: Conv2d,
    x: &[f32],
    weight: &[f32],
    y: &mut [f32],
    workspace: &mut [f32],
) {
    if conv.is_plain_gemm() {
        return gemm::gemm(isa, as_gemm(conv), x, weight, y, workspace);
    }
    convolve(isa, conv, x, Filter::new(conv, weight), y, workspace);
}
