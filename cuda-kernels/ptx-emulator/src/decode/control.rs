//! Jumps and ends.

use super::arithmetic::exactly;
use super::builder::{Builder, Frame, Result};
use super::opcode::Opcode;
use crate::ast::Operand;
use crate::ops::*;
use crate::types::Ty;

impl<'a> Builder<'a> {
    /// Decodes a control instruction; false if it is another kind.
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
                    return Err("bra needs a label".to_owned());
                };
                let at = self.code.len();
                self.emit(Instruction::new(Op::Branch))?;
                frame.jumps.push((at, label));
            }
            "brx" => {
                let [index, Operand::Symbol(name, 0)] = operands else {
                    return Err("brx.idx needs a register and a list of labels".to_owned());
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
                    let at = self.code.len();
                    self.emit(Instruction::new(Op::Branch))?;
                    frame.ends.push(at);
                }
            }
            "trap" | "brkpt" => {
                self.emit(Instruction::new(Op::Trap))?;
            }
            "nanosleep" | "pmevent" | "nop" | "griddepcontrol" | "setmaxnreg" => {
                op.ignore(&[
                    "u32",
                    "mask",
                    "wait",
                    "launch_dependents",
                    "inc",
                    "dec",
                    "sync",
                    "aligned",
                ]);
                self.emit(Instruction::new(Op::Nop))?;
            }
            _ => return Ok(false),
        }
        op.done()?;
        Ok(true)
    }
}
