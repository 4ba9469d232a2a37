//! Declarations of variables and parameters.

use super::state::{MAX_VARIABLE, Parser, Result, show};
use crate::ast::Variable;
use crate::lexer::Kind;
use crate::types::{Space, Ty};

impl Parser<'_, '_> {
    /// `.space .align N .type name[...] = {...}, name...;`
    pub(super) fn variable_after_linkage(&mut self, external: bool) -> Result<Vec<Variable>> {
        let word = self.word()?;
        let Some(space) = word.get(1..).and_then(Space::from_name) else {
            return self.error(format!("{word} is not a state space"));
        };
        self.variables(space, external)
    }

    fn variables(&mut self, space: Space, external: bool) -> Result<Vec<Variable>> {
        let mut found = Vec::new();
        let (ty, align, lanes) = self.type_and_align()?;
        loop {
            let name = self.word()?.to_owned();
            let mut variable = self.extent(name, space, ty, align, lanes, external)?;
            if self.take(b'=') {
                self.initialiser(&mut variable)?;
            }
            found.push(variable);
            if !self.take(b',') {
                break;
            }
        }
        self.expect(b';')?;
        Ok(found)
    }

    fn type_and_align(&mut self) -> Result<(Ty, usize, usize)> {
        let (mut align, mut lanes) = (0, 1);
        loop {
            let word = self.word()?;
            match word {
                ".align" => {
                    align = self.int()? as usize;
                    if !align.is_power_of_two() || align > 128 * 1024 {
                        return self.error(format!("an alignment of {align} bytes"));
                    }
                }
                ".v2" => lanes = 2,
                ".v4" => lanes = 4,
                ".ptr" | ".global" | ".const" | ".shared" | ".local" => {}
                // Handles: an instruction that uses one is refused.
                ".texref" | ".samplerref" | ".surfref" => return Ok((Ty::B64, 8, 1)),
                _ => match word.strip_prefix('.').and_then(Ty::from_name) {
                    Some(ty) if ty != Ty::Pred => {
                        // `.param .u64 .ptr .global .align 4 name`: attributes after the type.
                        while matches!(
                            self.peek(),
                            Some(Kind::Word(".ptr" | ".global" | ".const" | ".shared" | ".local"))
                        ) {
                            self.at += 1;
                            if let Some(Kind::Word(".align")) = self.peek() {
                                self.at += 1;
                                self.int()?;
                            }
                        }
                        if let Some(Kind::Word(".align")) = self.peek() {
                            self.at += 1;
                            self.int()?;
                        }
                        return Ok((ty, align.max(ty.bytes() * lanes), lanes));
                    }
                    _ => {
                        self.at -= 1;
                        return self.error(format!("{word} is not a variable type"));
                    }
                },
            }
        }
    }

    fn extent(
        &mut self,
        name: String,
        space: Space,
        ty: Ty,
        align: usize,
        lanes: usize,
        external: bool,
    ) -> Result<Variable> {
        let mut bytes = ty.bytes() * lanes;
        let mut open = false;
        while self.take(b'[') {
            let length = match self.peek() {
                Some(Kind::Sign(b']')) => {
                    open = true;
                    0
                }
                _ => self.int()?,
            };
            bytes = bytes.saturating_mul(usize::try_from(length).unwrap_or(usize::MAX));
            self.expect(b']')?;
        }
        if bytes > MAX_VARIABLE {
            return self.error(format!("{name} takes {bytes} bytes; at most {MAX_VARIABLE}"));
        }
        if open && !external {
            return self.error(format!("{name} has no size"));
        }
        Ok(Variable { name, space, bytes, align, init: Vec::new(), external: open, ty })
    }

    /// Numbers, nested braces flattened.
    fn initialiser(&mut self, variable: &mut Variable) -> Result<()> {
        let mut depth = 0usize;
        loop {
            let negative = self.take(b'-');
            let kind = self.next()?;
            let size = variable.ty.bytes();
            match (kind, variable.ty) {
                (Kind::Sign(b'{'), _) => depth += 1,
                (Kind::Sign(b'}'), _) if depth > 0 => depth -= 1,
                (Kind::Sign(b','), _) if depth > 0 => continue,
                (Kind::Int(value), _) => {
                    let value = if negative { value.wrapping_neg() } else { value };
                    variable.init.extend(&value.to_le_bytes()[..size]);
                }
                (Kind::F32(bits), _) if size == 4 => {
                    let sign = u32::from(negative) << 31;
                    variable.init.extend((bits ^ sign).to_le_bytes());
                }
                (Kind::F64(bits), ty) => {
                    let value = f64::from_bits(bits) * if negative { -1.0 } else { 1.0 };
                    match ty {
                        Ty::F32 => variable.init.extend((value as f32).to_le_bytes()),
                        Ty::F64 => variable.init.extend(value.to_le_bytes()),
                        _ => return self.error("a decimal for a variable that is not a float"),
                    }
                }
                (other, _) => {
                    self.at -= 1;
                    return self.error(format!(
                        "{} in the initialiser of {}; only numbers are supported",
                        show(other),
                        variable.name
                    ));
                }
            }
            if variable.init.len() > variable.bytes {
                return self.error(format!("{} has more values than elements", variable.name));
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    /// `(.param .b32 a, .param .b64 b)`.
    pub(super) fn parameters(&mut self) -> Result<Vec<Variable>> {
        let mut found = Vec::new();
        if !self.take(b'(') {
            return Ok(found);
        }
        while !self.take(b')') {
            let word = self.word()?;
            if word != ".param" {
                self.at -= 1;
                return self.error(format!("{word} as a parameter; only .param is supported"));
            }
            let (ty, align, lanes) = self.type_and_align()?;
            let name = self.word()?.to_owned();
            found.push(self.extent(name, Space::Param, ty, align, lanes, false)?);
            if !self.take(b',') {
                self.expect(b')')?;
                break;
            }
        }
        Ok(found)
    }
}
