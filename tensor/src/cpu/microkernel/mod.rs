//! The product at the bottom of every convolution and matrix product: rows of X, read where they lie,
//! times panels of weights, with a tile of sums that stays in registers.
//!
//! `sums[i,j] = sum over k of x[start_i + place of k] w[k,j]`
//!
//! [`multiply`] cuts the product into tiles; `plain` computes a tile in loops that the compiler
//! vectorises, `avx512` in intrinsics. Every sum is one chain of fused multiply-adds in the order of
//! k, and lanes are different sums: whatever the tile's size, the bits are the same.

#[cfg(target_arch = "x86_64")]
mod avx512;
mod copy_lanes;

mod multiply;
mod plain;
mod walk;

pub use copy_lanes::copy_lanes;
pub use multiply::multiply;
pub use walk::Walk;
