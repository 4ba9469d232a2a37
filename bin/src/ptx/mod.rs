//! `carp ptx`: one kernel on the emulator, run, checked, profiled, traced or viewed.

mod argument;
mod array;
mod kernel_run;
mod roofline;
mod view;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use carp::error::Result;
use clap::{Args, Subcommand};
use cuda_kernels::tour::{self, Visit};
use ptx_emulator::{Count, Options, Report, SECTOR, Tracer, launch};

use self::kernel_run::{PtxArgs, Run, sources, start};
use self::roofline::Bounds;
use self::view::{ViewArgs, check_place};
use crate::config_args::ConfigArgs;

/// Source lines that a profile lists.
const HOT_LINES: usize = 12;

#[derive(Subcommand)]
pub enum PtxCommand {
    /// Run a kernel and report the emulator's speed.
    Run(PtxArgs),
    /// Run a kernel under the sanitizer: bounds, alignment, races, barriers, uninitialised memory.
    Check(PtxArgs),
    /// Count instructions, memory transactions, bank conflicts and divergent branches.
    Profile(PtxArgs),
    /// Print what a warp does, instruction by instruction.
    Trace(TraceArgs),
    /// Write a page to step through a warp: source and PTX, lanes, registers, shared memory and its
    /// banks, what the sanitizer finds.
    View(ViewArgs),
    /// Bound the time of a kernel, or of a training step, from below: exact counts against the
    /// published limits of three cards.
    Roofline(Box<RooflineArgs>),
}

#[derive(Args)]
pub struct RooflineArgs {
    /// One of carp's kernels; without one, a whole training step.
    #[arg(conflicts_with = "ConfigArgs")]
    kernel: Option<String>,
    #[command(flatten)]
    step: ConfigArgs,
}

#[derive(Args)]
pub struct TraceArgs {
    #[command(flatten)]
    args: PtxArgs,
    /// Block of the grid, counted along x first.
    #[arg(long, value_name = "N", default_value_t = 0)]
    in_block: u32,
    /// Warp of the block.
    #[arg(long, value_name = "N", default_value_t = 0)]
    warp: usize,
    /// Stop printing after this many instructions.
    #[arg(long, value_name = "N", default_value_t = 200)]
    limit: usize,
}

pub fn run(command: &PtxCommand) -> Result<ExitCode> {
    match command {
        PtxCommand::Run(args) => {
            let run = start(args, Options::default(), launch)?;
            let text = describe(args, &run)? + &run.buffers;
            crate::print::print(&text);
        }
        PtxCommand::Check(args) => {
            let run = start(args, Options { sanitize: true, ..Options::default() }, launch)?;
            let text = describe(args, &run)?;
            crate::print::print(&format!("{text}nothing found\n"));
        }
        PtxCommand::Profile(args) => {
            let run = start(args, Options { profile: true, ..Options::default() }, launch)?;
            let text = describe(args, &run)?;
            crate::print::print(&(text + &profile(args, &run)));
        }
        PtxCommand::Roofline(args) => {
            let RooflineArgs { kernel, step } = &**args;
            let all = match kernel {
                Some(kernel) => {
                    let options = Options { profile: true, ..Options::default() };
                    let mut bounds = Bounds::default();
                    for Visit { grid, result, .. } in tour::visit(kernel, options, launch)? {
                        let report =
                            result.map_err(|fault| tensor::Error::device(fault.to_string()))?;
                        bounds.add(&report, grid);
                    }
                    BTreeMap::from([(kernel.clone(), bounds)])
                }
                None => roofline::step(step)?,
            };
            crate::print::print(&roofline::table(&all));
        }
        PtxCommand::Trace(TraceArgs { args, in_block, warp, limit }) => {
            let tracer = Arc::new(Mutex::new(Tracer::new(*limit, *in_block, Some(*warp))));
            let watch = Arc::clone(&tracer);
            let run = start(args, Options::default(), move |module, memory, shape, options| {
                let mut tracer = watch.lock().expect("no thread panics while it traces");
                tracer.launch(module, memory, shape, options)
            })?;
            let places = run.visits.iter();
            let places = places.map(|visit| check_place(visit.grid, visit.block, *in_block, *warp));
            // Of several launches, one should have the warp.
            places.reduce(Result::or).unwrap_or(Ok(()))?;
            let tracer = tracer.lock().expect("no thread panics while it traces");
            crate::print::print(&tracer.show(&run.ptx, &sources(args, &run)));
        }
        PtxCommand::View(args) => view::view(args)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// One line per launch; the first fault is an error.
fn describe(args: &PtxArgs, run: &Run) -> Result<String> {
    let mut text = String::new();
    for visit in &run.visits {
        let report = match &visit.result {
            Ok(report) => report,
            Err(fault) => return Err(tensor::Error::device(fault.to_string()).into()),
        };
        let ([gx, gy, gz], [bx, by, bz]) = (visit.grid, visit.block);
        let rate = report.instructions as f64 / visit.seconds / 1e6;
        let _ = writeln!(
            text,
            "{}: grid ({gx},{gy},{gz}), block ({bx},{by},{bz}): {} thread instructions, {:.3} \
             s, {rate:.0} million per second",
            args.kernel, report.instructions, visit.seconds
        );
    }
    Ok(text)
}

/// Counts over all launches: classes, memory, and the most expensive source lines.
fn profile(args: &PtxArgs, run: &Run) -> String {
    let reports: Vec<&Report> =
        run.visits.iter().filter_map(|visit| visit.result.as_ref().ok()).collect();
    let sum = |of: fn(&Report) -> u64| reports.iter().map(|report| of(report)).sum::<u64>();
    let instructions = sum(|report| report.instructions).max(1);
    let mut text = String::from("\nthread instructions by class\n");
    let mut classes = BTreeMap::new();
    for (class, count) in reports.iter().flat_map(|report| &report.classes) {
        *classes.entry(*class).or_insert(0) += count;
    }
    let mut classes: Vec<_> = classes.into_iter().collect();
    classes.sort_by_key(|&(class, count)| (std::cmp::Reverse(count), class));
    for (class, count) in classes {
        let share = 100.0 * count as f64 / instructions as f64;
        let _ = writeln!(text, "  {:<16}{count:>14}{share:>7.1} %", class.name());
    }
    let efficiency = |bytes: u64, sectors: u64| match sectors {
        0 => "-".to_owned(),
        _ => format!("{:.0} %", 100.0 * bytes as f64 / (SECTOR * sectors) as f64),
    };
    let (loads, stores) = (sum(|r| r.load_sectors), sum(|r| r.store_sectors));
    let rows = [
        ("warp global loads", sum(|r| r.global_loads).to_string()),
        ("  32-byte transactions", loads.to_string()),
        ("  efficiency", efficiency(sum(|r| r.load_bytes), loads)),
        ("warp global stores", sum(|r| r.global_stores).to_string()),
        ("  32-byte transactions", stores.to_string()),
        ("  efficiency", efficiency(sum(|r| r.store_bytes), stores)),
        ("DRAM bytes without a cache", sum(Report::dram_bytes).to_string()),
        ("warp shared accesses", sum(|r| r.shared_requests).to_string()),
        ("  extra cycles for bank conflicts", sum(|r| r.bank_conflicts).to_string()),
        ("warp branches", sum(|r| r.branches).to_string()),
        ("  divergent", sum(|r| r.divergent_branches).to_string()),
        ("critical path of the first block", sum(|r| r.critical_path).to_string()),
    ];
    text += "\nmemory and branches\n";
    for (name, value) in rows {
        let _ = writeln!(text, "  {name:<32}{value:>14}");
    }
    text + &hot_lines(args, run, &reports, instructions)
}

/// The source lines with the most instructions, and those at which the first warp takes longest.
fn hot_lines(args: &PtxArgs, run: &Run, reports: &[&Report], instructions: u64) -> String {
    let mut lines: BTreeMap<(u32, u32), Count> = BTreeMap::new();
    for (place, _, count) in reports.iter().flat_map(|report| &report.hot) {
        lines.entry((place.file, place.source_line)).or_default().add(count);
    }
    let sources = sources(args, run);
    let most = |of: fn(&Count) -> u64, numbers: &dyn Fn(&Count) -> String| {
        let mut lines: Vec<_> =
            lines.iter().filter(|((_, line), count)| *line > 0 && of(count) > 0).collect();
        lines.sort_by_key(|&(line, count)| (std::cmp::Reverse(of(count)), line));
        let mut text = String::new();
        for (&(file, line), count) in lines.into_iter().take(HOT_LINES) {
            let source = sources.iter().find(|(index, ..)| *index == file);
            let (name, code) = source.map_or(("", ""), |(_, name, text)| {
                (name, text.lines().nth(line as usize - 1).unwrap_or_default())
            });
            let _ = writeln!(text, "{}  {name}:{line}  {}", numbers(count), code.trim());
        }
        text
    };
    let counts = |count: &Count| {
        let share = 100.0 * count.threads as f64 / instructions as f64;
        let Count { sectors, conflicts, divergent, .. } = count;
        format!("  {share:>4.1} %{sectors:>13}{conflicts:>11}{divergent:>11}")
    };
    let path: u64 = lines.values().map(|count| count.path).sum::<u64>().max(1);
    let cycles = |count: &Count| {
        format!("  {:>4.1} %{:>9}", 100.0 * count.path as f64 / path as f64, count.path)
    };
    "\nsource lines with the most instructions\n  share  transactions  conflicts  divergent\n"
        .to_owned()
        + &most(|count| count.threads, &counts)
        + "\nsource lines at which the first warp takes longest, at least\n  share   cycles\n"
        + &most(|count| count.path, &cycles)
}
