//! [`Ast`] to [`Kernel`]: operands become registers, labels become indices, calls are inlined.
//!
//! Recursion is refused, so every call can be replaced by the callee's body with registers of its
//! own; the warp then needs no call stack, and lanes that part inside a callee meet again there.

mod arithmetic;
mod collective;
mod compare;
mod control;
mod memory;
mod moves;
mod opcode;
mod operand;
mod variable;

use std::collections::HashMap;

use super::ast::{Ast, Function, Operand, Statement, StatementKind};
use super::error::{Place, PtxError};
use super::ops::{Instruction, Kernel, List, NONE, Op, Preset, R};
use super::types::{Class, Space};
use opcode::Opcode;

/// Where generic addresses of shared memory begin.
pub const SHARED_BASE: u64 = 0x7000_0000_0000;
/// Where generic addresses of local memory begin.
pub const LOCAL_BASE: u64 = 0x7100_0000_0000;
/// Where generic addresses of kernel parameters begin.
pub const PARAM_BASE: u64 = 0x7200_0000_0000;
/// Addresses that a window takes.
pub const WINDOW: u64 = 0x0100_0000_0000;

/// Most instructions of a kernel with its calls inlined.
const MAX_CODE: usize = 1 << 18;
/// Deepest nesting of calls.
const MAX_DEPTH: usize = 64;
/// Most shared memory of a block in bytes (228 KiB, of sm_90, the most there is).
pub const MAX_SHARED: usize = 228 << 10;
/// Most local memory of a thread in bytes.
const MAX_LOCAL: usize = 64 << 10;
/// Most bytes of parameters.
const MAX_PARAMS: usize = 32_764;

/// What a decoder of one opcode says when it refuses; the line is added by the caller.
type Result<T> = std::result::Result<T, String>;

/// Where a variable lies.
#[derive(Debug, Clone, Copy)]
struct Spot {
    space: Space,
    /// Offset in the space, or the index of a module's variable.
    at: u64,
}

/// A function's body being inlined.
struct Frame<'a> {
    function: &'a Function,
    registers: Vec<R>,
    variables: Vec<Option<Spot>>,
    params: Vec<Spot>,
    returns: Vec<Spot>,
    labels: HashMap<&'a str, u32>,
    /// Jumps and the labels that they want.
    jumps: Vec<(usize, &'a str)>,
    /// Tables and the labels that they want.
    tables: Vec<(usize, &'a [String])>,
    targets: HashMap<&'a str, &'a [String]>,
    /// Jumps to the end of the body (`ret` of a callee).
    ends: Vec<usize>,
}

/// Decodes one kernel.
struct Builder<'a> {
    ast: &'a Ast,
    code: Vec<Instruction>,
    places: Vec<Place>,
    lists: Vec<R>,
    tables: Vec<Vec<u32>>,
    classes: Vec<Class>,
    presets: HashMap<Preset, R>,
    shared: HashMap<String, u64>,
    shared_end: u64,
    /// Where arrays begin whose size the launch gives.
    dynamic: u64,
    local_end: u64,
    place: Place,
    guard: (R, bool),
    /// Functions that are being inlined, innermost last.
    inside: Vec<&'a str>,
}

/// A kernel before its registers have slots: the numbers' classes, and which hold presets.
pub struct Draft {
    /// The kernel; registers are numbers of the kernel, `slots` and `presets` are empty.
    pub kernel: Kernel,
    /// Class of each register.
    pub classes: Vec<Class>,
    /// Registers with values at the start.
    pub presets: Vec<(R, Preset)>,
}

/// Decodes the kernel `function` of a text.
pub fn decode(name: &str, ast: &Ast, function: &Function) -> std::result::Result<Draft, PtxError> {
    let mut builder = Builder {
        ast,
        code: Vec::new(),
        places: Vec::new(),
        lists: Vec::new(),
        tables: Vec::new(),
        classes: Vec::new(),
        presets: HashMap::new(),
        shared: HashMap::new(),
        shared_end: 0,
        dynamic: 0,
        local_end: 0,
        place: Place { line: function.line, ..Place::default() },
        guard: (NONE, false),
        inside: Vec::new(),
    };
    builder.kernel(function).map_err(|message| PtxError {
        name: name.to_owned(),
        line: builder.place.line,
        message,
    })
}

impl<'a> Builder<'a> {
    fn kernel(&mut self, function: &'a Function) -> Result<Draft> {
        let (mut params, mut end) = (Vec::new(), 0usize);
        for param in &function.params {
            end = end.next_multiple_of(param.align.max(1));
            params.push((end, param.bytes, param.ty));
            end += param.bytes;
        }
        if end > MAX_PARAMS {
            return Err(format!("{end} bytes of parameters; at most {MAX_PARAMS}"));
        }
        let spots = params.iter().map(|&(at, ..)| Spot { space: Space::Param, at: at as u64 });
        self.lay_out_shared(function)?;
        self.inline(function, spots.collect(), Vec::new())?;
        self.guard = (NONE, false);
        self.emit(Instruction::new(Op::Exit))?;

        let mut presets: Vec<(R, Preset)> = self.presets.iter().map(|(&p, &r)| (r, p)).collect();
        presets.sort_by_key(|&(register, _)| register);
        let kernel = Kernel {
            name: function.name.clone(),
            code: std::mem::take(&mut self.code),
            places: std::mem::take(&mut self.places),
            lists: std::mem::take(&mut self.lists),
            tables: std::mem::take(&mut self.tables),
            meets: Vec::new(),
            collective_ahead: Vec::new(),
            slots: [0; 3],
            presets: Vec::new(),
            params,
            param_bytes: end,
            shared_bytes: self.shared_end as usize,
            dynamic_shared: self.dynamic as usize,
            local_bytes: self.local_end as usize,
            shared_grain: 4,
            global_grain: 4,
            ordered: false,
            max_threads: function.max_threads,
            required_threads: function.required_threads,
        };
        Ok(Draft { kernel, classes: std::mem::take(&mut self.classes), presets })
    }

    /// Puts the body of `function` behind the code so far.
    fn inline(
        &mut self,
        function: &'a Function,
        params: Vec<Spot>,
        returns: Vec<Spot>,
    ) -> Result<()> {
        let Some(body) = &function.body else {
            return Err(format!("{} has no body", function.name));
        };
        if self.inside.contains(&function.name.as_str()) {
            return Err(format!("{} calls itself; recursion is not known", function.name));
        }
        if self.inside.len() == MAX_DEPTH {
            return Err(format!("calls nested deeper than {MAX_DEPTH}"));
        }
        self.inside.push(&function.name);
        let registers = vec![NONE; function.registers.len()];
        let mut frame = Frame {
            function,
            registers,
            variables: vec![None; function.variables.len()],
            params,
            returns,
            labels: HashMap::new(),
            jumps: Vec::new(),
            tables: Vec::new(),
            targets: HashMap::new(),
            ends: Vec::new(),
        };
        for statement in body {
            if let StatementKind::Targets(label, targets) = &statement.kind {
                frame.targets.insert(label, targets);
            }
        }
        for statement in body {
            self.place = statement.place;
            self.statement(&mut frame, statement)?;
        }
        for &(at, label) in &frame.jumps {
            self.place = self.places[at];
            let goal = frame.labels.get(label).ok_or_else(|| format!("no label {label}"))?;
            self.code[at].imm = *goal as i32;
        }
        for &(table, labels) in &frame.tables {
            for label in labels {
                let goal = frame.labels.get(label.as_str());
                let goal = goal.ok_or_else(|| format!("no label {label}"))?;
                self.tables[table].push(*goal);
            }
        }
        let end = self.code.len() as i32;
        for at in frame.ends {
            self.code[at].imm = end;
        }
        self.inside.pop();
        Ok(())
    }

    fn statement(&mut self, frame: &mut Frame<'a>, statement: &'a Statement) -> Result<()> {
        match &statement.kind {
            StatementKind::Label(label) => {
                let here = self.code.len() as u32;
                if frame.labels.insert(label, here).is_some() {
                    return Err(format!("label {label} stands twice"));
                }
            }
            StatementKind::Targets(..) => {}
            StatementKind::Instruction { guard, opcode, operands } => {
                self.guard = match *guard {
                    Some((register, negated)) => (self.register(frame, register)?, negated),
                    None => (NONE, false),
                };
                self.instruction(frame, Opcode::new(opcode), operands)?;
            }
        }
        Ok(())
    }

    fn instruction(
        &mut self,
        frame: &mut Frame<'a>,
        opcode: Opcode<'a>,
        operands: &'a [Operand],
    ) -> Result<()> {
        let known = self.arithmetic(frame, opcode.clone(), operands)?
            || self.moves(frame, opcode.clone(), operands)?
            || self.memory(frame, opcode.clone(), operands)?
            || self.collective(frame, opcode.clone(), operands)?
            || self.control(frame, opcode.clone(), operands)?;
        if known { Ok(()) } else { Err(format!("unknown instruction {}", opcode.text)) }
    }

    /// Adds an instruction under the present guard.
    fn emit(&mut self, mut instruction: Instruction) -> Result<usize> {
        if self.code.len() == MAX_CODE {
            return Err(format!("more than {MAX_CODE} instructions with calls inlined"));
        }
        (instruction.guard, instruction.negated) = self.guard;
        self.code.push(instruction);
        self.places.push(self.place);
        Ok(self.code.len() - 1)
    }

    fn list(&mut self, registers: &[R]) -> List {
        let start = self.lists.len() as u32;
        self.lists.extend(registers);
        List { start, len: registers.len() as u8 }
    }

    /// A new register of the kernel.
    fn fresh(&mut self, class: Class) -> Result<R> {
        let register = self.classes.len();
        if register >= NONE as usize {
            return Err("more than 65534 registers with calls inlined".to_owned());
        }
        self.classes.push(class);
        Ok(register as R)
    }

    fn preset(&mut self, preset: Preset, class: Class) -> Result<R> {
        if let Some(&register) = self.presets.get(&preset) {
            return Ok(register);
        }
        let register = self.fresh(class)?;
        self.presets.insert(preset, register);
        Ok(register)
    }
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
