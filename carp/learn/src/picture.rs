//! Which lane touches which address: a kernel's accesses to memory as an SVG.
//!
//! A panel per instruction, each with its first access by the first warp. A row is 128 bytes, 32 words;
//! a cell is a word, and has the number of the lane that touches it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use ptx_emulator::{Options, SECTOR, WarpAccess};

use crate::kernel_case::{Argument, KernelCase};
use crate::kernel_check::{Prepared, Program};

/// More accesses than the first warp's instructions make until each has run.
const ACCESSES: usize = 10_000;
const WORD: u64 = 4;
/// Words of a row.
const COLUMNS: u64 = 32;

/// Pixels.
const CELL: u64 = 22;
const LABEL: u64 = 110;
const MARGIN: u64 = 16;
/// Between sectors of global memory.
const GAP: u64 = 6;
const WIDTH: u64 = 2 * MARGIN + LABEL + COLUMNS * CELL + 3 * GAP;

/// Draws the first launch of a check, without the sanitizer: a kernel that is wrong is worth seeing.
///
/// # Errors
/// The text is no PTX, or the launch ends with a fault.
pub fn picture(case: &KernelCase, program: Program<'_>) -> Result<String, String> {
    let Program { name, ptx, .. } = program;
    let launch = &case.launches[0];
    let mut prepared = Prepared::new(case.kernel, launch, program)?;
    let options = Options { profile: true, accesses: ACCESSES, ..Options::default() };
    let report = prepared.run(&options).map_err(|fault| fault.to_string())?;
    let mut first: BTreeMap<u32, &WarpAccess> = BTreeMap::new();
    for access in report.accesses.iter().filter(|access| access.warp == 0 && access.active != 0) {
        first.entry(access.place.line).or_insert(access);
    }
    let mut body = String::new();
    let title = format!("{name}, {}: the first access of warp 0 in each line", launch.what);
    let mut y = MARGIN + CELL;
    let _ = writeln!(body, r#"<text x="{MARGIN}" y="{y}" class="title">{}</text>"#, escape(&title));
    y += CELL;
    for (line, access) in first {
        let code = ptx.lines().nth(line as usize - 1).unwrap_or_default();
        let arrays = launch.arguments.iter().zip(prepared.addresses());
        let label = |at: u64| match access.shared {
            true => format!("byte {at}"),
            false => arrays
                .clone()
                .find_map(|(argument, start)| element(argument, start?, at))
                .unwrap_or_default(),
        };
        y = panel(&mut body, y, line, code, access, label);
    }
    Ok(format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}">
<style>text {{ font: 12px monospace; fill: #222 }} .title {{ font-size: 15px; font-weight: bold }}
.lane {{ font-size: 11px; text-anchor: middle }} .label {{ text-anchor: end }}</style>
<rect width="100%" height="100%" fill="white"/>
{body}</svg>
"##
    ))
}

/// The name of the element of an array at an address, if it is there.
fn element(argument: &Argument, start: u64, at: u64) -> Option<String> {
    let (name, count) = match argument {
        Argument::Number(_) => return None,
        Argument::Input(name, values) | Argument::Output(name, values, _) => (name, values.len()),
    };
    let index = at.checked_sub(start)? / WORD;
    (index < count as u64).then(|| format!("{name}[{index}]"))
}

/// Draws an access from `y` on; returns where the next panel begins.
fn panel(
    body: &mut String,
    mut y: u64,
    line: u32,
    code: &str,
    access: &WarpAccess,
    label: impl Fn(u64) -> String,
) -> u64 {
    // The lanes of each word.
    let mut words: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for lane in (0..32).filter(|lane| access.active >> lane & 1 == 1) {
        let at = access.at[lane];
        for word in at / WORD..(at + access.bytes as u64).div_ceil(WORD) {
            words.entry(word).or_default().push(lane);
        }
    }
    let sectors: BTreeSet<u64> = words.keys().map(|word| word * WORD / SECTOR).collect();
    let rows: BTreeSet<u64> = words.keys().map(|word| word / COLUMNS).collect();
    y += CELL;
    let code = escape(code.trim());
    let _ = writeln!(body, r#"<text x="{MARGIN}" y="{y}">line {line}:  {code}</text>"#);
    y += CELL;
    let summary = match access.shared {
        true => cycles(&words),
        false => format!(
            "{} transactions of 32 bytes; {} of their {} bytes are used",
            sectors.len(),
            WORD * words.len() as u64,
            SECTOR * sectors.len() as u64
        ),
    };
    let _ = writeln!(body, r#"<text x="{MARGIN}" y="{y}">{summary}</text>"#);
    y += CELL / 2;
    let mut last = None;
    for row in rows {
        if last.is_some_and(|last| last + 1 != row) {
            y += GAP;
        }
        last = Some(row);
        let text = escape(&label(row * COLUMNS * WORD));
        let (x, base) = (MARGIN + LABEL - GAP, y + CELL - 7);
        let _ = writeln!(body, r#"<text x="{x}" y="{base}" class="label">{text}</text>"#);
        let x = |column: u64| {
            let gaps = if access.shared { 0 } else { column / (SECTOR / WORD) };
            MARGIN + LABEL + column * CELL + gaps * GAP
        };
        for start in (0..COLUMNS).step_by((SECTOR / WORD) as usize) {
            let sector = (row * COLUMNS + start) * WORD / SECTOR;
            let is_moved = !access.shared && sectors.contains(&sector);
            let (x, width) = (x(start), CELL * SECTOR / WORD);
            let fill = if is_moved { "#ddd" } else { "none" };
            let _ = writeln!(
                body,
                r##"<rect x="{x}" y="{y}" width="{width}" height="{CELL}" fill="{fill}" stroke="#bbb"/>"##
            );
        }
        for (&word, lanes) in words.range(row * COLUMNS..(row + 1) * COLUMNS) {
            let x = x(word % COLUMNS);
            let (hue, middle) = (lanes[0] * 11, x + CELL / 2);
            let more = if lanes.len() > 1 { "+" } else { "" };
            let _ = writeln!(
                body,
                r##"<rect x="{x}" y="{y}" width="{CELL}" height="{CELL}" fill="hsl({hue},75%,72%)" stroke="#777"/><text x="{middle}" y="{base}" class="lane">{}{more}</text>"##,
                lanes[0]
            );
        }
        y += CELL;
    }
    y + CELL
}

/// How long shared memory takes for these words, a word from each bank in a cycle.
fn cycles(words: &BTreeMap<u64, Vec<usize>>) -> String {
    let mut banks = [0; COLUMNS as usize];
    words.keys().for_each(|word| banks[(word % COLUMNS) as usize] += 1);
    let most = banks.into_iter().max().unwrap_or(0);
    match most {
        0 | 1 => "a column is a bank: no two words of one bank, 1 cycle".to_owned(),
        _ => format!("a column is a bank: {most} words of one bank, {most} cycles"),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
