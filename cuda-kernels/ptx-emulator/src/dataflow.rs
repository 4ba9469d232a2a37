//! What a kernel's code says about its accesses, before registers share slots: see [`Hint`].

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::decode::Draft;
use super::ops::{
    Address, Atomic, Hint, Instruction, Int, Int3, Kernel, Logic, NONE, Op, Preset, R,
};
use super::types::Space;

/// What a register's definitions agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    /// None was looked at yet.
    Unknown,
    /// The same for all threads of a launch.
    Constant,
    /// An address inside the local variable that begins at this byte.
    Local(u32),
    /// An address inside the shared variable that begins and ends at these bytes.
    Shared(u32, u32),
    /// Something else.
    Other,
    /// What is made of addresses in shared variables, of which one cannot be told.
    Mixed,
}

impl Value {
    fn meet(self, other: Value) -> Value {
        match (self, other) {
            (Value::Unknown, value) | (value, Value::Unknown) => value,
            (one, other) if one == other => one,
            (one, other) if one.is_shared() || other.is_shared() => Value::Mixed,
            _ => Value::Other,
        }
    }

    /// Is it made of addresses in shared variables?
    fn is_shared(self) -> bool {
        matches!(self, Value::Shared(..) | Value::Mixed)
    }

    /// The sum of an address and an offset.
    fn plus(self, other: Value) -> Value {
        match (self, other) {
            (Value::Local(root), _) | (_, Value::Local(root)) => Value::Local(root),
            (Value::Constant, Value::Constant) => Value::Constant,
            (address @ Value::Shared(..), offset) | (offset, address @ Value::Shared(..))
                if !offset.is_shared() =>
            {
                address
            }
            (one, other) if one.is_shared() || other.is_shared() => Value::Mixed,
            (Value::Unknown, _) | (_, Value::Unknown) => Value::Unknown,
            _ => Value::Other,
        }
    }
}

/// Fills the kernel's hints.
pub fn annotate(draft: &mut Draft) {
    let Draft { kernel, classes, presets, .. } = draft;
    let roots = local_roots(kernel, presets);
    let values = values(kernel, classes.len(), presets);
    let mut used = vec![false; classes.len()];
    for i in &kernel.code {
        kernel.reads(i).for_each(|r| used[r as usize] = true);
    }
    let origins = Origins::new(kernel, classes.len(), presets);
    let checked: BTreeSet<(R, i64)> = kernel
        .code
        .iter()
        .filter(|i| matches!(i.op, Op::Atomic { op: Atomic::Cas, .. }))
        .map(|i| origins.of(i))
        .collect();
    let loops = loops(kernel);
    let end = kernel.local_bytes as u32;
    let object = |i: &Instruction, space: Space, address: Address| match address {
        Address::Long | Address::Word => match values[i.a as usize] {
            Value::Local(root) if matches!(space, Space::Local | Space::Generic) => {
                Some((root, roots.range(root + 1..).next().copied().unwrap_or(end)))
            }
            Value::Shared(start, end) if matches!(space, Space::Shared | Space::Generic) => {
                Some((start, end))
            }
            _ => None,
        },
        Address::Fixed => None,
    };
    let hint = |(pc, i): (usize, &Instruction)| {
        let mut hint = Hint::default();
        match i.op {
            Op::Load { space, address, semantics, .. } => {
                let outs = &kernel.lists[i.outs.range()];
                let is_used = |r: R| r != NONE && used[r as usize];
                // A compiler widens a load of what is used. One without any use is the text's own.
                if !semantics.is_strong() && outs.iter().any(|&r| is_used(r)) {
                    let unused = outs.iter().enumerate().filter(|&(_, &r)| !is_used(r));
                    hint.unused = unused.fold(0, |mask, (k, _)| mask | 1 << k);
                }
                hint.checked = checked.contains(&origins.of(i));
                hint.polls = semantics.is_strong() && polls(kernel, &loops, pc);
                hint.object = object(i, space, address);
            }
            Op::Store { space, address, .. } => {
                let mut ins = kernel.lists[i.ins.range()].iter();
                hint.constant = ins.all(|&r| values[r as usize] == Value::Constant);
                hint.object = object(i, space, address);
            }
            Op::Atomic { space, address, .. } => hint.object = object(i, space, address),
            Op::CopyAsync { address, .. }
            | Op::LoadMatrix { address, .. }
            | Op::StoreMatrix { address, .. }
            | Op::MBarrier(_, address) => hint.object = object(i, Space::Shared, address),
            _ => {}
        }
        hint
    };
    kernel.hints = kernel.code.iter().enumerate().map(hint).collect();
}

/// Where addresses come from.
struct Origins {
    /// The one that each register with one definition is so many bytes behind, if that says so.
    behind: Vec<Option<(R, i64)>>,
}

impl Origins {
    fn new(kernel: &Kernel, registers: usize, presets: &[(R, Preset)]) -> Origins {
        let numbers: HashMap<R, i64> = presets
            .iter()
            .filter_map(|&(r, preset)| match preset {
                Preset::Long(value) => Some((r, value as i64)),
                Preset::Word(value) => Some((r, i64::from(value as i32))),
                _ => None,
            })
            .collect();
        let number = |r: R| numbers.get(&r).copied();
        let mut behind = vec![None; registers];
        let mut definitions = vec![0; registers];
        presets.iter().for_each(|&(r, _)| definitions[r as usize] += 1);
        for i in &kernel.code {
            kernel.writes(i).for_each(|r| definitions[r as usize] += 1);
            let from = match i.op {
                Op::Logic(Logic::Mov, _) | Op::ToGeneric(..) | Op::FromGeneric(..) => {
                    Some((i.a, 0))
                }
                Op::Int(Int::Add, _) => match (number(i.a), number(i.b)) {
                    (_, Some(bytes)) => Some((i.a, bytes)),
                    (Some(bytes), _) => Some((i.b, bytes)),
                    _ => None,
                },
                Op::Int(Int::Sub, _) => number(i.b).map(|bytes| (i.a, bytes.wrapping_neg())),
                _ => None,
            };
            if i.d != NONE {
                behind[i.d as usize] = from;
            }
        }
        let known = behind.into_iter().zip(definitions);
        Origins { behind: known.map(|(from, count)| from.filter(|_| count == 1)).collect() }
    }

    /// The register and the bytes behind it that an access is made at.
    fn of(&self, i: &Instruction) -> (R, i64) {
        let (mut register, mut bytes) = (i.a, i64::from(i.imm));
        // A register may be made of itself: this must end.
        for _ in 0..100 {
            let Some(&Some((from, more))) = self.behind.get(register as usize) else { break };
            (register, bytes) = (from, bytes.wrapping_add(more));
        }
        (register, bytes)
    }
}

/// The stretches of code that a jump back repeats, first and last instruction.
fn loops(kernel: &Kernel) -> Vec<(usize, usize)> {
    let jumps = kernel.code.iter().enumerate().filter(|(_, i)| matches!(i.op, Op::Branch));
    jumps.map(|(pc, i)| (i.imm as usize, pc)).filter(|(goal, pc)| goal <= pc).collect()
}

/// Does what an instruction loads decide whether a loop around it goes on?
fn polls(kernel: &Kernel, loops: &[(usize, usize)], load: usize) -> bool {
    let around = |&&(first, last): &&(usize, usize)| (first..=last).contains(&load);
    loops.iter().filter(around).any(|&(first, last)| {
        let mut derived: BTreeSet<R> = kernel.writes(&kernel.code[load]).collect();
        // In the order of the code: twice, for what comes around the loop.
        let code = &kernel.code[first..=last];
        for i in code.iter().chain(code) {
            let jumps = matches!(i.op, Op::Branch) && derived.contains(&i.guard);
            if jumps {
                return true;
            }
            let passes = !matches!(i.op, Op::Load { .. } | Op::Atomic { .. });
            if passes && kernel.operands(i).any(|r| derived.contains(&r)) {
                derived.extend(kernel.writes(i));
            }
        }
        false
    })
}

/// Where local variables begin: a compiler puts all of a function's into one, and adds to that
/// one's address where each begins.
fn local_roots(kernel: &Kernel, presets: &[(R, Preset)]) -> BTreeSet<u32> {
    let numbers: HashMap<R, u64> = numbers(presets).collect();
    let depots = depots(kernel, presets);
    let starts = kernel.locals.iter().map(|&(start, _)| start);
    let adds = kernel.code.iter().filter(|i| matches!(i.op, Op::Int(Int::Add, _)));
    let inside = adds.filter_map(|i| Some(depots.get(&i.a)? + *numbers.get(&i.b)? as u32));
    starts.chain(inside).collect()
}

fn numbers(presets: &[(R, Preset)]) -> impl Iterator<Item = (R, u64)> + '_ {
    presets.iter().filter_map(|&(r, preset)| match preset {
        Preset::Long(value) => Some((r, value)),
        Preset::Word(value) => Some((r, value.into())),
        _ => None,
    })
}

/// Registers with the address where all local variables of a function are, in local memory's own
/// space or generic, and the address.
fn depots(kernel: &Kernel, presets: &[(R, Preset)]) -> BTreeMap<R, u32> {
    let own = presets.iter().filter_map(|&(r, preset)| match preset {
        Preset::Depot(at) => Some((r, at as u32)),
        _ => None,
    });
    let mut found: BTreeMap<R, u32> = own.collect();
    for i in &kernel.code {
        let copies = matches!(i.op, Op::Logic(Logic::Mov, _) | Op::ToGeneric(Space::Local, _));
        if let Some(&at) = found.get(&i.a).filter(|_| copies) {
            found.insert(i.d, at);
        }
    }
    found
}

/// What each register holds, wherever it is written.
fn values(kernel: &Kernel, registers: usize, presets: &[(R, Preset)]) -> Vec<Value> {
    let numbers: HashMap<R, u64> = numbers(presets).collect();
    let depots = depots(kernel, presets);
    let mut values = vec![Value::Unknown; registers];
    for &(r, preset) in presets {
        values[r as usize] = match preset {
            Preset::Word(_) | Preset::Long(_) | Preset::True | Preset::False => Value::Constant,
            Preset::Global(..) | Preset::Ntid(_) | Preset::Nctaid(_) => Value::Constant,
            Preset::Shared { variable: (start, end), .. } => Value::Shared(start, end),
            _ => Value::Other,
        };
    }
    let result = |values: &[Value], i: &Instruction| {
        let of = |r: R| values[r as usize];
        let passes = |value: Value| value.is_shared() || value == Value::Unknown;
        match i.op {
            Op::Int(Int::Add, _) if depots.contains_key(&i.a) => {
                let root = numbers.get(&i.b).map(|&offset| depots[&i.a] + offset as u32);
                root.map_or(Value::Other, Value::Local)
            }
            Op::Int(Int::Add, _) => of(i.a).plus(of(i.b)),
            Op::Int(Int::Sub, _) if passes(of(i.a)) && !of(i.b).is_shared() => of(i.a),
            Op::Int3(Int3::MadLo | Int3::MadWide, _)
                if passes(of(i.c)) && !of(i.a).is_shared() && !of(i.b).is_shared() =>
            {
                of(i.c)
            }
            Op::Logic(Logic::Mov, _) | Op::ToGeneric(..) | Op::FromGeneric(..) => of(i.a),
            Op::Convert { .. } if passes(of(i.a)) || of(i.a) == Value::Constant => of(i.a),
            Op::Load { space: Space::Param, address: Address::Fixed, .. } => Value::Constant,
            Op::Load { .. } | Op::Atomic { .. } => Value::Other,
            _ if kernel.operands(i).any(|r| of(r).is_shared()) => Value::Mixed,
            _ => Value::Other,
        }
    };
    // Values only ever get worse, so this ends.
    let mut changed = true;
    while changed {
        changed = false;
        for i in &kernel.code {
            let new = result(&values, i);
            for r in kernel.writes(i) {
                let met = values[r as usize].meet(new);
                changed |= met != values[r as usize];
                values[r as usize] = met;
            }
        }
    }
    values
}
