//! What happened before a point in a thread's life.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Stands for all lanes of a warp.
const ALL: u64 = 0xff;

/// For threads, or whole warps: accesses earlier than a time happened before.
#[derive(Debug, Clone, Default)]
pub struct VectorClock(BTreeMap<u64, u32>);

fn key(block: u32, warp: u16, lane: u64) -> u64 {
    u64::from(block) << 24 | u64::from(warp) << 8 | lane
}

impl VectorClock {
    /// Adds the accesses of a lane, or of all lanes of its warp, before `time`.
    pub fn learn(&mut self, block: u32, warp: u16, lane: Option<usize>, time: u32) {
        if time > 0 {
            let key = key(block, warp, lane.map_or(ALL, |lane| lane as u64));
            let known = self.0.entry(key).or_default();
            *known = time.max(*known);
        }
    }

    /// Does it contain a lane's access at `time`?
    pub fn contains(&self, block: u32, warp: u16, lane: usize, time: u32) -> bool {
        let before = |lane| self.0.get(&key(block, warp, lane)).is_some_and(|&known| time < known);
        before(ALL) || before(lane as u64)
    }

    fn join(&mut self, other: &VectorClock) {
        for (&key, &time) in &other.0 {
            let known = self.0.entry(key).or_default();
            *known = time.max(*known);
        }
    }
}

/// Adds one clock to another that threads may share.
pub fn join(into: &mut Option<Arc<VectorClock>>, other: &Arc<VectorClock>) {
    match into {
        Some(known) if Arc::ptr_eq(known, other) => {}
        Some(known) => Arc::make_mut(known).join(other),
        None => *into = Some(Arc::clone(other)),
    }
}
