//! Integers of any width, word by word, with the carry flag between them.

use crate::ops::{Carry, Instruction};
use crate::types::Ty;
use crate::warp::{Warp, lanes};

impl Warp {
    /// Additions and products with the carry flag, which has one bit per lane.
    pub fn with_carry(
        &mut self,
        i: &Instruction,
        op: Carry,
        ty: Ty,
        [carry_in, carry_out]: [bool; 2],
        active: u32,
    ) {
        let mut carry = self.carry;
        let wide = ty.bits() == 64;
        let bits = ty.bits();
        for lane in lanes(active) {
            let read = |r: u16| match wide {
                true => self.longs[r as usize][lane],
                false => self.words[r as usize][lane].into(),
            };
            let (a, b) = (read(i.a), read(i.b));
            let flag = if carry_in { u128::from(carry >> lane & 1) } else { 0 };
            let product = || match ty.is_signed() {
                true if wide => (i128::from(a as i64) * i128::from(b as i64)) as u128,
                true => (i128::from(a as u32 as i32) * i128::from(b as u32 as i32)) as u128,
                false => u128::from(a) * u128::from(b),
            };
            let mask = (1u128 << bits) - 1;
            let sum = match op {
                Carry::Add => u128::from(a) + u128::from(b) + flag,
                // A borrow sets the flag: the sum with wrap-around has a bit above the width.
                Carry::Sub => u128::from(a).wrapping_sub(u128::from(b) + flag),
                Carry::MadLo => (product() & mask) + u128::from(read(i.c)) + flag,
                Carry::MadHi => (product() >> bits & mask) + u128::from(read(i.c)) + flag,
            };
            if carry_out {
                carry = carry & !(1 << lane) | ((sum >> bits & 1) as u32) << lane;
            }
            match wide {
                true => self.longs[i.d as usize][lane] = sum as u64,
                false => self.words[i.d as usize][lane] = sum as u32,
            }
        }
        self.carry = carry;
    }
}
