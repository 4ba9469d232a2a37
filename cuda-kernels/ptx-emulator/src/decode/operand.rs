//! Operands to registers: immediates, special registers and addresses are registers, too.

use super::builder::{Builder, Frame, Named, Result, Spot};
use crate::ast::Operand;
use crate::ops::{Instruction, NONE, Op, Preset, R};
use crate::types::{Class, Space, Ty};

impl<'a> Builder<'a> {
    /// The kernel's number of a function's register.
    pub(super) fn register(&mut self, frame: &mut Frame<'a>, register: u32) -> Result<R> {
        let known = frame.registers[register as usize];
        if known != NONE {
            return Ok(known);
        }
        let ty = frame.function.registers[register as usize];
        let new = self.fresh(ty.class())?;
        frame.registers[register as usize] = new;
        let name = &frame.function.register_names[register as usize];
        let name = match self.inside.len() {
            1 => name.clone(),
            _ => format!("{} {name}", frame.function.name),
        };
        self.named.push(Named { register: new, name, ty });
        Ok(new)
    }

    /// A register read as `ty`, of exactly its width.
    pub(super) fn read(&mut self, frame: &mut Frame<'a>, operand: &Operand, ty: Ty) -> Result<R> {
        if let &Operand::Register(register) = operand {
            fits(frame.function.registers[register as usize], ty)?;
            return self.register(frame, register);
        }
        self.value(frame, operand, ty)
    }

    /// A register read as `ty` that may be wider; says whether it has 64 bits.
    pub(super) fn read_wide(
        &mut self,
        frame: &mut Frame<'a>,
        operand: &Operand,
        ty: Ty,
    ) -> Result<(R, bool)> {
        if let &Operand::Register(register) = operand {
            let has = frame.function.registers[register as usize];
            if has == Ty::Pred || has.bits() < ty.bits() {
                return Err(format!("a register of {} bits for {} bits", has.bits(), ty.bits()));
            }
            return Ok((self.register(frame, register)?, has.class() == Class::Long));
        }
        Ok((self.value(frame, operand, ty)?, ty.class() == Class::Long))
    }

    pub(super) fn write(&mut self, frame: &mut Frame<'a>, operand: &Operand, ty: Ty) -> Result<R> {
        match *operand {
            Operand::Register(register) => {
                fits(frame.function.registers[register as usize], ty)?;
                self.register(frame, register)
            }
            Operand::Sink => self.fresh(ty.class()),
            _ => Err("the result must be a register".to_owned()),
        }
    }

    pub(super) fn write_wide(
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

    /// Operands other than registers: numbers, special registers, addresses.
    pub(super) fn value(&mut self, frame: &mut Frame<'a>, operand: &Operand, ty: Ty) -> Result<R> {
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
            Operand::Symbol(ref name, 0) if name == "WARP_SZ" => 32,
            Operand::Variable(..)
            | Operand::Parameter(..)
            | Operand::Return(..)
            | Operand::Symbol(..) => {
                let (spot, offset) = self.spot(frame, operand)?;
                if let &Operand::Variable(index, 0) = operand
                    && frame.function.variables[index as usize].name.starts_with("__local_depot")
                    && ty.bits() == 64
                {
                    return self.preset(Preset::Depot(spot.at), Class::Long);
                }
                return self.address_of(spot, offset, ty);
            }
            Operand::Register(_) => return self.read(frame, operand, ty),
            _ => return Err("this operand is not supported here".to_owned()),
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
            (Space::Shared, bits @ (32 | 64)) => {
                let begins = |&&(start, _): &&(u32, u32)| u64::from(start) == spot.at;
                // What the launch sizes comes last.
                let last = (spot.at as u32, u32::MAX);
                let variable = self.shareds.iter().find(begins).copied().unwrap_or(last);
                let preset = Preset::Shared { at: at as u32, variable, wide: bits == 64 };
                self.preset(preset, ty.class())
            }
            (Space::Param | Space::Local, 64) => self.preset(Preset::Long(at), Class::Long),
            (Space::Param | Space::Local, 32) => self.preset(Preset::Word(at as u32), Class::Word),
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
            // Every block is a cluster of its own.
            "%clusterid.x" | "%clusterid.y" | "%clusterid.z" => {
                Preset::Ctaid(axis(name).unwrap_or(0))
            }
            "%nclusterid.x" | "%nclusterid.y" | "%nclusterid.z" => {
                Preset::Nctaid(axis(name).unwrap_or(0))
            }
            "%cluster_ctaid.x" | "%cluster_ctaid.y" | "%cluster_ctaid.z" => Preset::Word(0),
            "%cluster_nctaid.x" | "%cluster_nctaid.y" | "%cluster_nctaid.z" => Preset::Word(1),
            "%cluster_ctarank" => Preset::Word(0),
            "%cluster_nctarank" => Preset::Word(1),
            "%is_explicit_cluster" => return self.preset(Preset::False, Class::Pred),
            "%aggr_smem_size" => Preset::TotalShared,
            "%gridid" if ty.bits() == 64 => return self.preset(Preset::Long(0), Class::Long),
            "%smid" | "%gridid" => Preset::Word(0),
            "%nsmid" => Preset::Word(1),
            "%clock" | "%clock_hi" | "%clock64" | "%globaltimer" | "%globaltimer_lo"
            | "%globaltimer_hi" => {
                let class = ty.class();
                let d = self.fresh(class)?;
                self.emit(Instruction { d, ..Instruction::new(Op::Clock(class)) })?;
                return Ok(d);
            }
            _ if is_left_out(name) => return Err(format!("{name} is not supported")),
            _ => return Err(format!("{name} is neither declared nor a special register")),
        };
        match ty.bits() {
            32 | 16 => self.preset(preset, Class::Word),
            bits => Err(format!("{name} has 32 bits, not {bits}")),
        }
    }
}

/// Is it a special register whose value only a driver or a card has?
fn is_left_out(name: &str) -> bool {
    let numbered = |begin: &str| {
        let rest = name.strip_prefix(begin);
        rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    numbered("%envreg")
        || numbered("%pm")
        || name.starts_with("%reserved_smem_offset_")
        || name == "%current_graph_exec"
}

fn fits(has: Ty, ty: Ty) -> Result<()> {
    if has.bits() == ty.bits() && (has == Ty::Pred) == (ty == Ty::Pred) {
        return Ok(());
    }
    Err(format!("a register of {} bits where {} are expected", has.bits(), ty.bits()))
}
