//! Records a warp: see [`Recording`].

use std::collections::BTreeMap;

use super::decode::Draft;
use super::error::{Fault, PtxError};
use super::launch::{Launch, Options, trace};
use super::memory::Memory;
use super::module::Module;
use super::observer::Seen;
use super::ops::{Instruction, Kernel, MBarrier, Op, R};
use super::profiler::{InstructionClass, Report, bank_conflicts, transactions};
use super::recording::{
    NamedRegister, RecordedAccess, RecordedInstruction, RecordedStep, Recording, SharedWrite,
};
use super::registers::{LANES, Longs};
use super::types::{Class, Space};
use super::warp::{Warp, lanes};
use super::windows::same_space;

/// A register that an instruction writes: its index in the recording, and where its value is.
struct Written {
    register: usize,
    class: Class,
    slot: usize,
}

/// Bytes of a word of shared memory.
const WORD: usize = 4;

/// Records the first steps of a warp.
#[derive(Debug)]
pub struct Recorder {
    limit: usize,
    block: u32,
    warp: usize,
    /// What was recorded.
    pub recording: Recording,
}

impl Recorder {
    /// Records at most `limit` steps of a warp of one block (its number in the grid, x fastest).
    pub fn new(limit: usize, block: u32, warp: usize) -> Recorder {
        Recorder { limit, block, warp, recording: Recording::default() }
    }

    /// Launches and records. After a fault the recording ends with the step that has it, if it is the
    /// recorded warp's.
    ///
    /// # Errors
    /// The launch's fault.
    pub fn launch(
        &mut self,
        module: &Module,
        memory: &mut Memory,
        launch: &Launch<'_>,
        options: &Options,
    ) -> Result<Report, Fault> {
        let known = module.kernel(launch.kernel).and_then(|kernel| {
            let draft = module.draft(launch.kernel)?;
            Ok::<_, PtxError>((kernel, draft))
        });
        let Ok((kernel, draft)) = known else {
            // The launch says why.
            return super::launch::launch(module, memory, launch, options);
        };
        let (registers, index) = registers(&draft);
        let written = written(kernel, &draft, &index);
        let names = module.parameter_names(launch.kernel).map(str::to_owned);
        self.recording = Recording {
            kernel: launch.kernel.to_owned(),
            grid: launch.grid,
            block: launch.block,
            in_block: self.block,
            warp: self.warp,
            params: names.zip(launch.params.iter().cloned()).collect(),
            registers,
            code: code(kernel, &draft, &index),
            ..Recording::default()
        };
        let mut watch = Watch {
            kernel,
            written,
            shared: Vec::new(),
            barriers: Vec::new(),
            others: Vec::new(),
            last: None,
        };
        let mut observe = |seen: Seen<'_>| {
            if seen.block == self.block && !self.recording.is_cut {
                watch.before(&seen, self.warp, self.limit, &mut self.recording);
            }
        };
        trace(module, memory, launch, options, &mut observe)
    }
}

/// The registers that the text names, and the index of each of the draft's registers among them.
fn registers(draft: &Draft) -> (Vec<NamedRegister>, Vec<Option<usize>>) {
    let mut index = vec![None; draft.classes.len()];
    let mut registers = Vec::new();
    for named in &draft.named {
        index[named.register as usize] = Some(registers.len());
        registers.push(NamedRegister { name: named.name.clone(), ty: named.ty.name() });
    }
    (registers, index)
}

fn code(kernel: &Kernel, draft: &Draft, index: &[Option<usize>]) -> Vec<RecordedInstruction> {
    let known = |r: R| index[r as usize];
    let instruction = |(pc, i): (usize, &Instruction)| RecordedInstruction {
        place: kernel.places[pc],
        class: InstructionClass::of(i.op),
        jumps: matches!(i.op, Op::Branch | Op::BranchIndex),
        is_barrier: matches!(i.op, Op::Barrier { .. } | Op::BarrierReduce { .. }),
        reads: draft.kernel.reads(i).filter_map(known).collect(),
        writes: draft.kernel.writes(i).filter_map(known).collect(),
    };
    draft.kernel.code.iter().enumerate().map(instruction).collect()
}

/// For each instruction, the registers that it writes: by name in the draft, by slot in the kernel.
fn written(kernel: &Kernel, draft: &Draft, index: &[Option<usize>]) -> Vec<Vec<Written>> {
    let of = |(named, i): (&Instruction, &Instruction)| {
        let pairs = draft.kernel.writes(named).zip(kernel.writes(i));
        pairs
            .filter_map(|(r, slot)| {
                let (class, slot) = (draft.classes[r as usize], slot.into());
                Some(Written { register: index[r as usize]?, class, slot })
            })
            .collect()
    };
    draft.kernel.code.iter().zip(&kernel.code).map(of).collect()
}

/// The last instruction that was seen.
struct Last {
    warp: usize,
    pc: usize,
    access: Option<RecordedAccess>,
    /// Is it the last step of the recording?
    is_step: bool,
}

/// What is known while the block runs.
struct Watch<'a> {
    kernel: &'a Kernel,
    written: Vec<Vec<Written>>,
    /// Shared memory as it was seen last.
    shared: Vec<u8>,
    /// How many barriers each warp has come to.
    barriers: Vec<u32>,
    /// What others wrote since the last step.
    others: Vec<SharedWrite>,
    last: Option<Last>,
}

impl Watch<'_> {
    /// An instruction is about to run: all before it have.
    fn before(&mut self, seen: &Seen<'_>, warp: usize, limit: usize, recording: &mut Recording) {
        if self.last.is_none() {
            self.shared = vec![0; seen.shared.len()];
            recording.shared_bytes = seen.shared.len();
        }
        self.finish(seen, recording);
        let i = &self.kernel.code[seen.pc];
        let access = access(self.kernel, seen.state, i, seen.active);
        let is_step = seen.warp == warp;
        if is_step {
            if let Some(step) = recording.steps.last_mut() {
                for written in &self.written[step.pc] {
                    step.results.push((written.register, value(seen.state, written)));
                }
            }
            if recording.steps.len() == limit {
                recording.is_cut = true;
                return;
            }
            recording.steps.push(RecordedStep {
                pc: seen.pc,
                live: seen.state.live,
                here: seen.state.way.mask,
                active: seen.active,
                results: Vec::new(),
                access,
                others: std::mem::take(&mut self.others),
                writes: Vec::new(),
            });
        }
        self.last = Some(Last { warp: seen.warp, pc: seen.pc, access, is_step });
    }

    /// What the last instruction did to shared memory.
    fn finish(&mut self, seen: &Seen<'_>, recording: &mut Recording) {
        let Some(last) = self.last.take() else { return };
        let op = self.kernel.code[last.pc].op;
        self.barriers.resize(self.barriers.len().max(last.warp + 1), 0);
        let barriers = self.barriers[last.warp];
        if matches!(op, Op::Barrier { .. } | Op::BarrierReduce { .. }) {
            self.barriers[last.warp] += 1;
        }
        if !changes_shared(op) {
            return;
        }
        // The thread that wrote each word; of several, the last.
        let mut writers = BTreeMap::new();
        if let Some(access) = last.access.filter(|access| access.shared && access.writes) {
            for lane in lanes(access.active) {
                let at = access.at[lane] as usize;
                let words = at / WORD..(at + access.bytes).div_ceil(WORD);
                writers.extend(words.map(|word| (word, last.warp * LANES + lane)));
            }
        }
        let words = seen.shared.chunks(WORD).zip(self.shared.chunks(WORD)).enumerate();
        let mut writes = Vec::new();
        for (word, (new, old)) in words {
            let thread = writers.get(&word).copied();
            if thread.is_some() || new != old {
                let value = new.iter().rev().fold(0, |all, &byte| all << 8 | u32::from(byte));
                writes.push(SharedWrite { word, value, thread, barriers });
            }
        }
        self.shared.copy_from_slice(seen.shared);
        match recording.steps.last_mut() {
            Some(step) if last.is_step => step.writes = writes,
            _ => self.others.extend(writes),
        }
    }
}

/// Can it change shared memory?
fn changes_shared(op: Op) -> bool {
    match op {
        Op::Store { space, .. } | Op::Atomic { space, .. } => {
            matches!(space, Space::Shared | Space::Generic)
        }
        Op::StoreMatrix { .. } | Op::MBarrier(..) | Op::CopyWait | Op::Exit => true,
        _ => false,
    }
}

/// A register's values.
fn value(warp: &Warp, written: &Written) -> Longs {
    match written.class {
        Class::Word => warp.words[written.slot].map(u64::from),
        Class::Long => warp.longs[written.slot],
        Class::Pred => std::array::from_fn(|lane| u64::from(warp.preds[written.slot] >> lane & 1)),
    }
}

/// The access that an instruction is about to make; of a generic one whose lanes mean several
/// spaces, that of the first lane.
fn access(kernel: &Kernel, warp: &Warp, i: &Instruction, active: u32) -> Option<RecordedAccess> {
    let mut active = active;
    let (mut space, writes, bytes, mut at) = match i.op {
        Op::Load { space, bytes, address, .. } => (
            space,
            false,
            usize::from(bytes) * kernel.lists[i.outs.range()].len(),
            warp.addresses(i, address),
        ),
        Op::Store { space, bytes, address, .. } => (
            space,
            true,
            usize::from(bytes) * kernel.lists[i.ins.range()].len(),
            warp.addresses(i, address),
        ),
        Op::Atomic { space, ty, address, .. } => {
            (space, true, ty.bytes(), warp.addresses(i, address))
        }
        Op::CopyAsync { bytes, .. } => {
            // What it writes comes later.
            let offset = warp.words[kernel.lists[i.ins.start as usize] as usize][0];
            let from = warp.longs[i.b as usize];
            let from = from.map(|from| from.wrapping_add(offset as i32 as i64 as u64));
            (Space::Global, false, usize::from(bytes), from)
        }
        Op::MBarrier(op, address) if op != MBarrier::PendingCount => {
            (Space::Generic, true, 8, warp.addresses(i, address))
        }
        Op::LoadMatrix { address, .. } | Op::StoreMatrix { address, .. } => {
            let writes = matches!(i.op, Op::StoreMatrix { .. });
            let list = if writes { i.ins } else { i.outs };
            active &= u32::MAX >> (LANES - (8 * usize::from(list.len)).min(LANES));
            (Space::Generic, writes, 16, warp.addresses(i, address))
        }
        _ => return None,
    };
    if active == 0 {
        return None;
    }
    if space == Space::Generic {
        (space, active, at) = same_space(&at, active);
        // Instructions for shared memory alone take its own addresses, too.
        let only_shared = !matches!(i.op, Op::Load { .. } | Op::Store { .. } | Op::Atomic { .. });
        if only_shared {
            space = Space::Shared;
        }
    }
    let shared = match space {
        Space::Shared => true,
        Space::Global | Space::Const => false,
        _ => return None,
    };
    let aligned = bytes > 0 && lanes(active).all(|lane| at[lane] % bytes as u64 == 0);
    let cost = aligned.then(|| match shared {
        true => 1 + bank_conflicts(&at, active, bytes),
        false => transactions(&at, active),
    });
    Some(RecordedAccess { shared, writes, bytes, active, at, cost })
}
