//! Prototypes that are kept at length 1.

use autograd::{Graph, Result, Value};
use methods::unit::unit;

/// Scales the prototypes to length 1, in place; no gradient passes through that.
///
/// # Errors
/// If they are a scalar.
pub fn project(g: &mut Graph, prototypes: Value) -> Result<()> {
    let directions = unit(g, prototypes);
    let directions = g.detach(directions);
    g.assign(directions, prototypes)
}
