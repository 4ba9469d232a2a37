//! Bytes to values.

use std::path::Path;

use files::{Error, Result};

use crate::machine;
use crate::value::Pickle;

impl<'a> Pickle<'a> {
    /// Reads a pickle of protocol 0 to 5 at the start of `bytes`; `globals` lists the (module,
    /// name) pairs that it may mention.
    ///
    /// # Errors
    /// A truncated or malformed pickle, an unknown opcode, or another global: one line with `path`
    /// and the offset.
    pub fn read(path: &Path, bytes: &'a [u8], globals: &[(&str, &str)]) -> Result<Pickle<'a>> {
        machine::run(bytes, globals)
            .map_err(|fault| Error::data(path, format!("pickle, offset {fault}")))
    }
}
