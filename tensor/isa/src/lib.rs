//! Instruction sets, of which one is chosen when the program runs: the widest that the processor
//! has, or the one that the environment variable `CARP_ISA` names. All give the same bits.
//!
//! The program itself is compiled for every processor of its kind. Functions with loops that are worth
//! it are [`multiversion`]: compiled once more for each instruction set.
//!
//! ```
//! use isa::{Isa, multiversion};
//!
//! /// y = a x + y
//! #[multiversion(isa)]
//! fn axpy(isa: Isa, a: f32, x: &[f32], y: &mut [f32]) {
//!     for (y, x) in y.iter_mut().zip(x) {
//!         *y = a.mul_add(*x, *y);
//!     }
//! }
//!
//! let mut y = [1.0; 100];
//! axpy(Isa::widest(), 2.0, &[3.0; 100], &mut y);
//! assert_eq!(y, [7.0; 100]);
//! ```

mod set;
mod vector;

pub use isa_macros::multiversion;
pub use set::{Isa, Unavailable};
pub use vector::{LANES, Vector, prefetch};

/// Vectors by instruction set, only for functions that are compiled for it: the versions that the attribute
/// makes, where they are its parameter, and the microkernel's tiles.
#[doc(hidden)]
pub mod in_registers {
    pub use crate::vector::Plain;
    #[cfg(target_arch = "x86_64")]
    pub use crate::vector::{Avx2, Avx512};
}
