//! Exercises that build CARP up, from strides to a fused kernel, and the checks that correct them.
//!
//! An exercise is a folder of `exercises/`: a file with a gap, what fills it, hints, and for Rust its
//! check. Rust exercises are compiled by `rustc` alone, together with their checks ([`rust_check`]);
//! kernels are PTX, or CUDA C++ that is made PTX ([`mod@cuda`]), and run in the emulator
//! ([`kernel_check`]). The learner's folder is [`folder`].
//!
//! In reading order: [`exercise`], [`catalogue`], [`compare`], [`rust_check`], [`kernel_case`],
//! [`kernel_check`], [`mod@cuda`], [`check`], [`folder`], [`watch`], [`picture`], [`view`].

pub mod catalogue;
pub mod check;
pub mod compare;
pub mod cuda;
pub mod exercise;
pub mod folder;
#[allow(missing_docs, dead_code, reason = "most of it is for the checks of Rust exercises")]
#[rustfmt::skip]
mod golden;
pub mod kernel_case;
mod kernel_cases;
pub mod kernel_check;
pub mod picture;
pub mod rust_check;
pub mod verdict;
pub mod view;
pub mod watch;

pub use verdict::Verdict;
