//! MATLAB's `.mat` files, versions 5 to 7: the subset that data set indices need.
//!
//! After a header of 128 bytes come elements: type and size (u32 each, or both in one u32 followed
//! by at most 4 bytes of data), data, padding to 8 bytes. A matrix is an element that holds
//! elements: flags, dimensions, name, then its numbers, characters, cells or fields. A compressed
//! element is a zlib stream of one matrix. Text and numbers become `String` and f64; sparse
//! matrices, objects and functions are skipped.

use std::path::Path;

use files::{Error, Result, most_unpacked, read_at_most};
use flate2::read::ZlibDecoder;

use crate::binary_file::{ALWAYS_UNPACKED, read};

/// The most bytes of all compressed elements of a file together: twice the largest index. Numbers
/// take up to eight times as much.
const MOST_UNPACKED: u64 = 1 << 24;
/// Maximum nesting of cells.
const MOST_NESTED: usize = 16;

/// An array of a `.mat` file, in MATLAB's order (columns first).
#[derive(Clone, Debug, PartialEq)]
pub enum Array {
    /// Numbers or booleans.
    Numbers(Vec<f64>),
    /// Characters.
    Text(String),
    /// Any arrays.
    Cells(Vec<Array>),
    /// Records with the same fields.
    Records(Records),
    /// A kind that no index uses.
    Other,
}

/// Records with the same fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Records {
    fields: Vec<String>,
    /// Record by record.
    values: Vec<Array>,
}

/// The named arrays of a `.mat` file.
pub struct Mat<'p> {
    path: &'p Path,
    arrays: Vec<(String, Array)>,
}

impl Records {
    /// Number of records.
    pub fn len(&self) -> usize {
        self.values.len() / self.fields.len().max(1)
    }

    /// A field of record `index`.
    pub fn get(&self, index: usize, field: &str) -> Option<&Array> {
        let at = self.fields.iter().position(|name| name == field)?;
        self.values.get(index * self.fields.len() + at)
    }
}

impl Array {
    /// The only number.
    pub fn number(&self) -> Option<f64> {
        match self {
            Array::Numbers(numbers) if numbers.len() == 1 => Some(numbers[0]),
            _ => None,
        }
    }

    /// The text of a character array.
    pub fn text(&self) -> Option<&str> {
        match self {
            Array::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl<'p> Mat<'p> {
    /// Reads a file.
    ///
    /// # Errors
    /// Another format, truncated or malformed: names the offset.
    pub fn read(path: &'p Path) -> Result<Mat<'p>> {
        let bytes = read(path)?;
        parse(&bytes).map(|arrays| Mat { path, arrays }).map_err(|detail| Error::data(path, detail))
    }

    /// The array `name`.
    ///
    /// # Errors
    /// If there is none.
    pub fn get(&self, name: &str) -> Result<&Array> {
        let found = self.arrays.iter().find(|(given, _)| given == name);
        found.map(|(_, array)| array).ok_or_else(|| {
            let names: Vec<&str> = self.arrays.iter().map(|(name, _)| name.as_str()).collect();
            Error::data(self.path, format!("has no array {name:?} (it has {})", names.join(", ")))
        })
    }

    /// The numbers of the array `name`.
    ///
    /// # Errors
    /// A missing array, or not numbers.
    pub fn numbers(&self, name: &str) -> Result<&[f64]> {
        match self.get(name)? {
            Array::Numbers(numbers) => Ok(numbers),
            _ => Err(Error::data(self.path, format!("{name} should be numbers"))),
        }
    }

    /// The records of the array `name`.
    ///
    /// # Errors
    /// A missing array, or not records.
    pub fn records(&self, name: &str) -> Result<&Records> {
        match self.get(name)? {
            Array::Records(records) => Ok(records),
            _ => Err(Error::data(self.path, format!("{name} should be a struct array"))),
        }
    }

    /// The texts of the cells of the array `name`.
    ///
    /// # Errors
    /// A missing array, or not cells of text.
    pub fn texts(&self, name: &str) -> Result<Vec<String>> {
        let texts = match self.get(name)? {
            Array::Cells(cells) => {
                cells.iter().map(|cell| cell.text().map(str::to_owned)).collect::<Option<_>>()
            }
            _ => None,
        };
        texts.ok_or_else(|| Error::data(self.path, format!("{name} should be cells of text")))
    }
}

type Parsed<T> = std::result::Result<T, String>;

fn parse(bytes: &[u8]) -> Parsed<Vec<(String, Array)>> {
    if bytes.starts_with(b"MATLAB 7.3") {
        return Err("is version 7.3 (HDF5), only versions 5 to 7 can be read: save it again in \
                    MATLAB with -v7"
            .to_owned());
    }
    if bytes.len() < 128 {
        return Err(format!("truncated: {} bytes, the header alone has 128", bytes.len()));
    }
    if bytes[126..128] != *b"IM" {
        return Err(
            "is not a little-endian .mat file of version 5: offset 126 should be \"IM\"".to_owned()
        );
    }
    let mut cursor = Cursor { bytes, at: 128, unpacked: false };
    let most = most_unpacked(bytes.len() as u64, ALWAYS_UNPACKED).min(MOST_UNPACKED);
    let (mut arrays, mut left) = (Vec::new(), most);
    while cursor.at < bytes.len() {
        let (kind, data) = cursor.element()?;
        match kind {
            14 => arrays.extend(data.matrix(0)?),
            15 => {
                let at = cursor.at;
                let unpacked = read_at_most(ZlibDecoder::new(data.bytes), left)
                    .map_err(|error| format!("offset {at}: broken zlib: {error}"))?
                    .ok_or_else(|| format!("offset {at}: unpacks to more than {most} bytes"))?;
                left -= unpacked.len() as u64;
                let mut inner = Cursor { bytes: &unpacked, at: 0, unpacked: true };
                let (kind, data) = inner.element()?;
                if kind == 14 {
                    arrays.extend(data.matrix(0)?);
                }
            }
            _ => {}
        }
    }
    Ok(arrays)
}

/// Bytes of one element; offsets in messages count from its start.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    unpacked: bool,
}

impl<'a> Cursor<'a> {
    fn fault<T>(&self, detail: &str) -> Parsed<T> {
        let of = if self.unpacked { " of an element" } else { "" };
        Err(format!("offset {}{of}: {detail}", self.at))
    }

    fn take(&mut self, length: usize) -> Parsed<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        if length > rest.len() {
            let detail = format!("truncated: {length} bytes expected, {} left", rest.len());
            return self.fault(&detail);
        }
        self.at += length;
        Ok(&rest[..length])
    }

    fn u32(&mut self) -> Parsed<u32> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes(bytes.try_into().expect("four bytes")))
    }

    /// Type and data of the next element.
    fn element(&mut self) -> Parsed<(u32, Cursor<'a>)> {
        let tag = self.u32()?;
        let inner = |bytes| Cursor { bytes, at: 0, unpacked: true };
        if tag >> 16 != 0 {
            let (kind, size) = (tag & 0xffff, tag as usize >> 16);
            let data = self.take(4)?;
            return match data.get(..size) {
                Some(data) => Ok((kind, inner(data))),
                None => self.fault("a small element of more than 4 bytes"),
            };
        }
        let size = self.u32()? as usize;
        let data = self.take(size)?;
        if tag != 15 {
            // The last padding may be missing.
            self.at = self.at.next_multiple_of(8).min(self.bytes.len());
        }
        Ok((tag, inner(data)))
    }

    /// Name and content; `None` if the matrix is an empty element.
    fn matrix(mut self, depth: usize) -> Parsed<Option<(String, Array)>> {
        if self.bytes.is_empty() {
            return Ok(None);
        }
        if depth > MOST_NESTED {
            return self.fault("cells nested too deeply");
        }
        let class = self.element()?.1.u32()? & 0xff;
        let (_, dimensions) = self.element()?;
        let mut count = Some(1usize);
        for size in dimensions.bytes.chunks_exact(4) {
            let size = i32::from_le_bytes(size.try_into().expect("four bytes"));
            count = usize::try_from(size).ok().and_then(|size| count?.checked_mul(size));
        }
        let Some(count) = count else { return self.fault("dimensions too large") };
        let name = String::from_utf8_lossy(self.element()?.1.bytes).into_owned();
        let array = match class {
            1 => Array::Cells(self.matrices(count, depth)?),
            2 => {
                let width = self.element()?.1.u32()? as usize;
                let (_, names) = self.element()?;
                if width == 0 {
                    return self.fault("field names of width 0");
                }
                let name = |bytes: &[u8]| {
                    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
                    String::from_utf8_lossy(&bytes[..end]).into_owned()
                };
                let fields: Vec<String> = names.bytes.chunks_exact(width).map(name).collect();
                let Some(count) = count.checked_mul(fields.len()) else {
                    return self.fault("dimensions too large");
                };
                Array::Records(Records { fields, values: self.matrices(count, depth)? })
            }
            4 => {
                let (kind, data) = self.element()?;
                Array::Text(data.text(kind)?)
            }
            6..=15 => {
                let (kind, data) = self.element()?;
                let numbers = data.numbers(kind)?;
                if numbers.len() != count {
                    let detail = format!("{} numbers, the shape says {count}", numbers.len());
                    return self.fault(&detail);
                }
                Array::Numbers(numbers)
            }
            _ => Array::Other,
        };
        Ok(Some((name, array)))
    }

    /// `count` unnamed matrices; each takes at least 8 bytes.
    fn matrices(&mut self, count: usize, depth: usize) -> Parsed<Vec<Array>> {
        let mut arrays = Vec::new();
        for _ in 0..count {
            let (kind, data) = self.element()?;
            if kind != 14 {
                return self.fault(&format!("an element of type {kind}, should be a matrix"));
            }
            arrays.push(data.matrix(depth + 1)?.map_or(Array::Numbers(vec![]), |(_, array)| array));
        }
        Ok(arrays)
    }

    fn numbers(&self, kind: u32) -> Parsed<Vec<f64>> {
        let (size, number): (usize, fn(&[u8]) -> f64) = match kind {
            1 => (1, |b| i8::from_le_bytes(b.try_into().expect("1 byte")).into()),
            2 => (1, |b| b[0].into()),
            3 => (2, |b| i16::from_le_bytes(b.try_into().expect("2 bytes")).into()),
            4 => (2, |b| u16::from_le_bytes(b.try_into().expect("2 bytes")).into()),
            5 => (4, |b| i32::from_le_bytes(b.try_into().expect("4 bytes")).into()),
            6 => (4, |b| u32::from_le_bytes(b.try_into().expect("4 bytes")).into()),
            7 => (4, |b| f32::from_le_bytes(b.try_into().expect("4 bytes")).into()),
            9 => (8, |b| f64::from_le_bytes(b.try_into().expect("8 bytes"))),
            12 => (8, |b| i64::from_le_bytes(b.try_into().expect("8 bytes")) as f64),
            13 => (8, |b| u64::from_le_bytes(b.try_into().expect("8 bytes")) as f64),
            _ => return self.fault(&format!("numbers of unknown type {kind}")),
        };
        Ok(self.bytes.chunks_exact(size).map(number).collect())
    }

    fn text(&self, kind: u32) -> Parsed<String> {
        match kind {
            1 | 2 | 16 => Ok(String::from_utf8_lossy(self.bytes).into_owned()),
            4 | 17 => {
                let unit = |b: &[u8]| u16::from_le_bytes(b.try_into().expect("2 bytes"));
                let units: Vec<u16> = self.bytes.chunks_exact(2).map(unit).collect();
                Ok(String::from_utf16_lossy(&units))
            }
            _ => self.fault(&format!("text of unknown type {kind}")),
        }
    }
}
