//! A convolution by its algorithm.

use isa::Isa;

use super::direct::{direct, direct_workspace};
use super::filter::Filter;
use super::winograd::{F2, F4, winograd, winograd_workspace};
use crate::cpu::group_sums::OutputRows;
use crate::geometry::{Conv2d, ConvAlgorithm};

/// Elements of scratch memory for [`convolve`].
pub fn convolve_workspace(conv: Conv2d) -> usize {
    match conv.algorithm {
        ConvAlgorithm::Direct => direct_workspace(conv),
        ConvAlgorithm::Winograd2 => winograd_workspace::<F2, _, _>(conv),
        ConvAlgorithm::Winograd4 => winograd_workspace::<F4, _, _>(conv),
    }
}

/// Convolution of x `[N,H,W,C]` with `filter` into y `[N,P,Q,O]`, with batch norm's sums of y's rows
/// unless `sums` is empty.
pub fn convolve(
    isa: Isa,
    conv: Conv2d,
    x: &[f32],
    filter: Filter,
    [y, sums]: [&mut [f32]; 2],
    workspace: &mut [f32],
) {
    let rows = OutputRows::all(isa, y, conv.o, sums);
    match conv.algorithm {
        ConvAlgorithm::Direct => direct(isa, conv, x, filter, rows, workspace),
        ConvAlgorithm::Winograd2 => winograd::<F2, _, _>(isa, conv, x, filter, rows, workspace),
        ConvAlgorithm::Winograd4 => winograd::<F4, _, _>(isa, conv, x, filter, rows, workspace),
    }
}
