//! The check of all features, where a network makes them or a file is read.

use std::path::Path;

use carp::error::{Error, Result};

/// Checks features `[N,D]` from `source`, a file or a data set.
///
/// # Errors
/// A number that is not finite: names the first one, and counts the rows that have any. A row whose
/// length no f32 holds: its products would overflow.
pub fn check_finite(source: &Path, features: &[f32], dim: usize) -> Result<()> {
    let is_broken = |x: &f32| !x.is_finite();
    let Some(at) = features.iter().position(is_broken) else {
        return check_lengths(source, features, dim);
    };
    let rows = features.chunks_exact(dim);
    let (all, broken) = (rows.len(), rows.filter(|row| row.iter().any(is_broken)).count());
    let (row, column, value) = (at / dim, at % dim, features[at]);
    let detail = format!(
        "features[{row},{column}] is {value}; {broken} of {all} rows are not finite: their network \
         is broken"
    );
    Err(Error::data(source, detail))
}

fn check_lengths(source: &Path, features: &[f32], dim: usize) -> Result<()> {
    let length = |row: &[f32]| row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    let is_too_long = |row: &[f32]| length(row) >= f64::from(f32::MAX);
    let Some(row) = features.chunks_exact(dim).position(is_too_long) else { return Ok(()) };
    let length = length(&features[row * dim..][..dim]);
    let detail = format!(
        "features[{row}] has length {length:.1e}, more than an f32 holds: its network is broken"
    );
    Err(Error::data(source, detail))
}
