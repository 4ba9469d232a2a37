//! Element types of stored tensors, read as f32.

use half::{bf16, f16};

/// A number type, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DType {
    /// 64-bit float.
    F64,
    /// 32-bit float.
    F32,
    /// 16-bit IEEE 754 float.
    F16,
    /// The upper half of an F32.
    BF16,
    /// 64-bit integer.
    I64,
    /// 32-bit integer.
    I32,
    /// 16-bit integer.
    I16,
    /// 8-bit integer.
    I8,
    /// Unsigned 8-bit integer.
    U8,
    /// One byte, 0 or 1.
    Bool,
}

impl DType {
    /// Bytes per number.
    pub fn size(self) -> usize {
        match self {
            DType::F64 | DType::I64 => 8,
            DType::F32 | DType::I32 => 4,
            DType::F16 | DType::BF16 | DType::I16 => 2,
            DType::I8 | DType::U8 | DType::Bool => 1,
        }
    }

    /// Name in messages.
    pub fn name(self) -> &'static str {
        match self {
            DType::F64 => "f64",
            DType::F32 => "f32",
            DType::F16 => "f16",
            DType::BF16 => "bf16",
            DType::I64 => "i64",
            DType::I32 => "i32",
            DType::I16 => "i16",
            DType::I8 => "i8",
            DType::U8 => "u8",
            DType::Bool => "bool",
        }
    }

    /// The type of the PyTorch storage with this name, such as "FloatStorage".
    pub fn of_storage(name: &str) -> Option<DType> {
        Some(match name {
            "DoubleStorage" => DType::F64,
            "FloatStorage" => DType::F32,
            "HalfStorage" => DType::F16,
            "BFloat16Storage" => DType::BF16,
            "LongStorage" => DType::I64,
            "IntStorage" => DType::I32,
            "ShortStorage" => DType::I16,
            "CharStorage" => DType::I8,
            "ByteStorage" => DType::U8,
            "BoolStorage" => DType::Bool,
            _ => return None,
        })
    }

    /// The type with this name in safetensors, if supported.
    pub fn of_safetensors(dtype: safetensors::Dtype) -> Option<DType> {
        use safetensors::Dtype;
        Some(match dtype {
            Dtype::F64 => DType::F64,
            Dtype::F32 => DType::F32,
            Dtype::F16 => DType::F16,
            Dtype::BF16 => DType::BF16,
            Dtype::I64 => DType::I64,
            Dtype::I32 => DType::I32,
            Dtype::I16 => DType::I16,
            Dtype::I8 => DType::I8,
            Dtype::U8 => DType::U8,
            Dtype::BOOL => DType::Bool,
            _ => return None,
        })
    }

    /// All numbers in `bytes`, rounded to f32 if more precise.
    pub fn to_f32(self, bytes: &[u8]) -> Vec<f32> {
        fn map<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
            bytes.as_chunks().0.iter().map(|&bytes| number(bytes)).collect()
        }
        match self {
            DType::F64 => map(bytes, |b| f64::from_le_bytes(b) as f32),
            DType::F32 => map(bytes, f32::from_le_bytes),
            DType::F16 => map(bytes, |b| f16::from_le_bytes(b).to_f32()),
            DType::BF16 => map(bytes, |b| bf16::from_le_bytes(b).to_f32()),
            DType::I64 => map(bytes, |b| i64::from_le_bytes(b) as f32),
            DType::I32 => map(bytes, |b| i32::from_le_bytes(b) as f32),
            DType::I16 => map(bytes, |b| i16::from_le_bytes(b).into()),
            DType::I8 => map(bytes, |b| i8::from_le_bytes(b).into()),
            DType::U8 | DType::Bool => map(bytes, |[b]| b.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::*;

    #[test]
    fn numbers_of_every_type() {
        assert_eq!(DType::F64.to_f32(&(-1.5f64).to_le_bytes()), [-1.5]);
        assert_eq!(DType::F32.to_f32(&0.1f32.to_le_bytes()), [0.1]);
        assert_eq!(DType::F16.to_f32(&[0x00, 0x3e, 0x01, 0x00]), [1.5, 5.960_464_5e-8]);
        assert_eq!(DType::BF16.to_f32(&[0xc0, 0xbf]), [-1.5]);
        assert_eq!(DType::I64.to_f32(&(-7i64).to_le_bytes()), [-7.0]);
        assert_eq!(DType::I32.to_f32(&(-7i32).to_le_bytes()), [-7.0]);
        assert_eq!(DType::I16.to_f32(&(-7i16).to_le_bytes()), [-7.0]);
        assert_eq!(DType::I8.to_f32(&[0xf9]), [-7.0]);
        assert_eq!(DType::U8.to_f32(&[0xf9, 1]), [249.0, 1.0]);
        assert_eq!(DType::Bool.to_f32(&[0, 1]), [0.0, 1.0]);
    }
}
