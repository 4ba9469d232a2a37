//! The check of all features, where a network makes them or a file is read.

use std::path::Path;

use carp::error::{Error, Result};

/// Checks features `[N,D]` from `source`, a file or a data set.
///
/// # Errors
/// A number that is not finite: names the first one, and counts the rows that have any.
pub fn check_finite(source: &Path, features: &[f32], dim: usize) -> Result<()> {
    let is_broken = |x: &f32| !x.is_finite();
    let Some(at) = features.iter().position(is_broken) else { return Ok(()) };
    let rows = features.chunks_exact(dim);
    let (all, broken) = (rows.len(), rows.filter(|row| row.iter().any(is_broken)).count());
    let (row, column, value) = (at / dim, at % dim, features[at]);
    let detail = format!(
        "features[{row},{column}] is {value}; {broken} of {all} rows are not finite: their network \
         is broken"
    );
    Err(Error::data(source, detail))
}
