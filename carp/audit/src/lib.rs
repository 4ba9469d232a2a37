//! Replays recorded computations and compares: see `docs/audit.md` for the file format.
//!
//! A file holds the inputs of one computation (`in.*`), what another program (PyTorch, say) got
//! from them (`out.*`), and how far apart the two may be. Nothing is computed here but by the crates
//! `autograd` and `carp`, which are what is audited. In reading order: `file`, the format; `ops`,
//! `losses`, `optimizers` and `networks`, the computations; `replay`, which calls them and compares.

mod file;
mod losses;
mod networks;
mod ops;
mod optimizers;
mod replay;
mod report;

pub use file::{Array, Numbers};
pub use replay::audit;
pub use report::{AuditReport, Comparison};
