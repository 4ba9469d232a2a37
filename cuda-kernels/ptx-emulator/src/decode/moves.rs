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
        let ty = op.ty()?;
        op.done()?;
        let [d, a] = exactly(operands)?;
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
        self.emit(i)?;
        Ok(())
    }

    fn convert(
        &mut self,
        frame: &mut Frame<'a>,
        mut op: Opcode<'a>,
        operands: &[Operand],
    ) -> Result<()> {
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
        if let [d, a, b] = operands {
            if !matches!(to, Ty::F16x2 | Ty::Bf16x2) || from != Ty::F32 {
                return Err(format!("{} with two operands", op.text));
            }
            let mut i = Instruction::new(Op::ConvertPair { to, mode });
            i.a = self.read(frame, a, from)?;
            i.b = self.read(frame, b, from)?;
            i.d = self.write(frame, d, to)?;
            self.emit(i)?;
            return Ok(());
        }
        let [d, a] = exactly(operands)?;
        let pairs = [Ty::F16x2, Ty::Bf16x2, Ty::Pred];
        if pairs.contains(&to) || pairs.contains(&from) || from == Ty::Tf32 {
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
        self.emit(Instruction { d, a, ..Instruction::new(op) })?;
        Ok(())
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
        self.emit(i)?;
        Ok(())
    }
}
