//! Register allocation: registers never live at the same time share a slot.
//!
//! NVRTC uses a new register for every value, so a kernel names thousands, of which some dozens are
//! live at a time. Sharing slots keeps a warp's registers in L1 cache. Liveness is computed per
//! block of the control flow graph; a register's interval is the hull of its live range, and
//! intervals get slots in order of their start (linear scan).

use super::cfg::Graph;
use super::decode::Draft;
use super::ops::{Kernel, NONE, Op, R};
use super::types::Class;

/// Largest bit matrix (blocks times registers) that liveness is computed for.
const MAX_BITS: usize = 1 << 27;
/// Passes after which liveness gives up (and each register gets its own slot).
const MAX_PASSES: usize = 64;
/// Maximum slots per register file.
const MAX_SLOTS: usize = 8192;

/// First and last instruction at which each register is needed.
fn intervals(kernel: &Kernel, graph: &Graph, registers: usize) -> Vec<(u32, u32)> {
    let end = kernel.code.len() as u32;
    let words = registers.div_ceil(64);
    let blocks = graph.next.len();
    let everywhere = vec![(0, end); registers];
    if blocks * words * 64 > MAX_BITS {
        return everywhere;
    }
    let (mut live_in, mut live_out) = (vec![0u64; blocks * words], vec![0u64; blocks * words]);
    let (mut used, mut defined) = (vec![0u64; blocks * words], vec![0u64; blocks * words]);
    for (block, pair) in graph.starts.windows(2).enumerate() {
        let row = block * words..(block + 1) * words;
        let (used, defined) = (&mut used[row.clone()], &mut defined[row]);
        for i in &kernel.code[pair[0] as usize..pair[1] as usize] {
            for r in kernel.reads(i) {
                let (at, bit) = (r as usize / 64, 1 << (r % 64));
                if defined[at] & bit == 0 {
                    used[at] |= bit;
                }
            }
            for r in kernel.writes(i) {
                defined[r as usize / 64] |= 1 << (r % 64);
            }
        }
    }
    let (mut changed, mut passes) = (true, 0);
    while changed {
        changed = false;
        passes += 1;
        if passes > MAX_PASSES {
            return everywhere;
        }
        for block in (0..blocks).rev() {
            for word in 0..words {
                let at = block * words + word;
                let next = graph.next[block].iter();
                let out = next.fold(0, |all, &goal| all | live_in[goal as usize * words + word]);
                let new = used[at] | (out & !defined[at]);
                changed |= new != live_in[at];
                live_out[at] = out;
                live_in[at] = new;
            }
        }
    }
    let mut spans = vec![(u32::MAX, 0); registers];
    let mut touch = |r: usize, pc: u32| {
        let span: &mut (u32, u32) = &mut spans[r];
        *span = (span.0.min(pc), span.1.max(pc));
    };
    for (block, pair) in graph.starts.windows(2).enumerate() {
        for word in 0..words {
            for (live, pc) in [(&live_in, pair[0]), (&live_out, pair[1] - 1)] {
                let mut bits = live[block * words + word];
                while bits != 0 {
                    touch(word * 64 + bits.trailing_zeros() as usize, pc);
                    bits &= bits - 1;
                }
            }
        }
        for pc in pair[0]..pair[1] {
            let i = &kernel.code[pc as usize];
            kernel.reads(i).chain(kernel.writes(i)).for_each(|r| touch(r.into(), pc));
        }
    }
    spans
}

/// Assigns every register a slot and rewrites the kernel.
pub fn allocate(draft: Draft, graph: &Graph) -> Result<Kernel, String> {
    let Draft { mut kernel, classes, presets, .. } = draft;
    let mut spans = intervals(&kernel, graph, classes.len());
    for &(register, _) in &presets {
        spans[register as usize] = (0, u32::MAX);
    }
    let mut order: Vec<usize> = (0..classes.len()).filter(|&r| spans[r].0 != u32::MAX).collect();
    order.sort_by_key(|&r| (spans[r].0, r));
    let mut slots = vec![0 as R; classes.len()];
    // Per file: slots in use by the end of their interval, and free ones.
    let mut busy: [std::collections::BTreeSet<(u32, R)>; 3] = Default::default();
    let mut free: [Vec<R>; 3] = Default::default();
    for r in order {
        let file = file_of(classes[r]);
        let (start, end) = spans[r];
        // A slot is free only after its last use: results never overwrite operands of the same
        // instruction, so no instruction needs a copy.
        while let Some(&(until, slot)) = busy[file].first()
            && until < start
        {
            busy[file].pop_first();
            free[file].push(slot);
        }
        let slot = match free[file].pop() {
            Some(slot) => slot,
            None => {
                kernel.slots[file] += 1;
                if kernel.slots[file] > MAX_SLOTS {
                    return Err(format!("more than {MAX_SLOTS} registers at once"));
                }
                (kernel.slots[file] - 1) as R
            }
        };
        busy[file].insert((end, slot));
        slots[r] = slot;
    }
    let slot = |r: &mut R| {
        if *r != NONE {
            *r = slots[*r as usize];
        }
    };
    for i in &mut kernel.code {
        [&mut i.guard, &mut i.d, &mut i.a, &mut i.b, &mut i.c].into_iter().for_each(slot);
        slot(&mut i.e);
    }
    kernel.lists.iter_mut().for_each(slot);
    kernel.presets =
        presets.iter().map(|&(r, p)| (classes[r as usize], slots[r as usize], p)).collect();
    Ok(kernel)
}

fn file_of(class: Class) -> usize {
    match class {
        Class::Word => 0,
        Class::Long => 1,
        Class::Pred => 2,
    }
}

/// What the kernel does to memory, judging by its instructions.
pub fn note_memory(kernel: &mut Kernel) {
    use super::types::Space;
    for i in &kernel.code {
        let (space, bytes) = match i.op {
            Op::Load { space, bytes, semantics, .. } => {
                // What a thread waits for is there at a time that depends on the others.
                kernel.ordered |= semantics.is_strong();
                (space, bytes as usize)
            }
            Op::Store { space, bytes, .. } => (space, bytes as usize),
            Op::CopyAsync { bytes, .. } => (Space::Generic, bytes as usize),
            Op::Atomic { op, space, ty, .. } => {
                let order = i.e != NONE || ty.is_float() || ty.bytes() != 4;
                let moves = matches!(
                    op,
                    super::ops::Atomic::Exch
                        | super::ops::Atomic::Cas
                        | super::ops::Atomic::Inc
                        | super::ops::Atomic::Dec
                );
                kernel.ordered |= space != Space::Shared && (order || moves);
                (space, ty.bytes())
            }
            _ => continue,
        };
        let bytes = bytes.min(4);
        match space {
            Space::Shared => kernel.shared_grain = kernel.shared_grain.min(bytes),
            Space::Global | Space::Const => kernel.global_grain = kernel.global_grain.min(bytes),
            Space::Generic => {
                kernel.shared_grain = kernel.shared_grain.min(bytes);
                kernel.global_grain = kernel.global_grain.min(bytes);
            }
            Space::Local | Space::Param => {}
        }
    }
}
