//! Jumps, calls and ends.

use super::arithmetic::exactly;
use super::opcode::Opcode;
use super::{Builder, Frame, Result, Spot};
use crate::ast::Operand;
use crate::ops::*;
use crate::types::Ty;

impl<'a> Builder<'a> {
    /// Decodes a control instruction; false if it is none.
    pub(super) fn control(
        &mut self,
        frame: &mut Frame<'a>,
        mut op: Opcode<'a>,
        operands: &'a [Operand],
    ) -> Result<bool> {
        op.flag("uni");
        match op.name {
            "bra" => {
                let [Operand::Symbol(label, 0)] = operands else {
                    return Err("bra wants a label".to_owned());
                };
                let at = self.emit(Instruction::new(Op::Branch))?;
                frame.jumps.push((at, label));
            }
            "brx" => {
                let [index, Operand::Symbol(name, 0)] = operands else {
                    return Err("brx.idx wants a register and a list of labels".to_owned());
                };
                if !op.flag("idx") {
                    return Err(format!("{} is not known", op.text));
                }
                let labels = *frame.targets.get(name.as_str()).ok_or("no such list of labels")?;
                let mut i = Instruction::new(Op::BranchIndex);
                i.a = self.read(frame, index, Ty::U32)?;
                i.imm = self.tables.len() as i32;
                frame.tables.push((self.tables.len(), labels));
                self.tables.push(Vec::new());
                self.emit(i)?;
            }
            "ret" | "exit" => {
                exactly::<0>(operands)?;
                if op.name == "exit" || self.inside.len() == 1 {
                    self.emit(Instruction::new(Op::Exit))?;
                } else {
                    let at = self.emit(Instruction::new(Op::Branch))?;
                    frame.ends.push(at);
                }
            }
            "trap" | "brkpt" => {
                self.emit(Instruction::new(Op::Trap))?;
            }
            "nanosleep" | "pmevent" | "nop" => {
                op.ignore(&["u32"]);
                self.emit(Instruction::new(Op::Nop))?;
            }
            "call" => self.call(frame, operands)?,
            _ => return Ok(false),
        }
        op.done()?;
        Ok(true)
    }

    /// Replaces the call by the callee's body; its formal parameters are the caller's variables.
    fn call(&mut self, frame: &mut Frame<'a>, operands: &'a [Operand]) -> Result<()> {
        let (returns, name, arguments): (&[Operand], _, &[Operand]) = match operands {
            [Operand::List(r), Operand::Symbol(name, 0), Operand::List(a)] => (r, name, a),
            [Operand::List(r), Operand::Symbol(name, 0)] => (r, name, &[]),
            [Operand::Symbol(name, 0), Operand::List(a)] => (&[], name, a),
            [Operand::Symbol(name, 0)] => (&[], name, &[]),
            _ => return Err("calls through a pointer are not known".to_owned()),
        };
        if name == "__assertfail" {
            self.emit(Instruction::new(Op::Trap))?;
            return Ok(());
        }
        let callee = self.ast.functions.iter().find(|known| known.name == *name && !known.entry);
        let callee = callee.ok_or_else(|| format!("{name} is not declared"))?;
        if callee.body.is_none() {
            return Err(format!("{name} is declared, but its body is not here"));
        }
        let pairs = [(returns, &callee.returns), (arguments, &callee.params)];
        let mut spots = [Vec::new(), Vec::new()];
        for ((given, formal), spots) in pairs.into_iter().zip(&mut spots) {
            if given.len() != formal.len() {
                return Err(format!("{name} is called with {} of {}", given.len(), formal.len()));
            }
            for (operand, formal) in given.iter().zip(formal) {
                let &Operand::Variable(index, 0) = operand else {
                    return Err(format!("{name} is called with what is no .param variable"));
                };
                let bytes = frame.function.variables[index as usize].bytes;
                if bytes < formal.bytes {
                    return Err(format!("{name} wants {} bytes, not {bytes}", formal.bytes));
                }
                let (spot, _): (Spot, i64) = self.spot(frame, operand)?;
                spots.push(spot);
            }
        }
        let [returns, params] = spots;
        let (guard, negated) = self.guard;
        let skip = match guard {
            NONE => None,
            _ => {
                self.guard = (guard, !negated);
                Some(self.emit(Instruction::new(Op::Branch))?)
            }
        };
        let place = self.place;
        self.guard = (NONE, false);
        self.inline(callee, params, returns)?;
        self.place = place;
        if let Some(at) = skip {
            self.code[at].imm = self.code.len() as i32;
        }
        Ok(())
    }
}
