//! Features with one class each.

/// A labelled set of features `[labels.len(), dim]`.
#[derive(Clone, Copy)]
pub struct Labelled<'a> {
    /// Row-major.
    pub features: &'a [f32],
    /// One per row.
    pub labels: &'a [u32],
}
