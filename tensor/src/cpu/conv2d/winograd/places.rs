//! From pixels to the 16 places of the transform and back, for all channels of a tile: `L` at a time,
//! and the rest one by one.

use super::tiles::{PLACES, Tile};
use super::transforms::{self, Vector};
use crate::cpu::conv2d::slab::Slab;
use crate::cpu::microkernel::LANES;
use crate::geometry::Conv2d;

/// Channels at a time: one vector of AVX2. 16 of them are a tile; with AVX-512's registers none has
/// to leave them.
pub const L: usize = 8;

/// Elements from a tile to the next.
pub const TILE: usize = LANES;

/// Where a block of tiles lies in memory: channel c of a place of a tile is at
/// `c / 16 * panel + place * self.place + tile * TILE + c % 16`.
#[derive(Clone, Copy)]
pub struct Layout {
    /// Elements from a place to the next.
    pub place: usize,
    /// Elements from 16 channels to the next.
    pub panel: usize,
}

impl Layout {
    /// For that many tiles. A place has a cache line more than they need, since what lies a power of
    /// two apart competes for the same lines of L1.
    pub const fn of(tiles: usize) -> Layout {
        let place = (tiles + 1) * TILE;
        Layout { place, panel: PLACES * place + LANES }
    }

    /// Elements of a block.
    pub fn elements(self, channels: usize) -> usize {
        channels.div_ceil(LANES) * self.panel
    }

    #[inline(always)]
    fn lane(self, channel: usize) -> usize {
        channel / LANES * self.panel + channel % LANES
    }

    /// All places of `L` channels of a tile.
    #[inline(always)]
    fn span<const L: usize>(self, channel: usize) -> std::ops::Range<usize> {
        let first = self.lane(channel);
        first..first + (PLACES - 1) * self.place + L
    }
}

/// `B^T d B` of the tile d that starts at `slab[0]`, into `v`, with zeros beyond the last channel.
#[inline(always)]
pub fn input<const L: usize>(layout: Layout, conv: Conv2d, slab: &[f32], v: &mut [f32]) {
    let whole = conv.c / L * L;
    for channel in (0..whole).step_by(L) {
        input_lanes::<L>(layout, conv, slab, channel, v);
    }
    for channel in whole..conv.c {
        input_lanes::<1>(layout, conv, slab, channel, v);
    }
    for channel in conv.c..conv.c.next_multiple_of(LANES) {
        for place in 0..PLACES {
            v[layout.lane(channel) + place * layout.place] = 0.0;
        }
    }
}

#[inline(always)]
fn input_lanes<const L: usize>(
    layout: Layout,
    conv: Conv2d,
    slab: &[f32],
    channel: usize,
    v: &mut [f32],
) {
    let mut d = [[Vector([0.0; L]); 4]; 4];
    for (i, d) in d.iter_mut().enumerate() {
        let row = &slab[i * Slab::row(conv)..];
        for (j, d) in d.iter_mut().enumerate() {
            *d = Vector::load(&row[j * conv.c + channel..]);
        }
    }
    let v = &mut v[layout.span::<L>(channel)];
    for (place, lanes) in transforms::input(d).as_flattened().iter().enumerate() {
        lanes.store(&mut v[place * layout.place..]);
    }
}

/// `A^T m A` of a tile's products m, into its pixels of y.
#[inline(always)]
pub fn output<const L: usize>(layout: Layout, conv: Conv2d, m: &[f32], tile: Tile, y: &mut [f32]) {
    let whole = conv.o / L * L;
    for channel in (0..whole).step_by(L) {
        output_lanes::<L>(layout, conv, m, tile, channel, y);
    }
    for channel in whole..conv.o {
        output_lanes::<1>(layout, conv, m, tile, channel, y);
    }
}

#[inline(always)]
fn output_lanes<const L: usize>(
    layout: Layout,
    conv: Conv2d,
    m: &[f32],
    tile: Tile,
    channel: usize,
    y: &mut [f32],
) {
    let mut places = [[Vector([0.0; L]); 4]; 4];
    let m = &m[layout.span::<L>(channel)];
    for (place, lanes) in places.as_flattened_mut().iter_mut().enumerate() {
        *lanes = Vector::load(&m[place * layout.place..]);
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
pub fn output_backward<const L: usize>(
    layout: Layout,
    conv: Conv2d,
    dy: &[f32],
    tile: Tile,
    e: &mut [f32],
) {
    let whole = conv.o / L * L;
    for channel in (0..whole).step_by(L) {
        output_backward_lanes::<L>(layout, conv, dy, tile, channel, e);
    }
    for channel in whole..conv.o {
        output_backward_lanes::<1>(layout, conv, dy, tile, channel, e);
    }
}

#[inline(always)]
fn output_backward_lanes<const L: usize>(
    layout: Layout,
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
    let e = &mut e[layout.span::<L>(channel)];
    for (place, lanes) in transforms::output_backward(pixels).as_flattened().iter().enumerate() {
        lanes.store(&mut e[place * layout.place..]);
    }
}
