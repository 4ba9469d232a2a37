//! PTX types and their widths.

/// A type suffix of an instruction or a declaration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Ty {
    Pred,
    B8,
    B16,
    B32,
    B64,
    U8,
    U16,
    U32,
    U64,
    S8,
    S16,
    S32,
    S64,
    U16x2,
    S16x2,
    E4m3,
    E5m2,
    E4m3x2,
    E5m2x2,
    F16,
    F16x2,
    Bf16,
    Bf16x2,
    Tf32,
    F32,
    F64,
}

impl Ty {
    /// The type that a suffix names, without the dot.
    pub fn from_name(name: &str) -> Option<Ty> {
        Some(match name {
            "pred" => Ty::Pred,
            "b8" => Ty::B8,
            "b16" => Ty::B16,
            "b32" => Ty::B32,
            "b64" => Ty::B64,
            "u8" => Ty::U8,
            "u16" => Ty::U16,
            "u32" => Ty::U32,
            "u64" => Ty::U64,
            "s8" => Ty::S8,
            "s16" => Ty::S16,
            "s32" => Ty::S32,
            "s64" => Ty::S64,
            "u16x2" => Ty::U16x2,
            "s16x2" => Ty::S16x2,
            "e4m3" => Ty::E4m3,
            "e5m2" => Ty::E5m2,
            "e4m3x2" => Ty::E4m3x2,
            "e5m2x2" => Ty::E5m2x2,
            "f16" => Ty::F16,
            "f16x2" => Ty::F16x2,
            "bf16" => Ty::Bf16,
            "bf16x2" => Ty::Bf16x2,
            "tf32" => Ty::Tf32,
            "f32" => Ty::F32,
            "f64" => Ty::F64,
            _ => return None,
        })
    }

    /// Its suffix, without the dot.
    pub fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// Bytes in memory; a predicate has none.
    pub fn bytes(self) -> usize {
        match self {
            Ty::Pred => 0,
            Ty::B8 | Ty::U8 | Ty::S8 | Ty::E4m3 | Ty::E5m2 => 1,
            Ty::B16 | Ty::U16 | Ty::S16 | Ty::F16 | Ty::Bf16 | Ty::E4m3x2 | Ty::E5m2x2 => 2,
            Ty::U16x2 | Ty::S16x2 => 4,
            Ty::B32 | Ty::U32 | Ty::S32 | Ty::F16x2 | Ty::Bf16x2 | Ty::Tf32 | Ty::F32 => 4,
            Ty::B64 | Ty::U64 | Ty::S64 | Ty::F64 => 8,
        }
    }

    /// Bits of a value.
    pub fn bits(self) -> u32 {
        8 * self.bytes() as u32
    }

    /// Is it a signed integer?
    pub fn is_signed(self) -> bool {
        matches!(self, Ty::S8 | Ty::S16 | Ty::S16x2 | Ty::S32 | Ty::S64)
    }

    /// Is it a floating-point type?
    pub fn is_float(self) -> bool {
        use Ty::*;
        let eight = matches!(self, E4m3 | E5m2 | E4m3x2 | E5m2x2);
        eight || matches!(self, F16 | F16x2 | Bf16 | Bf16x2 | Tf32 | F32 | F64)
    }

    /// Is it an integer (or untyped bits)?
    pub fn is_int(self) -> bool {
        self != Ty::Pred && !self.is_float()
    }

    /// The register file that holds it.
    pub fn class(self) -> Class {
        match self.bytes() {
            0 => Class::Pred,
            8 => Class::Long,
            _ => Class::Word,
        }
    }
}

/// A register file: all registers up to 32 bits, those of 64 bits, and predicates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// 8, 16 and 32 bits; what is above those of the type does not count.
    Word,
    /// 64 bits.
    Long,
    /// One bit per lane.
    Pred,
}

/// A state space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Space {
    /// Generic: decided by the address.
    Generic,
    /// Device memory.
    Global,
    /// Device memory that kernels only read.
    Const,
    /// The block's own memory.
    Shared,
    /// The thread's own memory.
    Local,
    /// Parameters of a kernel or of a called function.
    Param,
}

impl Space {
    /// The space that a suffix names, without the dot.
    pub fn from_name(name: &str) -> Option<Space> {
        Some(match name {
            "global" => Space::Global,
            "const" => Space::Const,
            // Every block is a cluster of its own.
            "shared" | "shared::cta" | "shared::cluster" => Space::Shared,
            "local" => Space::Local,
            "param" | "param::entry" | "param::func" => Space::Param,
            _ => return None,
        })
    }
}
