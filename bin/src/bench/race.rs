//! Runs contenders in turn and tabulates the measurements.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Instant;

use carp::error::Result;
use clap::Args;

use super::contender::Contender;
use super::peak::cpu_gemm_peak;
use crate::print::print;
use crate::threads::on_threads;

/// How often to measure.
#[derive(Args)]
pub struct RoundsArgs {
    /// Rounds; each runs every variant once, and the median is reported.
    #[arg(long, value_name = "N")]
    #[arg(default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
}

/// How to measure.
#[derive(Args)]
pub struct RaceArgs {
    #[command(flatten)]
    pub rounds: RoundsArgs,
    /// Threads; 0 means one per core.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub threads: usize,
}

/// A contender's measurements.
pub struct Measured {
    pub name: String,
    pub seconds: f64,
    pub gflops: f64,
    pub made: usize,
    pub moved: usize,
    pub peak: usize,
}

/// Runs all contenders in turn, `rounds` times after one round to warm up, on the pool's threads.
pub fn race(contenders: &mut [Contender], rounds: usize) -> Result<Vec<Measured>> {
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
            moved: contender.moved,
            peak: contender.peak,
        }
    });
    Ok(measured.collect())
}

/// Runs contenders against the GEMM peak and prints the table.
pub fn race_and_print(
    threads: usize,
    RoundsArgs { rounds }: &RoundsArgs,
    contenders: impl FnOnce() -> Result<Vec<Contender>> + Send,
) -> Result<ExitCode> {
    let text = on_threads(threads, || race_to_peak(contenders()?, *rounds))?;
    print(&text);
    Ok(ExitCode::SUCCESS)
}

/// The table of contenders and the GEMM peak, run on this pool.
pub fn race_to_peak(mut contenders: Vec<Contender>, rounds: u32) -> Result<String> {
    contenders.push(cpu_gemm_peak());
    Ok(table(&race(&mut contenders, rounds as usize)?))
}

/// A row per contender; the last one must be the GEMM peak.
pub fn table(measured: &[Measured]) -> String {
    let mut text = format!(
        "{:<38}{:>12}{:>10}{:>10}{:>14}{:>14}{:>14}\n",
        "variant", "median", "GFLOP/s", "of peak", "moved", "made", "peak"
    );
    let peak = measured.last().map_or(f64::NAN, |peak| peak.gflops);
    for m in measured {
        let _ = writeln!(
            text,
            "{:<38}{:>9.2} ms{:>10.1}{:>8.0} %{:>14}{:>14}{:>14}",
            m.name,
            1e3 * m.seconds,
            m.gflops,
            100.0 * m.gflops / peak,
            mebibytes(m.moved),
            mebibytes(m.made),
            mebibytes(m.peak),
        );
    }
    text.push_str(
        "moved: bytes that the kernels read and write; made: bytes of all values a run computes; \
         peak: bytes planned besides inputs and results\n",
    );
    text
}

pub fn mebibytes(bytes: usize) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
