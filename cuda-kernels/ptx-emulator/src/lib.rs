//! A PTX emulator: parses NVRTC's output and runs it on the CPU.
//!
//! A launch is a grid of blocks; a block is up to 1024 threads that share a small memory and can
//! wait for each other at barriers; 32 threads of a block form a warp. A warp fetches one
//! instruction and runs it for all its threads ("lanes") simultaneously. If only some lanes take a
//! jump, the warp runs one path with a mask of the lanes that took it, then the other, and joins
//! them where the paths meet. The emulator does just that: a register is a row of 32 numbers, an
//! instruction a loop over rows.
//!
//! Reading order:
//! 1. `lexer`, `ast`, `parser`: text to functions made of statements;
//! 2. `types`, `windows`, `ops`, `decode`: statements to dense instructions, calls inlined;
//! 3. `cfg`, `loops`: in which order lanes run that parted; `dataflow`: what registers hold;
//!    `slice`: what decides jumps and addresses; `allocate`: registers to slots;
//! 4. `registers`, `warp`: lanes, masks, ways; `exec`: what each instruction does, a file per
//!    family, with `numeric` (rounding) and `approx` (the `.approx` functions);
//! 5. `block`: turns and barriers; `worker`, `launch`: blocks on threads; `memory`;
//! 6. `sanitizer`: races; `profiler`: transactions, conflicts, classes; `critical_path`; `roofline`;
//!    `observer` with `trace`, `recording` and `recorder`: watching a warp.
//!
//! Anything unsupported is refused with its line: what is no PTX outside of functions when the text is
//! parsed, what is wrong or unknown inside of one when its kernel is asked for. Our kernels and their launches are in
//! the crate `cuda-kernels`.

mod allocate;
mod approx;
mod architecture;
mod ast;
mod block;
mod cfg;
mod critical_path;
mod dataflow;
mod decode;
mod error;
mod exec;
mod geometry;
mod launch;
mod lexer;
mod loops;
mod memory;
mod module;
mod numeric;
mod observer;
mod ops;
mod parser;
mod profiler;
mod recorder;
mod recording;
mod registers;
pub mod roofline;
mod sanitizer;
mod slice;
mod trace;
mod types;
mod waits;
mod warp;
mod windows;
mod worker;

pub use architecture::Architecture;
pub use block::show_lanes;
pub use error::{Fault, FaultKind, Place, PtxError};
pub use launch::{Launch, Options, Param, check, count, launch, trace};
pub use memory::{Memory, MemoryError};
pub use module::Module;
pub use observer::{Observer, Seen};
pub use ops::Kernel;
pub use profiler::{Count, InstructionClass, Report, SECTOR, WarpAccess};
pub use recorder::Recorder;
pub use recording::{
    NamedRegister, RecordedAccess, RecordedInstruction, RecordedStep, Recording, SharedWrite,
};
pub use trace::{TraceStep, Tracer};
pub use types::Ty;
pub use warp::Warp;
