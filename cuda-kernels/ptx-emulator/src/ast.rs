//! A parsed PTX text: functions made of statements, with register and variable names resolved,
//! opcodes still text.

use super::error::Place;
use super::types::{Space, Ty};

/// A parsed text.
#[derive(Debug, Default)]
pub struct Ast {
    /// Kernels and functions, with and without a body.
    pub functions: Vec<Function>,
    /// Variables outside functions.
    pub variables: Vec<Variable>,
    /// Names of source files by their index.
    pub files: Vec<(u32, String)>,
}

/// A variable of any state space, or a parameter.
#[derive(Debug, Clone)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Where it lives.
    pub space: Space,
    /// Bytes; 0 for an `extern` array sized by the launch.
    pub bytes: usize,
    /// Alignment in bytes, a power of two.
    pub align: usize,
    /// Initial contents and where they begin; all others are zero.
    pub init: Vec<(usize, Vec<u8>)>,
    /// Is it sized by the launch?
    pub external: bool,
    /// The type of one element.
    pub ty: Ty,
    /// Why a kernel that uses it is refused.
    pub refused: Option<String>,
    /// Of a parameter that is passed in registers (`.reg`): those of the function.
    pub registers: Vec<u32>,
}

/// A kernel (`.entry`) or a device function (`.func`).
#[derive(Debug, Default)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Is it a kernel?
    pub entry: bool,
    /// Parameters in order.
    pub params: Vec<Variable>,
    /// Return values.
    pub returns: Vec<Variable>,
    /// Variables declared inside.
    pub variables: Vec<Variable>,
    /// The types of its registers; operands hold indices into this.
    pub registers: Vec<Ty>,
    /// And their names.
    pub register_names: Vec<String>,
    /// `None` if only declared.
    pub body: Option<Vec<Statement>>,
    /// The line of its name.
    pub line: u32,
    /// Maximum threads per block (`.maxntid`), product.
    pub max_threads: Option<u64>,
    /// Registers of a thread (`.maxnreg`).
    pub registers_each: Option<u32>,
    /// Blocks of a cluster (`.reqnctapercluster`), product.
    pub cluster: u64,
    /// The only block shape allowed (`.reqntid`).
    pub required_threads: Option<[u32; 3]>,
}

/// A label or an instruction.
#[derive(Debug)]
pub struct Statement {
    /// Where it is.
    pub place: Place,
    /// What it is.
    pub kind: StatementKind,
}

/// What a statement is.
#[derive(Debug)]
pub enum StatementKind {
    /// A jump target.
    Label(String),
    /// `NAME: .branchtargets A, B, C;`
    Targets(String, Vec<String>),
    /// What is no PTX that is known, with the reason: the function is refused.
    Refused(String),
    /// An instruction.
    Instruction {
        /// Register and whether its negation guards.
        guard: Option<(u32, bool)>,
        /// The opcode with its suffixes.
        opcode: String,
        /// Operands in order.
        operands: Vec<Operand>,
    },
}

/// One operand.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// A register of the function.
    Register(u32),
    /// A negated predicate, `!%p1`.
    Not(u32),
    /// `%tid.x` and the like.
    Special(String),
    /// An integer.
    Int(u64),
    /// An f32 by its bits.
    F32(u32),
    /// An f64 by its bits.
    F64(u64),
    /// A variable declared in the function, plus an offset.
    Variable(u32, i64),
    /// A parameter of the function, plus an offset.
    Parameter(u32, i64),
    /// A return value of the function, plus an offset.
    Return(u32, i64),
    /// A name from outside the function (or a label), plus an offset.
    Symbol(String, i64),
    /// `[base + offset]`.
    Address(Box<Operand>, i64),
    /// `{a, b, ...}`.
    Vector(Vec<Operand>),
    /// `a|b`.
    Pair(Box<Operand>, Box<Operand>),
    /// `(a, b)` of a call.
    List(Vec<Operand>),
    /// `_`: nothing.
    Sink,
    /// What is not known, with the reason: an instruction that has it is refused.
    Unknown(String),
}
