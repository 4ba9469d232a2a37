//! `carp bench`: variants of one computation, run in turn on the same inputs.

mod conv;
mod loss;
mod norm;
mod optimizer;
mod picture;
mod profile;
mod step;

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Instant;

use autograd::{Executor, Graph, Value};
use carp::error::Result;
use carp::learner::Device;
use clap::{Args, Subcommand};
use rayon::prelude::*;
use tensor::cpu::gemm::{Strides, sgemm};
use tensor::random::{Purpose, Stream};

use crate::device::{DeviceArgs, DeviceName};
use crate::threads::on_threads;

#[derive(Subcommand)]
pub enum BenchCommand {
    /// The loss: from op by op to streaming.
    Loss(loss::LossArgs),
    /// Convolution: patches in memory against patches read in place.
    Conv(RaceArgs),
    /// Batch norm with residual and ReLU: three ops against one.
    Norm(RaceArgs),
    /// LARS over the tensors of a ResNet-18: op by op, one op per tensor, one sweep over all.
    Optimizer(RaceArgs),
    /// The whole training step with each variant of the loss.
    Step(step::StepArgs),
}

/// How to measure.
#[derive(Args)]
pub struct RaceArgs {
    /// Rounds; each runs every variant once, and the median counts.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Threads; 0: one per core.
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

pub fn run(command: &BenchCommand) -> Result<ExitCode> {
    match command {
        BenchCommand::Loss(args) => loss::run(args),
        BenchCommand::Conv(args) => race_and_print(args, conv::contenders),
        BenchCommand::Norm(args) => race_and_print(args, norm::contenders),
        BenchCommand::Optimizer(args) => race_and_print(args, || Ok(optimizer::contenders())),
        BenchCommand::Step(args) => step::run(args),
    }
}

/// A variant under measurement.
pub struct Contender {
    name: String,
    /// Floating-point operations of a run.
    flops: u64,
    /// Bytes of everything that a run makes: what an eager framework would allocate.
    made: usize,
    /// Bytes that it needs at once beside its inputs and results.
    peak: usize,
    run: Box<dyn FnMut() -> Result<()> + Send>,
}

impl Contender {
    /// A graph with its inputs filled with numbers from -1 to 1; `results` are what it is run for.
    fn graph(
        name: impl Into<String>,
        mut graph: Graph,
        results: &[Value],
        device: Device,
    ) -> Result<Contender> {
        results.iter().for_each(|&value| graph.keep(value));
        let flops = graph
            .nodes()
            .iter()
            .map(|node| {
                let shapes: Vec<_> = node.outputs.iter().map(|&v| graph.shape(v)).collect();
                node.op.flops(&shapes)
            })
            .sum();
        let result_bytes: usize = results.iter().map(|&v| 4 * graph.shape(v).elements()).sum();
        let mut executor = Executor::new(graph, device)?;
        let plan = executor.plan();
        let made = plan.blocks.iter().map(|block| 4 * block.slot.len).sum::<usize>();
        let peak = plan.bytes() - 4 * plan.persistent;
        fill_inputs(&mut executor);
        Ok(Contender {
            name: name.into(),
            flops,
            made: made - result_bytes,
            peak: peak.saturating_sub(result_bytes),
            run: Box::new(move || {
                executor.run_all()?;
                Ok(executor.finish()?)
            }),
        })
    }
}

/// Writes every f32 value that lives throughout; indices become the identity.
fn fill_inputs(executor: &mut Executor) {
    let mut random = Stream::new(0, Purpose::Test, 0, 0);
    let values: Vec<_> = executor
        .graph()
        .values()
        .filter(|(_, info)| info.kind != autograd::graph::Kind::Temp)
        .map(|(value, info)| (value, info.dtype, info.shape.elements()))
        .collect();
    for (value, dtype, elements) in values {
        if dtype == autograd::graph::DType::U32 {
            let mut order: Vec<u32> = (0..elements as u32).collect();
            random.shuffle(&mut order);
            executor.write_u32(value, &order);
        } else {
            let data: Vec<f32> = (0..elements).map(|_| random.range(-1.0, 1.0)).collect();
            executor.write(value, &data);
        }
    }
}

/// What was measured of a contender.
pub struct Measured {
    name: String,
    seconds: f64,
    gflops: f64,
    made: usize,
    peak: usize,
}

/// Runs all contenders in turn, `rounds` times after one round to warm up, on the pool's threads.
fn race(contenders: &mut [Contender], rounds: usize) -> Result<Vec<Measured>> {
    let mut times = vec![Vec::new(); contenders.len()];
    for round in 0..=rounds {
        for (contender, times) in contenders.iter_mut().zip(&mut times) {
            let start = Instant::now();
            (contender.run)()?;
            if round > 0 {
                times.push(start.elapsed().as_secs_f64());
            }
        }
    }
    let measured = contenders.iter().zip(times).map(|(contender, mut times)| {
        times.sort_by(f64::total_cmp);
        let seconds = times[rounds / 2];
        Measured {
            name: contender.name.clone(),
            seconds,
            gflops: contender.flops as f64 / seconds / 1e9,
            made: contender.made,
            peak: contender.peak,
        }
    });
    Ok(measured.collect())
}

/// What to measure against: on a GPU our own matrix product at 2048x2048x2048, and on the CPU...
fn gemm_peak(args: &DeviceArgs, device: Device) -> Result<Contender> {
    if args.name() == DeviceName::Cpu {
        return Ok(cpu_gemm_peak());
    }
    const SIZE: usize = 2048;
    let mut graph = Graph::new();
    let [a, b] = ["a", "b"].map(|name| graph.param(name, [SIZE, SIZE]));
    let c = graph.matmul(a, false, b, false)?;
    Contender::graph(format!("GEMM of {SIZE}"), graph, &[c], device)
}

/// ... the machine's own peak: `matrixmultiply` on each thread by itself, at 640x256x512.
fn cpu_gemm_peak() -> Contender {
    let (m, k, n) = (640, 256, 512);
    let threads = rayon::current_num_threads();
    const CALLS: usize = 16;
    let mut tasks: Vec<_> =
        (0..threads).map(|_| (vec![0.5; m * k], vec![0.25; k * n], vec![0.0; m * n])).collect();
    Contender {
        name: "GEMM peak".into(),
        flops: (2 * m * k * n * CALLS * threads) as u64,
        made: 0,
        peak: 0,
        run: Box::new(move || {
            tasks.par_iter_mut().for_each(|(a, b, c)| {
                for _ in 0..CALLS {
                    let (by_k, by_n) = (Strides::new(k, false), Strides::new(n, false));
                    sgemm((m, k, n), (a, by_k), (b, by_n), 0.0, c);
                }
            });
            Ok(())
        }),
    }
}

fn race_and_print(
    args: &RaceArgs,
    contenders: impl FnOnce() -> Result<Vec<Contender>> + Send,
) -> Result<ExitCode> {
    let text = on_threads(args.threads, || {
        let mut contenders = contenders()?;
        contenders.push(cpu_gemm_peak());
        Ok(table(&race(&mut contenders, args.rounds as usize)?))
    })?;
    crate::print::print(&text);
    Ok(ExitCode::SUCCESS)
}

/// A row per contender; the last one must be the GEMM peak.
fn table(measured: &[Measured]) -> String {
    let mut text = format!(
        "{:<34}{:>12}{:>10}{:>10}{:>14}{:>14}\n",
        "variant", "median", "GFLOP/s", "of peak", "made", "at once"
    );
    let peak = measured.last().map_or(f64::NAN, |peak| peak.gflops);
    for m in measured {
        let _ = writeln!(
            text,
            "{:<34}{:>9.2} ms{:>10.1}{:>8.0} %{:>14}{:>14}",
            m.name,
            1e3 * m.seconds,
            m.gflops,
            100.0 * m.gflops / peak,
            mebibytes(m.made),
            mebibytes(m.peak),
        );
    }
    text.push_str("made: bytes of everything a run computes; at once: bytes planned beside inputs and results\n");
    text
}

fn mebibytes(bytes: usize) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
