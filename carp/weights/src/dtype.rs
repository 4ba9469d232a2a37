//! Element types of stored tensors, read as f32.

use half::{bf16, f16};

/// A number type that f32 can stand for, little-endian.
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
    /// 8-bit float, 4 bits of exponent, without infinities.
    F8E4M3,
    /// 8-bit float, 5 bits of exponent.
    F8E5M2,
    /// 64-bit integer.
    I64,
    /// 32-bit integer.
    I32,
    /// 16-bit integer.
    I16,
    /// 8-bit integer.
    I8,
    /// Unsigned 64-bit integer.
    U64,
    /// Unsigned 32-bit integer.
    U32,
    /// Unsigned 16-bit integer.
    U16,
    /// Unsigned 8-bit integer.
    U8,
    /// One byte, 0 or 1.
    Bool,
}

/// Each type: its size in bytes, and what it is called in messages, in PyTorch and in safetensors.
const TYPES: [(DType, usize, &str, &str, &str); 15] = [
    (DType::F64, 8, "f64", "float64", "F64"),
    (DType::F32, 4, "f32", "float32", "F32"),
    (DType::F16, 2, "f16", "float16", "F16"),
    (DType::BF16, 2, "bf16", "bfloat16", "BF16"),
    (DType::F8E4M3, 1, "f8e4m3", "float8_e4m3fn", "F8_E4M3"),
    (DType::F8E5M2, 1, "f8e5m2", "float8_e5m2", "F8_E5M2"),
    (DType::I64, 8, "i64", "int64", "I64"),
    (DType::I32, 4, "i32", "int32", "I32"),
    (DType::I16, 2, "i16", "int16", "I16"),
    (DType::I8, 1, "i8", "int8", "I8"),
    (DType::U64, 8, "u64", "uint64", "U64"),
    (DType::U32, 4, "u32", "uint32", "U32"),
    (DType::U16, 2, "u16", "uint16", "U16"),
    (DType::U8, 1, "u8", "uint8", "U8"),
    (DType::Bool, 1, "bool", "bool", "BOOL"),
];

impl DType {
    fn row(self) -> &'static (DType, usize, &'static str, &'static str, &'static str) {
        TYPES.iter().find(|row| row.0 == self).expect("every type has a row")
    }

    /// Bytes per number.
    pub fn size(self) -> usize {
        self.row().1
    }

    /// Name in messages.
    pub fn name(self) -> &'static str {
        self.row().2
    }

    /// The type with this name in PyTorch, such as "float32".
    pub fn of_torch(name: &str) -> Option<DType> {
        TYPES.iter().find(|row| row.3 == name).map(|row| row.0)
    }

    /// The type with this name in safetensors, such as "F32".
    pub fn of_safetensors(name: &str) -> Option<DType> {
        TYPES.iter().find(|row| row.4 == name).map(|row| row.0)
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
            DType::F8E4M3 => map(bytes, |[b]| float8::<3>(b)),
            DType::F8E5M2 => map(bytes, |[b]| float8::<2>(b)),
            DType::I64 => map(bytes, |b| i64::from_le_bytes(b) as f32),
            DType::I32 => map(bytes, |b| i32::from_le_bytes(b) as f32),
            DType::I16 => map(bytes, |b| i16::from_le_bytes(b).into()),
            DType::I8 => map(bytes, |b| i8::from_le_bytes(b).into()),
            DType::U64 => map(bytes, |b| u64::from_le_bytes(b) as f32),
            DType::U32 => map(bytes, |b| u32::from_le_bytes(b) as f32),
            DType::U16 => map(bytes, |b| u16::from_le_bytes(b).into()),
            DType::U8 | DType::Bool => map(bytes, |[b]| b.into()),
        }
    }
}

/// An 8-bit float (Micikevicius et al., 2022, table 1): a sign, an exponent, and a mantissa of
/// `MANTISSA` bits. With 2 bits of mantissa the largest exponent is that of infinities and NaN, as
/// in IEEE 754; with 3 only its last number is NaN.
fn float8<const MANTISSA: u32>(byte: u8) -> f32 {
    let (exponent, mantissa) = ((byte & 0x7f) >> MANTISSA, byte & ((1 << MANTISSA) - 1));
    let (largest, bias) = (0x7f >> MANTISSA, (1 << (6 - MANTISSA)) - 1);
    let fraction = f32::from(mantissa) / (1 << MANTISSA) as f32;
    let magnitude = match (exponent, MANTISSA, mantissa) {
        (0, ..) => fraction * f32::powi(2.0, 1 - bias),
        (exponent, 2, 0) if exponent == largest => f32::INFINITY,
        (exponent, 2, _) | (exponent, 3, 7) if exponent == largest => f32::NAN,
        _ => (1.0 + fraction) * f32::powi(2.0, i32::from(exponent) - bias),
    };
    if byte & 0x80 == 0 { magnitude } else { -magnitude }
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
        // 0x7e is the largest of each kind but for e5m2's NaN; 0x01 the smallest.
        assert_eq!(
            DType::F8E4M3.to_f32(&[0x00, 0x38, 0xc0, 0x7e, 0x01]),
            [0.0, 1.0, -2.0, 448.0, 0.001_953_125]
        );
        assert_eq!(
            DType::F8E5M2.to_f32(&[0x3d, 0xbc, 0x7b, 0x01, 0x7c]),
            [1.25, -1.0, 57344.0, 1.525_878_9e-5, f32::INFINITY]
        );
        assert!(
            DType::F8E4M3.to_f32(&[0x7f])[0].is_nan() && DType::F8E5M2.to_f32(&[0xfe])[0].is_nan()
        );
        assert_eq!(DType::I64.to_f32(&(-7i64).to_le_bytes()), [-7.0]);
        assert_eq!(DType::I32.to_f32(&(-7i32).to_le_bytes()), [-7.0]);
        assert_eq!(DType::I16.to_f32(&(-7i16).to_le_bytes()), [-7.0]);
        assert_eq!(DType::I8.to_f32(&[0xf9]), [-7.0]);
        assert_eq!(DType::U64.to_f32(&u64::MAX.to_le_bytes()), [1.844_674_4e19]);
        assert_eq!(DType::U32.to_f32(&u32::MAX.to_le_bytes()), [4_294_967_296.0]);
        assert_eq!(DType::U16.to_f32(&[0xff, 0xff]), [65535.0]);
        assert_eq!(DType::U8.to_f32(&[0xf9, 1]), [249.0, 1.0]);
        assert_eq!(DType::Bool.to_f32(&[0, 1]), [0.0, 1.0]);
    }
}
