//! Upper bounds of options: those of the settings, and what has no setting.

use std::ops::RangeInclusive;

pub use carp::config::limits::{PROTOTYPES, SIDE, THREADS, UNITS, VIEWS};
use carp::error::{Error, Result};

/// Random draws.
pub const DRAWS: usize = 1 << 12;

/// Fails if the value of an option is out of range.
///
/// # Errors
/// As above: names the option and its bound.
pub fn within(option: &str, value: usize, range: RangeInclusive<usize>) -> Result<()> {
    let bound = match (range.start(), range.end()) {
        (least, _) if value < *least => format!("at least {least}"),
        (_, most) if value > *most => format!("at most {most}"),
        _ => return Ok(()),
    };
    Err(Error::usage(format!("{option} is {value}, should be {bound}")))
}
