//! A lower bound on the time of a launch, from what it counts and what a card can do at most.
//!
//! Only what no compiler can remove is counted: arithmetic on floats, matrix products, accesses to
//! memory. Integers, moves and jumps may vanish when PTX becomes machine code. Everything is assumed
//! to overlap perfectly, but for what one block must wait for (`critical_path`); clocks are assumed to
//! stay at their highest, blocks to be alike, and memory that fits the L2 cache to be there already. A card
//! takes longer; how much, this does not tell.

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
    /// Blocks, threads and bytes of shared memory that a multiprocessor holds at a time.
    pub holds: [u64; 3],
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
/// tables 1 and 2, with sums in f32. What a multiprocessor holds: CUDA C++ Programming Guide 12.9, table
/// "Technical Specifications per Compute Capability".
pub const CARDS: [Card; 3] = [
    Card {
        name: "A100 SXM 80 GB",
        multiprocessors: 108,
        clock: 1.41e9,
        bandwidth: 2.039e12,
        l2: 40 << 20,
        holds: [32, 2048, 164 << 10],
        lanes: [64, 32],
        tensor: [156e12, 312e12, 624e12, 19.5e12],
    },
    Card {
        name: "H100 SXM",
        multiprocessors: 132,
        clock: 1.98e9,
        bandwidth: 3.352e12,
        l2: 50 << 20,
        holds: [32, 2048, 228 << 10],
        lanes: [128, 64],
        tensor: [494.7e12, 989.4e12, 1978.9e12, 66.9e12],
    },
    Card {
        name: "RTX 4090",
        multiprocessors: 128,
        clock: 2.52e9,
        bandwidth: 1.008e12,
        l2: 72 << 20,
        holds: [24, 1536, 100 << 10],
        lanes: [128, 2],
        tensor: [82.6e12, 165.2e12, 660.6e12, 1.3e12],
    },
];

/// Registers of a multiprocessor.
const REGISTERS: u64 = 65_536;
/// Bytes of shared memory that a block takes besides its own.
const RESERVED: u64 = 1 << 10;

/// What a launch cannot be faster than.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bound {
    /// Seconds.
    pub seconds: f64,
    /// The limit that binds.
    pub limit: &'static str,
    /// Seconds if no block waited and no multiprocessor was idle.
    pub busy: f64,
}

/// Seconds between the end of a kernel and the beginning of the next one in a CUDA graph: no bound, but what
/// such launches take about.
pub const GAP: f64 = 1e-6;

impl Card {
    /// Blocks of this report's launch that a multiprocessor holds at a time, at most: how many registers a
    /// thread takes is known only of kernels that state it.
    pub fn resident(&self, report: &Report) -> u64 {
        let [blocks, threads, shared] = self.holds;
        let [its_threads, its_shared, its_registers] = report.block;
        let fit = [
            threads / its_threads.next_multiple_of(32).max(1),
            shared / (its_shared + RESERVED),
            REGISTERS / its_registers.max(1),
        ];
        fit.into_iter().fold(blocks, u64::min).max(1)
    }

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
        // Multiprocessors are idle if there are too few blocks, and while the last ones run.
        let blocks = blocks.max(1);
        let share = blocks as f64 / blocks.next_multiple_of(self.multiprocessors) as f64;
        let cycles = self.clock * self.multiprocessors as f64 * share;
        let lanes = |warps: u64, lanes: u64| (32 * warps) as f64 / lanes as f64 / cycles;
        let tensor = report.matrix_work.iter().zip(self.tensor);
        let waves = blocks.div_ceil(self.multiprocessors * self.resident(report));
        let missed = (report.distinct_sectors * SECTOR).saturating_sub(self.l2);
        let dram = ("DRAM", missed as f64 / self.bandwidth);
        let latency = ("latency", (waves * report.critical_path) as f64 / self.clock);
        let working = [
            ("tensor cores", tensor.map(|(&work, peak)| work as f64 / peak / share).sum()),
            ("f32", lanes(floats, single)),
            ("f64", lanes(doubles, double)),
            ("functions", lanes(functions, FUNCTION_LANES)),
            ("load/store", lanes(accesses + report.bank_conflicts, LOAD_STORE_UNITS)),
            ("issue", issued as f64 / ISSUED as f64 / cycles),
        ];
        let (limit, seconds) = [dram]
            .into_iter()
            .chain(working)
            .chain([latency])
            .fold(("", 0.0), |most, one| if one.1 > most.1 { one } else { most });
        let busy = working.iter().fold(dram.1, |most, limit| most.max(limit.1 * share));
        Bound { seconds, limit, busy }
    }
}
