//! Dot products of bytes.

use super::arithmetic::exactly;
use super::builder::{Builder, Frame, Result};
use super::opcode::Opcode;
use crate::ast::Operand;
use crate::ops::*;
use crate::types::Ty;

impl<'a> Builder<'a> {
    /// Decodes `dp4a` or `dp2a`.
    pub(super) fn dot(
        &mut self,
        frame: &mut Frame<'a>,
        mut op: Opcode<'a>,
        operands: &'a [Operand],
    ) -> Result<()> {
        let ty_a = op.ty()?;
        let ty_b = op.ty()?;
        let [signed_a, signed_b] = [ty_a, ty_b].map(Ty::is_signed);
        let ways = if op.name == "dp4a" { 4 } else { 2 };
        // Which half of b is multiplied is a question only where not all of it is.
        let high = ways == 2 && op.either("hi", "lo");
        op.done()?;
        let mut i = Instruction::new(Op::Dot { ways, signed_a, signed_b, high });
        let [d, a, b, c] = exactly(operands)?;
        i.a = self.read(frame, a, Ty::B32)?;
        i.b = self.read(frame, b, Ty::B32)?;
        i.c = self.read(frame, c, Ty::B32)?;
        i.d = self.write(frame, d, Ty::B32)?;
        self.emit(i)
    }
}
