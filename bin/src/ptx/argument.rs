//! Kernel arguments: numbers, and buffers made here or read from files.

use carp::error::{Error, Result};
use half::{bf16, f16};
use ptx_emulator::{Memory, Param, Ty};
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

/// The kernel's parameter `index`, of `size` bytes declared as `ty`, from its text, and its buffer if
/// it has one.
///
/// # Errors
/// A text that is no argument, a file that cannot be read, or what `ty` does not hold.
pub fn parameter(
    text: &str,
    (size, ty): (usize, Ty),
    index: usize,
    memory: &mut Memory,
) -> Result<(Param, Option<Buffer>)> {
    let misfit = |detail: String| {
        let detail = format!("argument {index} of the kernel is {detail}");
        Error::usage(format!("--arg {text}: {detail}"))
    };
    if size == 0 || size != ty.bytes() {
        return Err(misfit(format!("a structure of {size} bytes, which is not supported")));
    }
    let is_pointer = size == 8 && ty.is_int();
    let no_pointer = || misfit(format!(".{}, should be a number", ty.name()));
    if let Some(array) = array::read(text) {
        return if is_pointer { place(array?, true, memory) } else { Err(no_pointer()) };
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
        if !is_pointer {
            return Err(no_pointer());
        }
        if len as usize * dtype.bitsize() / 8 > MAX_BYTES {
            return Err(Error::usage(format!("--arg {text}: more than {MAX_BYTES} bytes")));
        }
        let bytes = match kind {
            "zeros" | "empty" => vec![0; len as usize * dtype.bitsize() / 8],
            _ => fill(dtype, len, index as u64),
        };
        let array = Array { dtype, shape: vec![len as usize], bytes };
        return place(array, kind != "empty", memory);
    }
    let value = text.parse().map_err(|_| wrong())?;
    number(text, value, ty).map(|param| (param, None)).map_err(misfit)
}

/// A number as a parameter of a type: a float, or an integer. Untyped bits (`.b32`, `.b64`) may be
/// either; of unsigned integers, the sign does not count, since NVRTC declares `int` as `.u32`.
fn number(text: &str, value: f64, ty: Ty) -> std::result::Result<Param, String> {
    let name = ty.name();
    let whole: Option<i128> = text.parse().ok();
    let (param, rounded) = match (ty, whole) {
        (Ty::F64, _) | (Ty::B64, None) => (Param::F64(value), value),
        (Ty::F32, _) | (Ty::B32, None) => (Param::F32(value as f32), f64::from(value as f32)),
        (Ty::F16, _) => {
            let half = f16::from_f64(value);
            (Param::U32(half.to_bits().into()), half.to_f64())
        }
        _ => {
            let low = -1 << (ty.bits() - 1);
            let high = (1 << (ty.bits() - u32::from(ty.is_signed()))) - 1;
            return match whole.filter(|whole| (low..=high).contains(whole)) {
                Some(whole) if ty.bytes() == 8 => Ok(Param::U64(whole as u64)),
                Some(whole) => Ok(Param::U32(whole as u32)),
                None => Err(format!(".{name}, should be a whole number from {low} to {high}")),
            };
        }
    };
    match rounded.is_infinite() && text.contains(|c: char| c.is_ascii_digit()) {
        true => Err(format!(".{name}, which holds no number as large")),
        false => Ok(param),
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
