//! Comparisons and selections.

use super::arithmetic::exactly;
use super::builder::{Builder, Frame, Result};
use super::opcode::Opcode;
use crate::ast::Operand;
use crate::ops::*;
use crate::types::{Class, Ty};

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
                    Ty::F32 if ftz => Int3::SlctFtz,
                    Ty::F32 => Int3::SlctF,
                    _ => Int3::Slct,
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
                if matches!(ty, Ty::F16x2 | Ty::Bf16x2) {
                    op.done()?;
                    return self.compare_pairs(frame, (compare, combine, ftz), (to, ty), operands);
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
        self.emit(i)
    }
}

impl<'a> Builder<'a> {
    /// `lop3.or.b32 d|p, a, b, c, table, q`: p tells whether the result is not 0, or q.
    pub(super) fn lop3_test(
        &mut self,
        frame: &mut Frame<'a>,
        mut op: Opcode<'a>,
        operands: &[Operand],
    ) -> Result<()> {
        let combine = op.need("combination", combine)?;
        op.done()?;
        let [pair, a, b, c, Operand::Int(table @ 0..=255), q] = operands else {
            return Err(format!("{} operands of {}", operands.len(), op.text));
        };
        let Operand::Pair(d, p) = pair else {
            return Err(format!("{} without a predicate", op.text));
        };
        let mut i = Instruction::new(Op::Int3(Int3::Lop3, Ty::B32));
        i.imm = *table as i32;
        i.a = self.read(frame, a, Ty::B32)?;
        i.b = self.read(frame, b, Ty::B32)?;
        i.c = self.read(frame, c, Ty::B32)?;
        i.d = self.write(frame, d, Ty::B32)?;
        let result = i.d;
        self.emit(i)?;
        let (compare, ty, ftz) = (Compare::Ne, Ty::U32, false);
        let (q, negated) = self.predicate(frame, q)?;
        let test = Op::SetP { compare, ty, combine, negated: negated == 1, ftz };
        let mut i = Instruction::new(test);
        i.a = result;
        i.b = self.preset(Preset::Word(0), Class::Word)?;
        i.c = q;
        i.d = self.write(frame, p, Ty::Pred)?;
        i.e = self.fresh(Class::Pred)?;
        self.emit(i)
    }

    /// `setp` and `set` of pairs of halves: the lower ones, then the upper ones.
    fn compare_pairs(
        &mut self,
        frame: &mut Frame<'a>,
        (compare, combine, ftz): (Compare, Combine, bool),
        (to, ty): (Ty, Ty),
        operands: &[Operand],
    ) -> Result<()> {
        let (d, a, b, c) = match operands {
            [d, a, b] if combine == Combine::None => (d, a, b, None),
            [d, a, b, c] if combine != Combine::None => (d, a, b, Some(c)),
            _ => return Err(format!("{} operands of a comparison", operands.len())),
        };
        let half = if ty == Ty::F16x2 { Ty::F16 } else { Ty::Bf16 };
        let mut halves = Vec::new();
        for operand in [a, b] {
            let mut i = Instruction::new(Op::Unpack { bits: 16, class: Class::Word });
            i.a = self.read(frame, operand, ty)?;
            let parts = [self.fresh(Class::Word)?, self.fresh(Class::Word)?];
            i.outs = self.list(&parts);
            self.emit(i)?;
            halves.push(parts);
        }
        let (c, negated) = c.map_or(Ok((NONE, 0)), |c| self.predicate(frame, c))?;
        let negated = negated == 1;
        let results = match (to, d) {
            (Ty::Pred, Operand::Pair(p, q)) => {
                [self.write(frame, p, Ty::Pred)?, self.write(frame, q, Ty::Pred)?]
            }
            (Ty::Pred, _) => return Err("two predicates are expected".to_owned()),
            _ => [self.fresh(Class::Pred)?, self.fresh(Class::Pred)?],
        };
        let mut tests = Vec::new();
        for (a, b) in halves[0].into_iter().zip(halves[1]) {
            let mut i = Instruction::new(Op::SetP { compare, ty: half, combine, negated, ftz });
            (i.a, i.b, i.c) = (a, b, c);
            // The second may need what the first would overwrite.
            i.d = self.fresh(Class::Pred)?;
            i.e = self.fresh(Class::Pred)?;
            tests.push(i.d);
            self.emit(i)?;
        }
        let mut words = Vec::new();
        for (test, result) in tests.into_iter().zip(results) {
            if to == Ty::Pred {
                let mut i = Instruction::new(Op::Logic(Logic::Mov, Class::Pred));
                (i.a, i.b, i.d) = (test, test, result);
                self.emit(i)?;
                continue;
            }
            let one = match to {
                Ty::F16x2 => 0x3c00,
                Ty::Bf16x2 => 0x3f80,
                _ => 0xffff,
            };
            let mut i = Instruction::new(Op::Select(Class::Word));
            i.a = self.preset(Preset::Word(one), Class::Word)?;
            i.b = self.preset(Preset::Word(0), Class::Word)?;
            i.c = test;
            i.d = self.fresh(Class::Word)?;
            words.push(i.d);
            self.emit(i)?;
        }
        if to != Ty::Pred {
            let mut i = Instruction::new(Op::Pack { bits: 16, class: Class::Word });
            i.ins = self.list(&words);
            i.d = self.write(frame, d, to)?;
            self.emit(i)?;
        }
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
