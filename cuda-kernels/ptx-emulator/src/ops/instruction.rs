//! Decoded instructions.

use super::operation::*;
use crate::types::{Class, Space, Ty};

/// A register: its number in the kernel during decoding, later its slot in its file.
pub type R = u16;

/// No register.
pub const NONE: R = R::MAX;

/// One instruction. `d` and `e` are written, `a`, `b`, `c` read; longer operand lists (vectors,
/// matrix fragments) are in [`Kernel::lists`].
#[derive(Debug, Clone, Copy)]
pub struct Instruction {
    /// What it does.
    pub op: Op,
    /// The guard predicate; [`NONE`] enables all lanes.
    pub guard: R,
    /// Is the guard negated?
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

impl Instruction {
    /// An instruction without operands.
    pub fn new(op: Op) -> Instruction {
        Instruction {
            op,
            guard: NONE,
            negated: false,
            d: NONE,
            e: NONE,
            a: NONE,
            b: NONE,
            c: NONE,
            imm: 0,
            outs: List::default(),
            ins: List::default(),
        }
    }
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
    /// Two floats of 8 bits, to or from.
    ConvertFp8 { to: Ty, from: Ty, mode: Mode },
    /// `d = {c, saturated a, saturated b}`, of `bits` each for a and b.
    PackSaturated { bits: u8, signed: bool },
    /// `d = lowest lane`, `e` where that is this one, among the lanes of `b`.
    Elect,
    /// Parts `ins` of the given bits to one register of class.
    Pack { bits: u8, class: Class },
    /// One register of class to parts `outs` (NONE: dropped).
    Unpack { bits: u8, class: Class },
    /// dot products of bytes (`ways` 4) or of 16-bit halves with bytes (2).
    Dot { ways: u8, signed_a: bool, signed_b: bool, high: bool },
    /// `outs = [a + imm]`.
    Load {
        space: Space,
        bytes: u8,
        signed: bool,
        wide: bool,
        address: Address,
        semantics: Semantics,
    },
    /// `[a + imm] = ins`.
    Store { space: Space, bytes: u8, wide: bool, address: Address, semantics: Semantics },
    /// `d = [a + imm]; [a + imm] = op(d, b, c)`.
    Atomic { op: Atomic, space: Space, ty: Ty, address: Address, semantics: Semantics },
    /// Global to shared: `[a + imm] = [b + ins[0]]`, `c` bytes of `bytes`, the rest zeros.
    CopyAsync { bytes: u8, address: Address },
    /// Ends a group of asynchronous copies.
    CopyCommit,
    /// Waits until at most `imm` groups are pending (negative: all copies).
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
    /// The same of floats: the largest or smallest; of absolute values, and NaN if there is one.
    ReduxFloat { largest: bool, abs: bool, nan: bool },
    /// `d = active lanes`.
    ActiveMask,
    /// Block barrier `a`, `b` threads (NONE: all).
    Barrier { aligned: bool, arrive: bool },
    /// Barrier with a reduction of predicate `c`.
    BarrierReduce { reduce: Reduce, negated: bool },
    /// Warp barrier of the lanes in `a`.
    WarpBarrier,
    /// Orders memory for the block, or (`wide`) for the device.
    Fence { wide: bool },
    /// A barrier in shared memory, at `a`.
    MBarrier(MBarrier, Address),
    /// `d =` the 8x8 matrix of 16-bit elements in `a`, transposed.
    MoveMatrix,
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
    /// Is the generic address a in the space?
    IsSpace(Space),
    /// `d =` the clock, in instructions of this warp.
    Clock(Class),
    /// Jump to `imm`.
    Branch,
    /// Jump to `targets[a]`.
    BranchIndex,
    /// The thread is done.
    Exit,
    /// The thread traps.
    Trap,
    /// Nothing.
    Nop,
}
