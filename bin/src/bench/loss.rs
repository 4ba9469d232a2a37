//! `carp bench loss`: the loss variants, forward and backward from embeddings.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use autograd::{Graph, LossInputs, Value};
use carp::error::{Error, Result};
use carp::loss::{LossVariant, carp_loss};
use clap::Args;
use files::write_atomically;
use isa::Isa;
use rayon::prelude::*;
use serde_json::json;
use tensor::cpu::gemm::{Strides, sgemm};

use super::contender::Contender;
use super::peak::gemm_peak;
use super::picture::{self, Series};
use super::profile;
use super::race::{Measured, RaceArgs, race, table};
use crate::config_args::loss_variant;
use crate::device::{DeviceArgs, DeviceName};
use crate::limits::{PROTOTYPES, UNITS, VIEWS, within};
use crate::outputs::check_outputs;
use crate::print::say;
use crate::threads::on_threads;

#[derive(Args)]
pub struct LossArgs {
    #[command(flatten)]
    race: RaceArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// V, views per image; the teacher sees 2 of them [default: 8].
    #[arg(long, value_name = "N")]
    views: Option<usize>,
    /// B, images [default: 64; emulated: 16].
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// D, embedding dimension [default: 256; emulated: 128].
    #[arg(long, value_name = "N")]
    dim: Option<usize>,
    /// N_B, prototypes per block [default: 512; emulated: 128].
    #[arg(long, value_name = "N")]
    partition_size: Option<usize>,
    /// K, numbers of prototypes [default: 1024,4096,16384,65536; emulated: 1024].
    #[arg(long, value_name = "N,...", value_delimiter = ',')]
    prototypes: Vec<usize>,
    /// Variants to run [default: all].
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', value_parser = loss_variant())]
    variants: Vec<LossVariant>,
    /// With --device emulate, also print a row per kernel.
    #[arg(long)]
    by_kernel: bool,
    /// Plot time and memory against K to FILE.svg and FILE.png.
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
    /// Write the measurements for the last K as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// The sizes of a measurement, apart from K.
#[derive(Clone, Copy)]
struct Sizes {
    views: usize,
    batch: usize,
    dim: usize,
    partition_size: usize,
}

impl LossArgs {
    /// The given sizes, else defaults for the device: the emulator is slow.
    fn sizes(&self) -> (Sizes, Vec<usize>) {
        let emulated = self.device.name() == DeviceName::Emulate;
        let or = |asked: Option<usize>, usual, small| {
            asked.unwrap_or(if emulated { small } else { usual })
        };
        let sizes = Sizes {
            views: self.views.unwrap_or(8),
            batch: or(self.batch, 64, 16),
            dim: or(self.dim, 256, 128),
            partition_size: or(self.partition_size, 512, 128),
        };
        let prototypes = match (&self.prototypes[..], emulated) {
            ([], true) => vec![1024],
            ([], false) => vec![1024, 4096, 16384, 65536],
            (asked, _) => asked.to_vec(),
        };
        (sizes, prototypes)
    }
}

/// Loss and gradients as a graph, and its outputs.
fn graph(sizes: Sizes, prototypes: usize, variant: LossVariant) -> Result<(Graph, Vec<Value>)> {
    let Sizes { views, batch, dim, partition_size } = sizes;
    let mut graph = Graph::new();
    let inputs = LossInputs {
        student: graph.param("student", [views * batch, dim]),
        teacher: graph.input("teacher", [2 * batch, dim]),
        student_prototypes: graph.param("student_prototypes", [prototypes, dim]),
        teacher_prototypes: graph.input("teacher_prototypes", [prototypes, dim]),
        permutation: graph.input_u32("permutation", [prototypes]),
    };
    let terms = carp_loss(&mut graph, variant, inputs, partition_size)?;
    let seed = graph.fill([1], 1.0);
    let wrt = [inputs.student, inputs.student_prototypes];
    let grads = graph.backward(&[(terms.loss, seed)], &wrt)?;
    let results = grads.into_iter().flatten().chain([terms.loss]).collect();
    Ok((graph, results))
}

/// Only the matrix products of `streaming`, in the same tasks on the same shapes.
fn gemms_alone(sizes: Sizes, prototypes: usize) -> Contender {
    const TASKS: usize = 4;
    let Sizes { views, batch, dim: d, partition_size: n } = sizes;
    let (rows, teacher_rows, blocks) = (views * batch, 2 * batch, prototypes / n);
    let buffers = |count: usize| vec![0.01f32; count];
    let mut tasks: Vec<_> = (0..TASKS)
        .map(|_| (buffers(rows * d), buffers(n * d), buffers(rows.max(teacher_rows) * n)))
        .map(|(z, w, s)| (z.clone(), z, w.clone(), w, s))
        .collect();
    let isa = Isa::widest();
    let products = 2 * (n * d * (3 * rows + teacher_rows)) as u64;
    Contender {
        name: "streaming's GEMMs alone".into(),
        flops: products * blocks as u64,
        made: 0,
        moved: 0,
        peak: 0,
        run: Box::new(move || {
            tasks.par_iter_mut().enumerate().for_each(|(task, (z, dz, w, dw, s))| {
                let (by_row, by_column) = (Strides::new(d, false), Strides::new(d, true));
                for _ in task * blocks / TASKS..(task + 1) * blocks / TASKS {
                    sgemm(isa, (teacher_rows, d, n), (z, by_row), (w, by_column), false, s);
                    sgemm(isa, (rows, d, n), (z, by_row), (w, by_column), false, s);
                    sgemm(isa, (rows, n, d), (s, Strides::new(n, false)), (w, by_row), true, dz);
                    sgemm(isa, (n, rows, d), (s, Strides::new(n, true)), (z, by_row), false, dw);
                }
                // Sums that grew from round to round would overflow.
                dz.fill(0.01);
            });
            Ok(())
        }),
    }
}

pub fn run(args: &LossArgs) -> Result<ExitCode> {
    let pictures = args.picture.as_deref().map(picture::files);
    check_outputs(args.json.iter().chain(pictures.iter().flatten()), [])?;
    let (sizes, all_prototypes) = args.sizes();
    for (option, size, range) in [
        ("--views", sizes.views, 2..=VIEWS),
        ("--batch", sizes.batch, 1..=UNITS),
        ("--dim", sizes.dim, 1..=UNITS),
    ] {
        within(option, size, range)?;
    }
    for &number in &all_prototypes {
        within("--prototypes", number, 1..=PROTOTYPES)?;
    }
    let all = LossVariant::ALL.to_vec();
    let variants = if args.variants.is_empty() { &all } else { &args.variants };
    if args.device.name() == DeviceName::Emulate {
        return emulate(args, sizes, &all_prototypes, variants);
    }
    let device = args.device.open()?;
    let mut series: Vec<Series> =
        variants.iter().map(|v| Series { name: v.name(), points: Vec::new() }).collect();
    let mut last = Vec::new();
    for &prototypes in &all_prototypes {
        let measured = on_threads(args.race.threads, || {
            let mut contenders = variants
                .iter()
                .map(|&variant| {
                    let (graph, results) = graph(sizes, prototypes, variant)?;
                    Contender::graph(variant.name(), graph, &results, device)
                })
                .collect::<Result<Vec<_>>>()?;
            if args.device.name() == DeviceName::Cpu
                && (1..=prototypes).contains(&sizes.partition_size)
            {
                contenders.push(gemms_alone(sizes, prototypes));
            }
            contenders.push(gemm_peak(&args.device, device)?);
            race(&mut contenders, args.race.rounds.rounds as usize)
        })?;
        print_sizes(sizes, prototypes);
        crate::print::print(&table(&measured));
        say!("");
        for (series, m) in series.iter_mut().zip(&measured) {
            series.points.push((prototypes, 1e3 * m.seconds, m.peak as f64 / f64::from(1 << 20)));
        }
        last = measured;
    }
    if let Some(path) = &args.json {
        write_json(path, &last)?;
    }
    if let Some(path) = &args.picture {
        picture::draw(path, &series)?;
        say!("picture: {} and .png", path.with_extension("svg").display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Counts instead of times: each variant's GPU memory traffic.
fn emulate(
    args: &LossArgs,
    sizes: Sizes,
    all_prototypes: &[usize],
    variants: &[LossVariant],
) -> Result<ExitCode> {
    if args.picture.is_some() || args.json.is_some() {
        let detail = "--picture and --json report times, which --device emulate does not measure";
        return Err(Error::usage(format!("bench loss: {detail}")));
    }
    for &prototypes in all_prototypes {
        let profiles = on_threads(args.race.threads, || {
            let profile = |&variant: &LossVariant| {
                let (graph, results) = graph(sizes, prototypes, variant)?;
                profile::profile(variant.name(), graph, &results)
            };
            variants.iter().map(profile).collect::<Result<Vec<_>>>()
        })?;
        print_sizes(sizes, prototypes);
        crate::print::print(&profile::table(&profiles, args.by_kernel));
        say!("");
    }
    Ok(ExitCode::SUCCESS)
}

fn print_sizes(sizes: Sizes, prototypes: usize) {
    let Sizes { views, batch, dim, partition_size } = sizes;
    say!("K = {prototypes}, N_B = {partition_size}, V = {views}, B = {batch}, D = {dim}");
}

fn write_json(path: &Path, measured: &[Measured]) -> Result<()> {
    let rows: serde_json::Map<_, _> = measured
        .iter()
        .map(|m| (m.name.clone(), json!({ "seconds": m.seconds, "peak_bytes": m.peak })))
        .collect();
    Ok(write_atomically(path, serde_json::Value::Object(rows).to_string().as_bytes())?)
}
