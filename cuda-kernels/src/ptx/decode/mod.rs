//! [`Ast`] to [`Kernel`]: operands become registers, labels become indices, calls are inlined.
//!
//! Recursion is refused, so every call can be replaced by the callee's body with registers of its
//! own; the warp then needs no call stack, and lanes that part inside a callee meet again there.

mod arithmetic;
mod collective;
mod control;
mod memory;
mod moves;
mod opcode;

use std::collections::HashMap;

use super::ast::{Ast, Function, Operand, Statement, StatementKind, Variable};
use super::error::{Place, PtxError};
use super::ops::{Instruction, Kernel, List, NONE, Op, Preset, R};
use super::types::{Class, Space, Ty};
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

    /// The kernel's number of a function's register.
    fn register(&mut self, frame: &mut Frame<'a>, register: u32) -> Result<R> {
        let known = frame.registers[register as usize];
        if known != NONE {
            return Ok(known);
        }
        let new = self.fresh(frame.function.registers[register as usize].class())?;
        frame.registers[register as usize] = new;
        Ok(new)
    }

    /// A register read as `ty`, of exactly its width.
    fn read(&mut self, frame: &mut Frame<'a>, operand: &Operand, ty: Ty) -> Result<R> {
        if let &Operand::Register(register) = operand {
            fits(frame.function.registers[register as usize], ty)?;
            return self.register(frame, register);
        }
        self.value(frame, operand, ty)
    }

    /// A register read as `ty` that may be wider; says whether it has 64 bits.
    fn read_wide(&mut self, frame: &mut Frame<'a>, operand: &Operand, ty: Ty) -> Result<(R, bool)> {
        if let &Operand::Register(register) = operand {
            let has = frame.function.registers[register as usize];
            if has == Ty::Pred || has.bits() < ty.bits() {
                return Err(format!("a register of {} bits for {} bits", has.bits(), ty.bits()));
            }
            return Ok((self.register(frame, register)?, has.class() == Class::Long));
        }
        Ok((self.value(frame, operand, ty)?, ty.class() == Class::Long))
    }

    fn write(&mut self, frame: &mut Frame<'a>, operand: &Operand, ty: Ty) -> Result<R> {
        match *operand {
            Operand::Register(register) => {
                fits(frame.function.registers[register as usize], ty)?;
                self.register(frame, register)
            }
            Operand::Sink => self.fresh(ty.class()),
            _ => Err("the result must be a register".to_owned()),
        }
    }

    fn write_wide(
        &mut self,
        frame: &mut Frame<'a>,
        operand: &Operand,
        ty: Ty,
    ) -> Result<(R, bool)> {
        match operand {
            Operand::Register(_) => self.read_wide(frame, operand, ty),
            Operand::Sink => Ok((self.fresh(ty.class())?, ty.class() == Class::Long)),
            _ => Err("the result must be a register".to_owned()),
        }
    }

    /// What is no register: numbers, special registers, addresses.
    fn value(&mut self, frame: &mut Frame<'a>, operand: &Operand, ty: Ty) -> Result<R> {
        let class = ty.class();
        let bits = match *operand {
            Operand::Int(value) => match ty {
                Ty::Pred => {
                    let preset = if value != 0 { Preset::True } else { Preset::False };
                    return self.preset(preset, Class::Pred);
                }
                _ if ty.bits() == 64 => value,
                _ => value & ((1 << ty.bits()) - 1),
            },
            Operand::F32(bits) if ty.bits() == 32 => bits.into(),
            Operand::F32(bits) if ty == Ty::F64 => f64::from(f32::from_bits(bits)).to_bits(),
            Operand::F64(bits) if ty.bits() == 64 => bits,
            Operand::F64(bits) if ty == Ty::F32 => (f64::from_bits(bits) as f32).to_bits().into(),
            Operand::Special(ref name) => return self.special(name, ty),
            Operand::Variable(..)
            | Operand::Parameter(..)
            | Operand::Return(..)
            | Operand::Symbol(..) => {
                let (spot, offset) = self.spot(frame, operand)?;
                return self.address_of(spot, offset, ty);
            }
            Operand::Register(_) => return self.read(frame, operand, ty),
            _ => return Err("this operand is not known here".to_owned()),
        };
        match class {
            Class::Long => self.preset(Preset::Long(bits), class),
            _ => self.preset(Preset::Word(bits as u32), class),
        }
    }

    /// The address of a variable in its own space.
    fn address_of(&mut self, spot: Spot, offset: i64, ty: Ty) -> Result<R> {
        let at = spot.at.wrapping_add(offset as u64);
        match (spot.space, ty.bits()) {
            (Space::Global | Space::Const, 64) => {
                self.preset(Preset::Global(spot.at as u32, offset), Class::Long)
            }
            (Space::Shared | Space::Param | Space::Local, 64) => {
                self.preset(Preset::Long(at), Class::Long)
            }
            (Space::Shared | Space::Param | Space::Local, 32) => {
                self.preset(Preset::Word(at as u32), Class::Word)
            }
            _ => Err(format!("an address in {} bits", ty.bits())),
        }
    }

    fn special(&mut self, name: &str, ty: Ty) -> Result<R> {
        let axis = |name: &str| "xyz".find(&name[name.len() - 1..]).map(|axis| axis as u8);
        let preset = match name {
            "%tid.x" | "%tid.y" | "%tid.z" => Preset::Tid(axis(name).unwrap_or(0)),
            "%ntid.x" | "%ntid.y" | "%ntid.z" => Preset::Ntid(axis(name).unwrap_or(0)),
            "%ctaid.x" | "%ctaid.y" | "%ctaid.z" => Preset::Ctaid(axis(name).unwrap_or(0)),
            "%nctaid.x" | "%nctaid.y" | "%nctaid.z" => Preset::Nctaid(axis(name).unwrap_or(0)),
            "%laneid" => Preset::LaneId,
            "%warpid" => Preset::WarpId,
            "%nwarpid" => Preset::NumWarps,
            "%lanemask_eq" => Preset::LanesEq,
            "%lanemask_le" => Preset::LanesLe,
            "%lanemask_lt" => Preset::LanesLt,
            "%lanemask_ge" => Preset::LanesGe,
            "%lanemask_gt" => Preset::LanesGt,
            "%dynamic_smem_size" => Preset::DynamicShared,
            "%total_smem_size" => Preset::TotalShared,
            "%smid" | "%gridid" => Preset::Word(0),
            "%nsmid" => Preset::Word(1),
            "%clock" | "%clock_hi" | "%clock64" | "%globaltimer" => {
                let class = ty.class();
                let d = self.fresh(class)?;
                self.emit(Instruction { d, ..Instruction::new(Op::Clock(class)) })?;
                return Ok(d);
            }
            _ => return Err(format!("{name} is neither declared nor a special register")),
        };
        match ty.bits() {
            32 | 16 => self.preset(preset, Class::Word),
            bits => Err(format!("{name} has 32 bits, not {bits}")),
        }
    }

    /// Where a variable lies, given a place at its first use.
    fn spot(&mut self, frame: &mut Frame<'a>, operand: &Operand) -> Result<(Spot, i64)> {
        match operand {
            &Operand::Parameter(index, offset) => Ok((frame.params[index as usize], offset)),
            &Operand::Return(index, offset) => Ok((frame.returns[index as usize], offset)),
            &Operand::Variable(index, offset) => {
                let index = index as usize;
                if let Some(spot) = frame.variables[index] {
                    return Ok((spot, offset));
                }
                let variable = &frame.function.variables[index];
                let spot = match variable.space {
                    Space::Shared => {
                        let name = format!("{}.{index}", frame.function.name);
                        self.shared_spot(&name, variable)
                    }
                    Space::Local | Space::Param => {
                        let align = variable.align.max(1) as u64;
                        let at = self.local_end.next_multiple_of(align);
                        self.local_end = at + variable.bytes as u64;
                        if self.local_end > MAX_LOCAL as u64 {
                            return Err(format!(
                                "{} needs {} bytes of local memory; at most {MAX_LOCAL}",
                                frame.function.name, self.local_end
                            ));
                        }
                        Spot { space: Space::Local, at }
                    }
                    _ => return Err(format!("{}: a global inside a function", variable.name)),
                };
                frame.variables[index] = Some(spot);
                Ok((spot, offset))
            }
            Operand::Symbol(name, offset) => {
                let found = self.ast.variables.iter().position(|known| known.name == *name);
                let Some(index) = found else {
                    return Err(format!("{name} is not declared"));
                };
                let variable = &self.ast.variables[index];
                let spot = match variable.space {
                    Space::Shared => self.shared_spot(name, variable),
                    Space::Global | Space::Const => {
                        Spot { space: variable.space, at: index as u64 }
                    }
                    _ => return Err(format!("{name} lies in no space of a module")),
                };
                Ok((spot, *offset))
            }
            _ => Err("a variable's name expected".to_owned()),
        }
    }

    /// Places the static shared variables of all functions that can be reached; arrays whose
    /// size the launch gives begin behind them.
    fn lay_out_shared(&mut self, kernel: &'a Function) -> Result<()> {
        let mut reached = vec![kernel];
        let mut align = 16;
        let mut next = 0;
        while let Some(&function) = reached.get(next) {
            next += 1;
            for (index, variable) in function.variables.iter().enumerate() {
                if variable.space == Space::Shared {
                    self.place_shared(format!("{}.{index}", function.name), variable)?;
                }
            }
            let statements = function.body.iter().flatten();
            for name in statements.filter_map(operands_of).flatten().filter_map(symbol_of) {
                let called = self.ast.functions.iter().find(|known| known.name == name);
                if let Some(called) = called.filter(|f| !reached.iter().any(|r| r.name == f.name)) {
                    reached.push(called);
                }
                let variable = self.ast.variables.iter().find(|known| known.name == name);
                match variable.filter(|known| known.space == Space::Shared) {
                    Some(variable) if variable.external => align = variable.align.max(align),
                    Some(variable) => self.place_shared(name.to_owned(), variable)?,
                    None => {}
                }
            }
        }
        self.dynamic = self.shared_end.next_multiple_of(align as u64);
        Ok(())
    }

    fn place_shared(&mut self, name: String, variable: &Variable) -> Result<()> {
        if self.shared.contains_key(&name) {
            return Ok(());
        }
        let at = self.shared_end.next_multiple_of(variable.align.max(1) as u64);
        self.shared_end = at + variable.bytes as u64;
        if self.shared_end > MAX_SHARED as u64 {
            return Err(format!(
                "{} bytes of shared memory; at most {MAX_SHARED}",
                self.shared_end
            ));
        }
        self.shared.insert(name, at);
        Ok(())
    }

    fn shared_spot(&self, name: &str, variable: &Variable) -> Spot {
        let at = if variable.external { self.dynamic } else { self.shared[name] };
        Spot { space: Space::Shared, at }
    }
}

fn operands_of(statement: &Statement) -> Option<&[Operand]> {
    match &statement.kind {
        StatementKind::Instruction { operands, .. } => Some(operands),
        _ => None,
    }
}

/// The outside name in an operand or an address.
fn symbol_of(operand: &Operand) -> Option<&str> {
    match operand {
        Operand::Symbol(name, _) => Some(name),
        Operand::Address(base, _) => symbol_of(base),
        _ => None,
    }
}

fn fits(has: Ty, ty: Ty) -> Result<()> {
    if has.bits() == ty.bits() && (has == Ty::Pred) == (ty == Ty::Pred) {
        return Ok(());
    }
    Err(format!("a register of {} bits where {} are meant", has.bits(), ty.bits()))
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
