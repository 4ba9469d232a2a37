//! Registers of a warp: rows of 32 values, one per lane.

use std::ops::{Index, IndexMut};

use super::ops::R;

/// Lanes of a warp.
pub const LANES: usize = 32;
/// A row of 32-bit registers.
pub type Words = [u32; LANES];
/// A row of 64-bit registers.
pub type Longs = [u64; LANES];

/// A row that fills whole cache lines.
#[repr(align(64))]
#[derive(Debug, Clone, Default, Hash)]
pub struct Row<T>(pub [T; LANES]);

/// The rows of a warp's registers of one width.
#[derive(Debug, Hash)]
pub struct Registers<T>(Vec<Row<T>>);

impl<T: Clone + Default> Registers<T> {
    /// So many registers, all zero.
    pub fn new(count: usize) -> Registers<T> {
        Registers(vec![Row::default(); count])
    }

    /// Sets all to zero.
    pub fn clear(&mut self) {
        self.0.fill(Row::default());
    }

    /// Several rows; `None` if some are the same.
    #[inline(always)]
    pub fn disjoint<const N: usize>(&mut self, registers: [R; N]) -> Option<[&mut [T; LANES]; N]> {
        let rows = self.0.get_disjoint_mut(registers.map(usize::from)).ok()?;
        Some(rows.map(|row| &mut row.0))
    }
}

impl<T> Index<usize> for Registers<T> {
    type Output = [T; LANES];

    #[inline(always)]
    fn index(&self, register: usize) -> &[T; LANES] {
        &self.0[register].0
    }
}

impl<T> IndexMut<usize> for Registers<T> {
    #[inline(always)]
    fn index_mut(&mut self, register: usize) -> &mut [T; LANES] {
        &mut self.0[register].0
    }
}
