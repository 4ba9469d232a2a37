//! Gradient by the weight, the transpose of the forward pass: with E = A dy A^T of each tile,
//! `dweight = G^T [sum over tiles of E * (B^T d B)] G`. Each of the 16 places is a matrix product
//! `[O, tiles] [tiles, C]`.

use rayon::prelude::*;

use super::places::{self, L, Layout, TILE};
use super::tiles::{
    BLOCK, PLACES, Tile, blocks, fill, largest_slab, padded, slab_elements, tiles_per_image,
};
use super::transforms::{self, Vector};
use crate::cpu::conv2d::chunks::most_parts;
use crate::cpu::isa::Isa;
use crate::cpu::microkernel::{LANES, Walk, multiply};
use crate::geometry::Conv2d;

/// Tiles of a part, or the sum of the parts costs as much as they do.
const LEAST: usize = 96;

/// Elements of sums that stay in L2 from one block of tiles to the next.
const KEPT: usize = 256 * 1024;
/// Tiles that are added at a time, if the sums do not stay there.
const MANY: usize = 4 * BLOCK;

/// Tiles that are added at a time: with more the sums are read and written less often.
fn tiles_at_once(conv: Conv2d) -> usize {
    if partial_elements(conv) > KEPT { MANY } else { BLOCK }
}

/// Elements of a partial gradient: the sums `[place][o][c]`.
fn partial_elements(conv: Conv2d) -> usize {
    PLACES * conv.o * padded(conv.c)
}

/// Images of a part.
fn images_of_part(conv: Conv2d) -> usize {
    let fitting = most_parts(partial_elements(conv));
    let worthwhile = (conv.n * tiles_per_image(conv) / LEAST).max(1);
    // A power of two, so that threads get equal numbers of parts.
    let parts = 1 << fitting.min(worthwhile).ilog2();
    conv.n.div_ceil(parts)
}

/// Elements of a part's scratch memory: a slab, and for a block of tiles the places of the input and
/// of the output's gradient.
fn scratch_elements(conv: Conv2d) -> [usize; 3] {
    let largest = largest_slab(conv, images_of_part(conv));
    let layout = Layout::of(tiles_at_once(conv));
    [slab_elements(conv, largest), layout.elements(conv.c), layout.elements(conv.o)]
}

/// Elements of scratch memory for [`winograd_grad_weight`].
pub fn winograd_grad_weight_workspace(conv: Conv2d) -> usize {
    let parts = conv.n.div_ceil(images_of_part(conv));
    parts * (partial_elements(conv) + scratch_elements(conv).iter().sum::<usize>())
}

/// Gradient by the weight of a 3x3 convolution of stride 1: x `[N,H,W,C]` and dy `[N,P,Q,O]` to
/// dweight `[O,R,S,C]`.
pub fn winograd_grad_weight(
    isa: Isa,
    conv: Conv2d,
    x: &[f32],
    dy: &[f32],
    dweight: &mut [f32],
    workspace: &mut [f32],
) {
    let images = images_of_part(conv);
    let parts = conv.n.div_ceil(images);
    let largest = largest_slab(conv, images);
    let at_once = tiles_at_once(conv);
    let layout = Layout::of(at_once);
    let (partials, scratch) = workspace.split_at_mut(parts * partial_elements(conv));
    let [slab_len, v_len, e_len] = scratch_elements(conv);
    partials
        .par_chunks_mut(partial_elements(conv))
        .zip(scratch.par_chunks_mut(slab_len + v_len + e_len))
        .enumerate()
        .for_each(|(part, (sums, scratch))| {
            let (buffer, scratch) = scratch.split_at_mut(slab_len);
            let (v, e) = scratch.split_at_mut(v_len);
            let first = part * images;
            let (mut adds, mut tiles) = (false, 0);
            for slab in largest.cover(conv, first..conv.n.min(first + images)) {
                fill(conv, slab, x, buffer);
                let line = slab.first_image * conv.out_h() + slab.first_row;
                let dy = &dy[line * conv.out_w() * conv.o..];
                blocks(conv, slab, |block| {
                    if tiles + block.len() > at_once {
                        add_products(isa, conv, (layout, tiles), adds, v, e, sums);
                        (adds, tiles) = (true, 0);
                    }
                    let (v, e) = (&mut v[tiles * TILE..], &mut e[tiles * TILE..]);
                    isa.run(|| transform(layout, conv, buffer, dy, block, v, e));
                    tiles += block.len();
                });
            }
            add_products(isa, conv, (layout, tiles), adds, v, e, sums);
        });
    dweight.par_chunks_mut(conv.patch()).enumerate().for_each(|(o, dweight)| {
        let parts = partials.chunks_exact(partial_elements(conv));
        let whole = conv.c / L * L;
        for channel in (0..whole).step_by(L) {
            finish::<L>(conv, parts.clone(), o, channel, dweight);
        }
        for channel in whole..conv.c {
            finish::<1>(conv, parts.clone(), o, channel, dweight);
        }
    });
}

/// `v[c / 16][place][tile][c % 16]` and `e[o / 16][place][tile][o % 16]`.
#[inline(always)]
fn transform(
    layout: Layout,
    conv: Conv2d,
    slab: &[f32],
    dy: &[f32],
    block: &[Tile],
    v: &mut [f32],
    e: &mut [f32],
) {
    for (i, tile) in block.iter().enumerate() {
        places::input::<L>(layout, conv, &slab[tile.input..], &mut v[i * TILE..]);
        places::output_backward::<L>(layout, conv, dy, *tile, &mut e[i * TILE..]);
    }
}

/// `sums[place][o][c] += sum over tiles of e[place][tile][o] v[place][tile][c]`, over nothing if not
/// `adds`.
fn add_products(
    isa: Isa,
    conv: Conv2d,
    (layout, tiles): (Layout, usize),
    adds: bool,
    v: &[f32],
    e: &[f32],
    sums: &mut [f32],
) {
    let walk = Walk {
        runs: 1,
        run: tiles,
        x_run: 0,
        x_step: TILE,
        panel_step: layout.panel / LANES,
        y_row: padded(conv.c),
        y_panel: LANES,
        rows: conv.o,
        outputs: padded(conv.c),
        adds,
    };
    for (place, sums) in sums.chunks_exact_mut(conv.o * padded(conv.c)).enumerate() {
        let starts =
            (0..conv.o).map(|o| place * layout.place + o / LANES * layout.panel + o % LANES);
        multiply(isa, &walk, e, starts, &v[place * layout.place..], sums);
    }
}

/// `G^T u G` of the sum u of all parts, for `L` input channels of output o, into `dweight[R,S,C]`.
#[inline(always)]
fn finish<'a, const L: usize>(
    conv: Conv2d,
    parts: impl Iterator<Item = &'a [f32]>,
    o: usize,
    channel: usize,
    dweight: &mut [f32],
) {
    let mut u = [[Vector([0.0; L]); 4]; 4];
    for part in parts {
        for (place, u) in u.as_flattened_mut().iter_mut().enumerate() {
            *u = *u + Vector::load(&part[(place * conv.o + o) * padded(conv.c) + channel..]);
        }
    }
    for (place, lanes) in transforms::filter_backward(u).as_flattened().iter().enumerate() {
        lanes.store(&mut dweight[place * conv.c + channel..]);
    }
}
