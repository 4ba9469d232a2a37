//! Convolution: as a plain product, as implicit GEMM (see `kernels/conv2d.cu` for the matrices), or by
//! Winograd's algorithm.

use tensor::geometry::{Conv2d, ConvAlgorithm};
use tensor::order::{direct_chain, direct_part_images};
use tensor::{Numerics, Slot};

use super::batch_norm;
use super::conv2d_tensor;
use super::gemm::{self, Tile};
use super::windows::{InputPhase, Windows, input_phases};
use super::winograd::{self, Winograd};
use crate::Gpu;

const MODULE: &str = "conv2d";

/// Elements of scratch memory for [`forward`].
pub fn forward_workspace(conv: Conv2d, numerics: Numerics) -> usize {
    if numerics != Numerics::Exact {
        return conv2d_tensor::forward_workspace(conv, numerics);
    }
    if let Some([product, ..]) = conv.as_gemms() {
        return gemm::workspace(product);
    }
    winograd(conv).map_or(0, |winograd| winograd.workspace())
}

/// y, and batch norm's sums of it if they are asked for: on tensor cores by the same kernel.
pub fn forward(
    gpu: &mut Gpu,
    conv: Conv2d,
    [x, weight]: [Slot; 2],
    y: Slot,
    sums: Option<Slot>,
    workspace: Slot,
) {
    if gpu.numerics() != Numerics::Exact {
        return conv2d_tensor::forward(gpu, conv, [x, weight], y, sums, workspace);
    }
    exact(gpu, conv, [x, weight], y, workspace);
    if let Some(sums) = sums {
        batch_norm::sums(gpu, [conv.rows(), conv.o], y, sums);
    }
}

fn exact(gpu: &mut Gpu, conv: Conv2d, [x, weight]: [Slot; 2], y: Slot, workspace: Slot) {
    if let Some([product, ..]) = conv.as_gemms() {
        return gemm::gemm(gpu, product, [x, weight], None, y, workspace);
    }
    match winograd(conv) {
        Some(winograd) => winograd.convolve(gpu, [x, weight], false, y, workspace),
        None => direct(gpu, conv, [x, weight], y),
    }
}

/// The convolution by Winograd's algorithm, if that is its own.
fn winograd(conv: Conv2d) -> Option<Winograd> {
    let names = match conv.algorithm {
        ConvAlgorithm::Direct => return None,
        ConvAlgorithm::Winograd2 => winograd::F2,
        ConvAlgorithm::Winograd4 => winograd::F4,
    };
    Some(Winograd { conv, names, budget: winograd::BUDGET })
}

fn direct(gpu: &mut Gpu, conv: Conv2d, [x, weight]: [Slot; 2], y: Slot) {
    let (kernel, tile) = match conv.o {
        ..=16 => ("conv2d_64x16", Tile::Tall),
        _ => ("conv2d_64x64", Tile::Square),
    };
    let call = Windows::of_x(conv).put(gpu.kernel(MODULE, kernel)).counts(&[conv.o]);
    let grid = tile.grid(conv.rows(), conv.o, 1);
    call.slots(&[x, weight, y]).launch(grid, [tile.threads(), 1, 1]);
}

/// Elements of scratch memory for [`grad_input`].
pub fn grad_input_workspace(conv: Conv2d, numerics: Numerics) -> usize {
    if numerics != Numerics::Exact {
        return conv2d_tensor::grad_input_workspace(conv, numerics);
    }
    if let Some([_, product, _]) = conv.as_gemms() {
        return gemm::workspace(product);
    }
    conv.turned().and_then(winograd).map_or(0, |winograd| winograd.workspace())
}

/// dx.
pub fn grad_input(gpu: &mut Gpu, conv: Conv2d, [dy, weight]: [Slot; 2], dx: Slot, workspace: Slot) {
    if gpu.numerics() != Numerics::Exact {
        return conv2d_tensor::grad_input(gpu, conv, [dy, weight], dx, None, workspace);
    }
    if let Some([_, product, _]) = conv.as_gemms() {
        return gemm::gemm(gpu, product, [dy, weight], None, dx, workspace);
    }
    match conv.turned().and_then(winograd) {
        Some(winograd) => winograd.convolve(gpu, [dy, weight], true, dx, workspace),
        None => direct_grad_input(gpu, conv, [dy, weight], dx),
    }
}

/// One launch per phase.
fn direct_grad_input(gpu: &mut Gpu, conv: Conv2d, [dy, weight]: [Slot; 2], dx: Slot) {
    let (kernel, tile) = match conv.c {
        ..=16 => ("conv2d_grad_input_64x16", Tile::Tall),
        _ => ("conv2d_grad_input_64x64", Tile::Square),
    };
    for InputPhase { windows, phase, last_tap } in input_phases(conv) {
        let call = windows.put(gpu.kernel(MODULE, kernel)).counts(&[conv.h, conv.w, conv.c]);
        let call = call.counts(&phase).counts(&[conv.s, last_tap, conv.stride, conv.patch()]);
        let grid = tile.grid(windows.pixels, conv.c, 1);
        call.slots(&[dy, weight, dx]).launch(grid, [tile.threads(), 1, 1]);
    }
}

/// Elements of scratch memory for [`grad_weight`].
pub fn grad_weight_workspace(conv: Conv2d, numerics: Numerics) -> usize {
    if numerics != Numerics::Exact {
        return conv2d_tensor::grad_weight_workspace(conv);
    }
    if let Some([.., product]) = conv.as_gemms() {
        return gemm::workspace(product);
    }
    let of_direct = || conv.n.div_ceil(direct_part_images(conv)) * conv.o * conv.patch();
    winograd(conv).map_or_else(of_direct, |winograd| winograd.grad_weight_workspace())
}

/// dweight.
pub fn grad_weight(
    gpu: &mut Gpu,
    conv: Conv2d,
    [x, dy]: [Slot; 2],
    dweight: Slot,
    workspace: Slot,
) {
    if gpu.numerics() != Numerics::Exact {
        return conv2d_tensor::grad_weight(gpu, conv, [x, dy], dweight, workspace);
    }
    if let Some([.., product]) = conv.as_gemms() {
        return gemm::gemm(gpu, product, [dy, x], None, dweight, workspace);
    }
    match winograd(conv) {
        Some(winograd) => winograd.grad_weight(gpu, [x, dy], dweight, workspace),
        None => direct_grad_weight(gpu, conv, [x, dy], dweight, workspace),
    }
}

fn direct_grad_weight(
    gpu: &mut Gpu,
    conv: Conv2d,
    [x, dy]: [Slot; 2],
    dweight: Slot,
    workspace: Slot,
) {
    let (kernel, tile) = match conv.o {
        ..=16 => ("conv2d_grad_weight_16x64", Tile::Wide),
        _ => ("conv2d_grad_weight_64x64", Tile::Square),
    };
    let images = direct_part_images(conv);
    let parts = conv.n.div_ceil(images);
    let (p, q) = (conv.out_h(), conv.out_w());
    let (chain_images, chain_rows) = direct_chain(conv, images);
    let counts = [conv.o, images * p * q, chain_images * p * q, chain_images * chain_rows * q];
    let call = Windows::of_x(conv).put(gpu.kernel(MODULE, kernel)).counts(&counts);
    let grid = tile.grid(conv.o, conv.patch(), parts);
    call.slots(&[x, dy, workspace]).launch(grid, [tile.threads(), 1, 1]);
    gemm::sum_parts(gpu, parts, workspace, None, dweight);
}
