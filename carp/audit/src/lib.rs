//! Replays recorded computations and compares the results; `docs/audit.md` describes the file
//! format.
//!
//! A file holds the inputs of one computation (`in.*`), another program's results, such as
//! PyTorch's (`out.*`), and the tolerance. All computation is done by the crates `autograd`,
//! `carp`, and for the compared methods by `methods`, which are what is audited. In reading order:
//! `file`, the format; `ops`, `losses`, `method_losses`, `optimizers` and `networks`, the computations; `replay`, which runs them and compares.

mod file;
mod losses;
mod method_losses;
mod networks;
mod ops;
mod optimizers;
mod replay;
mod report;

pub use file::{Array, Numbers};
pub use replay::audit;
pub use report::{AuditReport, Comparison};
