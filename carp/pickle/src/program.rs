//! The bytes of a pickle, read front to back; an error names the offset of the current opcode.

use std::fmt::Display;

/// "OFFSET: what is wrong".
type Fault = String;
/// The result of running a pickle.
pub type Result<T> = std::result::Result<T, Fault>;

/// A program in progress.
pub struct Program<'a> {
    bytes: &'a [u8],
    at: usize,
    opcode: usize,
}

impl<'a> Program<'a> {
    /// At its first opcode.
    pub fn new(bytes: &'a [u8]) -> Program<'a> {
        Program { bytes, at: 0, opcode: 0 }
    }

    /// Bytes read.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Bytes not read yet.
    pub fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Offset of the current opcode.
    pub fn opcode(&self) -> usize {
        self.opcode
    }

    /// Advances to the next opcode.
    pub fn next_opcode(&mut self) -> Result<u8> {
        self.opcode = self.at;
        Ok(self.take(1)?[0])
    }

    /// An error at the current opcode.
    pub fn fault<T>(&self, detail: impl Display) -> Result<T> {
        Err(format!("{}: {detail}", self.opcode))
    }

    /// The next `length` bytes.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        if length > rest.len() {
            let detail = format!("truncated: {length} bytes expected, {} left", rest.len());
            return self.fault(detail);
        }
        self.at += length;
        Ok(&rest[..length])
    }

    /// An unsigned little-endian number of `bytes` bytes.
    pub fn length(&mut self, bytes: usize) -> Result<usize> {
        let mut wide = [0; 8];
        wide[..bytes].copy_from_slice(self.take(bytes)?);
        usize::try_from(u64::from_le_bytes(wide))
            .or_else(|_| self.fault("a length beyond this machine's memory"))
    }

    /// The bytes up to the end of the line, which is skipped.
    pub fn raw_line(&mut self) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let Some(end) = rest.iter().position(|&byte| byte == b'\n') else {
            return self.fault("truncated: no end of line");
        };
        self.at += end + 1;
        Ok(&rest[..end])
    }

    /// The text up to the end of the line, which is skipped.
    pub fn line(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.raw_line()?).or_else(|_| self.fault("a text that is not UTF-8"))
    }
}
