//! `carp ptx`: one kernel on the emulator, run, checked, profiled, traced or viewed.

mod argument;
mod array;
mod roofline;
mod view;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use carp::error::{Error, Result};
use clap::{Args, Subcommand};
use cuda_kernels::drivers::emulator::parsed;
use cuda_kernels::modules;
use cuda_kernels::tour::{self, Visit};
use ptx_emulator::{
    Architecture, Count, Fault, Launch, Memory, Module, Options, Report, SECTOR, Tracer, launch,
};

use self::argument::{parameter, show};
use self::array::Array;
use self::roofline::Bounds;
use self::view::ViewArgs;
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
    kernel: Option<String>,
    #[command(flatten)]
    step: ConfigArgs,
}

#[derive(Args)]
pub struct PtxArgs {
    /// One of carp's kernels (gemm_64x64, softmax, ...), launched on small data as in training; or
    /// FILE.ptx:KERNEL with the options below.
    kernel: String,
    /// Blocks along x, y and z.
    #[arg(long, value_name = "X,Y,Z", default_value = "1", value_parser = shape)]
    grid: [u32; 3],
    /// Threads per block along x, y and z.
    #[arg(long, value_name = "X,Y,Z", default_value = "32", value_parser = shape)]
    block: [u32; 3],
    /// Bytes of dynamic shared memory.
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    shared: u32,
    /// Kernel argument, repeatable, in order: 7, 0.5, or a buffer such as f32:1000 (random; f64,
    /// f16 and bf16 likewise), u32:1000 (0, 1, 2, ...; likewise u8 to i64), zeros:1000, zeros:i32:1000,
    /// empty:f32:1000 (nothing was written to it), FILE.npy or FILE.safetensors:TENSOR.
    #[arg(long = "arg", value_name = "VALUE")]
    params: Vec<String>,
    /// Write a buffer afterwards, repeatable: 1=FILE.npy, or 1=FILE.safetensors (as tensor p1), for
    /// the second argument, with the type and shape that it came with.
    #[arg(long, value_name = "N=FILE", value_parser = save)]
    save: Vec<(usize, PathBuf)>,
    /// The card whose limits the launch must keep: sm_80, sm_86, sm_90, sm_120 and so on.
    #[arg(long, value_name = "SM", default_value = Architecture::LEAST.name, value_parser = architecture)]
    arch: Architecture,
    /// Launch as a host does that has not asked for more shared memory than 48 KiB.
    #[arg(long)]
    without_opt_in: bool,
    /// Maximum instructions per thread.
    #[arg(long, value_name = "N", default_value_t = Options::default().budget)]
    budget: u64,
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

fn shape(text: &str) -> std::result::Result<[u32; 3], String> {
    let mut sides = [1; 3];
    for (i, side) in text.split(',').enumerate() {
        let value = side.trim().parse().ok();
        match (sides.get_mut(i), value) {
            (Some(place), Some(value)) => *place = value,
            _ => return Err("should be one to three numbers, such as 4 or 4,2,1".to_owned()),
        }
    }
    Ok(sides)
}

fn architecture(text: &str) -> std::result::Result<Architecture, String> {
    Architecture::from_name(text).ok_or_else(|| {
        let names: Vec<&str> = Architecture::ALL.iter().map(|known| known.name).collect();
        format!("should be one of {}", names.join(", "))
    })
}

fn save(text: &str) -> std::result::Result<(usize, PathBuf), String> {
    let wrong = || "should be N=FILE.npy or N=FILE.safetensors".to_owned();
    let (number, path) = text.split_once('=').ok_or_else(wrong)?;
    let known = path.ends_with(".npy") || path.ends_with(".safetensors");
    let number = number.parse().ok().filter(|_| known).ok_or_else(wrong)?;
    Ok((number, PathBuf::from(path)))
}

/// A kernel's launches and its PTX.
struct Run {
    visits: Vec<Visit>,
    ptx: String,
    /// Where the sources may be.
    folder: PathBuf,
    /// First values of the buffers, if they were allocated here.
    buffers: String,
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
            let tracer = tracer.lock().expect("no thread panics while it traces");
            crate::print::print(&tracer.show(&run.ptx, &sources(args, &run)));
        }
        PtxCommand::View(args) => view::view(args)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Splits FILE.ptx:KERNEL.
fn file_and_kernel(text: &str) -> Option<(&Path, &str)> {
    let (file, kernel) = text.rsplit_once(':')?;
    file.ends_with(".ptx").then_some((Path::new(file), kernel))
}

/// Runs a kernel by `run`: the emulator's `launch`, or what watches it.
fn start<R>(args: &PtxArgs, options: Options, run: R) -> Result<Run>
where
    R: FnMut(&Module, &mut Memory, &Launch<'_>, &Options) -> std::result::Result<Report, Fault>
        + Send
        + 'static,
{
    let options = Options { budget: args.budget, architecture: args.arch, ..options };
    if let Some((file, kernel)) = file_and_kernel(&args.kernel) {
        return from_file(args, file, kernel, options, run);
    }
    let visits = tour::visit(&args.kernel, options, run)?;
    let module = tour::module_of(&args.kernel).unwrap_or_default();
    Ok(Run {
        visits,
        ptx: modules::ptx(module).unwrap_or_default().to_owned(),
        folder: PathBuf::from("cuda-kernels/kernels"),
        buffers: String::new(),
    })
}

fn from_file(
    args: &PtxArgs,
    file: &Path,
    kernel: &str,
    options: Options,
    mut run: impl FnMut(
        &Module,
        &mut Memory,
        &Launch<'_>,
        &Options,
    ) -> std::result::Result<Report, Fault>,
) -> Result<Run> {
    let io = |source| Error::io(file, source);
    let ptx = std::fs::read_to_string(file).map_err(io)?;
    let module = Module::parse(&file.display().to_string(), &ptx)
        .map_err(|error| Error::Tensor(tensor::Error::device(error.to_string())))?;
    if !module.kernels().any(|known| known == kernel) {
        let names: Vec<&str> = module.kernels().collect();
        return Err(Error::usage(format!(
            "{} has no kernel {kernel}; it has {}",
            file.display(),
            names.join(", ")
        )));
    }
    let refused = |error: ptx_emulator::PtxError| tensor::Error::device(error.to_string());
    let sizes = module.kernel(kernel).map_err(refused)?.params.clone();
    let mut memory = Memory::new();
    if options.sanitize {
        memory.watch_uninitialised();
    }
    let mut params = Vec::new();
    let mut buffers = Vec::new();
    for (i, text) in args.params.iter().enumerate() {
        let size = sizes.get(i).map_or(0, |&(_, size, _)| size);
        let (param, buffer) = parameter(text, size, i as u64, &mut memory)?;
        buffers.extend(buffer.map(|buffer| (i, buffer)));
        params.push(param);
    }
    let shape = Launch {
        kernel,
        grid: args.grid,
        block: args.block,
        shared_bytes: args.shared,
        shared_opt_in: !args.without_opt_in,
        params: &params,
    };
    let now = Instant::now();
    let result = run(&module, &mut memory, &shape, &options);
    let seconds = now.elapsed().as_secs_f64();
    let mut arrays = BTreeMap::new();
    let mut shown = String::new();
    for (i, buffer) in buffers {
        let array = buffer.read(&memory);
        let _ = writeln!(shown, "parameter {i}: {}", show(&array));
        arrays.insert(i, array);
    }
    if result.is_ok() {
        write_arrays(&args.save, &arrays)?;
    }
    let folder = file.parent().unwrap_or(Path::new("")).to_owned();
    let visits = vec![Visit { grid: args.grid, block: args.block, seconds, result }];
    Ok(Run { visits, ptx, folder, buffers: shown })
}

/// Writes the buffers that are to be saved, by their numbers.
fn write_arrays(save: &[(usize, PathBuf)], arrays: &BTreeMap<usize, Array>) -> Result<()> {
    let mut files: BTreeMap<&Path, BTreeMap<String, Array>> = BTreeMap::new();
    for (number, path) in save {
        let array = arrays.get(number).ok_or_else(|| {
            Error::usage(format!(
                "--save {number}={}: argument {number} is no buffer",
                path.display()
            ))
        })?;
        files.entry(path).or_default().insert(format!("p{number}"), array.clone());
    }
    files.into_iter().try_for_each(|(path, arrays)| array::write(path, &arrays))
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
    ];
    text += "\nmemory and branches\n";
    for (name, value) in rows {
        let _ = writeln!(text, "  {name:<32}{value:>14}");
    }
    text + &hot_lines(args, run, &reports, instructions)
}

fn hot_lines(args: &PtxArgs, run: &Run, reports: &[&Report], instructions: u64) -> String {
    let mut lines: BTreeMap<(u32, u32), Count> = BTreeMap::new();
    for (place, _, count) in reports.iter().flat_map(|report| &report.hot) {
        lines.entry((place.file, place.source_line)).or_default().add(count);
    }
    let mut lines: Vec<_> = lines.into_iter().filter(|(_, count)| count.threads > 0).collect();
    lines.sort_by_key(|&(line, count)| (std::cmp::Reverse(count.threads), line));
    let mut text = String::from(
        "\nsource lines with the most instructions\n  share  transactions  conflicts  divergent\n",
    );
    let sources = sources(args, run);
    for ((file, line), count) in
        lines.into_iter().filter(|&((_, line), _)| line > 0).take(HOT_LINES)
    {
        let source = sources.iter().find(|(index, ..)| *index == file);
        let (name, code) = source.map_or(("", ""), |(_, name, text)| {
            (name, text.lines().nth(line as usize - 1).unwrap_or_default())
        });
        let share = 100.0 * count.threads as f64 / instructions as f64;
        let _ = writeln!(
            text,
            "  {share:>4.1} %{:>13}{:>11}{:>11}  {name}:{line}  {}",
            count.sectors,
            count.conflicts,
            count.divergent,
            code.trim()
        );
    }
    text
}

/// The source files that the PTX names: index, name, and text if available.
fn sources(args: &PtxArgs, run: &Run) -> Vec<(u32, String, String)> {
    let own;
    let module = match file_and_kernel(&args.kernel) {
        Some(_) => {
            own = Module::parse("", &run.ptx).ok();
            own.as_ref()
        }
        None => tour::module_of(&args.kernel).and_then(|module| parsed(module).ok()),
    };
    let files = module.map_or(&[][..], Module::sources);
    let with_text = files.iter().map(|(index, path)| {
        let name = Path::new(path).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(run.folder.join(&name)).unwrap_or_default();
        (*index, name, text)
    });
    with_text.collect()
}
