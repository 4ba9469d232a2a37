//! `carp bench loss --device emulate`: the GPU memory traffic of each loss variant.
//!
//! The emulator counts, so the figures are exact and the same everywhere; it does not measure time.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use autograd::{Graph, Value};
use carp::error::Result;
use cuda_kernels::device::OnDriver;
use cuda_kernels::driver::Driver;
use cuda_kernels::drivers::emulator::{Counts, Emulator, Profile};
use ptx_emulator::SECTOR;
use tensor::Numerics;

use super::contender::prepared;
use super::race::mebibytes;

/// What one variant did.
pub struct Profiled {
    pub name: String,
    /// Peak bytes besides inputs and results.
    pub peak: usize,
    /// Kernels in order of their names.
    pub kernels: Vec<(&'static str, Counts)>,
}

/// Runs a graph once on the emulator.
pub fn profile(name: impl Into<String>, graph: Graph, results: &[Value]) -> Result<Profiled> {
    let profile = Profile::default();
    let counted = Arc::clone(&profile);
    let open = move || Ok(Box::new(Emulator::profiled(Arc::clone(&counted))) as Box<dyn Driver>);
    let device = OnDriver(open, Numerics::Exact);
    let (mut executor, peak) = prepared(graph, results, &device)?;
    executor.run_all()?;
    executor.finish()?;
    let counts: &Mutex<_> = &profile;
    let kernels = counts.lock().expect("no thread panics while it counts").clone();
    Ok(Profiled { name: name.into(), peak, kernels: kernels.into_iter().collect() })
}

impl Profiled {
    fn total(&self) -> Counts {
        self.kernels.iter().fold(Counts::default(), |mut total, (_, counts)| {
            total += *counts;
            total
        })
    }
}

/// A row per variant and, on request, one per kernel.
pub fn table(all: &[Profiled], by_kernel: bool) -> String {
    let mut text = format!(
        "{:<34}{:>9}{:>14}{:>14}{:>12}{:>10}{:>12}{:>12}\n",
        "variant",
        "launches",
        "instructions",
        "transactions",
        "MiB moved",
        "useful",
        "peak",
        "conflicts"
    );
    let mut row = |name: &str, c: &Counts, peak: Option<usize>| {
        let moved = c.transactions * SECTOR;
        let at_once = peak.map_or(String::new(), mebibytes);
        let _ = writeln!(
            text,
            "{name:<34}{:>9}{:>14}{:>14}{:>12.2}{:>8.0} %{at_once:>12}{:>12}",
            c.launches,
            c.instructions,
            c.transactions,
            moved as f64 / f64::from(1 << 20),
            100.0 * c.bytes_asked as f64 / moved.max(1) as f64,
            c.bank_conflicts,
        );
    };
    for profiled in all {
        row(&profiled.name, &profiled.total(), Some(profiled.peak));
        for (kernel, counts) in profiled.kernels.iter().filter(|_| by_kernel) {
            row(&format!("  {kernel}"), counts, None);
        }
    }
    text.push_str(
        "transactions: 32 bytes of global memory each, with no cache; useful: the share of their bytes \
         that threads requested\n\
         peak: bytes planned besides inputs and results; conflicts: extra shared-memory cycles\n",
    );
    text
}
