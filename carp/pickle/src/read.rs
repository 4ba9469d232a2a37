//! Bytes to values.

use std::path::Path;

use files::{Error, Result};

use crate::machine;
use crate::value::Pickle;

impl<'a> Pickle<'a> {
    /// Reads a pickle of protocol 0 to 5 at the start of `bytes`.
    ///
    /// # Errors
    /// A truncated or malformed pickle, an unknown opcode, or more opcodes than any file needs: one
    /// line with `path` and the offset.
    pub fn read(path: &Path, bytes: &'a [u8]) -> Result<Pickle<'a>> {
        machine::run(bytes).map_err(|fault| Error::data(path, format!("pickle, offset {fault}")))
    }
}
