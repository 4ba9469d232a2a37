//! Gradient by the weight, by the convolution's algorithm.

use isa::Isa;

use super::direct_grad_weight::{direct_grad_weight, direct_grad_weight_workspace};
use super::winograd::{F2, F4, winograd_grad_weight, winograd_grad_weight_workspace};
use crate::cpu::gemm;
use crate::geometry::{Conv2d, ConvAlgorithm};

/// Elements of scratch memory for [`grad_weight`].
pub fn grad_weight_workspace(conv: Conv2d) -> usize {
    if let Some([.., product]) = conv.as_gemms() {
        return gemm::workspace(product);
    }
    match conv.algorithm {
        ConvAlgorithm::Direct => direct_grad_weight_workspace(conv),
        ConvAlgorithm::Winograd2 => winograd_grad_weight_workspace::<F2, _, _>(conv),
        ConvAlgorithm::Winograd4 => winograd_grad_weight_workspace::<F4, _, _>(conv),
    }
}

/// Gradient by the weight: x `[N,H,W,C]` and dy `[N,P,Q,O]` to dweight `[O,R,S,C]`.
pub fn grad_weight(
    isa: Isa,
    conv: Conv2d,
    x: &[f32],
    dy: &[f32],
    dweight: &mut [f32],
    workspace: &mut [f32],
) {
    if let Some([.., product]) = conv.as_gemms() {
        return gemm::gemm(isa, product, dy, x, dweight, workspace);
    }
    match conv.algorithm {
        ConvAlgorithm::Direct => direct_grad_weight(isa, conv, x, dy, dweight, workspace),
        ConvAlgorithm::Winograd2 => {
            winograd_grad_weight::<F2, _, _>(isa, conv, x, dy, dweight, workspace);
        }
        ConvAlgorithm::Winograd4 => {
            winograd_grad_weight::<F4, _, _>(isa, conv, x, dy, dweight, workspace);
        }
    }
}
