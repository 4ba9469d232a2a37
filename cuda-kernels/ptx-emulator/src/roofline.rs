//! A lower bound on the time of a launch, from what it counts and what a card can do at most.
//!
//! Only what no compiler can remove is counted: arithmetic on floats, matrix products, accesses to
//! memory. Integers, moves and jumps may vanish when PTX becomes machine code. Everything is assumed
//! to overlap perfectly, clocks to stay at their highest, and memory that fits the L2 cache to be
//! there already. A card takes longer; how much, this does not tell.

use super::profiler::{InstructionClass, Report, SECTOR};

/// What a card can do at most.
#[derive(Debug, Clone, Copy)]
pub struct Card {
    /// Its name.
    pub name: &'static str,
    /// Multiprocessors.
    pub multiprocessors: u64,
    /// Highest clock in Hz.
    pub clock: f64,
    /// Bytes of DRAM a second.
    pub bandwidth: f64,
    /// Bytes of L2 cache.
    pub l2: u64,
    /// Lanes of a multiprocessor for f32, of f64.
    pub lanes: [u64; 2],
    /// Operations a second on tensor cores, dense: tf32, f16 and bf16, 8 bits, f64.
    pub tensor: [f64; 4],
}

/// Instructions of warps that a multiprocessor issues in a cycle: one for each of its four parts.
const ISSUED: u64 = 4;
/// Lanes of a multiprocessor for functions such as `ex2`, and its units for loads and stores.
const FUNCTION_LANES: u64 = 16;
const LOAD_STORE_UNITS: u64 = 32;

/// Sources: "NVIDIA A100 Tensor Core GPU Architecture" (2020), tables 1 and 4; "NVIDIA H100 Tensor
/// Core GPU Architecture" (2022), tables 1 to 3, for SXM5; "NVIDIA Ada GPU Architecture" (2022),
/// tables 1 and 2, with sums in f32.
pub const CARDS: [Card; 3] = [
    Card {
        name: "A100 SXM 80 GB",
        multiprocessors: 108,
        clock: 1.41e9,
        bandwidth: 2.039e12,
        l2: 40 << 20,
        lanes: [64, 32],
        tensor: [156e12, 312e12, 624e12, 19.5e12],
    },
    Card {
        name: "H100 SXM",
        multiprocessors: 132,
        clock: 1.98e9,
        bandwidth: 3.352e12,
        l2: 50 << 20,
        lanes: [128, 64],
        tensor: [494.7e12, 989.4e12, 1978.9e12, 66.9e12],
    },
    Card {
        name: "RTX 4090",
        multiprocessors: 128,
        clock: 2.52e9,
        bandwidth: 1.008e12,
        l2: 72 << 20,
        lanes: [128, 2],
        tensor: [82.6e12, 165.2e12, 660.6e12, 1.3e12],
    },
];

/// What a launch cannot be faster than.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bound {
    /// Seconds.
    pub seconds: f64,
    /// The limit that binds.
    pub limit: &'static str,
}

impl Card {
    /// The bound of a launch of `blocks` blocks with this report.
    pub fn bound(&self, report: &Report, blocks: u64) -> Bound {
        use InstructionClass::*;
        let class = |wanted: &[InstructionClass]| -> u64 {
            let counts = report.hot.iter().filter(|(_, class, _)| wanted.contains(class));
            counts.map(|(_, _, count)| count.warps).sum()
        };
        let [single, double] = self.lanes;
        let floats = class(&[FloatFma, Float, Half]);
        let (functions, doubles) = (class(&[FloatApprox]), class(&[Double]));
        let accesses = report.global_loads + report.global_stores + report.shared_requests;
        let others = class(&[Matrix, WarpCollective, Barrier]);
        let issued = floats + functions + doubles + accesses + others;
        // A launch of few blocks leaves multiprocessors idle.
        let cycles = self.clock * self.multiprocessors.min(blocks.max(1)) as f64;
        let lanes = |warps: u64, lanes: u64| (32 * warps) as f64 / lanes as f64 / cycles;
        let tensor = report.matrix_work.iter().zip(self.tensor);
        let share = self.multiprocessors.min(blocks.max(1)) as f64 / self.multiprocessors as f64;
        let missed = (report.distinct_sectors * SECTOR).saturating_sub(self.l2);
        let limits = [
            ("DRAM", missed as f64 / self.bandwidth),
            ("tensor cores", tensor.map(|(&work, peak)| work as f64 / peak / share).sum()),
            ("f32", lanes(floats, single)),
            ("f64", lanes(doubles, double)),
            ("functions", lanes(functions, FUNCTION_LANES)),
            ("load/store", lanes(accesses + report.bank_conflicts, LOAD_STORE_UNITS)),
            ("issue", issued as f64 / ISSUED as f64 / cycles),
        ];
        let (limit, seconds) =
            limits.into_iter().fold(("", 0.0), |most, one| if one.1 > most.1 { one } else { most });
        Bound { seconds, limit }
    }
}
