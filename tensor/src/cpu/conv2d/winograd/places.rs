//! From pixels to the TxT places of the transform and back, for all channels of a tile.

use std::marker::PhantomData;
use std::ops::Range;

use super::tiles::{Pixels, Tile};
use super::transforms::{Panel, Transforms};
use crate::cpu::microkernel::{LANES, copy_lanes};
use crate::geometry::Conv2d;

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

    /// All places of a panel of a tile, from its first channel on.
    #[inline(always)]
    fn span(&self, channel: usize) -> Range<usize> {
        let first = channel / LANES * self.panel;
        first..first + (Self::COUNT - 1) * self.place + LANES
    }

    /// `B^T d B` of a tile d of x `[N,H,W,C]`, into `v`, with zeros beyond the last channel.
    #[inline(always)]
    pub fn input(&self, panel: &mut Panel<T>, conv: Conv2d, x: &[f32], tile: Tile, v: &mut [f32]) {
        self.transform_pixels(panel, F::input, (tile.input(conv), conv.c), x, v);
    }

    /// `A dy A^T` of a tile of dy, zeros beyond the edge, into `e`, likewise.
    #[inline(always)]
    pub fn output_backward(
        &self,
        panel: &mut Panel<T>,
        conv: Conv2d,
        dy: &[f32],
        tile: Tile,
        e: &mut [f32],
    ) {
        self.transform_pixels(panel, F::output_backward, (tile.output(conv), conv.o), dy, e);
    }

    /// `f d f^T` of the pixels d of a tile in `images` of so many channels, into `v`.
    #[inline(always)]
    fn transform_pixels<const N: usize>(
        &self,
        panel: &mut Panel<T>,
        f: impl Fn([f32; N]) -> [f32; T] + Copy,
        (pixels, channels): (Pixels, usize),
        images: &[f32],
        v: &mut [f32],
    ) {
        for channel in (0..channels).step_by(LANES) {
            let v = &mut v[self.span(channel)];
            panel.both_sides(
                |i, j, lanes| {
                    let pixel = pixels.at(i, j).map_or(&[][..], |start| {
                        &images[start + channel..start + channels.min(channel + LANES)]
                    });
                    if pixel.len() < LANES {
                        *lanes = [0.0; LANES];
                    }
                    copy_lanes(pixel, pixel.len(), lanes);
                },
                f,
                |i, j, lanes| v[(i * T + j) * self.place..][..LANES].copy_from_slice(lanes),
            );
        }
    }

    /// `A^T m A` of a tile's products m, into its pixels of y.
    #[inline(always)]
    pub fn output(&self, panel: &mut Panel<T>, conv: Conv2d, m: &[f32], tile: Tile, y: &mut [f32]) {
        let pixels = tile.output(conv);
        for channel in (0..conv.o).step_by(LANES) {
            let m = &m[self.span(channel)];
            panel.both_sides(
                |i, j, lanes| lanes.copy_from_slice(&m[(i * T + j) * self.place..][..LANES]),
                F::output,
                |i, j, lanes| {
                    if let Some(start) = pixels.at(i, j) {
                        let pixel = &mut y[start + channel..start + conv.o.min(channel + LANES)];
                        match pixel.first_chunk_mut() {
                            Some(whole) => *whole = *lanes,
                            None => pixel.copy_from_slice(&lanes[..pixel.len()]),
                        }
                    }
                },
            );
        }
    }
}
