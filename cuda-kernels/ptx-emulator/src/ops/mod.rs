//! Decoded kernels: dense instructions whose operands are slots of register files.
//!
//! Immediates, special registers and addresses of variables are registers too, filled before a
//! thread starts; so an instruction never checks the kind of its operands.

mod instruction;
mod kernel;
mod operation;

pub use self::instruction::{Instruction, List, NONE, Op, R};
pub use self::kernel::{Flow, Hint, Kernel, Order, Preset, Slice};
pub use self::operation::*;
