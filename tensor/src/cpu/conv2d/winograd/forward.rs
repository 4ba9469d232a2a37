//! Forward pass and gradient by the input, which differ in the filter.

use isa::{Isa, LANES, Vector, multiversion};
use rayon::prelude::*;

use super::places::{Places, TILE};
use super::tiles::{Tile, input_rows, output_rows, padded};
use super::transforms::{BothSides, Transforms};
use crate::cpu::conv2d::filter::Filter;
use crate::cpu::conv2d::tasks::images_per_task;
use crate::cpu::group_sums::OutputRows;
use crate::cpu::microkernel::{Walk, multiply};
use crate::geometry::Conv2d;

/// Tiles that are worked on at a time: few, to stay in L2, and whole tiles of every microkernel.
const BLOCK: usize = 24;

/// Elements of all filters' transforms.
fn filter_elements(conv: Conv2d, places: usize) -> usize {
    places * padded(conv.o) * padded(conv.c)
}

/// Images of a task: at least a block's, or it reads the filters for too little work.
fn images_of_task(conv: Conv2d, m: usize) -> usize {
    let least = images_per_task(conv).max(BLOCK.div_ceil(Tile::per_image(conv, m)));
    // A power of two, so that threads get equal numbers of tasks.
    conv.n.div_ceil(1 << (conv.n / least).max(1).ilog2()).max(1)
}

/// Elements of scratch memory for [`winograd`]: the filters' transforms, and for each task a block of
/// tiles of the input and their products.
pub fn winograd_workspace<F: Transforms<M, T>, const M: usize, const T: usize>(
    conv: Conv2d,
) -> usize {
    let tasks = conv.n.div_ceil(images_of_task(conv, M));
    let places = Places::<F, M, T>::of(BLOCK);
    filter_elements(conv, T * T) + tasks * (places.elements(conv.c) + places.elements(conv.o))
}

/// Convolution of x `[N,H,W,C]` with `filter`, 3x3 of stride 1, into the rows of y `[N,P,Q,O]`, by
/// `F(MxM,3x3)`.
pub fn winograd<F: Transforms<M, T>, const M: usize, const T: usize>(
    isa: Isa,
    conv: Conv2d,
    x: &[f32],
    filter: Filter,
    y: OutputRows,
    workspace: &mut [f32],
) {
    let (u, scratch) = workspace.split_at_mut(filter_elements(conv, T * T));
    transform_filter::<F, M, T>(isa, filter, u);
    let places = Places::<F, M, T>::of(BLOCK);
    let [v_len, m_len] = [conv.c, conv.o].map(|channels| places.elements(channels));
    let images = images_of_task(conv, M);
    let image = conv.out_h() * conv.out_w();
    y.in_parts(images * image, (scratch, v_len + m_len), &|task, mut y, scratch| {
        let x = &x[task * images * conv.h * conv.w * conv.c..];
        let (v, m) = scratch.split_at_mut(v_len);
        let tiles = y.y.len() / (image * conv.o) * Tile::per_image(conv, M);
        // Blocks of about the same size, in whole tiles of AVX-512's microkernel.
        let blocks = tiles.div_ceil(BLOCK).max(1);
        let block = tiles.div_ceil(blocks).max(1).next_multiple_of(8);
        for first in (0..tiles).step_by(block) {
            let tiles = first..tiles.min(first + block);
            places.inputs(isa, conv, tiles.clone(), x, v);
            let after = tiles.end..tiles.end + block;
            let next = [input_rows(conv, M, after, x), output_rows(conv, M, tiles.clone(), y.y)];
            products(isa, conv, &places, tiles.len(), v, u, m, next);
            let written = Tile::of(conv, M, tiles.end).pixels_before(conv);
            places.outputs(isa, conv, tiles, m, y.y);
            y.written(written);
        }
    });
}

/// `u[o / 16][place][c][o % 16]`: `G g G^T` of every filter g, zeros beyond the last channels.
#[multiversion(isa, V)]
fn transform_filter<F: Transforms<M, T>, const M: usize, const T: usize>(
    isa: Isa,
    filter: Filter,
    u: &mut [f32],
) {
    let inputs = padded(filter.inputs);
    u.par_chunks_mut(T * T * inputs * LANES).enumerate().for_each(|(panel, u)| {
        let (u, _) = u.as_chunks_mut::<LANES>();
        let mut sides = BothSides::<V, _, _>::new();
        for first in (0..inputs).step_by(LANES) {
            let mut weights = [[[0.0; LANES]; LANES]; 9];
            let present = first..filter.inputs.min(first + LANES);
            for (place, weights) in weights.iter_mut().enumerate() {
                filter.lanes::<V>(panel * LANES, place, present.clone(), weights);
            }
            for input in 0..LANES {
                sides.times::<F::Filter>(
                    |r, s| V::load(&weights[r * 3 + s][input]),
                    |i, j, lanes| lanes.store(&mut u[(i * T + j) * inputs + first + input]),
                );
            }
        }
    });
}

/// `m[place] = v[place] u[place]`, while what is `next` comes from memory.
#[allow(clippy::too_many_arguments)]
fn products<F: Transforms<M, T>, const M: usize, const T: usize>(
    isa: Isa,
    conv: Conv2d,
    places: &Places<F, M, T>,
    tiles: usize,
    v: &[f32],
    u: &[f32],
    m: &mut [f32],
    next: [&[f32]; 2],
) {
    let walk = Walk {
        inner: [1, conv.c.div_ceil(LANES), LANES],
        x: [0, places.panel, 1],
        panel: [0, LANES * LANES, LANES],
        panel_step: T * T * padded(conv.c) * LANES,
        y_row: TILE,
        y_panel: places.panel,
        rows: tiles,
        outputs: padded(conv.o),
        adds: false,
    };
    for place in 0..T * T {
        places.prefetch(place, next);
        let starts = (0..tiles).map(|tile| place * places.place + tile * TILE);
        let (u, m) = (&u[place * padded(conv.c) * LANES..], &mut m[place * places.place..]);
        multiply(isa, &walk, v, starts, u, m);
    }
}
