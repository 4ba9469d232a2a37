//! `carp ptx roofline`: lower bounds on the time of kernels, or of a whole training step.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use carp::error::Result;
use carp::learner::Learner;
use cuda_kernels::device::OnDriver;
use cuda_kernels::driver::{Driver, Launch};
use cuda_kernels::drivers::counter::Counter;
use ptx_emulator::Report;
use ptx_emulator::roofline::{Bound, CARDS, GAP};

use crate::config_args::ConfigArgs;
use crate::inspect;

/// Bounds over the launches of a kernel, a card each.
#[derive(Default)]
pub struct Bounds {
    launches: u64,
    /// Seconds by limit.
    seconds: [BTreeMap<&'static str, f64>; CARDS.len()],
    /// Seconds if no block waited and no multiprocessor was idle.
    busy: [f64; CARDS.len()],
}

impl Bounds {
    /// Adds a launch.
    pub fn add(&mut self, report: &Report, grid: [u32; 3]) {
        let blocks = grid.iter().map(|&side| u64::from(side)).product();
        self.launches += 1;
        let sums = self.seconds.iter_mut().zip(&mut self.busy);
        for ((seconds, all_busy), card) in sums.zip(&CARDS) {
            let Bound { seconds: bound, limit, busy } = card.bound(report, blocks);
            *seconds.entry(limit).or_default() += bound;
            *all_busy += busy;
        }
    }

    /// On a card: the sum, and the limit that binds longest.
    fn on(&self, card: usize) -> (f64, &'static str) {
        let seconds = &self.seconds[card];
        let most = seconds.iter().max_by(|a, b| a.1.total_cmp(b.1));
        (seconds.values().sum(), most.map_or("", |(limit, _)| limit))
    }
}

/// The bounds of each kernel in a training step.
pub fn step(args: &ConfigArgs) -> Result<BTreeMap<String, Bounds>> {
    let all: Arc<Mutex<BTreeMap<String, Bounds>>> = Arc::default();
    let seen = Arc::clone(&all);
    let open = move || {
        let seen = Arc::clone(&seen);
        Ok(Box::new(Counter::new(move |launch: &Launch, report: &Report| {
            let mut all = seen.lock().expect("no thread panics while it counts");
            all.entry(launch.kernel.to_owned()).or_default().add(report, launch.grid);
        })) as Box<dyn Driver>)
    };
    let config = args.load()?;
    let mut learner =
        Learner::new(&inspect::step(&config)?, &OnDriver(open, config.train.numerics))?;
    learner.executor_mut().run_all()?;
    learner.executor_mut().finish()?;
    let mut all = all.lock().expect("no thread panics while it counts");
    Ok(std::mem::take(&mut *all))
}

/// A table: each kernel's launches and bounds, in microseconds, the longest first.
pub fn table(all: &BTreeMap<String, Bounds>) -> String {
    let mut text = format!("{:<32}{:>9}", "at least, in microseconds", "launches");
    for card in &CARDS {
        let _ = write!(text, "  {:<24}", card.name);
    }
    text += "\n";
    let mut row = |name: &str, launches: u64, cells: [(f64, &str); CARDS.len()]| {
        let _ = write!(text, "{name:<32}{launches:>9}");
        for (seconds, limit) in cells {
            let _ = write!(text, "  {:<24}", format!("{:>10.2} {limit}", 1e6 * seconds));
        }
        text.truncate(text.trim_end().len());
        text += "\n";
    };
    let mut kernels: Vec<_> = all.iter().collect();
    kernels.sort_by(|a, b| b.1.on(0).0.total_cmp(&a.1.on(0).0).then(a.0.cmp(b.0)));
    let mut sums = [(0.0, ""); CARDS.len()];
    for &(name, bounds) in &kernels {
        let cells = std::array::from_fn(|card| bounds.on(card));
        sums.iter_mut().zip(&cells).for_each(|(sum, cell)| sum.0 += cell.0);
        row(name, bounds.launches, cells);
    }
    let launches = kernels.iter().map(|(_, bounds)| bounds.launches).sum();
    let busy = |card: usize| kernels.iter().map(|(_, bounds)| bounds.busy[card]).sum();
    row("all", launches, sums);
    row("if nothing waited or was idle", launches, std::array::from_fn(|card| (busy(card), "")));
    row("launches, 1 us each, apart", launches, [(GAP * launches as f64, ""); CARDS.len()]);
    text += "Bounds, not measurements: a card takes longer (docs/cuda.md).\n";
    text
}
