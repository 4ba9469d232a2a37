//! Comparisons and selections.

use super::arithmetic::exactly;
use super::builder::{Builder, Frame, Result};
use super::opcode::Opcode;
use crate::ast::Operand;
use crate::ops::*;
use crate::types::Ty;

impl<'a> Builder<'a> {
    pub(super) fn comparison(
        &mut self,
        frame: &mut Frame<'a>,
        mut op: Opcode<'a>,
        operands: &'a [Operand],
    ) -> Result<()> {
        let mut i = Instruction::new(Op::Nop);
        match op.name {
            "testp" => {
                let test = op.need("test", |name| {
                    Some(match name {
                        "finite" => Test::Finite,
                        "infinite" => Test::Infinite,
                        "number" => Test::Number,
                        "notanumber" => Test::NotANumber,
                        "normal" => Test::Normal,
                        "subnormal" => Test::Subnormal,
                        _ => return None,
                    })
                })?;
                let ty = op.ty()?;
                let [d, a] = exactly(operands)?;
                i.op = Op::TestP(test, ty);
                i.a = self.read(frame, a, ty)?;
                i.d = self.write(frame, d, Ty::Pred)?;
            }
            "selp" => {
                let ty = op.ty()?;
                let [d, a, b, c] = exactly(operands)?;
                i.op = Op::Select(ty.class());
                i.a = self.read(frame, a, ty)?;
                i.b = self.read(frame, b, ty)?;
                i.c = self.read(frame, c, Ty::Pred)?;
                i.d = self.write(frame, d, ty)?;
            }
            "slct" => {
                let (ty, by) = (op.ty()?, op.ty()?);
                let ftz = op.flag("ftz");
                let [d, a, b, c] = exactly(operands)?;
                let int = match by {
                    Ty::S32 => Int3::Slct,
                    Ty::F32 if ftz => Int3::SlctFtz,
                    Ty::F32 => Int3::SlctF,
                    _ => {
                        return Err(format!(
                            "{} selects by something other than .s32 or .f32",
                            op.text
                        ));
                    }
                };
                i.op = Op::Int3(int, ty);
                i.a = self.read(frame, a, ty)?;
                i.b = self.read(frame, b, ty)?;
                i.c = self.read(frame, c, by)?;
                i.d = self.write(frame, d, ty)?;
            }
            name => {
                let compare = op.need("comparison", compare)?;
                let combine = op.find(combine).unwrap_or(Combine::None);
                let ftz = op.flag("ftz");
                let to = if name == "set" { op.ty()? } else { Ty::Pred };
                let ty = op.ty()?;
                if matches!(ty, Ty::F16x2 | Ty::Bf16x2 | Ty::Tf32 | Ty::Pred) || ty.bits() < 16 {
                    return Err(format!("{} compares an unsupported type", op.text));
                }
                let (a, b) = match (operands, combine) {
                    ([_, a, b], Combine::None) => (a, b),
                    ([_, a, b, c], _) if combine != Combine::None => {
                        let negated = matches!(c, Operand::Not(_));
                        let c = match c {
                            &Operand::Not(register) => self.register(frame, register)?,
                            c => self.read(frame, c, Ty::Pred)?,
                        };
                        i.c = c;
                        i.negated = negated;
                        (a, b)
                    }
                    _ => return Err(format!("{} operands of {}", operands.len(), op.text)),
                };
                i.a = self.read(frame, a, ty)?;
                i.b = self.read(frame, b, ty)?;
                let negated = i.negated;
                if name == "set" {
                    i.d = self.write(frame, &operands[0], to)?;
                    i.op = Op::Set { compare, ty, to, combine, negated, ftz };
                } else {
                    let (p, q) = match &operands[0] {
                        Operand::Pair(p, q) => (&**p, &**q),
                        p => (p, &Operand::Sink),
                    };
                    i.d = self.write(frame, p, Ty::Pred)?;
                    i.e = self.write(frame, q, Ty::Pred)?;
                    i.op = Op::SetP { compare, ty, combine, negated, ftz };
                }
            }
        }
        op.done()?;
        self.emit(i)?;
        Ok(())
    }
}

pub fn compare(name: &str) -> Option<Compare> {
    Some(match name {
        "eq" => Compare::Eq,
        "ne" => Compare::Ne,
        "lt" | "lo" => Compare::Lt,
        "le" | "ls" => Compare::Le,
        "gt" | "hi" => Compare::Gt,
        "ge" | "hs" => Compare::Ge,
        "equ" => Compare::Equ,
        "neu" => Compare::Neu,
        "ltu" => Compare::Ltu,
        "leu" => Compare::Leu,
        "gtu" => Compare::Gtu,
        "geu" => Compare::Geu,
        "num" => Compare::Num,
        "nan" => Compare::Nan,
        _ => return None,
    })
}

fn combine(name: &str) -> Option<Combine> {
    Some(match name {
        "and" => Combine::And,
        "or" => Combine::Or,
        "xor" => Combine::Xor,
        _ => return None,
    })
}
