//! Matrix products of fragments, and the loads and stores of fragments.
//!
//! `mma.sync.m16n8kK`: D `[16, 8]` = A `[16, K]` B `[K, 8]` + C. With `g = lane / 4` and `t = lane
//! % 4`, a lane holds of C and D rows g and g + 8, columns 2t and 2t + 1; of A the same rows at
//! depths 2t, 2t + 1 (and those plus 8), two to a register; of B column g at the same depths. tf32
//! has one value to a register, at depths t and t + 4. Sums run in f32 over the depth in order; PTX
//! promises at least that precision, but no order.

use super::env::{Env, Trouble, trouble};
use crate::error::FaultKind;
use crate::numeric::{F16, bits32, half_to_f32};
use crate::ops::{Address, Instruction, Mma, Round};
use crate::sanitizer::Touch;
use crate::types::Ty;
use crate::warp::{FULL, LANES, Warp, Words};

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
    pub(super) fn matrix_product(
        &mut self,
        warp: &mut Warp,
        i: &Instruction,
        Mma { ty, k, half }: Mma,
        active: u32,
    ) -> Result<(), Trouble> {
        self.whole_warp(active, "mma.sync")?;
        let kernel = self.kernel;
        let ins = &kernel.lists[i.ins.range()];
        let outs = &kernel.lists[i.outs.range()];
        let k = k as usize;
        let per_register = if ty == Ty::Tf32 { 1 } else { 2 };
        let a_count = 16 * k / LANES / per_register;
        let value = |bits: u32, half: usize| match ty {
            Ty::Bf16 => f32::from_bits(bits >> (16 * half) << 16),
            Ty::F16 => half_to_f32((bits >> (16 * half)) as u16),
            // The low 13 bits of a tf32 are ignored.
            _ => f32::from_bits(bits & !0x1fff),
        };
        let (mut a, mut b) = ([[0f32; 16]; 16], [[0f32; 8]; 16]);
        for lane in 0..LANES {
            let (g, t) = (lane / 4, lane % 4);
            for part in 0..a_count {
                let bits = warp.words[ins[part] as usize][lane];
                for half in 0..per_register {
                    let depth = t * per_register + half + part / 2 * 4 * per_register;
                    a[g + part % 2 * 8][depth] = value(bits, half);
                }
            }
            for part in 0..a_count / 2 {
                let bits = warp.words[ins[a_count + part] as usize][lane];
                for half in 0..per_register {
                    b[t * per_register + half + part * 4 * per_register][g] = value(bits, half);
                }
            }
        }
        let c = &ins[a_count + a_count / 2..];
        let mut d = [[0f32; 8]; 16];
        for lane in 0..LANES {
            let (g, t) = (lane / 4, lane % 4);
            for part in 0..4 {
                let value = match half {
                    false => f32::from_bits(warp.words[c[part] as usize][lane]),
                    true => half_to_f32(
                        (warp.words[c[part / 2] as usize][lane] >> (16 * (part % 2))) as u16,
                    ),
                };
                d[g + part / 2 * 8][2 * t + part % 2] = value;
            }
        }
        for (d, a) in d.iter_mut().zip(&a) {
            for (a, b) in a[..k].iter().zip(&b) {
                for (d, b) in d.iter_mut().zip(b) {
                    *d = a.mul_add(*b, *d);
                }
            }
        }
        let at = |lane: usize, part: usize| d[lane / 4 + part / 2 * 8][2 * (lane % 4) + part % 2];
        let to_half = |value: f32| F16.round_f64(value.into(), Round::Nearest) as u32;
        let rows: [Words; 4] = std::array::from_fn(|part| {
            std::array::from_fn(|lane| match half {
                false => bits32(at(lane, part)),
                // Two to a register: the upper two rows of results are not used.
                true if part > 1 => 0,
                true => to_half(at(lane, 2 * part + 1)) << 16 | to_half(at(lane, 2 * part)),
            })
        });
        for (&out, row) in outs.iter().zip(rows) {
            warp.set_words(out, active, row);
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

    fn matrix_rows(
        &mut self,
        warp: &Warp,
        i: &Instruction,
        matrices: usize,
        address: Address,
    ) -> Result<[u64; LANES], Trouble> {
        let mut at = warp.addresses(i, address);
        let mask = if matrices == 4 { FULL } else { (1 << (8 * matrices)) - 1 };
        // A generic address of shared memory is allowed, too.
        let (_, shared, offsets) = super::memory::same_space(&at, mask);
        if shared == mask && at[0] >= crate::windows::SHARED_BASE {
            at = offsets;
        }
        self.check_shared(&at, mask, 16)?;
        self.profile_shared(&at, mask, 16);
        Ok(at)
    }
}
