//! Asynchronous copies, and cache policies, which do nothing here.

use super::arithmetic::exactly;
use super::builder::{Builder, Frame, Result};
use super::opcode::Opcode;
use crate::ast::Operand;
use crate::ops::*;
use crate::types::{Class, Space, Ty};

impl<'a> Builder<'a> {
    pub(super) fn copy_async(
        &mut self,
        frame: &mut Frame<'a>,
        mut op: Opcode<'a>,
        operands: &[Operand],
    ) -> Result<()> {
        if !op.flag("async") || op.flag("bulk") {
            return Err(format!("{} is not known", op.text));
        }
        let mut i = Instruction::new(Op::CopyCommit);
        if op.flag("mbarrier") {
            let counts = op.flag("noinc");
            let shared = op.find(Space::from_name).is_none_or(|space| space == Space::Shared);
            if !op.flag("arrive") || !shared || op.ty()? != Ty::B64 {
                return Err(format!("{} is not known", op.text));
            }
            let [at] = exactly(operands)?;
            let (_, address) = self.address(frame, at, Space::Shared, &mut i)?;
            i.op = Op::MBarrier(MBarrier::CopyArrive { counts }, address);
        } else if op.flag("commit_group") {
            exactly::<0>(operands)?;
        } else if op.flag("wait_all") {
            exactly::<0>(operands)?;
            i.op = Op::CopyWait;
            i.imm = -1;
        } else if op.flag("wait_group") {
            let [Operand::Int(groups)] = operands else {
                return Err("cp.async.wait_group needs a number".to_owned());
            };
            i.op = Op::CopyWait;
            i.imm = i32::try_from(*groups).map_err(|_| format!("{groups} groups"))?;
        } else {
            let (ca, cg) = (op.flag("ca"), op.flag("cg"));
            let spaces = (op.find(Space::from_name), op.find(Space::from_name));
            if spaces != (Some(Space::Shared), Some(Space::Global)) || ca == cg {
                return Err(format!("{} is not known", op.text));
            }
            let operands = without_policy(&op, operands)?;
            op.ignore(&[]);
            let [to, from, Operand::Int(bytes), rest @ ..] = operands else {
                return Err("cp.async needs two addresses and a size".to_owned());
            };
            if !matches!(bytes, 4 | 8 | 16) || (cg && *bytes != 16) {
                return Err(format!("{} of {bytes} bytes", op.text));
            }
            let mut source = Instruction::new(Op::Nop);
            let (_, from) = self.address(frame, from, Space::Global, &mut source)?;
            if from != Address::Long {
                return Err("the source of cp.async needs a 64-bit address".to_owned());
            }
            i.b = source.a;
            let offset = self.preset(Preset::Word(source.imm as u32), Class::Word)?;
            i.ins = self.list(&[offset]);
            i.c = match rest {
                [] => self.preset(Preset::Word(*bytes as u32), Class::Word)?,
                &[Operand::Register(p)] if frame.function.registers[p as usize] == Ty::Pred => {
                    // Zeros where the source is to be ignored.
                    let mut size = Instruction::new(Op::Select(Class::Word));
                    size.a = self.preset(Preset::Word(0), Class::Word)?;
                    size.b = self.preset(Preset::Word(*bytes as u32), Class::Word)?;
                    size.c = self.register(frame, p)?;
                    size.d = self.fresh(Class::Word)?;
                    self.emit(size)?;
                    size.d
                }
                [size] => self.read(frame, size, Ty::B32)?,
                _ => return Err("unsupported operands of cp.async".to_owned()),
            };
            let (_, address) = self.address(frame, to, Space::Shared, &mut i)?;
            i.op = Op::CopyAsync { bytes: *bytes as u8, address };
        }
        op.done()?;
        self.emit(i)
    }
}

/// The operands without the cache policy, which has no effect here.
pub(super) fn without_policy<'o>(
    op: &Opcode<'_>,
    operands: &'o [Operand],
) -> Result<&'o [Operand]> {
    if !op.text.ends_with(".L2::cache_hint") && !op.text.contains(".L2::cache_hint.") {
        return Ok(operands);
    }
    let missing = || format!("{} without a cache policy", op.text);
    operands.split_last().map(|(_, rest)| rest).ok_or_else(missing)
}
