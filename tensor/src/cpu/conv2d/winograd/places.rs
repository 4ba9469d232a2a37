//! From pixels to the 16 places of the transform and back, for all channels of a tile: `L` at a time,
//! and the rest one by one.

use super::tiles::{BLOCK, PLACES, Tile};
use super::transforms::{self, Vector};
use crate::cpu::conv2d::slab::Slab;
use crate::cpu::microkernel::LANES;
use crate::geometry::Conv2d;

/// Channels at a time: one vector of AVX2. 16 of them are a tile; with AVX-512's registers none has
/// to leave them.
pub const L: usize = 8;

/// Elements from a tile to the next. Channel c of a place of a tile of a block is at
/// `c / 16 * PANEL + place * PLACE + tile * TILE + c % 16`.
pub const TILE: usize = LANES;
/// Elements from a place to the next: a cache line more than the tiles of a block, since what lies a
/// power of two apart competes for the same lines of L1.
pub const PLACE: usize = (BLOCK + 1) * TILE;
/// Elements from 16 channels to the next.
pub const PANEL: usize = PLACES * PLACE + LANES;

/// Elements of a block of tiles.
pub fn block_elements(channels: usize) -> usize {
    channels.div_ceil(LANES) * PANEL
}

/// Where a channel lies.
#[inline(always)]
fn lane(channel: usize) -> usize {
    channel / LANES * PANEL + channel % LANES
}

/// `B^T d B` of the tile d that starts at `slab[0]`, into `v`, with zeros beyond the last channel.
#[inline(always)]
pub fn input<const L: usize>(conv: Conv2d, slab: &[f32], v: &mut [f32]) {
    let whole = conv.c / L * L;
    for channel in (0..whole).step_by(L) {
        input_lanes::<L>(conv, slab, channel, v);
    }
    for channel in whole..conv.c {
        input_lanes::<1>(conv, slab, channel, v);
    }
    for channel in conv.c..conv.c.next_multiple_of(LANES) {
        for place in 0..PLACES {
            v[lane(channel) + place * PLACE] = 0.0;
        }
    }
}

#[inline(always)]
fn input_lanes<const L: usize>(conv: Conv2d, slab: &[f32], channel: usize, v: &mut [f32]) {
    let mut d = [[Vector([0.0; L]); 4]; 4];
    for (i, d) in d.iter_mut().enumerate() {
        let row = &slab[i * Slab::row(conv)..];
        for (j, d) in d.iter_mut().enumerate() {
            *d = Vector::load(&row[j * conv.c + channel..]);
        }
    }
    let v = &mut v[lane(channel)..][..(PLACES - 1) * PLACE + L];
    for (place, lanes) in transforms::input(d).as_flattened().iter().enumerate() {
        lanes.store(&mut v[place * PLACE..]);
    }
}

/// `A^T m A` of a tile's products m, into its pixels of y.
#[inline(always)]
pub fn output<const L: usize>(conv: Conv2d, m: &[f32], tile: Tile, y: &mut [f32]) {
    let whole = conv.o / L * L;
    for channel in (0..whole).step_by(L) {
        output_lanes::<L>(conv, m, tile, channel, y);
    }
    for channel in whole..conv.o {
        output_lanes::<1>(conv, m, tile, channel, y);
    }
}

#[inline(always)]
fn output_lanes<const L: usize>(
    conv: Conv2d,
    m: &[f32],
    tile: Tile,
    channel: usize,
    y: &mut [f32],
) {
    let mut places = [[Vector([0.0; L]); 4]; 4];
    let m = &m[lane(channel)..][..(PLACES - 1) * PLACE + L];
    for (place, lanes) in places.as_flattened_mut().iter_mut().enumerate() {
        *lanes = Vector::load(&m[place * PLACE..]);
    }
    let outputs = transforms::output(places);
    for (i, outputs) in outputs.iter().enumerate() {
        for (j, lanes) in outputs.iter().enumerate() {
            if let Some(start) = tile.pixel(conv, i, j) {
                lanes.store(&mut y[start + channel..]);
            }
        }
    }
}

/// `A dy A^T` of a tile of dy, zeros beyond the edge, into `e`.
#[inline(always)]
pub fn output_backward<const L: usize>(conv: Conv2d, dy: &[f32], tile: Tile, e: &mut [f32]) {
    let whole = conv.o / L * L;
    for channel in (0..whole).step_by(L) {
        output_backward_lanes::<L>(conv, dy, tile, channel, e);
    }
    for channel in whole..conv.o {
        output_backward_lanes::<1>(conv, dy, tile, channel, e);
    }
}

#[inline(always)]
fn output_backward_lanes<const L: usize>(
    conv: Conv2d,
    dy: &[f32],
    tile: Tile,
    channel: usize,
    e: &mut [f32],
) {
    let mut pixels = [[Vector([0.0; L]); 2]; 2];
    for (i, pixels) in pixels.iter_mut().enumerate() {
        for (j, lanes) in pixels.iter_mut().enumerate() {
            if let Some(start) = tile.pixel(conv, i, j) {
                *lanes = Vector::load(&dy[start + channel..]);
            }
        }
    }
    let e = &mut e[lane(channel)..][..(PLACES - 1) * PLACE + L];
    for (place, lanes) in transforms::output_backward(pixels).as_flattened().iter().enumerate() {
        lanes.store(&mut e[place * PLACE..]);
    }
}
