//! Shifts, bit fields, permutations of bytes and searches for bits.

use super::arithmetic::exactly;
use super::builder::{Builder, Frame, Result};
use super::opcode::Opcode;
use crate::ast::Operand;
use crate::ops::*;
use crate::types::Ty;

impl<'a> Builder<'a> {
    pub(super) fn bits(
        &mut self,
        frame: &mut Frame<'a>,
        mut op: Opcode<'a>,
        operands: &'a [Operand],
    ) -> Result<()> {
        let mut i = Instruction::new(Op::Nop);
        let ty = op.ty()?;
        let shift = matches!(op.name, "shl" | "shr");
        let hi = op.either("hi", "lo");
        let amount = op.flag("shiftamt");
        let sat = op.flag("sat");
        let wraps = op.either("wrap", "clamp");
        if op.name == "lop3" && operands.len() == 6 {
            return self.lop3_test(frame, op, operands);
        }
        match op.name {
            "shl" | "shr" | "mul24" => {
                let [d, a, b] = exactly(operands)?;
                i.a = self.read(frame, a, ty)?;
                // A shift amount has 32 bits, whatever is shifted.
                i.b = self.read(frame, b, if shift { Ty::U32 } else { ty })?;
                i.d = self.write(frame, d, ty)?;
                let int = match op.name {
                    "shl" => Int::Shl,
                    "shr" => Int::Shr,
                    _ if hi => Int::Mul24Hi,
                    _ => Int::Mul24Lo,
                };
                i.op = Op::Int(int, ty);
            }
            "popc" | "clz" | "brev" | "bfind" | "cnot" => {
                let [d, a] = exactly(operands)?;
                i.a = self.read(frame, a, ty)?;
                i.b = i.a;
                let same = matches!(op.name, "brev" | "cnot");
                i.d = self.write(frame, d, if same { ty } else { Ty::U32 })?;
                let int = match op.name {
                    "popc" => Int::Popc,
                    "clz" => Int::Clz,
                    "brev" => Int::Brev,
                    "cnot" => Int::Cnot,
                    _ if amount => Int::BfindShift,
                    _ => Int::Bfind,
                };
                i.op = Op::Int(int, ty);
            }
            "bfe" | "bmsk" | "szext" => {
                let int = match op.name {
                    "bfe" => Int3::Bfe,
                    "bmsk" if wraps => Int3::BmskWrap,
                    "bmsk" => Int3::Bmsk,
                    _ if wraps => Int3::SzextWrap,
                    _ => Int3::Szext,
                };
                i.op = Op::Int3(int, ty);
                i.a = self.read(frame, operands.get(1).ok_or("an operand is missing")?, ty)?;
                i.b = self.read(frame, operands.get(2).ok_or("an operand is missing")?, Ty::U32)?;
                i.c = i.b;
                if op.name == "bfe" {
                    let [_, _, _, c] = exactly(operands)?;
                    i.c = self.read(frame, c, Ty::U32)?;
                } else {
                    exactly::<3>(operands)?;
                }
                i.d = self.write(frame, &operands[0], ty)?;
            }
            "bfi" => {
                let [d, a, b, c, len] = exactly(operands)?;
                i.op = Op::Int3(Int3::Bfi, ty);
                i.a = self.read(frame, a, ty)?;
                i.b = self.read(frame, b, ty)?;
                i.c = self.read(frame, c, Ty::U32)?;
                let len = self.read(frame, len, Ty::U32)?;
                i.ins = self.list(&[len]);
                i.d = self.write(frame, d, ty)?;
            }
            _ => {
                let mut immediate = operands;
                let int = match op.name {
                    "mad24" if sat => Int3::Mad24HiSat,
                    "mad24" if hi => Int3::Mad24Hi,
                    "mad24" => Int3::Mad24Lo,
                    "sad" => Int3::Sad,
                    "fns" => Int3::Fns,
                    "lop3" => {
                        let [.., Operand::Int(table)] = operands else {
                            return Err("lop3 needs its table as a number".to_owned());
                        };
                        if *table > 255 {
                            return Err(format!("{table} is not a lop3 table"));
                        }
                        i.imm = *table as i32;
                        immediate = &operands[..operands.len() - 1];
                        Int3::Lop3
                    }
                    "shf" => match (op.either("l", "r"), wraps) {
                        (true, true) => Int3::ShfLeftWrap,
                        (true, false) => Int3::ShfLeftClamp,
                        (false, true) => Int3::ShfRightWrap,
                        (false, false) => Int3::ShfRightClamp,
                    },
                    _ => op.find(prmt).unwrap_or(Int3::Prmt),
                };
                let [d, a, b, c] = exactly(immediate)?;
                i.op = Op::Int3(int, ty);
                i.a = self.read(frame, a, ty)?;
                i.b = self.read(frame, b, ty)?;
                i.c = self.read(frame, c, ty)?;
                i.d = self.write(frame, d, ty)?;
            }
        }
        op.done()?;
        self.emit(i)
    }
}

fn prmt(name: &str) -> Option<Int3> {
    Some(match name {
        "f4e" => Int3::PrmtF4e,
        "b4e" => Int3::PrmtB4e,
        "rc8" => Int3::PrmtRc8,
        "ecl" => Int3::PrmtEcl,
        "ecr" => Int3::PrmtEcr,
        "rc16" => Int3::PrmtRc16,
        _ => return None,
    })
}
