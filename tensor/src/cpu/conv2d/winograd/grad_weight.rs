//! Gradient by the weight, the transpose of the forward pass: with E = A dy A^T of each tile,
//! `dweight = G^T [sum over tiles of E * (B^T d B)] G`. Each of the TxT places is a matrix product
//! `[O, tiles] [tiles, C]`.
//!
//! Images are dealt to parts, whose sums are added in order. A part takes a group of tiles at a time:
//! transforms them, then multiplies place by place; both are shared by idle threads.

use std::ops::Range;

use isa::{Isa, LANES, Vector, multiversion};
use rayon::prelude::*;

use super::places::{Places, TILE};
use super::tiles::{Tile, input_rows, output_rows, padded};
use super::transforms::{BothSides, Transforms};
use crate::cpu::microkernel::{Walk, multiply};
use crate::geometry::Conv2d;
use crate::order::{winograd_chain_tiles, winograd_part_images};

/// Tiles of a block, which one task transforms.
const BLOCK: usize = 32;

/// Elements of the sums `[place][o][c]`.
fn sum_elements(conv: Conv2d, places: usize) -> usize {
    places * conv.o * padded(conv.c)
}

/// Blocks of a group, which is a chain of additions.
fn blocks_of_group(conv: Conv2d, m: usize) -> usize {
    winograd_chain_tiles(conv, m).div_ceil(BLOCK)
}

/// Elements of a part's scratch memory: a group's transforms of the input and of the output's
/// gradient.
fn group_elements<F: Transforms<M, T>, const M: usize, const T: usize>(conv: Conv2d) -> [usize; 2] {
    let places = Places::<F, M, T>::of(BLOCK);
    [conv.c, conv.o].map(|channels| blocks_of_group(conv, M) * places.elements(channels))
}

/// Elements of scratch memory for [`winograd_grad_weight`]: sums and a group per part.
pub fn winograd_grad_weight_workspace<F: Transforms<M, T>, const M: usize, const T: usize>(
    conv: Conv2d,
) -> usize {
    let parts = conv.n.div_ceil(winograd_part_images(conv, M));
    let [v, e] = group_elements::<F, M, T>(conv);
    parts * (sum_elements(conv, T * T) + v + e)
}

/// Gradient by the weight of a 3x3 convolution of stride 1: x `[N,H,W,C]` and dy `[N,P,Q,O]` to
/// dweight `[O,R,S,C]`, by `F(MxM,3x3)`.
pub fn winograd_grad_weight<F: Transforms<M, T>, const M: usize, const T: usize>(
    isa: Isa,
    conv: Conv2d,
    x: &[f32],
    dy: &[f32],
    dweight: &mut [f32],
    workspace: &mut [f32],
) {
    let places = Places::<F, M, T>::of(BLOCK);
    let images = winograd_part_images(conv, M);
    let sum_len = sum_elements(conv, T * T);
    let group = blocks_of_group(conv, M) * BLOCK;
    let [v_len, e_len] = group_elements::<F, M, T>(conv);
    let (sums, scratch) = workspace.split_at_mut(conv.n.div_ceil(images) * sum_len);
    sums.par_chunks_mut(sum_len).zip(scratch.par_chunks_mut(v_len + e_len)).enumerate().for_each(
        |(part, (sums, scratch))| {
            let (v, e) = scratch.split_at_mut(v_len);
            let tiles =
                [part, part + 1].map(|part| conv.n.min(part * images) * Tile::per_image(conv, M));
            for first in (tiles[0]..tiles[1]).step_by(group) {
                let end = tiles[1].min(first + group);
                transform(isa, conv, &places, x, dy, first..end, v, e);
                let next = end..tiles[1].min(end + group);
                let next = [input_rows(conv, M, next.clone(), x), output_rows(conv, M, next, dy)];
                let blocks = (end - first).div_ceil(BLOCK);
                add_products(isa, conv, &places, v, e, blocks, first > tiles[0], sums, next);
            }
        },
    );
    finish::<F, M, T>(isa, conv, sums, dweight);
}

/// The transforms of a group's tiles, and zeros up to the end of their last block.
#[allow(clippy::too_many_arguments)]
fn transform<F: Transforms<M, T>, const M: usize, const T: usize>(
    isa: Isa,
    conv: Conv2d,
    places: &Places<F, M, T>,
    x: &[f32],
    dy: &[f32],
    tiles: Range<usize>,
    v: &mut [f32],
    e: &mut [f32],
) {
    v.par_chunks_mut(places.elements(conv.c))
        .zip(e.par_chunks_mut(places.elements(conv.o)))
        .take(tiles.len().div_ceil(BLOCK))
        .enumerate()
        .for_each(|(block, (v, e))| {
            let first = tiles.start + block * BLOCK;
            let count = (tiles.end - first).min(BLOCK);
            if count < BLOCK {
                v.fill(0.0);
                e.fill(0.0);
            }
            let tiles = first..first + count;
            places.inputs(isa, conv, tiles.clone(), x, v);
            places.output_gradients(isa, conv, tiles, dy, e);
        });
}

/// `sums[place][o][c] += sum over the tiles of some blocks of e[place][tile][o] v[place][tile][c]`, over
/// nothing if not `adds`, while what is `next` comes from memory.
#[allow(clippy::too_many_arguments)]
fn add_products<F: Transforms<M, T>, const M: usize, const T: usize>(
    isa: Isa,
    conv: Conv2d,
    places: &Places<F, M, T>,
    v: &[f32],
    e: &[f32],
    blocks: usize,
    adds: bool,
    sums: &mut [f32],
    next: [&[f32]; 2],
) {
    let walk = Walk {
        inner: [1, blocks, BLOCK],
        x: [0, places.elements(conv.o), TILE],
        panel: [0, places.elements(conv.c), TILE],
        panel_step: places.panel,
        y_row: padded(conv.c),
        y_panel: LANES,
        rows: conv.o,
        outputs: padded(conv.c),
        adds,
    };
    sums.par_chunks_mut(conv.o * padded(conv.c)).enumerate().for_each(|(place, sums)| {
        places.prefetch(place, next);
        let starts = (0..conv.o).map(|o| place * places.place + places.lane(o));
        multiply(isa, &walk, e, starts, &v[place * places.place..], sums);
    });
}

/// `G^T u G` of the sum u of all parts' `sums`, into `dweight[O,R,S,C]`.
#[multiversion(isa, V)]
fn finish<F: Transforms<M, T>, const M: usize, const T: usize>(
    isa: Isa,
    conv: Conv2d,
    sums: &[f32],
    dweight: &mut [f32],
) {
    dweight.par_chunks_mut(conv.patch()).enumerate().for_each(|(o, dweight)| {
        let mut sides = BothSides::<V, _, _>::new();
        for channel in (0..conv.c).step_by(LANES) {
            let present = channel..conv.c.min(channel + LANES);
            sides.times::<F::FilterBackward>(
                |i, j| {
                    let at = ((i * T + j) * conv.o + o) * padded(conv.c) + channel;
                    sums.chunks_exact(sum_elements(conv, T * T))
                        .map(|part| V::load_some(&part[at..][..LANES]))
                        .fold(V::zero(), |sum, part| sum + part)
                },
                |r, s, lanes| {
                    lanes.store_some(&mut dweight[(r * conv.s + s) * conv.c..][present.clone()]);
                },
            );
        }
    });
}
