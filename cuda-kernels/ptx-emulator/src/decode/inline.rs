//! Function bodies, statement by statement; a call is replaced by the callee's body.

use std::collections::HashMap;

use super::builder::{Builder, Frame, MAX_DEPTH, Result, Spot};
use super::forms;
use super::opcode::Opcode;
use crate::ast::{Function, Operand, Statement, StatementKind};
use crate::ops::{Instruction, Logic, NONE, Op, R};
use crate::types::Space;

impl<'a> Builder<'a> {
    /// Appends the body of `function`. What is passed in registers is copied: `copies` has each of
    /// the function's parameters, and then of its returns, with the caller's register.
    pub(super) fn inline(
        &mut self,
        function: &'a Function,
        params: Vec<Spot>,
        returns: Vec<Spot>,
        copies: [&[(u32, R)]; 2],
    ) -> Result<()> {
        let Some(body) = &function.body else {
            return Err(format!("{} has no body", function.name));
        };
        if self.inside.contains(&function.name.as_str()) {
            return Err(format!("{} calls itself; recursion is not supported", function.name));
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
        for &(register, given) in copies[0] {
            let own = self.register(&mut frame, register)?;
            self.copy(own, given)?;
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
        for at in std::mem::take(&mut frame.ends) {
            self.code[at].imm = end;
        }
        self.guard = (NONE, false);
        for &(register, wanted) in copies[1] {
            let own = self.register(&mut frame, register)?;
            self.copy(wanted, own)?;
        }
        self.inside.pop();
        Ok(())
    }

    /// A move from register to register.
    pub(super) fn copy(&mut self, d: R, a: R) -> Result<()> {
        let op = Op::Logic(Logic::Mov, self.classes[d as usize]);
        self.emit(Instruction { d, a, b: a, ..Instruction::new(op) })
    }

    fn statement(&mut self, frame: &mut Frame<'a>, statement: &'a Statement) -> Result<()> {
        match &statement.kind {
            StatementKind::Label(label) => {
                frame.labels.insert(label, self.code.len() as u32);
            }
            StatementKind::Targets(..) => {}
            StatementKind::Refused(reason) => return Err(reason.clone()),
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
        match (self.decode(frame, opcode.clone(), operands), operands) {
            (Ok(false), _) => Err(refusal(opcode.text)),
            (_, [Operand::Unknown(reason)]) => Err(reason.clone()),
            (known, _) => known.map(|_| ()),
        }
    }

    /// Decodes an instruction; false if it is not known.
    fn decode(
        &mut self,
        frame: &mut Frame<'a>,
        opcode: Opcode<'a>,
        operands: &'a [Operand],
    ) -> Result<bool> {
        let begins = |start: &&str| opcode.text.starts_with(*start);
        let others =
            ["cp.async.bulk", "cp.reduce", "barrier.cluster", "st.async", "red.async", "mma.sp"];
        if others.iter().any(begins) {
            return Ok(false);
        }
        forms::check(&opcode)?;
        if opcode.name == "call" {
            let mut opcode = opcode;
            opcode.flag("uni");
            self.call(frame, operands)?;
            return opcode.done().map(|()| true);
        }
        Ok(self.arithmetic(frame, opcode.clone(), operands)?
            || self.moves(frame, opcode.clone(), operands)?
            || self.memory(frame, opcode.clone(), operands)?
            || self.mbarrier(frame, opcode.clone(), operands)?
            || self.collective(frame, opcode.clone(), operands)?
            || self.control(frame, opcode, operands)?)
    }

    /// Replaces the call by the callee's body; its formal parameters are the caller's variables.
    fn call(&mut self, frame: &mut Frame<'a>, operands: &'a [Operand]) -> Result<()> {
        let (returns, name, arguments): (&[Operand], _, &[Operand]) = match operands {
            [Operand::List(r), Operand::Symbol(name, 0), Operand::List(a)] => (r, name, a),
            [Operand::List(r), Operand::Symbol(name, 0)] => (r, name, &[]),
            [Operand::Symbol(name, 0), Operand::List(a)] => (&[], name, a),
            [Operand::Symbol(name, 0)] => (&[], name, &[]),
            _ => return Err("calls through a pointer are not supported".to_owned()),
        };
        if name == "__assertfail" {
            return self.emit(Instruction::new(Op::Trap));
        }
        let callee = self.ast.functions.iter().find(|known| known.name == *name && !known.entry);
        let callee = callee.ok_or_else(|| format!("{name} is not declared"))?;
        if callee.body.is_none() {
            return Err(format!("{name} is declared, but has no body"));
        }
        let pairs = [(returns, &callee.returns), (arguments, &callee.params)];
        let mut spots = [Vec::new(), Vec::new()];
        let mut copies = [Vec::new(), Vec::new()];
        for (at, (given, formal)) in pairs.into_iter().enumerate() {
            if given.len() != formal.len() {
                return Err(format!("{name} is called with {} of {}", given.len(), formal.len()));
            }
            for (operand, formal) in given.iter().zip(formal) {
                if !formal.registers.is_empty() {
                    let count = formal.registers.len();
                    let given = self.vector(frame, operand, formal.ty, count, at == 0)?;
                    copies[at].extend(formal.registers.iter().copied().zip(given));
                    spots[at].push(Spot { space: Space::Local, at: 0 });
                    continue;
                }
                let &Operand::Variable(index, 0) = operand else {
                    return Err(format!(
                        "{name} is called with something other than a .param variable"
                    ));
                };
                let bytes = frame.function.variables[index as usize].bytes;
                if bytes < formal.bytes {
                    return Err(format!("{name} takes {} bytes, not {bytes}", formal.bytes));
                }
                let (spot, _): (Spot, i64) = self.spot(frame, operand)?;
                spots[at].push(spot);
            }
        }
        let [returns, params] = spots;
        let (guard, negated) = self.guard;
        let skip = match guard {
            NONE => None,
            _ => {
                self.guard = (guard, !negated);
                self.emit(Instruction::new(Op::Branch))?;
                Some(self.code.len() - 1)
            }
        };
        let place = self.place;
        self.guard = (NONE, false);
        self.inline(callee, params, returns, [&copies[1], &copies[0]])?;
        self.place = place;
        if let Some(at) = skip {
            self.code[at].imm = self.code.len() as i32;
        }
        Ok(())
    }
}

/// What is left out on purpose, by the beginning of the opcode.
const LEFT_OUT: [(&str, &str); 25] = [
    ("wgmma.", "matrix products of warp groups (wgmma) are not supported; mma.sync is"),
    (
        "tcgen05.",
        "matrix products of the fifth generation (tcgen05) are not supported; mma.sync is",
    ),
    ("wmma.", "wmma is not supported; mma.sync is"),
    ("mma.sp", "sparse matrix products are not supported; mma.sync of dense ones is"),
    ("cp.async.bulk", "bulk and tensor copies (TMA) are not supported; cp.async is"),
    ("cp.reduce.async.bulk", "bulk and tensor copies (TMA) are not supported; cp.async is"),
    ("tensormap.", "bulk and tensor copies (TMA) are not supported; cp.async is"),
    ("tex.", "textures are not supported"),
    ("tld4.", "textures are not supported"),
    ("txq.", "textures are not supported"),
    ("suld.", "surfaces are not supported"),
    ("sust.", "surfaces are not supported"),
    ("sured.", "surfaces are not supported"),
    ("suq.", "surfaces are not supported"),
    ("istypep.", "textures and surfaces are not supported"),
    ("multimem.", "memory of several cards (multimem) is not supported"),
    ("mapa.", "clusters of blocks are not supported"),
    ("getctarank.", "clusters of blocks are not supported"),
    ("barrier.cluster", "clusters of blocks are not supported"),
    ("st.async.", "clusters of blocks are not supported"),
    ("red.async.", "clusters of blocks are not supported"),
    ("clusterlaunchcontrol.", "clusters of blocks are not supported"),
    ("alloca.", "dynamic stacks are not supported"),
    ("stacksave.", "dynamic stacks are not supported"),
    ("stackrestore.", "dynamic stacks are not supported"),
];

/// Instructions of video processing, which cards since Maxwell (2014) mostly emulate.
const VIDEO: [&str; 10] =
    ["vadd", "vsub", "vabsdiff", "vavrg", "vmin", "vmax", "vshl", "vshr", "vmad", "vset"];

/// Why an instruction is refused.
fn refusal(text: &str) -> String {
    let left_out = LEFT_OUT.iter().find(|(start, _)| text.starts_with(start));
    match left_out {
        Some((_, reason)) => format!("{text}: {reason}"),
        None if VIDEO.iter().any(|start| text.starts_with(start)) => {
            format!("{text}: video instructions are not supported")
        }
        None => format!("unknown instruction {text}"),
    }
}
