//! Kernel arguments: numbers, and buffers made here or read from files.

use carp::error::{Error, Result};
use half::{bf16, f16};
use ptx_emulator::{Memory, Param};
use safetensors::Dtype;
use tensor::random::{Purpose, Stream};

use super::array::{self, Array};

/// Values of a buffer that are printed.
const SHOWN: usize = 8;
/// Most bytes of a buffer.
const MAX_BYTES: usize = 4 << 30;

/// The types of elements by their names.
const TYPES: [(&str, Dtype); 13] = [
    ("f32", Dtype::F32),
    ("f64", Dtype::F64),
    ("f16", Dtype::F16),
    ("bf16", Dtype::BF16),
    ("i8", Dtype::I8),
    ("u8", Dtype::U8),
    ("i16", Dtype::I16),
    ("u16", Dtype::U16),
    ("i32", Dtype::I32),
    ("u32", Dtype::U32),
    ("i64", Dtype::I64),
    ("u64", Dtype::U64),
    ("bool", Dtype::BOOL),
];

/// A buffer in device memory.
pub struct Buffer {
    at: u64,
    dtype: Dtype,
    shape: Vec<usize>,
}

impl Buffer {
    /// Its elements now.
    pub fn read(&self, memory: &Memory) -> Array {
        let Buffer { at, dtype, ref shape } = *self;
        let mut bytes = vec![0; shape.iter().product::<usize>() * dtype.bitsize() / 8];
        // The buffer was allocated for these bytes.
        let _ = memory.read(at, &mut bytes);
        Array { dtype, shape: shape.clone(), bytes }
    }
}

/// The first elements, in words.
pub fn show(array: &Array) -> String {
    let size = array.dtype.bitsize() / 8;
    let values = array.bytes.chunks_exact(size).take(SHOWN).map(|bytes| value(array.dtype, bytes));
    let values: Vec<String> = values.collect();
    let more = if array.bytes.len() > SHOWN * size { " ..." } else { "" };
    format!("{}{more}", values.join(" "))
}

fn value(dtype: Dtype, bytes: &[u8]) -> String {
    let mut padded = [0; 8];
    padded[..bytes.len()].copy_from_slice(bytes);
    let bits = u64::from_le_bytes(padded);
    match dtype {
        Dtype::F64 => f64::from_bits(bits).to_string(),
        Dtype::F32 => f32::from_bits(bits as u32).to_string(),
        Dtype::F16 => f16::from_bits(bits as u16).to_string(),
        Dtype::BF16 => bf16::from_bits(bits as u16).to_string(),
        Dtype::I8 => (bits as i8).to_string(),
        Dtype::I16 => (bits as i16).to_string(),
        Dtype::I32 => (bits as i32).to_string(),
        Dtype::I64 => (bits as i64).to_string(),
        _ => bits.to_string(),
    }
}

/// A parameter of `size` bytes from its text, and its buffer if it has one. `index` keys the random
/// values.
pub fn parameter(
    text: &str,
    size: usize,
    index: u64,
    memory: &mut Memory,
) -> Result<(Param, Option<Buffer>)> {
    if let Some(array) = array::read(text) {
        return place(array?, true, memory);
    }
    let wrong = || {
        Error::usage(format!(
            "--arg {text}: should be 7, 0.5, TYPE:N, zeros:N, zeros:TYPE:N, empty:TYPE:N, \
             FILE.npy or FILE.safetensors:TENSOR"
        ))
    };
    if let Some((kind, rest)) = text.split_once(':') {
        let (ty, len) = match kind {
            "zeros" | "empty" => rest.split_once(':').unwrap_or(("f32", rest)),
            _ => (kind, rest),
        };
        let len: u32 = len.parse().map_err(|_| wrong())?;
        let (_, dtype) = *TYPES.iter().find(|(name, _)| *name == ty).ok_or_else(wrong)?;
        if len as usize * dtype.bitsize() / 8 > MAX_BYTES {
            return Err(Error::usage(format!("--arg {text}: more than {MAX_BYTES} bytes")));
        }
        let bytes = match kind {
            "zeros" | "empty" => vec![0; len as usize * dtype.bitsize() / 8],
            _ => fill(dtype, len, index),
        };
        let array = Array { dtype, shape: vec![len as usize], bytes };
        return place(array, kind != "empty", memory);
    }
    if let Ok(value) = text.parse::<i64>() {
        let param = if size == 8 { Param::U64(value as u64) } else { Param::U32(value as u32) };
        return Ok((param, None));
    }
    match text.parse::<f64>() {
        Ok(value) if size == 8 => Ok((Param::F64(value), None)),
        Ok(value) => Ok((Param::F32(value as f32), None)),
        Err(_) => Err(wrong()),
    }
}

/// Random floats from -1 to 1, or 0, 1, 2, ...
fn fill(dtype: Dtype, len: u32, index: u64) -> Vec<u8> {
    let mut stream = Stream::new(1, Purpose::Test, 0, index);
    let bytes = |i: u32| -> Vec<u8> {
        match dtype {
            Dtype::F32 => stream.range(-1.0, 1.0).to_le_bytes().to_vec(),
            Dtype::F64 => f64::from(stream.range(-1.0, 1.0)).to_le_bytes().to_vec(),
            Dtype::F16 => f16::from_f32(stream.range(-1.0, 1.0)).to_le_bytes().to_vec(),
            Dtype::BF16 => bf16::from_f32(stream.range(-1.0, 1.0)).to_le_bytes().to_vec(),
            Dtype::BOOL => vec![i as u8 % 2],
            dtype => u64::from(i).to_le_bytes()[..dtype.bitsize() / 8].to_vec(),
        }
    };
    (0..len).flat_map(bytes).collect()
}

/// Copies an array to the device; without `written` its elements count as never written.
fn place(array: Array, written: bool, memory: &mut Memory) -> Result<(Param, Option<Buffer>)> {
    let at = memory.alloc(array.bytes.len());
    if written {
        // The buffer was allocated for these bytes.
        let _ = memory.write(at, &array.bytes);
    }
    Ok((Param::U64(at), Some(Buffer { at, dtype: array.dtype, shape: array.shape })))
}
