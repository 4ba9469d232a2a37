//! The exercises, in the order in which they build on each other.

use files::{Error, Result};

use crate::exercise::{Check, Cuda, Exercise};
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
            cuda: None,
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
            cuda: Some(Cuda {
                text: part!($name, "exercise.cu"),
                solution: part!($name, "solution.cu"),
                hints: part!($name, "hints_cuda.txt"),
            }),
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

/// The exercise of that name, number or file name; in CUDA C++ also `relu.cu`.
///
/// # Errors
/// There is none.
pub fn find(name: &str) -> Result<&'static Exercise> {
    let numbered = || EXERCISES.get(name.parse::<usize>().ok()?.checked_sub(1)?);
    let is_named = |&(place, exercise): &(usize, &Exercise)| {
        let in_cuda = exercise.cuda_file_name(place);
        exercise.name == name
            || exercise.file_name(place) == name
            || in_cuda.is_some_and(|file| file == name || file[3..] == *name)
    };
    let named = EXERCISES.iter().enumerate().find(is_named);
    named.map(|(_, exercise)| exercise).or_else(numbered).ok_or_else(|| {
        Error::Usage(format!("no exercise {name}: `carp learn` lists all {}", EXERCISES.len()))
    })
}
