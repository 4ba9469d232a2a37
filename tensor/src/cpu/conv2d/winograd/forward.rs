//! Forward pass and gradient by the input, which differ in the filter.

use rayon::prelude::*;

use super::places::{self, L, Layout, TILE};
use super::tiles::{
    BLOCK, PLACES, Tile, blocks, fill, images_of_task, largest_slab, padded, slab_elements,
};
use super::transforms::{self, Vector};
use crate::cpu::conv2d::filter::Filter;
use crate::cpu::isa::Isa;
use crate::cpu::microkernel::{LANES, Walk, multiply};
use crate::geometry::Conv2d;

const LAYOUT: Layout = Layout::of(BLOCK);

fn filter_elements(conv: Conv2d) -> usize {
    PLACES * padded(conv.o) * padded(conv.c)
}

/// Elements of a task's scratch memory: a slab, a block of tiles of the input, and their products.
fn scratch_elements(conv: Conv2d) -> [usize; 3] {
    let largest = largest_slab(conv, images_of_task(conv));
    let [v, m] = [conv.c, conv.o].map(|channels| LAYOUT.elements(channels));
    [slab_elements(conv, largest), v, m]
}

/// Elements of scratch memory for [`winograd`]: the filters' transforms, and that of each task.
pub fn winograd_workspace(conv: Conv2d) -> usize {
    let tasks = conv.n.div_ceil(images_of_task(conv));
    filter_elements(conv) + tasks * scratch_elements(conv).iter().sum::<usize>()
}

/// Convolution of x `[N,H,W,C]` with `filter`, 3x3 of stride 1, into y `[N,P,Q,O]`.
pub fn winograd(
    isa: Isa,
    conv: Conv2d,
    x: &[f32],
    filter: Filter,
    y: &mut [f32],
    workspace: &mut [f32],
) {
    let (u, scratch) = workspace.split_at_mut(filter_elements(conv));
    transform_filter(filter, u);
    let images = images_of_task(conv);
    let largest = largest_slab(conv, images);
    let [slab_len, v_len, m_len] = scratch_elements(conv);
    y.par_chunks_mut(images * conv.out_h() * conv.out_w() * conv.o)
        .zip(scratch.par_chunks_mut(slab_len + v_len + m_len))
        .enumerate()
        .for_each(|(task, (mut y, scratch))| {
            let (buffer, scratch) = scratch.split_at_mut(slab_len);
            let (v, m) = scratch.split_at_mut(v_len);
            let first = task * images;
            for slab in largest.cover(conv, first..conv.n.min(first + images)) {
                fill(conv, slab, x, buffer);
                let pixels = slab.pixels(conv) * conv.o;
                let y = y.split_off_mut(..pixels).expect("as many pixels as slabs");
                blocks(conv, slab, |block| {
                    isa.run(|| inputs(conv, buffer, block, v));
                    products(isa, conv, block.len(), v, u, m);
                    isa.run(|| outputs(conv, m, block, y));
                });
            }
        });
}

/// `u[o / 16][place][c][o % 16]`: `G g G^T` of every filter g, zeros beyond the last channels.
fn transform_filter(filter: Filter, u: &mut [f32]) {
    let inputs = padded(filter.inputs);
    u.par_chunks_mut(PLACES * inputs * LANES).enumerate().for_each(|(panel, u)| {
        let (u, _) = u.as_chunks_mut::<LANES>();
        for input in 0..inputs {
            let mut g = [[Vector([0.0; LANES]); 3]; 3];
            if input < filter.inputs {
                for (place, g) in g.as_flattened_mut().iter_mut().enumerate() {
                    *g = Vector(filter.lanes(panel * LANES, place, input));
                }
            }
            for (place, lanes) in transforms::filter(g).as_flattened().iter().enumerate() {
                u[place * inputs + input] = lanes.0;
            }
        }
    });
}

/// `v[c / 16][place][tile][c % 16]`
#[inline(always)]
fn inputs(conv: Conv2d, slab: &[f32], block: &[Tile], v: &mut [f32]) {
    for (i, tile) in block.iter().enumerate() {
        places::input::<L>(LAYOUT, conv, &slab[tile.input..], &mut v[i * TILE..]);
    }
}

/// `m[place] = v[place] u[place]`
fn products(isa: Isa, conv: Conv2d, tiles: usize, v: &[f32], u: &[f32], m: &mut [f32]) {
    let walk = Walk {
        runs: conv.c.div_ceil(LANES),
        run: LANES,
        x_run: LAYOUT.panel,
        x_step: 1,
        panel_step: PLACES * padded(conv.c),
        y_row: TILE,
        y_panel: LAYOUT.panel,
        rows: tiles,
        outputs: padded(conv.o),
        adds: false,
    };
    for place in 0..PLACES {
        let starts = (0..tiles).map(|tile| place * LAYOUT.place + tile * TILE);
        let (u, m) = (&u[place * padded(conv.c) * LANES..], &mut m[place * LAYOUT.place..]);
        multiply(isa, &walk, v, starts, u, m);
    }
}

#[inline(always)]
fn outputs(conv: Conv2d, m: &[f32], block: &[Tile], y: &mut [f32]) {
    for (i, tile) in block.iter().enumerate() {
        places::output::<L>(LAYOUT, conv, &m[i * TILE..], *tile, y);
    }
}
