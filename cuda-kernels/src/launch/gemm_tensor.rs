//! Matrix products on tensor cores. A product is a 1x1 convolution of as many images of one pixel as it
//! has rows, or one of its gradients, and runs on the kernels of `conv2d_tensor.cu`.

use tensor::geometry::{Conv2d, ConvAlgorithm, Gemm};
use tensor::order::inner_part;
use tensor::{Numerics, Slot};

use super::conv2d_tensor;
use super::gemm::{self, Tile};
use crate::Gpu;

/// What a product is of a 1x1 convolution.
enum Role {
    /// x W^T.
    Forward,
    /// dy W.
    GradInput,
    /// dy^T x.
    GradWeight,
}

/// The 1x1 convolution of `[rows, channels]` with a weight `[outputs, channels]`.
pub fn convolution(rows: usize, channels: usize, outputs: usize) -> Conv2d {
    Conv2d {
        n: rows,
        h: 1,
        w: 1,
        c: channels,
        o: outputs,
        r: 1,
        s: 1,
        stride: 1,
        padding: 0,
        algorithm: ConvAlgorithm::Direct,
    }
}

/// The inverse of [`Conv2d::as_gemms`]; none of two transposed matrices, which no layer multiplies.
fn as_convolution(gemm: Gemm) -> Option<(Role, Conv2d)> {
    let Gemm { m, n, k, trans_a, trans_b } = gemm;
    match (trans_a, trans_b) {
        (false, true) => Some((Role::Forward, convolution(m, k, n))),
        (false, false) => Some((Role::GradInput, convolution(m, n, k))),
        (true, false) => Some((Role::GradWeight, convolution(k, n, m))),
        (true, true) => None,
    }
}

/// The convolution that computes a product in these numerics, if tensor cores do. Where a product has few
/// rows or columns, exact kernels have narrow tiles and cut the inner size, and keep more of a card busy
/// than tiles of 128 x 64 of which most is empty.
fn on_tensor_cores(gemm: Gemm, numerics: Numerics) -> Option<(Role, Conv2d)> {
    let is_narrow = matches!(Tile::of(gemm.m, gemm.n), Tile::Tall | Tile::Wide);
    let is_cut = inner_part(gemm) < gemm.k && !gemm.trans_a;
    let pays = numerics != Numerics::Exact && !is_narrow && !is_cut;
    as_convolution(gemm).filter(|_| pays)
}

/// Elements of scratch memory for [`gemm`].
pub fn workspace(gemm: Gemm, numerics: Numerics) -> usize {
    match on_tensor_cores(gemm, numerics) {
        Some((Role::Forward, conv)) => conv2d_tensor::forward_workspace(conv, numerics),
        Some((Role::GradInput, conv)) => conv2d_tensor::grad_input_workspace(conv, numerics),
        Some((Role::GradWeight, conv)) => conv2d_tensor::grad_weight_workspace(conv),
        None => gemm::workspace(gemm),
    }
}

/// C = op(A) op(B), plus the bias in every row: on tensor cores where the device's numerics allow and it
/// pays, else exactly.
pub fn gemm(
    gpu: &mut Gpu,
    gemm: Gemm,
    [a, b]: [Slot; 2],
    bias: Option<Slot>,
    c: Slot,
    workspace: Slot,
) {
    let Some((role, conv)) = on_tensor_cores(gemm, gpu.numerics()) else {
        return gemm::gemm(gpu, gemm, [a, b], bias, c, workspace);
    };
    match role {
        Role::Forward => conv2d_tensor::forward(gpu, conv, [a, b], c, None, workspace),
        Role::GradInput => conv2d_tensor::grad_input(gpu, conv, [a, b], c, None, workspace),
        Role::GradWeight => conv2d_tensor::grad_weight(gpu, conv, [b, a], c, workspace),
    }
    if let Some(bias) = bias {
        let call = gpu.kernel("pointwise", "add_bias").slots(&[c, bias, c]);
        call.counts(&[c.len, bias.len]).each_element(c.len);
    }
}
