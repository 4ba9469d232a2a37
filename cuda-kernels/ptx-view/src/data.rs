//! A recording as JSON, as `assets/values.js` and `assets/recording.js` read it.

use ptx_emulator::{
    Fault, Param, RecordedAccess, RecordedInstruction, RecordedStep, Recording, SharedWrite,
};
use serde_json::{Value, json};

use crate::rows::short;

/// A source file that the PTX names: its index there, its name, and its text, if that is at hand.
pub type Source = (u32, String, String);

/// All that the page shows.
pub fn data(
    recording: &Recording,
    ptx: &str,
    sources: &[Source],
    finding: Option<&Fault>,
) -> Value {
    let Recording { kernel, grid, block, in_block, warp, shared_bytes, is_cut, .. } = recording;
    let named = |file: u32| recording.code.iter().any(|code| code.place.file == file);
    let sources = sources.iter().filter(|&(file, _, text)| named(*file) && !text.is_empty());
    json!({
        "kernel": kernel,
        "grid": grid,
        "block": block,
        "inBlock": in_block,
        "warp": warp,
        "sharedBytes": shared_bytes,
        "isCut": is_cut,
        "params": recording.params.iter().map(|(name, value)| param(name, value)).collect::<Vec<_>>(),
        "ptx": lines(recording, ptx),
        "sources": sources
            .map(|(file, name, text)| json!({ "file": file, "name": name, "lines": text.lines().collect::<Vec<_>>() }))
            .collect::<Vec<_>>(),
        "registers": recording.registers.iter().map(|r| json!([r.name, r.ty])).collect::<Vec<_>>(),
        "code": recording.code.iter().map(instruction).collect::<Vec<_>>(),
        "steps": recording.steps.iter().map(step).collect::<Vec<_>>(),
        "finding": finding.map(found),
    })
}

/// Pointers by their addresses; other values in words.
fn param(name: &str, value: &Param) -> Value {
    let (at, text) = match value {
        Param::U64(value) => (Some(format!("{value:x}")), value.to_string()),
        Param::U32(value) => (None, value.to_string()),
        Param::F32(value) => (None, value.to_string()),
        Param::F64(value) => (None, value.to_string()),
        Param::Bytes(bytes) => (None, format!("{} bytes", bytes.len())),
    };
    json!({ "name": name, "value": text, "at": at })
}

/// The part of the text that the kernel's instructions come from, and the number of its first line.
fn lines(recording: &Recording, ptx: &str) -> Value {
    let lines: Vec<&str> = ptx.lines().collect();
    let numbers = recording.code.iter().map(|code| code.place.line as usize);
    let (first, last) = (numbers.clone().min().unwrap_or(1), numbers.max().unwrap_or(1));
    // From the kernel's name to the brace after the last instruction.
    let entry = |line: &&str| line.contains(".entry") || line.contains(".func");
    let before = lines.iter().take(first).rposition(entry);
    let after = lines.iter().skip(last).position(|line| line.starts_with('}'));
    let first = before.map_or(first, |index| index + 1);
    let last = after.map_or(last, |index| last + index + 1).min(lines.len());
    json!({ "first": first, "lines": lines.get(first - 1..last).unwrap_or_default() })
}

fn instruction(code: &RecordedInstruction) -> Value {
    let RecordedInstruction { place, class, jumps, is_barrier, reads, writes } = code;
    json!({
        "line": place.line,
        "file": place.file,
        "source": place.source_line,
        "class": class.name(),
        "jumps": jumps,
        "isBarrier": is_barrier,
        "reads": reads,
        "writes": writes,
    })
}

fn step(step: &RecordedStep) -> Value {
    let mut value = json!({
        "pc": step.pc,
        "live": step.live,
        "here": step.here,
        "active": step.active,
    });
    if !step.results.is_empty() {
        let results = step.results.iter().map(|(register, row)| json!([register, short(row)]));
        value["results"] = results.collect();
    }
    if let Some(access) = &step.access {
        value["access"] = accessed(access);
    }
    for (name, writes) in [("others", &step.others), ("writes", &step.writes)] {
        if !writes.is_empty() {
            value[name] = runs(writes);
        }
    }
    value
}

fn accessed(access: &RecordedAccess) -> Value {
    let RecordedAccess { shared, writes, bytes, active, at, cost } = access;
    json!({
        "shared": shared,
        "writes": writes,
        "bytes": bytes,
        "active": active,
        "at": short(at),
        "cost": cost,
    })
}

/// Neighbouring words that neighbouring threads wrote, together: first word, first thread, barriers,
/// values.
fn runs(writes: &[SharedWrite]) -> Value {
    let follows = |a: &SharedWrite, b: &SharedWrite| {
        let thread = a.thread.map(|thread| thread + 1);
        b.word == a.word + 1 && b.thread == thread && b.barriers == a.barriers
    };
    writes
        .chunk_by(follows)
        .map(|run| {
            let values: Vec<u64> = run.iter().map(|write| write.value.into()).collect();
            json!([run[0].word, run[0].thread, run[0].barriers, run.len(), short(&values)])
        })
        .collect()
}

fn found(fault: &Fault) -> Value {
    json!({
        "kind": fault.kind.name(),
        "detail": fault.detail,
        "line": fault.line,
        "block": fault.block,
        "thread": fault.thread,
    })
}
