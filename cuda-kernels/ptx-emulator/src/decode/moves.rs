//! Moves, packing, conversions of values and of addresses.

use super::arithmetic::exactly;
use super::builder::{Builder, Frame, Result};
use super::opcode::Opcode;
use crate::ast::Operand;
use crate::ops::*;
use crate::types::{Class, Space, Ty};

impl<'a> Builder<'a> {
    /// Decodes a move or a conversion; false if it is another kind.
    pub(super) fn moves(
        &mut self,
        frame: &mut Frame<'a>,
        mut op: Opcode<'a>,
        operands: &'a [Operand],
    ) -> Result<bool> {
        match op.name {
            "mov" => self.mov(frame, op, operands)?,
            "cvt" => self.convert(frame, op, operands)?,
            "cvta" => self.convert_address(frame, op, operands)?,
            "isspacep" => {
                let space = op.need("space", Space::from_name)?;
                op.done()?;
                let [d, a] = exactly(operands)?;
                let mut i = Instruction::new(Op::IsSpace(space));
                i.a = self.read(frame, a, Ty::U64)?;
                i.d = self.write(frame, d, Ty::Pred)?;
                self.emit(i)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn mov(
        &mut self,
        frame: &mut Frame<'a>,
        mut op: Opcode<'a>,
        operands: &'a [Operand],
    ) -> Result<()> {
        let elements = op.find(|suffix| ["v2", "v4"].contains(&suffix).then_some(suffix == "v4"));
        let ty = op.ty()?;
        op.done()?;
        let [d, a] = exactly(operands)?;
        if let Some(four) = elements {
            return self.mov_vector(frame, [d, a], ty, if four { 4 } else { 2 });
        }
        let part = |count: usize| match (ty.bits() as usize / count.max(1), count) {
            (32, 2) => Ok(Ty::B32),
            (16, 2 | 4) => Ok(Ty::B16),
            (8, 2 | 4) => Ok(Ty::B8),
            (bits, _) => Err(format!("{count} parts of {bits} bits")),
        };
        let mut i = Instruction::new(Op::Logic(Logic::Mov, ty.class()));
        match (d, a) {
            (Operand::Vector(_), Operand::Vector(_)) => {
                return Err("a move from parts to parts".to_owned());
            }
            (d, Operand::Vector(parts)) => {
                let part = part(parts.len())?;
                let mut ins = Vec::new();
                for operand in parts {
                    ins.push(self.read(frame, operand, part)?);
                }
                i.ins = self.list(&ins);
                i.d = self.write(frame, d, ty)?;
                i.op = Op::Pack { bits: part.bits() as u8, class: ty.class() };
            }
            (Operand::Vector(parts), a) => {
                let part = part(parts.len())?;
                i.a = self.read(frame, a, ty)?;
                let mut outs = Vec::new();
                for operand in parts {
                    outs.push(match operand {
                        Operand::Sink => NONE,
                        operand => self.write(frame, operand, part)?,
                    });
                }
                i.outs = self.list(&outs);
                i.op = Op::Unpack { bits: part.bits() as u8, class: ty.class() };
            }
            (d, a) => {
                i.a = self.read(frame, a, ty)?;
                i.b = i.a;
                i.d = self.write(frame, d, ty)?;
            }
        }
        self.emit(i)
    }

    /// A move of whole vectors, whose elements may lie in both.
    fn mov_vector(
        &mut self,
        frame: &mut Frame<'a>,
        [d, a]: [&Operand; 2],
        ty: Ty,
        count: usize,
    ) -> Result<()> {
        let from = self.vector(frame, a, ty, count, false)?;
        let to = self.vector(frame, d, ty, count, true)?;
        let own: Vec<R> = from.iter().map(|_| self.fresh(ty.class())).collect::<Result<_>>()?;
        for (&d, &a) in own.iter().zip(&from).chain(to.iter().zip(&own)) {
            self.copy(d, a)?;
        }
        Ok(())
    }

    fn convert(
        &mut self,
        frame: &mut Frame<'a>,
        mut op: Opcode<'a>,
        operands: &[Operand],
    ) -> Result<()> {
        if op.flag("pack") {
            return self.pack_saturated(frame, op, operands);
        }
        let (to, from) = (op.ty()?, op.ty()?);
        let integral = op.find(|suffix| {
            Some(match suffix {
                "rni" => Round::Nearest,
                "rzi" => Round::Zero,
                "rmi" => Round::Down,
                "rpi" => Round::Up,
                _ => return None,
            })
        });
        let stated = op.round_stated();
        let mut mode = op.mode();
        op.done()?;
        mode.round = integral.or(stated).unwrap_or(Round::Nearest);
        let eighths = [Ty::E4m3x2, Ty::E5m2x2];
        if eighths.contains(&to) || eighths.contains(&from) {
            return self.convert_fp8(frame, (to, from), mode, operands);
        }
        let half = [Ty::F16, Ty::Bf16, Ty::F16x2, Ty::Bf16x2, Ty::Tf32].contains(&to);
        if mode.finite && !(half && from == Ty::F32) {
            return Err(format!("{} is not known", op.text));
        }
        if let [d, a, b] = operands {
            if !matches!(to, Ty::F16x2 | Ty::Bf16x2) || from != Ty::F32 {
                return Err(format!("{} with two operands", op.text));
            }
            let mut i = Instruction::new(Op::ConvertPair { to, mode });
            i.a = self.read(frame, a, from)?;
            i.b = self.read(frame, b, from)?;
            i.d = self.write(frame, d, to)?;
            return self.emit(i);
        }
        let [d, a] = exactly(operands)?;
        let whole = |ty: Ty| {
            let pairs = [Ty::F16x2, Ty::Bf16x2, Ty::U16x2, Ty::S16x2];
            ty != Ty::Pred && !pairs.contains(&ty) && ![Ty::E4m3, Ty::E5m2].contains(&ty)
        };
        if !whole(to) || !whole(from) || from == Ty::Tf32 || mode.relu && !half {
            return Err(format!("{} is not known", op.text));
        }
        if from.is_float() && to.is_int() && integral.is_none() {
            return Err(format!("{} does not say how to round to an integer", op.text));
        }
        if from.is_float() && to.is_float() && to.bits() < from.bits() && stated.is_none() {
            return Err(format!("{} does not say how to round", op.text));
        }
        if mode.round == Round::Away && to != Ty::Tf32 {
            return Err(format!("{} is not known", op.text));
        }
        let (a, wide_from) = self.read_wide(frame, a, from)?;
        let (d, wide_to) = self.write_wide(frame, d, to)?;
        let integral = integral.is_some();
        let op = Op::Convert { to, from, mode, integral, wide_to, wide_from };
        self.emit(Instruction { d, a, ..Instruction::new(op) })
    }

    fn convert_fp8(
        &mut self,
        frame: &mut Frame<'a>,
        (to, from): (Ty, Ty),
        mode: Mode,
        operands: &[Operand],
    ) -> Result<()> {
        let mut i = Instruction::new(Op::ConvertFp8 { to, from, mode });
        let known = match (to, from) {
            (Ty::F16x2, _) => !mode.finite,
            (_, Ty::F32 | Ty::F16x2) => mode.finite,
            _ => false,
        };
        if !known || mode.round != Round::Nearest || mode.sat || mode.ftz {
            return Err(format!("a conversion from {from:?} to {to:?} of this kind"));
        }
        let d = match operands {
            [d, a, b] if from == Ty::F32 => {
                i.a = self.read(frame, a, from)?;
                i.b = self.read(frame, b, from)?;
                d
            }
            [d, a] if from != Ty::F32 => {
                i.a = self.read(frame, a, from)?;
                d
            }
            _ => return Err(format!("{} operands of a conversion", operands.len())),
        };
        i.d = self.write(frame, d, to)?;
        self.emit(i)
    }

    /// `cvt.pack.sat`: two integers, saturated, in front of what is left of a third.
    fn pack_saturated(
        &mut self,
        frame: &mut Frame<'a>,
        mut op: Opcode<'a>,
        operands: &[Operand],
    ) -> Result<()> {
        let (sat, unknown) = (op.flag("sat"), format!("{} is not known", op.text));
        let (signed, bits) = op.find(saturated).ok_or(&unknown)?;
        let (from, third) = (op.ty()?, op.find(Ty::from_name));
        op.done()?;
        let narrow = bits < 16 && third == Some(Ty::B32);
        let halves = bits == 16 && third.is_none();
        if !sat || from != Ty::S32 || !(narrow || halves) {
            return Err(unknown);
        }
        let mut i = Instruction::new(Op::PackSaturated { bits, signed });
        let (d, a, b) = match operands {
            [d, a, b] if halves => {
                i.c = self.preset(Preset::Word(0), Class::Word)?;
                (d, a, b)
            }
            [d, a, b, c] if narrow => {
                i.c = self.read(frame, c, Ty::B32)?;
                (d, a, b)
            }
            _ => return Err(unknown),
        };
        i.a = self.read(frame, a, Ty::S32)?;
        i.b = self.read(frame, b, Ty::S32)?;
        i.d = self.write(frame, d, Ty::B32)?;
        self.emit(i)
    }

    fn convert_address(
        &mut self,
        frame: &mut Frame<'a>,
        mut op: Opcode<'a>,
        operands: &[Operand],
    ) -> Result<()> {
        let to = op.flag("to");
        let space = op.need("space", Space::from_name)?;
        let ty = op.ty()?;
        op.done()?;
        if ty.bits() != 64 && ty.bits() != 32 {
            return Err(format!("an address of {} bits", ty.bits()));
        }
        let [d, a] = exactly(operands)?;
        let op = match to {
            true => Op::FromGeneric(space, ty.class()),
            false if ty.class() == Class::Long => Op::ToGeneric(space, Address::Long),
            false => Op::ToGeneric(space, Address::Word),
        };
        let mut i = Instruction::new(op);
        i.a = match a {
            // The address of a kernel's parameter or of a local variable is an offset.
            Operand::Parameter(..) | Operand::Variable(..) | Operand::Symbol(..) => {
                self.value(frame, a, ty)?
            }
            a => self.read(frame, a, ty)?,
        };
        i.d = self.write(frame, d, ty)?;
        self.emit(i)
    }
}

/// What `cvt.pack` saturates to: is it signed, and of how many bits?
fn saturated(name: &str) -> Option<(bool, u8)> {
    Some(match name {
        "u2" => (false, 2),
        "s2" => (true, 2),
        "u4" => (false, 4),
        "s4" => (true, 4),
        "u8" => (false, 8),
        "s8" => (true, 8),
        "u16" => (false, 16),
        "s16" => (true, 16),
        _ => return None,
    })
}
