//! Traces warps, instruction by instruction.

use super::block::show_lanes;
use super::error::{Fault, Place};
use super::launch::{Launch, Options, trace};
use super::memory::Memory;
use super::module::Module;
use super::observer::Seen;
use super::profiler::Report;

/// Records the first instructions of the selected warps.
#[derive(Debug, Default)]
pub struct Tracer {
    /// Maximum instructions to record.
    limit: usize,
    /// The block to record.
    block: u32,
    /// The warp to record, or all.
    warp: Option<usize>,
    /// What was recorded.
    pub steps: Vec<TraceStep>,
}

/// One instruction of one warp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceStep {
    /// Number of the warp in its block.
    pub warp: usize,
    /// Where the instruction came from.
    pub place: Place,
    /// Lanes that run it.
    pub active: u32,
}

impl Tracer {
    /// Records at most `limit` instructions of one block (its number in the grid, x fastest), of
    /// one of its warps or of all.
    pub fn new(limit: usize, block: u32, warp: Option<usize>) -> Tracer {
        Tracer { limit, block, warp, steps: Vec::new() }
    }

    /// Launches and records.
    pub fn launch(
        &mut self,
        module: &Module,
        memory: &mut Memory,
        launch: &Launch<'_>,
        options: &Options,
    ) -> Result<Report, Fault> {
        let places = module.kernel(launch.kernel).map_or(&[][..], |kernel| &kernel.places[..]);
        let mut observe = |seen: Seen<'_>| {
            let block = seen.block == self.block;
            let wanted = block && self.warp.is_none_or(|wanted| wanted == seen.warp);
            if wanted && self.steps.len() < self.limit {
                let Seen { warp, pc, active, .. } = seen;
                self.steps.push(TraceStep { warp, place: places[pc], active });
            }
        };
        trace(module, memory, launch, options, &mut observe)
    }

    /// The record as text: warp, line of the PTX, instruction, lanes; and the source's line where
    /// it changes. `ptx` is the module's text; `sources` are its source files: index, name, text
    /// (empty if unavailable).
    pub fn show(&self, ptx: &str, sources: &[(u32, String, String)]) -> String {
        let lines: Vec<&str> = ptx.lines().collect();
        let mut text = String::new();
        let mut last = (0, 0);
        for TraceStep { warp, place, active } in &self.steps {
            let Place { file, source_line, .. } = *place;
            if (file, source_line) != last && source_line != 0 {
                last = (file, source_line);
                let source = sources.iter().find(|(index, ..)| *index == file);
                let (name, code) = source.map_or(("", ""), |(_, name, source)| {
                    (name, source.lines().nth(source_line as usize - 1).unwrap_or_default().trim())
                });
                text += &format!("-- {name}:{source_line}  {code}\n");
            }
            let instruction = lines.get((place.line as usize).wrapping_sub(1)).unwrap_or(&"");
            let instruction = instruction.split_whitespace().collect::<Vec<_>>().join(" ");
            text +=
                &format!("w{warp:<2} {:>5}  {instruction:<56} {}\n", place.line, lanes(*active));
        }
        text
    }
}

/// Lanes in few words: all, ranges, or none.
fn lanes(mask: u32) -> String {
    let count = mask.count_ones();
    let first = mask.trailing_zeros();
    if mask == 0 {
        return "no lane".to_owned();
    }
    if mask.checked_shr(first).unwrap_or(0).trailing_ones() == count {
        return match count {
            32 => "all lanes".to_owned(),
            1 => format!("lane {first}"),
            _ => format!("lanes {first} to {}", first + count - 1),
        };
    }
    format!("lanes {}", show_lanes(mask))
}
