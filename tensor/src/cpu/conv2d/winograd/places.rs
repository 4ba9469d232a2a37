//! From pixels to the TxT places of the transform and back, for all channels of a tile: `L` at a
//! time, and the rest one by one.

use std::marker::PhantomData;
use std::ops::Range;

use super::tiles::Tile;
use super::transforms::{Transforms, Vector, both_sides};
use crate::cpu::microkernel::LANES;
use crate::geometry::Conv2d;

/// Channels at a time: one vector of AVX2. 16 of them are a tile of F(2x2,3x3); with AVX-512's
/// registers none has to leave them.
pub const L: usize = 8;

/// Elements from a tile to the next.
pub const TILE: usize = LANES;

/// Where a block of tiles lies in memory: channel c of a place of a tile is at
/// `c / 16 * panel + place * self.place + tile * TILE + c % 16`.
pub struct Places<F, const M: usize, const T: usize> {
    /// Elements from a place to the next.
    pub place: usize,
    /// Elements from 16 channels to the next.
    pub panel: usize,
    transforms: PhantomData<F>,
}

impl<F: Transforms<M, T>, const M: usize, const T: usize> Places<F, M, T> {
    /// Places of a tile.
    pub const COUNT: usize = T * T;

    /// For that many tiles. A place has a cache line more than they need, since what lies a power of
    /// two apart competes for the same lines of L1.
    pub fn of(tiles: usize) -> Self {
        let place = (tiles + 1) * TILE;
        Places { place, panel: Self::COUNT * place + LANES, transforms: PhantomData }
    }

    /// Elements of a block.
    pub fn elements(&self, channels: usize) -> usize {
        channels.div_ceil(LANES) * self.panel
    }

    /// Where a channel starts.
    #[inline(always)]
    pub fn lane(&self, channel: usize) -> usize {
        channel / LANES * self.panel + channel % LANES
    }

    /// All places of `L` channels of a tile.
    #[inline(always)]
    fn span<const L: usize>(&self, channel: usize) -> Range<usize> {
        let first = self.lane(channel);
        first..first + (Self::COUNT - 1) * self.place + L
    }

    /// `B^T d B` of a tile d of x `[N,H,W,C]`, into `v`, with zeros beyond the last channel.
    #[inline(always)]
    pub fn input(&self, conv: Conv2d, x: &[f32], tile: Tile, v: &mut [f32]) {
        let whole = conv.c / L * L;
        for channel in (0..whole).step_by(L) {
            self.input_lanes::<L>(conv, x, tile, channel, v);
        }
        for channel in whole..conv.c {
            self.input_lanes::<1>(conv, x, tile, channel, v);
        }
        for channel in conv.c..conv.c.next_multiple_of(LANES) {
            for place in 0..Self::COUNT {
                v[self.lane(channel) + place * self.place] = 0.0;
            }
        }
    }

    #[inline(always)]
    fn input_lanes<const L: usize>(
        &self,
        conv: Conv2d,
        x: &[f32],
        tile: Tile,
        channel: usize,
        v: &mut [f32],
    ) {
        let v = &mut v[self.span::<L>(channel)];
        both_sides(
            |i, j| match tile.input(conv, i, j) {
                Some(start) => Vector::load(&x[start + channel..]),
                None => Vector([0.0; L]),
            },
            F::input,
            |i, j, lanes| lanes.store(&mut v[(i * T + j) * self.place..]),
        );
    }

    /// `A^T m A` of a tile's products m, into its pixels of y.
    #[inline(always)]
    pub fn output(&self, conv: Conv2d, m: &[f32], tile: Tile, y: &mut [f32]) {
        let whole = conv.o / L * L;
        for channel in (0..whole).step_by(L) {
            self.output_lanes::<L>(conv, m, tile, channel, y);
        }
        for channel in whole..conv.o {
            self.output_lanes::<1>(conv, m, tile, channel, y);
        }
    }

    #[inline(always)]
    fn output_lanes<const L: usize>(
        &self,
        conv: Conv2d,
        m: &[f32],
        tile: Tile,
        channel: usize,
        y: &mut [f32],
    ) {
        let m = &m[self.span::<L>(channel)];
        both_sides(
            |i, j| Vector::<L>::load(&m[(i * T + j) * self.place..]),
            F::output,
            |i, j, lanes| {
                if let Some(start) = tile.output(conv, i, j) {
                    lanes.store(&mut y[start + channel..]);
                }
            },
        );
    }

    /// `A dy A^T` of a tile of dy, zeros beyond the edge, into `e`.
    #[inline(always)]
    pub fn output_backward(&self, conv: Conv2d, dy: &[f32], tile: Tile, e: &mut [f32]) {
        let whole = conv.o / L * L;
        for channel in (0..whole).step_by(L) {
            self.output_backward_lanes::<L>(conv, dy, tile, channel, e);
        }
        for channel in whole..conv.o {
            self.output_backward_lanes::<1>(conv, dy, tile, channel, e);
        }
    }

    #[inline(always)]
    fn output_backward_lanes<const L: usize>(
        &self,
        conv: Conv2d,
        dy: &[f32],
        tile: Tile,
        channel: usize,
        e: &mut [f32],
    ) {
        let e = &mut e[self.span::<L>(channel)];
        both_sides(
            |i, j| match tile.output(conv, i, j) {
                Some(start) => Vector::load(&dy[start + channel..]),
                None => Vector([0.0; L]),
            },
            F::output_backward,
            |i, j, lanes| lanes.store(&mut e[(i * T + j) * self.place..]),
        );
    }
}
