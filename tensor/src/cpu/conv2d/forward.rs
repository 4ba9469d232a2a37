//! The forward pass.

use isa::Isa;

use super::convolve::{convolve, convolve_workspace};
use super::filter::Filter;
use crate::cpu::gemm;
use crate::geometry::Conv2d;

/// Elements of scratch memory for [`forward`].
pub fn forward_workspace(conv: Conv2d) -> usize {
    match conv.as_gemms() {
        Some([product, ..]) => gemm::workspace(product),
        None => convolve_workspace(conv),
    }
}

/// Convolution of x `[N,H,W,C]` with weight `[O,R,S,C]` into y `[N,P,Q,O]`, with batch norm's sums of
/// y's rows unless `sums` is empty.
pub fn forward(
    isa: Isa,
    conv: Conv2d,
    x: &[f32],
    weight: &[f32],
    [y, sums]: [&mut [f32]; 2],
    workspace: &mut [f32],
) {
    match conv.as_gemms() {
        Some([product, ..]) => gemm::gemm_sums(isa, product, x, weight, [y, sums], workspace),
        None => convolve(isa, conv, x, Filter::new(conv, weight), [y, sums], workspace),
    }
}
