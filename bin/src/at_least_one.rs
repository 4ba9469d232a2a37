//! The check of options that count something.

use carp::error::{Error, Result};

/// Fails if the value of an option is 0.
///
/// # Errors
/// As above: names the option.
pub fn at_least_one(option: &str, value: usize) -> Result<()> {
    match value {
        0 => Err(Error::usage(format!("{option} is 0, should be at least 1"))),
        _ => Ok(()),
    }
}
