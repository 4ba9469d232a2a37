//! The PTX of every file of kernels, embedded.

/// Pairs of a file's name without `.cu` and its PTX.
pub const MODULES: &[(&str, &str)] = &[("pointwise", include_str!("../kernels/pointwise.ptx"))];

/// The PTX of the file of this name.
pub fn ptx(module: &str) -> Option<&'static str> {
    MODULES.iter().find(|(name, _)| *name == module).map(|(_, ptx)| *ptx)
}
