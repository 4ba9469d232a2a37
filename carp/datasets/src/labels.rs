//! Labels of many images.

/// Labels, one entry per image.
#[derive(Clone, Debug, PartialEq)]
pub enum Labels {
    /// None.
    None,
    /// One class each, `[N]`.
    Single(Vec<u32>),
    /// Any number of classes each, `[N,C]`: above 0 is present, 0 and below is not.
    Multi {
        /// C.
        classes: usize,
        /// Row by row.
        shown: Vec<i32>,
    },
}
