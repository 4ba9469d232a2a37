//! Loads, stores, atomics, asynchronous copies and matrix fragments.

use super::arithmetic::exactly;
use super::builder::{Builder, Frame, Result, Spot};
use super::copy::without_policy;
use super::opcode::Opcode;
use crate::ast::Operand;
use crate::ops::*;
use crate::types::{Class, Space, Ty};

/// Suffixes for caches, ignored: there are none.
const HINTS: &[&str] = &["ca", "cg", "cs", "lu", "cv", "wb", "wt", "noftz"];

impl<'a> Builder<'a> {
    /// Decodes a memory instruction; false if it is another kind.
    pub(super) fn memory(
        &mut self,
        frame: &mut Frame<'a>,
        mut op: Opcode<'a>,
        operands: &'a [Operand],
    ) -> Result<bool> {
        match op.name {
            "ld" | "ldu" => self.load(frame, op, operands)?,
            "st" => self.store(frame, op, operands)?,
            "atom" | "red" => self.atomic(frame, op, operands)?,
            "prefetch" | "prefetchu" | "discard" | "applypriority" => {
                self.emit(Instruction::new(Op::Nop))?;
            }
            "cp" => self.copy_async(frame, op, operands)?,
            "movmatrix" => {
                let flags = ["sync", "aligned", "m8n8", "trans", "b16"];
                if !flags.iter().all(|flag| op.flag(flag)) {
                    return Err(format!("{} is not known", op.text));
                }
                op.done()?;
                let [d, a] = exactly(operands)?;
                let mut i = Instruction::new(Op::MoveMatrix);
                i.a = self.read(frame, a, Ty::B32)?;
                i.d = self.write(frame, d, Ty::B32)?;
                self.emit(i)?;
            }
            "createpolicy" => {
                // A policy for caches that are not there.
                let d = operands.first().ok_or("operands are missing")?;
                let mut i = Instruction::new(Op::Logic(Logic::Mov, Class::Long));
                i.a = self.preset(Preset::Long(0), Class::Long)?;
                i.b = i.a;
                i.d = self.write(frame, d, Ty::B64)?;
                self.emit(i)?;
            }
            "ldmatrix" | "stmatrix" => {
                let load = op.name == "ldmatrix";
                let count = op.need("count", |s| {
                    Some(match s {
                        "x1" => 1,
                        "x2" => 2,
                        "x4" => 4,
                        _ => return None,
                    })
                })?;
                let transposed = op.flag("trans");
                let space = op.find(Space::from_name).unwrap_or(Space::Generic);
                if !(op.flag("sync")
                    && op.flag("aligned")
                    && op.flag("m8n8")
                    && op.flag("b16")
                    && matches!(space, Space::Shared | Space::Generic))
                {
                    return Err(format!("{} is not known", op.text));
                }
                op.done()?;
                let [first, second] = exactly(operands)?;
                let (vector, address) = if load { (first, second) } else { (second, first) };
                let mut i = Instruction::new(Op::Nop);
                let address = self.address(frame, address, Space::Shared, &mut i)?.1;
                if space == Space::Generic && address != Address::Fixed {
                    let class = self.classes[i.a as usize];
                    let mut own = Instruction::new(Op::FromGeneric(Space::Shared, class));
                    (own.a, own.d) = (i.a, self.fresh(class)?);
                    i.a = own.d;
                    self.emit(own)?;
                }
                let registers = self.vector(frame, vector, Ty::B32, count, load)?;
                if load {
                    i.outs = self.list(&registers);
                    i.op = Op::LoadMatrix { transposed, address };
                } else {
                    i.ins = self.list(&registers);
                    i.op = Op::StoreMatrix { transposed, address };
                }
                self.emit(i)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// `[base + offset]`: sets `a` and `imm` of the instruction, returns the space.
    pub(super) fn address(
        &mut self,
        frame: &mut Frame<'a>,
        operand: &Operand,
        space: Space,
        i: &mut Instruction,
    ) -> Result<(Space, Address)> {
        let Operand::Address(base, offset) = operand else {
            return Err("an address in brackets expected".to_owned());
        };
        let narrow =
            |offset: i64| i32::try_from(offset).map_err(|_| format!("an offset of {offset} bytes"));
        match &**base {
            &Operand::Register(register) => {
                let ty = frame.function.registers[register as usize];
                i.a = self.register(frame, register)?;
                i.imm = narrow(*offset)?;
                match ty.bits() {
                    64 => Ok((space, Address::Long)),
                    32 => Ok((space, Address::Word)),
                    bits => Err(format!("an address of {bits} bits")),
                }
            }
            &Operand::Int(at) => {
                i.a = self.preset(Preset::Long(at.wrapping_add(*offset as u64)), Class::Long)?;
                Ok((space, Address::Long))
            }
            named => {
                let (Spot { space: at_space, at }, inner) = self.spot(frame, named)?;
                let offset = offset.wrapping_add(inner);
                let same = at_space == space
                    || space == Space::Param && at_space == Space::Local
                    || space == Space::Generic && matches!(at_space, Space::Global | Space::Const);
                if !same {
                    return Err(format!("a variable of another space in {space:?} access"));
                }
                if matches!(at_space, Space::Global | Space::Const) {
                    i.a = self.preset(Preset::Global(at as u32, offset), Class::Long)?;
                    return Ok((space, Address::Long));
                }
                i.imm = narrow((at as i64).wrapping_add(offset))?;
                Ok((at_space, Address::Fixed))
            }
        }
    }

    pub(super) fn vector(
        &mut self,
        frame: &mut Frame<'a>,
        operand: &Operand,
        ty: Ty,
        count: usize,
        write: bool,
    ) -> Result<Vec<R>> {
        let single = std::slice::from_ref(operand);
        let parts = match operand {
            Operand::Vector(parts) => parts.as_slice(),
            _ => single,
        };
        if parts.len() != count {
            return Err(format!("{} registers where {count} are expected", parts.len()));
        }
        let mut registers = Vec::new();
        for part in parts {
            registers.push(match write {
                true => self.write(frame, part, ty)?,
                false => self.read(frame, part, ty)?,
            });
        }
        Ok(registers)
    }

    fn load(
        &mut self,
        frame: &mut Frame<'a>,
        mut op: Opcode<'a>,
        operands: &[Operand],
    ) -> Result<()> {
        let operands = without_policy(&op, operands)?;
        let semantics = semantics(&mut op, MemoryOrder::Weak);
        op.ignore(HINTS);
        let space = op.find(Space::from_name).unwrap_or(Space::Generic);
        let count = op.find(count).unwrap_or(1);
        let ty = op.ty()?;
        op.done()?;
        let [d, a] = exactly(operands)?;
        let mut i = Instruction::new(Op::Nop);
        let (space, address) = self.address(frame, a, space, &mut i)?;
        let (registers, wide) = self.elements(frame, d, (ty, count), space, true)?;
        i.outs = self.list(&registers);
        i.op = Op::Load {
            space,
            bytes: ty.bytes() as u8,
            signed: ty.is_signed(),
            wide,
            address,
            semantics,
        };
        self.emit(i)
    }

    fn store(
        &mut self,
        frame: &mut Frame<'a>,
        mut op: Opcode<'a>,
        operands: &[Operand],
    ) -> Result<()> {
        let operands = without_policy(&op, operands)?;
        let semantics = semantics(&mut op, MemoryOrder::Weak);
        op.ignore(HINTS);
        let space = op.find(Space::from_name).unwrap_or(Space::Generic);
        let count = op.find(count).unwrap_or(1);
        let ty = op.ty()?;
        op.done()?;
        if space == Space::Const {
            return Err("a store to constant memory".to_owned());
        }
        let [a, value] = exactly(operands)?;
        let mut i = Instruction::new(Op::Nop);
        let (space, address) = self.address(frame, a, space, &mut i)?;
        if space == Space::Param {
            return Err("a store to a kernel's parameter".to_owned());
        }
        let (registers, wide) = self.elements(frame, value, (ty, count), space, false)?;
        i.ins = self.list(&registers);
        i.op = Op::Store { space, bytes: ty.bytes() as u8, wide, address, semantics };
        self.emit(i)
    }

    /// Registers of a load or store, all in the same file; they may be wider than the type.
    fn elements(
        &mut self,
        frame: &mut Frame<'a>,
        operand: &Operand,
        (ty, count): (Ty, usize),
        space: Space,
        write: bool,
    ) -> Result<(Vec<R>, bool)> {
        let bytes = ty.bytes() * count;
        let whole_sector = space == Space::Global && bytes == 32 && ty.bytes() >= 4;
        if ty == Ty::Pred || bytes > 16 && !whole_sector {
            return Err(format!("{count} elements of {} bits", ty.bits()));
        }
        let parts = match operand {
            Operand::Vector(parts) => parts.as_slice(),
            single => std::slice::from_ref(single),
        };
        if parts.len() != count {
            return Err(format!("{} registers where {count} are expected", parts.len()));
        }
        // Operands without a width (sinks, numbers) take that of the registers next to them.
        let mut wide = ty.class() == Class::Long;
        for part in parts {
            if let &Operand::Register(register) = part {
                wide |= frame.function.registers[register as usize].class() == Class::Long;
            }
        }
        let mut registers = Vec::new();
        for part in parts {
            let wanted = if wide { Ty::B64 } else { ty };
            let (register, is_wide) = match (write, part) {
                (_, Operand::Register(_)) => self.read_wide(frame, part, ty)?,
                (true, _) => self.write_wide(frame, part, wanted)?,
                (false, _) => (self.value(frame, part, wanted)?, wide),
            };
            if is_wide != wide {
                return Err("registers of different widths in one access".to_owned());
            }
            registers.push(register);
        }
        Ok((registers, wide))
    }

    fn atomic<'o>(
        &mut self,
        frame: &mut Frame<'a>,
        mut op: Opcode<'a>,
        operands: &'o [Operand],
    ) -> Result<()> {
        let operands = without_policy(&op, operands)?;
        let semantics = semantics(&mut op, MemoryOrder::Relaxed);
        op.ignore(HINTS);
        let space = op.find(Space::from_name).unwrap_or(Space::Generic);
        let atomic = op.need("operation", |name| {
            Some(match name {
                "add" => Atomic::Add,
                "min" => Atomic::Min,
                "max" => Atomic::Max,
                "and" => Atomic::And,
                "or" => Atomic::Or,
                "xor" => Atomic::Xor,
                "exch" => Atomic::Exch,
                "cas" => Atomic::Cas,
                "inc" => Atomic::Inc,
                "dec" => Atomic::Dec,
                _ => return None,
            })
        })?;
        let count = op.find(count).unwrap_or(1);
        let ty = op.ty()?;
        op.done()?;
        if !matches!(space, Space::Generic | Space::Global | Space::Shared) {
            return Err(format!("{} in a space that has no atomics", op.text));
        }
        let float_only =
            matches!(ty, Ty::F16 | Ty::F16x2 | Ty::Bf16 | Ty::Bf16x2 | Ty::F32 | Ty::F64);
        // Vectors of halves also have a minimum and a maximum.
        let half = ty.is_float() && ty.bytes() <= 4 && ty != Ty::F32 && count > 1;
        let extremes = half && matches!(atomic, Atomic::Min | Atomic::Max);
        let vector = count == 1 || ty.is_float() && ty != Ty::F64 && count * ty.bytes() <= 16;
        if ty.bytes() < 2
            || (float_only && atomic != Atomic::Add && !extremes)
            || ty == Ty::Tf32
            || !vector
        {
            return Err(format!("{} is not known", op.text));
        }
        let known = match atomic {
            Atomic::Inc | Atomic::Dec => ty == Ty::U32,
            Atomic::Min | Atomic::Max => !matches!(ty, Ty::B32 | Ty::B64),
            _ => true,
        };
        if !known || ty.bytes() == 2 && !float_only && atomic != Atomic::Cas {
            return Err(format!("{} is not known", op.text));
        }
        let returns = op.name == "atom";
        let (d, rest) = match (returns, operands) {
            (true, [d, rest @ ..]) => (d, rest),
            (false, rest) => (&Operand::Sink, rest),
            _ => return Err("operands are missing".to_owned()),
        };
        let mut i = Instruction::new(Op::Nop);
        let (a, b, c) = match (rest, atomic) {
            ([a, b, c], Atomic::Cas) => (a, b, c),
            ([a, b], _) if atomic != Atomic::Cas => (a, b, b),
            _ => return Err(format!("{} operands of {}", operands.len(), op.text)),
        };
        let (space, address) = self.address(frame, a, space, &mut i)?;
        i.op = Op::Atomic { op: atomic, space, ty, address, semantics };
        // Of a vector each element is an atomic of its own.
        for k in 0..count {
            let part = |operand: &'o Operand| match operand {
                Operand::Vector(parts) if parts.len() == count => Ok(&parts[k]),
                Operand::Vector(parts) => {
                    Err(format!("{} registers where {count} are expected", parts.len()))
                }
                operand if count == 1 || *operand == Operand::Sink => Ok(operand),
                _ => Err(format!("{} needs vectors", op.text)),
            };
            let d = part(d)?;
            i.b = self.read(frame, part(b)?, ty)?;
            i.c = self.read(frame, part(c)?, ty)?;
            // Without a result the order of integer operations does not matter: `e` marks that.
            i.d = self.write(frame, d, ty)?;
            i.e = if returns && *d != Operand::Sink { i.d } else { NONE };
            self.emit(i)?;
            i.imm += ty.bytes() as i32;
        }
        Ok(())
    }
}

/// Takes order and scope.
fn semantics(op: &mut Opcode<'_>, default: MemoryOrder) -> Semantics {
    op.flag("mmio");
    let order = op.find(|suffix| {
        Some(match suffix {
            "weak" => MemoryOrder::Weak,
            "nc" => MemoryOrder::ReadOnly,
            "volatile" => MemoryOrder::Volatile,
            "relaxed" => MemoryOrder::Relaxed,
            "acquire" => MemoryOrder::Acquire,
            "release" => MemoryOrder::Release,
            "acq_rel" => MemoryOrder::AcquireRelease,
            _ => return None,
        })
    });
    let in_block = op.flag("cta");
    ["cluster", "gpu", "sys"].into_iter().for_each(|scope| _ = op.flag(scope));
    Semantics { order: order.unwrap_or(default), in_block }
}

fn count(name: &str) -> Option<usize> {
    match name {
        "v2" => Some(2),
        "v4" => Some(4),
        "v8" => Some(8),
        _ => None,
    }
}
