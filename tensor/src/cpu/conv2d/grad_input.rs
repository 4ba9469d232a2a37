//! Gradient by the input. With stride 1 it is itself a convolution, of dY with the weight rotated by
//! 180 degrees and its channels swapped.

use isa::Isa;

use super::convolve::{convolve, convolve_workspace};
use super::filter::Filter;
use super::phases::{grad_input_by_phases, grad_input_by_phases_workspace};
use crate::cpu::gemm;
use crate::geometry::Conv2d;

/// Elements of scratch memory for [`grad_input`].
pub fn grad_input_workspace(conv: Conv2d) -> usize {
    if let Some([_, product, _]) = conv.as_gemms() {
        return gemm::workspace(product);
    }
    conv.turned().map_or_else(|| grad_input_by_phases_workspace(conv), convolve_workspace)
}

/// Gradient by the input: dy `[N,P,Q,O]` and weight `[O,R,S,C]` to dx `[N,H,W,C]`.
pub fn grad_input(
    isa: Isa,
    conv: Conv2d,
    dy: &[f32],
    weight: &[f32],
    dx: &mut [f32],
    workspace: &mut [f32],
) {
    if let Some([_, product, _]) = conv.as_gemms() {
        return gemm::gemm(isa, product, dy, weight, dx, workspace);
    }
    match conv.turned() {
        Some(turned) => {
            convolve(isa, turned, dy, Filter::turned(conv, weight), [dx, &mut []], workspace);
        }
        None => grad_input_by_phases(isa, conv, dy, weight, dx, workspace),
    }
}
