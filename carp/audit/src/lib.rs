//! Replays recorded computations and compares the results; `docs/audit.md` describes the file
//! format.
//!
//! A file holds the inputs of one computation (`in.*`), another program's results, such as
//! PyTorch's (`out.*`), and the tolerance. All computation is done by the crates `autograd`,
//! `carp`, and for the compared methods by `methods`, which are what is audited. In reading order:
//! `file`, the format; `ops`, `losses`, `method_losses`, `optimizers`, `networks` and `op`, the
//! computations; `replay`, which runs them and compares.

mod file;
mod losses;
mod method_losses;
mod networks;
mod op;
mod ops;
mod optimizers;
mod replay;
mod report;

pub use file::{Array, Numbers};
pub use op::write as write_op;
pub use replay::audit;
pub use report::{AuditReport, Comparison};
