//! One kernel launched on the emulator: one of carp's, on small data, or one of a file, with the
//! arguments that are named.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use carp::error::{Error, Result};
use clap::Args;
use cuda_kernels::drivers::emulator::parsed;
use cuda_kernels::modules;
use cuda_kernels::tour::{self, Visit};
use ptx_emulator::{Architecture, Fault, Launch, Memory, Module, Options, Report};

use super::argument::{parameter, show};
use super::array::{self, Array};
use crate::counted::counted;
use crate::outputs::check_outputs;

#[derive(Args)]
pub struct PtxArgs {
    /// One of carp's kernels (gemm_64x64, softmax, ...), launched on small data as in training; or
    /// FILE.ptx:KERNEL, launched as --grid to --save say.
    pub kernel: String,
    /// Blocks along x, y and z [default: 1].
    #[arg(long, value_name = "X,Y,Z", value_parser = shape)]
    grid: Option<[u32; 3]>,
    /// Threads per block along x, y and z [default: 32].
    #[arg(long, value_name = "X,Y,Z", value_parser = shape)]
    block: Option<[u32; 3]>,
    /// Bytes of dynamic shared memory [default: 0].
    #[arg(long, value_name = "BYTES")]
    shared: Option<u32>,
    /// Kernel argument, repeatable, in order: a number that the parameter's type holds, such as 7 or
    /// 0.5, or a buffer such as f32:1000 (random; f64, f16 and bf16 likewise), u32:1000 (0, 1, 2, ...;
    /// likewise u8 to i64), zeros:1000, zeros:i32:1000, empty:f32:1000 (nothing was written to it),
    /// FILE.npy or FILE.safetensors:TENSOR.
    #[arg(long = "arg", value_name = "VALUE", allow_hyphen_values = true)]
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

impl PtxArgs {
    /// The files that are read.
    pub fn inputs(&self) -> Vec<PathBuf> {
        let ptx = file_and_kernel(&self.kernel).map(|(file, _)| file.to_owned());
        let arrays = self.params.iter().filter_map(|text| array::file_and_tensor(text));
        ptx.into_iter().chain(arrays.map(|(file, _)| file)).collect()
    }

    /// An option that was given and says how to launch a kernel.
    fn launch_option(&self) -> Option<&'static str> {
        let given = [
            ("--grid", self.grid.is_some()),
            ("--block", self.block.is_some()),
            ("--shared", self.shared.is_some()),
            ("--arg", !self.params.is_empty()),
            ("--save", !self.save.is_empty()),
            ("--without-opt-in", self.without_opt_in),
        ];
        given.into_iter().find_map(|(option, is_given)| is_given.then_some(option))
    }
}

/// A kernel's launches and its PTX.
pub struct Run {
    /// The launches.
    pub visits: Vec<Visit>,
    /// The text.
    pub ptx: String,
    /// Where the sources may be.
    folder: PathBuf,
    /// First values of the buffers, if they were allocated here.
    pub buffers: String,
}

/// Splits FILE.ptx:KERNEL.
fn file_and_kernel(text: &str) -> Option<(&Path, &str)> {
    let (file, kernel) = text.rsplit_once(':')?;
    file.ends_with(".ptx").then_some((Path::new(file), kernel))
}

/// Runs a kernel by `run`: the emulator's `launch`, or what watches it.
pub fn start<R>(args: &PtxArgs, options: Options, run: R) -> Result<Run>
where
    R: FnMut(&Module, &mut Memory, &Launch<'_>, &Options) -> std::result::Result<Report, Fault>
        + Send
        + 'static,
{
    let options = Options { budget: args.budget, architecture: args.arch, ..options };
    if let Some((file, kernel)) = file_and_kernel(&args.kernel) {
        return from_file(args, file, kernel, options, run);
    }
    let module = tour::module_of(&args.kernel);
    if let (Some(_), Some(option)) = (module, args.launch_option()) {
        let detail = format!("{option} is for FILE.ptx:KERNEL: {} launches itself", args.kernel);
        return Err(Error::usage(detail));
    }
    let visits = tour::visit(&args.kernel, options, run)?;
    let module = module.unwrap_or_default();
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
    // One file takes several arrays.
    let saved: BTreeSet<&PathBuf> = args.save.iter().map(|(_, path)| path).collect();
    check_outputs(saved, &args.inputs())?;
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
    let declared = &module.kernel(kernel).map_err(refused)?.params;
    if args.params.len() != declared.len() {
        let (takes, given) = (counted(declared.len(), "argument"), args.params.len());
        return Err(Error::usage(format!("{kernel} takes {takes}, {given} are given by --arg")));
    }
    let mut memory = Memory::new();
    if options.sanitize {
        memory.watch_uninitialised();
    }
    let mut params = Vec::new();
    let mut buffers = Vec::new();
    for (i, (text, &(_, size, ty))) in args.params.iter().zip(declared).enumerate() {
        let (param, buffer) = parameter(text, (size, ty), i, &mut memory)?;
        buffers.extend(buffer.map(|buffer| (i, buffer)));
        params.push(param);
    }
    let (grid, block) = (args.grid.unwrap_or([1; 3]), args.block.unwrap_or([32, 1, 1]));
    let shape = Launch {
        kernel,
        grid,
        block,
        shared_bytes: args.shared.unwrap_or(0),
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
    let visits = vec![Visit { grid, block, seconds, result }];
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

/// The source files that the PTX names: index, name, and text if available.
pub fn sources(args: &PtxArgs, run: &Run) -> Vec<(u32, String, String)> {
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
