//! Barriers in shared memory. PTX leaves their 64 bits to the hardware; here they are, from the
//! lowest: 20 bits of arrivals that the phase still waits for, 20 bits of arrivals of a phase, 23
//! bits of bytes that are still to come (signed), and the parity of the phase.

use super::env::{Env, Trouble, trouble};
use super::memory::little_endian;
use super::watch::atomic_touch;
use crate::error::FaultKind;
use crate::ops::{Address, Instruction, MBarrier, MemoryOrder, Semantics};
use crate::sanitizer::Touch;
use crate::warp::{Warp, lanes};
use crate::windows::{SHARED_BASE, same_space};

const COUNT: u64 = (1 << 20) - 1;

#[derive(Clone, Copy)]
struct State {
    pending: u64,
    expected: u64,
    bytes: i64,
    parity: u64,
}

impl State {
    fn unpack(bits: u64) -> State {
        State {
            pending: bits & COUNT,
            expected: bits >> 20 & COUNT,
            bytes: (bits << 1) as i64 >> 41,
            parity: bits >> 63,
        }
    }

    fn pack(self) -> u64 {
        self.pending
            | self.expected << 20
            | (self.bytes as u64 & ((1 << 23) - 1)) << 40
            | self.parity << 63
    }

    /// Ends the phase if nothing is missing; true if so.
    fn end(&mut self) -> bool {
        let ends = self.pending == 0 && self.bytes == 0;
        if ends {
            self.pending = self.expected;
            self.parity ^= 1;
        }
        ends
    }
}

impl Env<'_> {
    pub(super) fn mbarrier(
        &mut self,
        warp: &mut Warp,
        i: &Instruction,
        op: MBarrier,
        address: Address,
        active: u32,
    ) -> Result<(), Trouble> {
        if op == MBarrier::PendingCount {
            warp.narrow(i, active, |state| State::unpack(state).pending as u32);
            return Ok(());
        }
        let mut at = warp.addresses(i, address);
        let (_, shared, offsets) = same_space(&at, active);
        if shared == active && at[active.trailing_zeros() as usize] >= SHARED_BASE {
            at = offsets;
        }
        self.polls += u32::from(matches!(op, MBarrier::TestWait { .. }));
        self.check_shared(&at, active, 8)?;
        self.profile_shared(&at, active, 8);
        let relaxed = Semantics { order: MemoryOrder::Relaxed, in_block: true };
        for lane in lanes(active) {
            let place = at[lane];
            let plain = matches!(op, MBarrier::Init | MBarrier::Invalidate);
            let touch = if plain { Touch::WRITE } else { atomic_touch(relaxed) };
            self.watch_shared(place, lane, 8, touch)?;
            let mut state = State::unpack(little_endian(&self.shared[place as usize..][..8]));
            let before = state.pack();
            let word = |warp: &Warp| u64::from(warp.words[i.b as usize][lane]);
            let mut ends = false;
            match op {
                MBarrier::Init => {
                    let count = word(warp);
                    if count == 0 || count > COUNT {
                        let detail = format!("an mbarrier of {count} arrivals");
                        return Err(trouble(FaultKind::BarrierDivergence, lane, detail));
                    }
                    state = State { pending: count, expected: count, bytes: 0, parity: 0 };
                }
                MBarrier::Invalidate => state = State::unpack(0),
                MBarrier::Arrive { drops, expects } => {
                    let count = if expects { 1 } else { word(warp) };
                    state.bytes += if expects { word(warp) as i64 } else { 0 };
                    if count > state.pending {
                        let detail = format!(
                            "{count} arrivals at an mbarrier that waits for {}",
                            state.pending
                        );
                        return Err(trouble(FaultKind::BarrierDivergence, lane, detail));
                    }
                    state.pending -= count;
                    state.expected -= if drops { count } else { 0 };
                    ends = state.end();
                    warp.longs[i.d as usize][lane] = before;
                }
                MBarrier::Transfer { adds } => {
                    state.bytes += if adds { word(warp) as i64 } else { -(word(warp) as i64) };
                    ends = state.end();
                }
                MBarrier::CopyArrive { counts } => {
                    self.copy_track(warp, lane, place);
                    state.pending -= if counts { 1 } else { 0 };
                    ends = state.end();
                }
                MBarrier::TestWait { parity } => {
                    let phase = match parity {
                        true => word(warp) & 1,
                        false => State::unpack(warp.longs[i.b as usize][lane]).parity,
                    };
                    let ended = phase != state.parity;
                    warp.set_pred(i.d, 1 << lane, if ended { u32::MAX } else { 0 });
                    let actor = self.actor(lane);
                    if let Some(sanitizer) = self.sanitizer.as_mut().filter(|_| ended) {
                        sanitizer.acquire(&actor, place);
                    }
                }
                MBarrier::PendingCount => {}
            }
            self.changed |= state.pack() != before;
            self.shared[place as usize..][..8].copy_from_slice(&state.pack().to_le_bytes());
            let actor = self.actor(lane);
            let Some(sanitizer) = &mut self.sanitizer else { continue };
            match op {
                MBarrier::Init | MBarrier::Invalidate => sanitizer.forget(place),
                MBarrier::Arrive { .. } | MBarrier::CopyArrive { .. } => {
                    sanitizer.arrive(&actor, place);
                }
                _ => {}
            }
            if ends {
                sanitizer.end_phase(place);
            }
        }
        Ok(())
    }
}
