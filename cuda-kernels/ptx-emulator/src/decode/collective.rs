//! Collective operations of a warp's lanes or a block's threads.

use super::arithmetic::exactly;
use super::builder::{Builder, Frame, Result};
use super::opcode::Opcode;
use crate::ast::Operand;
use crate::ops::*;
use crate::types::Ty;

impl<'a> Builder<'a> {
    /// Decodes a collective instruction; false if it is another kind.
    pub(super) fn collective(
        &mut self,
        frame: &mut Frame<'a>,
        mut op: Opcode<'a>,
        operands: &'a [Operand],
    ) -> Result<bool> {
        let mut i = Instruction::new(Op::Nop);
        match op.name {
            "shfl" => {
                self.sync(&mut op)?;
                let shuffle = op.need("mode", |name| {
                    Some(match name {
                        "up" => Shuffle::Up,
                        "down" => Shuffle::Down,
                        "bfly" => Shuffle::Bfly,
                        "idx" => Shuffle::Idx,
                        _ => return None,
                    })
                })?;
                op.flag("b32");
                let [d, a, b, c, mask] = exactly(operands)?;
                i.a = self.read(frame, a, Ty::B32)?;
                i.b = self.read(frame, b, Ty::B32)?;
                i.c = self.read(frame, c, Ty::B32)?;
                let mask = self.read(frame, mask, Ty::B32)?;
                i.ins = self.list(&[mask]);
                let (d, p) = pair(d);
                i.d = self.write(frame, d, Ty::B32)?;
                i.e = self.write(frame, p, Ty::Pred)?;
                i.op = Op::Shuffle(shuffle);
            }
            "vote" => {
                self.sync(&mut op)?;
                let vote = op.need("mode", |name| {
                    Some(match name {
                        "all" => Vote::All,
                        "any" => Vote::Any,
                        "uni" => Vote::Uniform,
                        "ballot" => Vote::Ballot,
                        _ => return None,
                    })
                })?;
                let ty = op.ty()?;
                let [d, a, mask] = exactly(operands)?;
                (i.a, i.imm) = self.predicate(frame, a)?;
                i.b = self.read(frame, mask, Ty::B32)?;
                i.d = self.write(frame, d, if vote == Vote::Ballot { Ty::B32 } else { ty })?;
                i.op = Op::Vote(vote);
            }
            "match" => {
                self.sync(&mut op)?;
                let all = op.flag("all");
                op.flag("any");
                let ty = op.ty()?;
                let [d, a, mask] = exactly(operands)?;
                i.a = self.read(frame, a, ty)?;
                i.b = self.read(frame, mask, Ty::B32)?;
                let (d, p) = pair(d);
                i.d = self.write(frame, d, Ty::B32)?;
                i.e = self.write(frame, p, Ty::Pred)?;
                i.op = if all { Op::MatchAll(ty.class()) } else { Op::MatchAny(ty.class()) };
            }
            "redux" => {
                self.sync(&mut op)?;
                let reduce = op.need("operation", reduce)?;
                let ty = op.ty()?;
                i.op = match (ty, reduce) {
                    (Ty::F32, Reduce::Min | Reduce::Max) => {
                        let (largest, abs) = (reduce == Reduce::Max, op.flag("abs"));
                        Op::ReduxFloat { largest, abs, nan: op.flag("NaN") }
                    }
                    _ if ty.bits() == 32 && !ty.is_float() && reduce != Reduce::Popc => {
                        Op::Redux(reduce, ty)
                    }
                    _ => return Err(format!("{} is not known", op.text)),
                };
                let [d, a, mask] = exactly(operands)?;
                i.a = self.read(frame, a, ty)?;
                i.b = self.read(frame, mask, Ty::B32)?;
                i.d = self.write(frame, d, ty)?;
            }
            "elect" => {
                self.sync(&mut op)?;
                let [d, mask] = exactly(operands)?;
                i.b = self.read(frame, mask, Ty::B32)?;
                let (d, p) = pair(d);
                i.d = self.write(frame, d, Ty::B32)?;
                i.e = self.write(frame, p, Ty::Pred)?;
                i.op = Op::Elect;
            }
            "activemask" => {
                op.ty()?;
                let [d] = exactly(operands)?;
                i.d = self.write(frame, d, Ty::B32)?;
                i.op = Op::ActiveMask;
            }
            "bar" | "barrier" => return self.barrier(frame, op, operands),
            "membar" | "fence" => {
                let wide = !op.flag("cta");
                // A fence between proxies orders nothing among threads, unless it says so.
                let proxy = op.flag("proxy")
                    && !(op.text.contains(".release") || op.text.contains(".acquire"));
                op.ignore(&[
                    "gl",
                    "sys",
                    "gpu",
                    "cluster",
                    "sc",
                    "acq_rel",
                    "async",
                    "mbarrier_init",
                    "release",
                    "acquire",
                    "alias",
                    "global",
                    "shared::cta",
                    "shared::cluster",
                    "async::generic",
                    "tensormap::generic",
                    "sync_restrict::shared::cta",
                    "sync_restrict::shared::cluster",
                ]);
                i.op = if proxy { Op::Nop } else { Op::Fence { wide } };
            }
            "mma" => return self.mma(frame, op, operands),
            _ => return Ok(false),
        }
        op.done()?;
        self.emit(i)?;
        Ok(true)
    }

    fn sync(&mut self, op: &mut Opcode<'a>) -> Result<()> {
        if op.flag("sync") { Ok(()) } else { Err(format!("{} without .sync", op.text)) }
    }

    /// A predicate that may be negated: its register and 1 if so.
    pub(super) fn predicate(
        &mut self,
        frame: &mut Frame<'a>,
        operand: &Operand,
    ) -> Result<(R, i32)> {
        match operand {
            &Operand::Not(register) => Ok((self.register(frame, register)?, 1)),
            operand => Ok((self.read(frame, operand, Ty::Pred)?, 0)),
        }
    }

    fn barrier(
        &mut self,
        frame: &mut Frame<'a>,
        mut op: Opcode<'a>,
        operands: &[Operand],
    ) -> Result<bool> {
        let mut i = Instruction::new(Op::Nop);
        if op.flag("warp") {
            self.sync(&mut op)?;
            op.done()?;
            let [mask] = exactly(operands)?;
            i.a = self.read(frame, mask, Ty::B32)?;
            i.op = Op::WarpBarrier;
            self.emit(i)?;
            return Ok(true);
        }
        op.flag("cta");
        let aligned = op.flag("aligned") || op.name == "bar";
        if op.flag("sync") || op.flag("arrive") {
            let arrive = op.text.contains("arrive");
            op.done()?;
            let (id, count) = match operands {
                [id] if !arrive => (id, None),
                [id, count] => (id, Some(count)),
                _ => return Err(format!("{} operands of {}", operands.len(), op.text)),
            };
            i.a = self.read(frame, id, Ty::U32)?;
            if let Some(count) = count {
                i.b = self.read(frame, count, Ty::U32)?;
            }
            i.op = Op::Barrier { aligned, arrive };
            self.emit(i)?;
            return Ok(true);
        }
        if !op.flag("red") {
            return Err(format!("{} is not known", op.text));
        }
        let reduce = op.need("operation", reduce)?;
        let ty = op.ty()?;
        op.done()?;
        let (d, id, count, p) = match operands {
            [d, id, p] => (d, id, None, p),
            [d, id, count, p] => (d, id, Some(count), p),
            _ => return Err(format!("{} operands of {}", operands.len(), op.text)),
        };
        let fits = match reduce {
            Reduce::Popc => ty == Ty::U32,
            Reduce::And | Reduce::Or => ty == Ty::Pred,
            _ => false,
        };
        if !fits {
            return Err(format!("{} is not known", op.text));
        }
        i.a = self.read(frame, id, Ty::U32)?;
        if let Some(count) = count {
            i.b = self.read(frame, count, Ty::U32)?;
        }
        let (c, negated) = self.predicate(frame, p)?;
        i.c = c;
        i.d = self.write(frame, d, ty)?;
        i.op = Op::BarrierReduce { reduce, negated: negated == 1 };
        self.emit(i)?;
        Ok(true)
    }

    fn mma(
        &mut self,
        frame: &mut Frame<'a>,
        mut op: Opcode<'a>,
        operands: &[Operand],
    ) -> Result<bool> {
        let unknown = format!("{} is not known", op.text);
        let (m, k) = op.find(shape).ok_or(&unknown)?;
        if !(op.flag("sync") && op.flag("aligned") && op.flag("row") && op.flag("col")) {
            return Err(unknown);
        }
        let saturates = op.flag("satfinite");
        let (sum, a_ty, b_ty, c_ty) = (op.ty()?, op.ty()?, op.ty()?, op.ty()?);
        op.done()?;
        let bytes = |ty: Ty| matches!(ty, Ty::S8 | Ty::U8);
        let known = c_ty == sum
            && match (a_ty, m, k) {
                (Ty::Bf16, 16, 8 | 16) | (Ty::Tf32, 16, 4 | 8) => a_ty == b_ty && sum == Ty::F32,
                (Ty::F16, 16, 8 | 16) => a_ty == b_ty && matches!(sum, Ty::F16 | Ty::F32),
                (Ty::E4m3 | Ty::E5m2, 16, 16 | 32) => {
                    matches!(b_ty, Ty::E4m3 | Ty::E5m2) && matches!(sum, Ty::F16 | Ty::F32)
                }
                (Ty::F64, 8, 4) | (Ty::F64, 16, 4 | 8 | 16) => b_ty == Ty::F64 && sum == Ty::F64,
                (_, 16, 16 | 32) | (_, 8, 16) => bytes(a_ty) && bytes(b_ty) && sum == Ty::S32,
                _ => false,
            };
        if !known || saturates && sum != Ty::S32 {
            return Err(unknown);
        }
        let mma = Mma { a: a_ty, b: b_ty, sum, m, k, saturates };
        let (a_count, b_count) = mma.counts();
        let ty = if sum == Ty::F64 { Ty::F64 } else { Ty::B32 };
        let [d, a, b, c] = exactly(operands)?;
        let mut ins = Vec::new();
        for (operand, count) in [(a, a_count), (b, b_count), (c, mma.sums())] {
            for part in parts(operand, count)? {
                ins.push(self.read(frame, part, ty)?);
            }
        }
        let mut outs = Vec::new();
        for part in parts(d, mma.sums())? {
            outs.push(self.write(frame, part, ty)?);
        }
        let mut i = Instruction::new(Op::Mma(mma));
        i.ins = self.list(&ins);
        i.outs = self.list(&outs);
        self.emit(i)?;
        Ok(true)
    }
}

fn parts(operand: &Operand, count: usize) -> Result<&[Operand]> {
    let parts = match operand {
        Operand::Vector(parts) => parts.as_slice(),
        single => std::slice::from_ref(single),
    };
    if parts.len() == count {
        return Ok(parts);
    }
    Err(format!("{} registers where {count} are expected", parts.len()))
}

/// `m16n8k8`: M and K.
fn shape(name: &str) -> Option<(u8, u8)> {
    let (m, k) = name.strip_prefix('m')?.split_once("n8k")?;
    Some((m.parse().ok()?, k.parse().ok()?))
}

fn pair(operand: &Operand) -> (&Operand, &Operand) {
    match operand {
        Operand::Pair(d, p) => (d, p),
        d => (d, &Operand::Sink),
    }
}

fn reduce(name: &str) -> Option<Reduce> {
    Some(match name {
        "add" => Reduce::Add,
        "min" => Reduce::Min,
        "max" => Reduce::Max,
        "and" => Reduce::And,
        "or" => Reduce::Or,
        "xor" => Reduce::Xor,
        "popc" => Reduce::Popc,
        _ => return None,
    })
}
