//! Counting without running: of instructions outside the kernel's slice, only what memory they touch.

use super::env::{Env, Trouble, trouble};
use crate::error::FaultKind;
use crate::ops::{Instruction, Op};
use crate::types::Space;
use crate::warp::{Longs, Warp, lanes};
use crate::windows::same_space;

impl Env<'_> {
    /// Counts an instruction, and runs it if it is in the slice.
    pub fn count(&mut self, warp: &mut Warp, i: &Instruction, active: u32) -> Result<(), Trouble> {
        let slice = &self.kernel.slice;
        if slice.inside[self.pc as usize] {
            if let Op::Load { space: Space::Shared, bytes, address, .. } = i.op {
                let total = usize::from(bytes) * usize::from(i.outs.len);
                self.check_copied(&warp.addresses(i, address), active, total)?;
            }
            return self.compute(warp, i, active);
        }
        match i.op {
            Op::Load { space, bytes, address, .. } => {
                let total = usize::from(bytes) * usize::from(i.outs.len);
                self.count_access(space, &warp.addresses(i, address), active, total);
            }
            Op::Store { space, bytes, address, .. } => {
                let total = usize::from(bytes) * usize::from(i.ins.len);
                self.count_access(space, &warp.addresses(i, address), active, total);
            }
            Op::CopyAsync { bytes, address } => {
                let (from, reads) = warp.copy_source(&self.kernel.lists, i, active);
                if reads != 0 {
                    self.profile_global(&from, reads, bytes.into());
                }
                self.mark_copied(&warp.addresses(i, address), active, bytes.into());
            }
            Op::LoadMatrix { address, .. } => {
                self.matrix_rows(warp, i, i.outs.len.into(), address)?;
            }
            Op::StoreMatrix { address, .. } => {
                self.matrix_rows(warp, i, i.ins.len.into(), address)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn count_access(&mut self, space: Space, at: &Longs, active: u32, total: usize) {
        let mut rest = active;
        while rest != 0 {
            let (space, mask, at) = match space {
                Space::Generic => same_space(at, rest),
                space => (space, rest, *at),
            };
            match space {
                Space::Global | Space::Const => self.profile_global(&at, mask, total as u64),
                Space::Shared => self.profile_shared(&at, mask, total),
                _ => {}
            }
            rest &= !mask;
        }
    }

    /// Asynchronous copies are not made: what is where they would be is not known.
    fn mark_copied(&mut self, at: &Longs, active: u32, bytes: usize) {
        if self.kernel.slice.reads_memory {
            self.copied.resize(self.shared.len(), false);
            for lane in lanes(active) {
                let at = at[lane] as usize;
                self.copied.iter_mut().skip(at).take(bytes).for_each(|copied| *copied = true);
            }
        }
    }

    fn check_copied(&self, at: &Longs, active: u32, bytes: usize) -> Result<(), Trouble> {
        if self.copied.is_empty() {
            return Ok(());
        }
        let is_copied = |&lane: &usize| {
            self.copied.iter().skip(at[lane] as usize).take(bytes).any(|&copied| copied)
        };
        match lanes(active).find(is_copied) {
            Some(lane) => {
                Err(trouble(FaultKind::UninitialisedShared, lane, "copied data decides a jump"))
            }
            None => Ok(()),
        }
    }
}
