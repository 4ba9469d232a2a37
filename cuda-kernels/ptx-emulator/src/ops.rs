//! Decoded kernels: dense instructions whose operands are slots of register files.
//!
//! Immediates, special registers and addresses of variables are registers too, filled before a
//! thread starts; so an instruction never asks what kind its operands are.

use super::error::Place;
use super::types::{Class, Space, Ty};

/// A register: while decoding its number in the kernel, afterwards its slot in its file.
pub type R = u16;

/// No register.
pub const NONE: R = R::MAX;

/// One instruction. `d` and `e` are written, `a`, `b`, `c` read; longer operand lists (vectors,
/// matrix fragments) lie in [`Kernel::lists`].
#[derive(Debug, Clone, Copy)]
pub struct Instruction {
    /// What it does.
    pub op: Op,
    /// The predicate that lets a lane take part; [`NONE`] lets all.
    pub guard: R,
    /// Does the guard's negation let lanes take part?
    pub negated: bool,
    /// Result.
    pub d: R,
    /// Second result.
    pub e: R,
    /// First operand.
    pub a: R,
    /// Second operand.
    pub b: R,
    /// Third operand.
    pub c: R,
    /// Offset of an address, a lookup table, or the instruction to jump to.
    pub imm: i32,
    /// Results beyond `d` and `e`.
    pub outs: List,
    /// Operands beyond `a`, `b` and `c`.
    pub ins: List,
}

/// A part of [`Kernel::lists`].
#[derive(Debug, Clone, Copy, Default)]
pub struct List {
    /// Where it begins.
    pub start: u32,
    /// How long it is.
    pub len: u8,
}

impl List {
    /// The part's place in the whole.
    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.start as usize + self.len as usize
    }
}

/// Which way a result that does not fit is rounded.
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
}

impl Mode {
    /// To nearest, nothing else.
    pub const PLAIN: Mode = Mode { round: Round::Nearest, ftz: false, sat: false, relu: false };
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

/// What an atomic does to memory.
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

/// What a vote asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Vote {
    All,
    Any,
    Uniform,
    Ballot,
}

/// What `redux.sync` or `bar.red` reduces by.
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

/// The element type and depth of a matrix product `m16n8kK`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mma {
    /// Type of A and B: bf16, f16 or tf32.
    pub ty: Ty,
    /// Depth K.
    pub k: u8,
    /// Is the accumulator f16 instead of f32?
    pub half: bool,
}

/// What an instruction does.
#[derive(Debug, Clone, Copy)]
pub enum Op {
    /// `d = a op b`, in registers of the class.
    Logic(Logic, Class),
    /// `d = a op b` with integers of a type.
    Int(Int, Ty),
    /// `d = op(a, b, c)`, a fourth operand first in `ins`; `imm` is the table of `lop3`.
    Int3(Int3, Ty),
    /// With carry in and out.
    Carry { op: Carry, ty: Ty, carry_in: bool, carry_out: bool },
    /// `d = op(a, b, c)` with floats of a type.
    Float(Float, Ty, Mode),
    /// `d = c ? a : b` by class of a.
    Select(Class),
    /// `d = a op b` and `e = !a op b`, combined with predicate `c`.
    SetP { compare: Compare, ty: Ty, combine: Combine, negated: bool, ftz: bool },
    /// `d = all ones (or 1.0) where a op b`.
    Set { compare: Compare, ty: Ty, to: Ty, combine: Combine, negated: bool, ftz: bool },
    /// `p = is a finite/infinite/...`.
    TestP(Test, Ty),
    /// `d = convert(a)`; the flags say that a register is 64 bits wide though its type is not.
    Convert { to: Ty, from: Ty, mode: Mode, integral: bool, wide_to: bool, wide_from: bool },
    /// `d = {convert(a), convert(b)}`: two f32 to a pair of halves, a in the upper half.
    ConvertPair { to: Ty, mode: Mode },
    /// Parts `ins` of so many bits to one register of class.
    Pack { bits: u8, class: Class },
    /// One register of class to parts `outs` (NONE: dropped).
    Unpack { bits: u8, class: Class },
    /// dot products of bytes (`ways` 4) or of 16-bit halves with bytes (2).
    Dot { ways: u8, signed_a: bool, signed_b: bool, high: bool },
    /// `outs = [a + imm]`.
    Load { space: Space, bytes: u8, signed: bool, wide: bool, address: Address, weak: bool },
    /// `[a + imm] = ins`.
    Store { space: Space, bytes: u8, wide: bool, address: Address, weak: bool },
    /// `d = [a + imm]; [a + imm] = op(d, b, c)`.
    Atomic { op: Atomic, space: Space, ty: Ty, address: Address },
    /// Global to shared: `[a + imm] = [b + ins[0]]`, `c` bytes of `bytes`, the rest zeros.
    CopyAsync { bytes: u8, address: Address },
    /// Ends a group of asynchronous copies.
    CopyCommit,
    /// Waits until at most `imm` groups are under way (negative: all copies).
    CopyWait,
    /// `d = shuffled b`, `e` = was the source in range; lane operand `a`.. see `exec::collective`.
    Shuffle(Shuffle),
    /// Vote on predicate a among the lanes of b.
    Vote(Vote),
    /// Lanes with the same value.
    MatchAny(Class),
    /// All lanes the same value?
    MatchAll(Class),
    /// Reduction over lanes.
    Redux(Reduce, Ty),
    /// `d = active lanes`.
    ActiveMask,
    /// Block barrier `a`, `b` threads (NONE: all).
    Barrier { aligned: bool, arrive: bool },
    /// Barrier with a reduction of predicate `c`.
    BarrierReduce { reduce: Reduce, negated: bool },
    /// Warp barrier of the lanes in `a`.
    WarpBarrier,
    /// Orders memory, no effect here.
    Fence,
    /// Matrix product of fragments.
    Mma(Mma),
    /// 8x8 matrices of 16-bit elements from shared memory.
    LoadMatrix { transposed: bool, address: Address },
    /// And back.
    StoreMatrix { transposed: bool, address: Address },
    /// Address conversion between a space (d or a) and generic.
    ToGeneric(Space, Address),
    /// Generic to a space.
    FromGeneric(Space, Class),
    /// Does the generic address a lie in the space?
    IsSpace(Space),
    /// `d =` the clock, in instructions of this warp.
    Clock(Class),
    /// Jump to `imm`.
    Branch,
    /// Jump to `targets[a]`.
    BranchIndex,
    /// The thread is done.
    Exit,
    /// The thread gives up.
    Trap,
    /// Nothing.
    Nop,
}

/// What `testp` asks.
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

/// How an address is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    /// In a 64-bit register plus `imm`.
    Long,
    /// In a 32-bit register plus `imm`.
    Word,
    /// `imm` alone.
    Fixed,
}

/// A value that a register has before the first instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Preset {
    Word(u32),
    Long(u64),
    Tid(u8),
    Ntid(u8),
    Ctaid(u8),
    Nctaid(u8),
    LaneId,
    WarpId,
    NumWarps,
    LanesEq,
    LanesLe,
    LanesLt,
    LanesGe,
    LanesGt,
    DynamicShared,
    TotalShared,
    /// Address of module variable, plus offset.
    Global(u32, i64),
    /// All lanes on.
    True,
    False,
}

/// A kernel ready to run.
#[derive(Debug)]
pub struct Kernel {
    /// Its name.
    pub name: String,
    /// Instructions; a jump's goal is an index.
    pub code: Vec<Instruction>,
    /// Where each instruction came from.
    pub places: Vec<Place>,
    /// Longer operand lists.
    pub lists: Vec<R>,
    /// Goals of `brx.idx`: each `imm` names a list here.
    pub tables: Vec<Vec<u32>>,
    /// Where lanes that part at an instruction meet again; `u32::MAX`: nowhere.
    pub meets: Vec<u32>,
    /// Can a thread that stands here still come to a barrier or another collective?
    pub collective_ahead: Vec<bool>,
    /// Slots of the register files: words, longs, predicates.
    pub slots: [usize; 3],
    /// Registers with a value at the start: class, slot, value.
    pub presets: Vec<(Class, R, Preset)>,
    /// Offset and type of parameters.
    pub params: Vec<(usize, usize, Ty)>,
    /// Bytes of all parameters.
    pub param_bytes: usize,
    /// Bytes of static shared memory.
    pub shared_bytes: usize,
    /// Where dynamic shared memory begins, if the kernel uses it.
    pub dynamic_shared: usize,
    /// Bytes of local memory of a thread.
    pub local_bytes: usize,
    /// Smallest access to shared memory in bytes: what the race check tells apart.
    pub shared_grain: usize,
    /// The same of global memory.
    pub global_grain: usize,
    /// Must blocks run one after the other, because order shows in a result?
    pub ordered: bool,
    /// Most threads of a block.
    pub max_threads: Option<u64>,
    /// The only block shape allowed.
    pub required_threads: Option<[u32; 3]>,
}
