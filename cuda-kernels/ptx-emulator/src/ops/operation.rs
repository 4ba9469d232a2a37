//! The operations of each instruction family.

use crate::types::Ty;

/// Rounding mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Round {
    /// To nearest, ties to even.
    Nearest,
    /// To nearest, ties away from zero.
    Away,
    /// Towards zero.
    Zero,
    /// Towards minus infinity.
    Down,
    /// Towards plus infinity.
    Up,
}

/// Bit operations and moves of any width: the result's low bits depend on the same bits only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Logic {
    And,
    Or,
    Xor,
    Not,
    Mov,
}

/// Integer operations of one result and one or two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Int {
    Add,
    Sub,
    AddSat,
    SubSat,
    MulLo,
    MulHi,
    MulWide,
    Mul24Lo,
    Mul24Hi,
    Div,
    Rem,
    Min,
    Max,
    Neg,
    Abs,
    Shl,
    Shr,
    Popc,
    Clz,
    Brev,
    Bfind,
    BfindShift,
    Cnot,
    MinRelu,
    MaxRelu,
}

/// Integer operations of three or four operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Int3 {
    MadLo,
    MadHi,
    MadHiSat,
    MadWide,
    Mad24Lo,
    Mad24Hi,
    Mad24HiSat,
    Sad,
    Bfe,
    Bfi,
    ShfLeftClamp,
    ShfLeftWrap,
    ShfRightClamp,
    ShfRightWrap,
    Prmt,
    PrmtF4e,
    PrmtB4e,
    PrmtRc8,
    PrmtEcl,
    PrmtEcr,
    PrmtRc16,
    Lop3,
    Slct,
    SlctF,
    SlctFtz,
    Fns,
    Bmsk,
    BmskWrap,
    Szext,
    SzextWrap,
}

/// Additions and products with the carry flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Carry {
    Add,
    Sub,
    MadLo,
    MadHi,
}

/// Floating-point operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Float {
    Add,
    Sub,
    Mul,
    Fma,
    Div,
    DivApprox,
    Rcp,
    RcpApprox,
    Sqrt,
    SqrtApprox,
    RsqrtApprox,
    Ex2,
    Lg2,
    Sin,
    Cos,
    Tanh,
    Min,
    Max,
    MinNan,
    MaxNan,
    MinXor,
    MaxXor,
    MinNanXor,
    MaxNanXor,
    Neg,
    Abs,
    CopySign,
}

/// How a float operation rounds and clamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode {
    /// Rounding.
    pub round: Round,
    /// Are subnormal numbers zero (`.ftz`)?
    pub ftz: bool,
    /// Clamp to [0, 1], NaN to 0 (`.sat`)?
    pub sat: bool,
    /// Clamp below at 0, NaN stays (`.relu`)?
    pub relu: bool,
    /// The largest finite number instead of infinity (`.satfinite`)?
    pub finite: bool,
}

impl Mode {
    /// To nearest, without modifiers.
    pub const PLAIN: Mode =
        Mode { round: Round::Nearest, ftz: false, sat: false, relu: false, finite: false };
}

/// Comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Compare {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Equ,
    Neu,
    Ltu,
    Leu,
    Gtu,
    Geu,
    Num,
    Nan,
}

/// How a comparison's result is combined with a predicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Combine {
    None,
    And,
    Or,
    Xor,
}

/// How an access orders memory: `.weak`, `.relaxed` and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum MemoryOrder {
    Weak,
    /// Through the read-only cache (`.nc`).
    ReadOnly,
    Volatile,
    Relaxed,
    Acquire,
    Release,
    AcquireRelease,
}

/// The memory semantics of an access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Semantics {
    /// Its order.
    pub order: MemoryOrder,
    /// Is its scope only the block (`.cta`)?
    pub in_block: bool,
}

impl Semantics {
    /// May it meet other accesses without a race, as far as its scope reaches?
    pub fn is_strong(self) -> bool {
        !matches!(self.order, MemoryOrder::Weak | MemoryOrder::ReadOnly)
    }
}

/// The operation of an atomic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Atomic {
    Add,
    Min,
    Max,
    And,
    Or,
    Xor,
    Exch,
    Cas,
    Inc,
    Dec,
}

/// Which lane a shuffle reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Shuffle {
    Up,
    Down,
    Bfly,
    Idx,
}

/// The kind of vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Vote {
    All,
    Any,
    Uniform,
    Ballot,
}

/// The reduction of `redux.sync` or `bar.red`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Reduce {
    Add,
    Min,
    Max,
    And,
    Or,
    Xor,
    Popc,
}

/// The element types and the shape `mMn8kK` of a matrix product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mma {
    /// Type of A.
    pub a: Ty,
    /// Type of B.
    pub b: Ty,
    /// Type of C and D.
    pub sum: Ty,
    /// Rows M, 8 or 16.
    pub m: u8,
    /// Depth K.
    pub k: u8,
    /// Do integer sums saturate?
    pub saturates: bool,
}

impl Mma {
    /// Elements of A and B in a register.
    pub fn elements(&self) -> usize {
        match self.a {
            Ty::F64 | Ty::Tf32 => 1,
            ty => 4 / ty.bytes(),
        }
    }

    /// Multiplications and additions.
    pub fn operations(&self) -> u64 {
        2 * 8 * u64::from(self.m) * u64::from(self.k)
    }

    /// Registers of A and of B.
    pub fn counts(&self) -> (usize, usize) {
        let registers = |rows: u8| rows as usize * self.k as usize / 32 / self.elements();
        (registers(self.m), registers(8))
    }

    /// Registers of C and of D.
    pub fn sums(&self) -> usize {
        self.m as usize / if self.sum == Ty::F16 { 8 } else { 4 }
    }
}

/// The test of `testp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Test {
    Finite,
    Infinite,
    Number,
    NotANumber,
    Normal,
    Subnormal,
}

/// What an instruction does to a barrier in shared memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MBarrier {
    /// Phases of `b` arrivals.
    Init,
    /// The memory is free again.
    Invalidate,
    /// `b` arrivals (`expects`: one, and `b` more bytes); `drops`: missing in later phases.
    Arrive { drops: bool, expects: bool },
    /// `b` more bytes are to come, or have come.
    Transfer { adds: bool },
    /// Has the phase of state or parity `b` ended?
    TestWait { parity: bool },
    /// How many arrivals a state waits for.
    PendingCount,
    /// Arrives (`counts`) once the thread's asynchronous copies are complete.
    CopyArrive { counts: bool },
}

/// Address form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    /// In a 64-bit register plus `imm`.
    Long,
    /// In a 32-bit register plus `imm`.
    Word,
    /// `imm` alone.
    Fixed,
}
