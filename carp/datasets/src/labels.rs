//! Labels of many images.

/// What is known of the images.
#[derive(Clone, Debug, PartialEq)]
pub enum Labels {
    /// Nothing.
    None,
    /// One class each, `[N]`.
    Single(Vec<u32>),
    /// Any number of classes each, `[N,C]`: above 0 shows it, 0 and below does not.
    Multi {
        /// C.
        classes: usize,
        /// Row by row.
        shown: Vec<i32>,
    },
}
