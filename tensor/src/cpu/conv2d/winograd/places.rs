//! From pixels to the TxT places of the transform and back, for all channels of a tile.

use std::marker::PhantomData;
use std::ops::Range;

use isa::{Isa, LANES, Vector, multiversion, prefetch};

use super::tiles::{Pixels, Tile};
use super::transforms::{BothSides, Matrix, Transforms};
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

    /// Asks for a place's share of what is needed next, so that it comes from memory during the place's
    /// product.
    pub fn prefetch(&self, place: usize, next: [&[f32]; 2]) {
        for next in next {
            let share = next.len().div_ceil(Self::COUNT).max(1);
            prefetch(next.chunks(share).nth(place).unwrap_or_default());
        }
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

    /// `f d f^T` of the pixels d of a tile in `images` of so many channels, into `v`, zeros beyond the
    /// last channel.
    #[inline(always)]
    fn transform<V: Vector, X: Matrix<N, T>, const N: usize>(
        &self,
        sides: &mut BothSides<V, N, T>,
        (pixels, channels): (Pixels, usize),
        images: &[f32],
        v: &mut [f32],
    ) {
        for channel in (0..channels).step_by(LANES) {
            let v = &mut v[self.span(channel)];
            let present = channel..channels.min(channel + LANES);
            sides.times::<X>(
                |i, j| match pixels.at(i, j) {
                    Some(start) => V::load_some(&images[start..][present.clone()]),
                    None => V::zero(),
                },
                |i, j, y| y.store_some(&mut v[(i * T + j) * self.place..][..LANES]),
            );
        }
    }

    /// `B^T d B` of the pixels d of these tiles of x `[N,H,W,C]`, into `v`, with zeros beyond the last
    /// channel.
    #[multiversion(isa, V)]
    pub fn inputs(&self, isa: Isa, conv: Conv2d, tiles: Range<usize>, x: &[f32], v: &mut [f32]) {
        let mut sides = BothSides::<V, _, _>::new();
        for (i, tile) in tiles.enumerate() {
            let pixels = Tile::of(conv, M, tile).input(conv);
            self.transform::<V, F::Input, _>(&mut sides, (pixels, conv.c), x, &mut v[i * TILE..]);
        }
    }

    /// `A dy A^T` of these tiles of dy `[N,P,Q,O]`, zeros beyond the edge, into `e`, likewise.
    #[multiversion(isa, V)]
    pub fn output_gradients(
        &self,
        isa: Isa,
        conv: Conv2d,
        tiles: Range<usize>,
        dy: &[f32],
        e: &mut [f32],
    ) {
        let mut sides = BothSides::<V, _, _>::new();
        for (i, tile) in tiles.enumerate() {
            let pixels = Tile::of(conv, M, tile).output(conv);
            let e = &mut e[i * TILE..];
            self.transform::<V, F::OutputBackward, _>(&mut sides, (pixels, conv.o), dy, e);
        }
    }

    /// `A^T m A` of these tiles' products m, into their pixels of y `[N,P,Q,O]`.
    #[multiversion(isa, V)]
    pub fn outputs(&self, isa: Isa, conv: Conv2d, tiles: Range<usize>, m: &[f32], y: &mut [f32]) {
        let mut sides = BothSides::<V, _, _>::new();
        for (i, tile) in tiles.enumerate() {
            let pixels = Tile::of(conv, M, tile).output(conv);
            for channel in (0..conv.o).step_by(LANES) {
                let m = &m[i * TILE..][self.span(channel)];
                let present = channel..conv.o.min(channel + LANES);
                sides.times::<F::Output>(
                    |i, j| V::load_some(&m[(i * T + j) * self.place..][..LANES]),
                    |i, j, lanes| {
                        if let Some(start) = pixels.at(i, j) {
                            lanes.store_some(&mut y[start..][present.clone()]);
                        }
                    },
                );
            }
        }
    }
}
