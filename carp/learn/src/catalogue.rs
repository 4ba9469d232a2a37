//! The exercises, in the order in which they build on each other.

use files::{Error, Result};

use crate::exercise::{Check, Exercise};
use crate::kernel_cases;

macro_rules! part {
    ($name:literal, $file:literal) => {
        include_str!(concat!("../exercises/", $name, "/", $file))
    };
}

macro_rules! rust {
    ($name:literal) => {
        Exercise {
            name: $name,
            text: part!($name, "exercise.rs"),
            solution: part!($name, "solution.rs"),
            hints: part!($name, "hints.txt"),
            check: Check::Rust(part!($name, "check.rs")),
        }
    };
}

macro_rules! kernel {
    ($name:literal, $case:ident) => {
        Exercise {
            name: $name,
            text: part!($name, "exercise.ptx"),
            solution: part!($name, "solution.ptx"),
            hints: part!($name, "hints.txt"),
            check: Check::Kernel(kernel_cases::$case),
        }
    };
}

/// All exercises.
pub static EXERCISES: &[Exercise] = &[
    // Tensors and naive ops.
    rust!("strides"),
    rust!("matmul"),
    rust!("convolution"),
    // Reverse mode.
    rust!("derivatives"),
    rust!("reverse"),
    rust!("matmul-gradient"),
    rust!("bias-gradient"),
    // The list as data.
    rust!("lifetimes"),
    rust!("planner"),
    rust!("fusion"),
    // CARP's loss and its gradient.
    rust!("softmax"),
    rust!("softmax-gradient"),
    rust!("partition"),
    rust!("consistency"),
    rust!("consistency-gradient"),
    rust!("entropy"),
    rust!("entropy-gradient"),
    // Streaming.
    rust!("online-softmax"),
    rust!("streaming-loss"),
    // Kernels.
    kernel!("relu", relu),
    kernel!("coalescing", coalescing),
    kernel!("warp-sum", warp_sum),
    kernel!("block-sum", block_sum),
    kernel!("transpose", transpose),
    kernel!("bank-conflicts", bank_conflicts),
    kernel!("tiled-matmul", tiled_matmul),
    kernel!("row-softmax", row_softmax),
    kernel!("fused-loss", fused_loss),
];

/// The exercise of that name, number or file name.
///
/// # Errors
/// There is none; names the nearest.
pub fn find(name: &str) -> Result<&'static Exercise> {
    let numbered = || EXERCISES.get(name.parse::<usize>().ok()?.checked_sub(1)?);
    let named = EXERCISES
        .iter()
        .enumerate()
        .find(|(number, exercise)| exercise.name == name || exercise.file_name(*number) == name);
    named.map(|(_, exercise)| exercise).or_else(numbered).ok_or_else(|| {
        Error::Usage(format!("no exercise {name}: `carp learn` lists all {}", EXERCISES.len()))
    })
}
