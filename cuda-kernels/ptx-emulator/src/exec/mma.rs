//! Matrix products of fragments, and the loads and stores of fragments.
//!
//! `mma.sync.mMn8kK`: D `[M, 8]` = A `[M, K]` B `[K, 8]` + C, M 8 or 16. With `g = lane / 4` and `t =
//! lane % 4`, a lane holds of C and D rows g and g + 8, columns 2t and 2t + 1; of A the same rows
//! and of B column g, at depths n t to n t + n - 1 (and those plus 4n, 8n, ...), where a register
//! holds n elements. Sums of floats run in f32 (f64) over the depth in order; PTX promises at least
//! that precision, but no order.

use isa::multiversion;

use super::env::{Env, Trouble, trouble};
use super::fp8;
use super::memory::{get, set};
use crate::error::FaultKind;
use crate::numeric::{F16, bits32, half_to_f32};
use crate::ops::{Address, Instruction, Mma, Round};
use crate::sanitizer::Touch;
use crate::types::Ty;
use crate::warp::{FULL, LANES, Warp};

/// The deepest product.
const DEPTH: usize = 32;

impl Env<'_> {
    fn whole_warp(&self, active: u32, what: &str) -> Result<(), Trouble> {
        if active == FULL {
            return Ok(());
        }
        let lane = active.trailing_zeros() as usize;
        let detail = format!("{what} needs all 32 lanes; {} are here", active.count_ones());
        Err(trouble(FaultKind::WarpDivergence, lane, detail))
    }

    /// `mma.sync`.
    #[multiversion(warp.isa)]
    pub(super) fn matrix_product(
        &mut self,
        warp: &mut Warp,
        i: &Instruction,
        mma: Mma,
        active: u32,
    ) -> Result<(), Trouble> {
        self.whole_warp(active, "mma.sync")?;
        let fragments = Fragments {
            ins: &self.kernel.lists[i.ins.range()],
            outs: &self.kernel.lists[i.outs.range()],
            mma,
        };
        match mma.sum {
            Ty::F64 => fragments.product(
                warp,
                |_, bits, _| f64::from_bits(bits),
                |a: f64, b, c| a.mul_add(b, c),
                |bits, _| f64::from_bits(bits),
                |sum, _| sum.to_bits(),
            ),
            Ty::S32 => fragments.product(
                warp,
                |ty, bits, at| {
                    let byte = (bits >> (8 * at)) as u8;
                    if ty == Ty::S8 { i64::from(byte as i8) } else { byte.into() }
                },
                |a, b, c| a * b + c,
                |bits, _| i64::from(bits as u32 as i32),
                |sum, _| match mma.saturates {
                    true => sum.clamp(i32::MIN.into(), i32::MAX.into()) as u32 as u64,
                    false => sum as u32 as u64,
                },
            ),
            Ty::F16 => fragments.product(
                warp,
                element,
                |a: f32, b, c| a.mul_add(b, c),
                |bits, at| half_to_f32((bits >> (16 * at)) as u16),
                |sum, at| F16.round_f64(sum.into(), Round::Nearest) << (16 * at),
            ),
            _ => fragments.product(
                warp,
                element,
                |a: f32, b, c| a.mul_add(b, c),
                |bits, _| f32::from_bits(bits as u32),
                |sum, _| bits32(sum).into(),
            ),
        }
        Ok(())
    }

    /// `movmatrix`: lane l has row l / 4, columns 2 (l % 4) and the next.
    pub(super) fn move_matrix(
        &mut self,
        warp: &mut Warp,
        i: &Instruction,
        active: u32,
    ) -> Result<(), Trouble> {
        self.whole_warp(active, "movmatrix")?;
        let a = &warp.words[i.a as usize];
        let element = |r: usize, c: usize| a[4 * r + c / 2] >> (16 * (c % 2)) & 0xffff;
        let row = std::array::from_fn(|lane| {
            let (r, c) = (lane / 4, lane % 4 * 2);
            element(c, r) | element(c + 1, r) << 16
        });
        warp.set_words(i.d, active, row);
        Ok(())
    }

    /// `ldmatrix`: lane 8m + r has the address of row r of matrix m; lane l gets of each matrix row
    /// l / 4, columns 2 (l % 4) and the next (transposed: columns and rows exchanged).
    pub(super) fn load_matrix(
        &mut self,
        warp: &mut Warp,
        i: &Instruction,
        transposed: bool,
        address: Address,
        active: u32,
    ) -> Result<(), Trouble> {
        self.whole_warp(active, "ldmatrix")?;
        let outs = &self.kernel.lists[i.outs.range()];
        let at = self.matrix_rows(warp, i, outs.len(), address)?;
        for (m, &out) in outs.iter().enumerate() {
            let mut matrix = [[0u16; 8]; 8];
            for (r, row) in matrix.iter_mut().enumerate() {
                let lane = 8 * m + r;
                self.watch_shared(at[lane], lane, 16, Touch::READ)?;
                let bytes = &self.shared[at[lane] as usize..][..16];
                for (value, bytes) in row.iter_mut().zip(bytes.as_chunks::<2>().0) {
                    *value = u16::from_le_bytes(*bytes);
                }
            }
            let row = std::array::from_fn(|lane| {
                let (r, c) = (lane / 4, lane % 4 * 2);
                let (low, high) = match transposed {
                    false => (matrix[r][c], matrix[r][c + 1]),
                    true => (matrix[c][r], matrix[c + 1][r]),
                };
                u32::from(high) << 16 | u32::from(low)
            });
            warp.set_words(out, active, row);
        }
        Ok(())
    }

    /// `stmatrix`: the reverse.
    pub(super) fn store_matrix(
        &mut self,
        warp: &mut Warp,
        i: &Instruction,
        transposed: bool,
        address: Address,
        active: u32,
    ) -> Result<(), Trouble> {
        self.whole_warp(active, "stmatrix")?;
        let ins = &self.kernel.lists[i.ins.range()];
        let at = self.matrix_rows(warp, i, ins.len(), address)?;
        for (m, &part) in ins.iter().enumerate() {
            let mut matrix = [[0u16; 8]; 8];
            for (lane, &bits) in warp.words[part as usize].iter().enumerate() {
                let (r, c) = (lane / 4, lane % 4 * 2);
                for (half, value) in [bits as u16, (bits >> 16) as u16].into_iter().enumerate() {
                    match transposed {
                        false => matrix[r][c + half] = value,
                        true => matrix[c + half][r] = value,
                    }
                }
            }
            for (r, row) in matrix.iter().enumerate() {
                let lane = 8 * m + r;
                self.watch_shared(at[lane], lane, 16, Touch::WRITE)?;
                for (c, value) in row.iter().enumerate() {
                    self.shared[at[lane] as usize + 2 * c..][..2]
                        .copy_from_slice(&value.to_le_bytes());
                }
            }
        }
        Ok(())
    }

    pub(super) fn matrix_rows(
        &mut self,
        warp: &Warp,
        i: &Instruction,
        matrices: usize,
        address: Address,
    ) -> Result<[u64; LANES], Trouble> {
        let mut at = warp.addresses(i, address);
        let mask = if matrices == 4 { FULL } else { (1 << (8 * matrices)) - 1 };
        // A generic address of shared memory is allowed, too.
        let (_, shared, offsets) = crate::windows::same_space(&at, mask);
        if shared == mask && at[0] >= crate::windows::SHARED_BASE {
            at = offsets;
        }
        self.check_shared(&at, mask, 16)?;
        self.profile_shared(&at, mask, 16);
        Ok(at)
    }
}

/// An element of a register as a float.
#[inline(always)]
fn element(ty: Ty, bits: u64, at: usize) -> f32 {
    match ty {
        Ty::Bf16 => f32::from_bits(((bits as u32) >> (16 * at)) << 16),
        Ty::F16 => half_to_f32((bits >> (16 * at)) as u16),
        Ty::E4m3 | Ty::E5m2 => fp8::value(ty, (bits >> (8 * at)) as u8) as f32,
        // The low 13 bits of a tf32 are ignored.
        _ => f32::from_bits(bits as u32 & !0x1fff),
    }
}

/// The registers of a matrix product.
struct Fragments<'a> {
    ins: &'a [u16],
    outs: &'a [u16],
    mma: Mma,
}

impl Fragments<'_> {
    /// Multiplies; the functions tell what the elements of registers are.
    #[inline(always)]
    fn product<T: Copy + Default>(
        &self,
        warp: &mut Warp,
        element: impl Fn(Ty, u64, usize) -> T,
        fma: impl Fn(T, T, T) -> T,
        load: impl Fn(u64, usize) -> T,
        store: impl Fn(T, usize) -> u64,
    ) {
        let Mma { a: ty_a, b: ty_b, sum, m, k, .. } = self.mma;
        let (halves, k) = (m as usize / 8, k as usize);
        let wide = sum == Ty::F64;
        let (a_count, b_count) = self.mma.counts();
        let per = self.mma.elements();
        let (mut a, mut b) = ([[T::default(); DEPTH]; 16], [[T::default(); 8]; DEPTH]);
        let mut d = [[T::default(); 8]; 16];
        // A register of C or D holds two halves, or one of anything else.
        let sums = if sum == Ty::F16 { 2 } else { 1 };
        let place = |lane: usize, part: usize| (lane / 4 + part / 2 * 8, 2 * (lane % 4) + part % 2);
        for lane in 0..LANES {
            let (g, t) = (lane / 4, lane % 4);
            let read = |at: usize| get(warp, self.ins[at], lane, wide);
            for part in 0..a_count {
                let (row, depth) = (g + part % halves * 8, part / halves * 4 * per + t * per);
                for at in 0..per {
                    a[row][depth + at] = element(ty_a, read(part), at);
                }
            }
            for part in 0..b_count {
                for at in 0..per {
                    b[part * 4 * per + t * per + at][g] = element(ty_b, read(a_count + part), at);
                }
            }
            for part in 0..2 * halves {
                let (row, column) = place(lane, part);
                d[row][column] = load(read(a_count + b_count + part / sums), part % sums);
            }
        }
        for (d, a) in d.iter_mut().zip(&a) {
            for (&a, b) in a[..k].iter().zip(&b) {
                for (d, &b) in d.iter_mut().zip(b) {
                    *d = fma(a, b, *d);
                }
            }
        }
        for (register, &out) in self.outs.iter().enumerate() {
            for lane in 0..LANES {
                let part = |at: usize| {
                    let (row, column) = place(lane, register * sums + at);
                    store(d[row][column], at)
                };
                set(warp, out, lane, (0..sums).fold(0, |bits, at| bits | part(at)), wide);
            }
        }
    }
}
