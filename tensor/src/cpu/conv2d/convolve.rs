//! A convolution by its algorithm.

use isa::Isa;

use super::direct::{direct, direct_workspace};
use super::filter::Filter;
use super::winograd::{F2, F4, winograd, winograd_workspace};
use crate::geometry::{Conv2d, ConvAlgorithm};

/// Elements of scratch memory for [`convolve`].
pub fn convolve_workspace(conv: Conv2d) -> usize {
    match conv.algorithm {
        ConvAlgorithm::Direct => direct_workspace(conv),
        ConvAlgorithm::Winograd2 => winograd_workspace::<F2, _, _>(conv),
        ConvAlgorithm::Winograd4 => winograd_workspace::<F4, _, _>(conv),
    }
}

/// Convolution of x `[N,H,W,C]` with `filter` into y `[N,P,Q,O]`.
pub fn convolve(
    isa: Isa,
    conv: Conv2d,
    x: &[f32],
    filter: Filter,
    y: &mut [f32],
    workspace: &mut [f32],
) {
    match conv.algorithm {
        ConvAlgorithm::Direct => direct(isa, conv, x, filter, y, workspace),
        ConvAlgorithm::Winograd2 => winograd::<F2, _, _>(isa, conv, x, filter, y, workspace),
        ConvAlgorithm::Winograd4 => winograd::<F4, _, _>(isa, conv, x, filter, y, workspace),
    }
}
