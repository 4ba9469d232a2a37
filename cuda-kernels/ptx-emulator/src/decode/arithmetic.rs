//! Integer, float and bit operations.

use super::builder::{Builder, Frame, Result};
use super::opcode::Opcode;
use crate::ast::Operand;
use crate::ops::*;
use crate::types::{Class, Ty};

/// Takes exactly N operands.
pub fn exactly<const N: usize>(operands: &[Operand]) -> Result<&[Operand; N]> {
    operands.try_into().map_err(|_| format!("{} operands where {N} are expected", operands.len()))
}

impl<'a> Builder<'a> {
    /// Decodes an arithmetic instruction; false if it is another kind.
    pub(super) fn arithmetic(
        &mut self,
        frame: &mut Frame<'a>,
        mut op: Opcode<'a>,
        operands: &'a [Operand],
    ) -> Result<bool> {
        match op.name {
            "add" | "sub" | "addc" | "subc" | "mad" | "madc" | "mul" | "div" | "min" | "max"
            | "neg" | "abs" | "rem" | "fma" => {
                if op.flag("f32x2") {
                    self.float_pair(frame, op, operands)?;
                    return Ok(true);
                }
                let ty = op.ty()?;
                if ty.is_float() {
                    self.float(frame, op, ty, operands)?;
                } else {
                    self.integer(frame, op, ty, operands)?;
                }
            }
            "rcp" | "sqrt" | "rsqrt" | "ex2" | "lg2" | "sin" | "cos" | "tanh" | "copysign" => {
                let ty = op.ty()?;
                self.float(frame, op, ty, operands)?;
            }
            "and" | "or" | "xor" | "not" => self.logic(frame, op, operands)?,
            "shl" | "shr" | "popc" | "clz" | "brev" | "bfind" | "cnot" | "mul24" | "mad24"
            | "sad" | "bfe" | "bfi" | "shf" | "prmt" | "lop3" | "fns" | "bmsk" | "szext" => {
                self.bits(frame, op, operands)?;
            }
            "dp4a" | "dp2a" => self.dot(frame, op, operands)?,
            "setp" | "set" | "selp" | "slct" | "testp" => self.comparison(frame, op, operands)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn logic(
        &mut self,
        frame: &mut Frame<'a>,
        mut op: Opcode<'a>,
        operands: &[Operand],
    ) -> Result<()> {
        let ty = op.ty()?;
        op.done()?;
        let logic = match op.name {
            "and" => Logic::And,
            "or" => Logic::Or,
            "xor" => Logic::Xor,
            _ => Logic::Not,
        };
        let mut instruction = Instruction::new(Op::Logic(logic, ty.class()));
        if logic == Logic::Not {
            let [d, a] = exactly(operands)?;
            instruction.a = self.read(frame, a, ty)?;
            instruction.d = self.write(frame, d, ty)?;
            if ty.bits() == 16 {
                instruction.op = Op::Logic(Logic::Xor, Class::Word);
                instruction.b = self.preset(Preset::Word(0xffff), Class::Word)?;
            }
        } else {
            let [d, a, b] = exactly(operands)?;
            instruction.a = self.read(frame, a, ty)?;
            instruction.b = self.read(frame, b, ty)?;
            instruction.d = self.write(frame, d, ty)?;
        }
        self.emit(instruction)
    }

    fn integer(
        &mut self,
        frame: &mut Frame<'a>,
        mut op: Opcode<'a>,
        ty: Ty,
        operands: &[Operand],
    ) -> Result<()> {
        let (hi, wide) = (op.either("hi", "lo"), op.flag("wide"));
        let (sat, cc) = (op.flag("sat"), op.flag("cc"));
        let relu = op.flag("relu");
        op.done()?;
        let carry_in = matches!(op.name, "addc" | "subc" | "madc");
        if cc || carry_in {
            let carry = match op.name {
                "add" | "addc" => Carry::Add,
                "sub" | "subc" => Carry::Sub,
                _ if hi => Carry::MadHi,
                _ => Carry::MadLo,
            };
            let mut i = Instruction::new(Op::Carry { op: carry, ty, carry_in, carry_out: cc });
            i.a = self.read(frame, operands.get(1).ok_or("an operand is missing")?, ty)?;
            i.b = self.read(frame, operands.get(2).ok_or("an operand is missing")?, ty)?;
            if matches!(carry, Carry::MadHi | Carry::MadLo) {
                let [_, _, _, c] = exactly(operands)?;
                i.c = self.read(frame, c, ty)?;
            } else {
                exactly::<3>(operands)?;
            }
            i.d = self.write(frame, &operands[0], ty)?;
            return self.emit(i);
        }
        let to = match (wide, ty) {
            (false, _) => ty,
            (_, Ty::U16) => Ty::U32,
            (_, Ty::S16) => Ty::S32,
            (_, Ty::U32) => Ty::U64,
            _ => Ty::S64,
        };
        if op.name == "mad" {
            let [d, a, b, c] = exactly(operands)?;
            let int = match (hi, wide) {
                (true, _) if sat => Int3::MadHiSat,
                (true, _) => Int3::MadHi,
                (_, true) => Int3::MadWide,
                _ => Int3::MadLo,
            };
            let mut i = Instruction::new(Op::Int3(int, ty));
            i.a = self.read(frame, a, ty)?;
            i.b = self.read(frame, b, ty)?;
            i.c = self.read(frame, c, to)?;
            i.d = self.write(frame, d, to)?;
            return self.emit(i);
        }
        let int = match op.name {
            "add" if sat => Int::AddSat,
            "add" => Int::Add,
            "sub" if sat => Int::SubSat,
            "sub" => Int::Sub,
            "mul" if hi => Int::MulHi,
            "mul" if wide => Int::MulWide,
            "mul" => Int::MulLo,
            "div" => Int::Div,
            "rem" => Int::Rem,
            "min" if relu => Int::MinRelu,
            "max" if relu => Int::MaxRelu,
            "min" => Int::Min,
            "max" => Int::Max,
            "neg" => Int::Neg,
            _ => Int::Abs,
        };
        let mut i = Instruction::new(Op::Int(int, ty));
        if matches!(int, Int::Neg | Int::Abs) {
            let [d, a] = exactly(operands)?;
            i.a = self.read(frame, a, ty)?;
            i.b = i.a;
            i.d = self.write(frame, d, ty)?;
        } else {
            let [d, a, b] = exactly(operands)?;
            i.a = self.read(frame, a, ty)?;
            i.b = self.read(frame, b, ty)?;
            i.d = self.write(frame, d, to)?;
        }
        self.emit(i)
    }

    /// `min` or `max` of three, of their sizes if `abs` says so.
    fn of_three(
        &mut self,
        frame: &mut Frame<'a>,
        (float, mode): (Float, Mode),
        abs: bool,
        [d, a, b, c]: &[Operand; 4],
    ) -> Result<()> {
        let mut parts = Vec::new();
        for part in [a, b, c] {
            let mut part = self.read(frame, part, Ty::F32)?;
            if abs {
                let mut i = Instruction::new(Op::Float(Float::Abs, Ty::F32, Mode::PLAIN));
                (i.a, i.b, i.c) = (part, part, part);
                part = self.fresh(Class::Word)?;
                i.d = part;
                self.emit(i)?;
            }
            parts.push(part);
        }
        let mut i = Instruction::new(Op::Float(float, Ty::F32, mode));
        (i.a, i.b, i.c) = (parts[0], parts[1], parts[1]);
        i.d = self.fresh(Class::Word)?;
        let first = i.d;
        self.emit(i)?;
        (i.a, i.b, i.c) = (first, parts[2], parts[2]);
        i.d = self.write(frame, d, Ty::F32)?;
        self.emit(i)
    }

    /// Two f32 in 64 bits: each of them apart.
    fn float_pair(
        &mut self,
        frame: &mut Frame<'a>,
        mut op: Opcode<'a>,
        operands: &[Operand],
    ) -> Result<()> {
        let mode = op.mode();
        op.done()?;
        let (float, wanted) = match op.name {
            "add" => (Float::Add, 3),
            "sub" => (Float::Sub, 3),
            "mul" => (Float::Mul, 3),
            _ => (Float::Fma, 4),
        };
        if operands.len() != wanted {
            return Err(format!("{} operands where {wanted} are expected", operands.len()));
        }
        let mut halves = Vec::new();
        for operand in &operands[1..] {
            let mut i = Instruction::new(Op::Unpack { bits: 32, class: Class::Long });
            i.a = self.read(frame, operand, Ty::B64)?;
            let pair = [self.fresh(Class::Word)?, self.fresh(Class::Word)?];
            i.outs = self.list(&pair);
            self.emit(i)?;
            halves.push(pair);
        }
        let mut results = [NONE; 2];
        for (half, result) in results.iter_mut().enumerate() {
            let mut i = Instruction::new(Op::Float(float, Ty::F32, mode));
            (i.a, i.b, i.c) = (halves[0][half], halves[1][half], halves[wanted - 2][half]);
            i.d = self.fresh(Class::Word)?;
            *result = i.d;
            self.emit(i)?;
        }
        let mut i = Instruction::new(Op::Pack { bits: 32, class: Class::Long });
        i.ins = self.list(&results);
        i.d = self.write(frame, &operands[0], Ty::B64)?;
        self.emit(i)
    }

    /// An operand as f32 that is stated as `half`.
    fn widened(&mut self, frame: &mut Frame<'a>, operand: &Operand, half: Ty) -> Result<R> {
        let op = Op::Convert {
            to: Ty::F32,
            from: half,
            mode: Mode::PLAIN,
            integral: false,
            wide_to: false,
            wide_from: false,
        };
        let mut i = Instruction::new(op);
        i.a = self.read(frame, operand, half)?;
        i.d = self.fresh(Class::Word)?;
        self.emit(i)?;
        Ok(i.d)
    }

    fn float(
        &mut self,
        frame: &mut Frame<'a>,
        mut op: Opcode<'a>,
        ty: Ty,
        operands: &[Operand],
    ) -> Result<()> {
        let approx = op.either("approx", "full");
        let mode = op.mode();
        let nan = op.flag("NaN");
        let (xor, abs) = (op.flag("xorsign"), op.flag("abs"));
        // Factors and first terms of 16 bits, with a result and a last term of f32.
        let factor = op.find(Ty::from_name);
        op.done()?;
        let float = match op.name {
            "add" => Float::Add,
            "sub" => Float::Sub,
            "mul" => Float::Mul,
            "fma" | "mad" => Float::Fma,
            "div" if approx => Float::DivApprox,
            "div" => Float::Div,
            "rcp" if approx => Float::RcpApprox,
            "rcp" => Float::Rcp,
            "sqrt" if approx => Float::SqrtApprox,
            "sqrt" => Float::Sqrt,
            "rsqrt" => Float::RsqrtApprox,
            "ex2" => Float::Ex2,
            "tanh" => Float::Tanh,
            "lg2" => Float::Lg2,
            "sin" => Float::Sin,
            "cos" => Float::Cos,
            "min" if xor && nan => Float::MinNanXor,
            "max" if xor && nan => Float::MaxNanXor,
            "min" if xor => Float::MinXor,
            "max" if xor => Float::MaxXor,
            "min" if nan => Float::MinNan,
            "max" if nan => Float::MaxNan,
            "min" => Float::Min,
            "max" => Float::Max,
            "neg" => Float::Neg,
            "abs" => Float::Abs,
            _ => Float::CopySign,
        };
        if let [_, _, _, _] = operands
            && ty == Ty::F32
            && !xor
            && matches!(float, Float::Min | Float::Max | Float::MinNan | Float::MaxNan)
        {
            return self.of_three(frame, (float, mode), abs, exactly(operands)?);
        }
        if abs && !xor {
            return Err(format!("{} is not known", op.text));
        }
        let mut i = Instruction::new(Op::Float(float, ty, mode));
        let count = operands.len();
        let wanted = match float {
            Float::Fma => 4,
            Float::Add | Float::Sub | Float::Mul | Float::Div | Float::DivApprox => 3,
            Float::Min | Float::Max | Float::MinNan | Float::MaxNan => 3,
            Float::MinXor | Float::MaxXor | Float::MinNanXor | Float::MaxNanXor => 3,
            Float::CopySign => 3,
            _ => 2,
        };
        if count != wanted {
            return Err(format!("{count} operands where {wanted} are expected"));
        }
        i.a = match factor {
            Some(half) => self.widened(frame, &operands[1], half)?,
            None => self.read(frame, &operands[1], ty)?,
        };
        i.b = match factor {
            Some(half) if wanted > 3 => self.widened(frame, &operands[2], half)?,
            _ if wanted > 2 => self.read(frame, &operands[2], ty)?,
            _ => i.a,
        };
        i.c = if wanted > 3 { self.read(frame, &operands[3], ty)? } else { i.a };
        i.d = self.write(frame, &operands[0], ty)?;
        self.emit(i)
    }
}
