//! Upper bounds of options, far above any use: those of the settings where there is one
//! (`carp/src/config/ranges.rs`). Below them no size that is computed from several leaves 64 bits.

use std::ops::RangeInclusive;

use carp::error::{Error, Result};

/// Pixels of a side.
pub const SIDE: usize = 1 << 13;
/// Images of a batch; numbers of a feature.
pub const UNITS: usize = 1 << 16;
/// Views of an image.
pub const VIEWS: usize = 1 << 8;
/// Rows of prototypes.
pub const PROTOTYPES: usize = 1 << 24;
/// Threads; random draws.
pub const THREADS: usize = 1 << 12;

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
