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
            let (open, row) = (variable.external, variable.bytes);
            if self.take(b'=') {
                variable.external = false;
                let most = if open { MAX_VARIABLE } else { variable.bytes };
                self.initialiser(&mut variable, most)?;
                if open {
                    variable.bytes = variable.init.len().next_multiple_of(row.max(1));
                }
            } else if open {
                variable.bytes = 0;
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
                // Memory that is managed or unified is device memory here.
                ".attribute" => {
                    self.expect(b'(')?;
                    while !self.take(b')') {
                        self.next()?;
                    }
                }
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
        let mut first = true;
        while self.take(b'[') {
            // The launch or the initial values may give the first length.
            match self.constant()? {
                Some(length) => {
                    let length = usize::try_from(length).unwrap_or(usize::MAX);
                    bytes = bytes.saturating_mul(length);
                }
                None if first => open = true,
                None => return self.error(format!("{name} lacks a length")),
            }
            first = false;
            self.expect(b']')?;
        }
        if bytes > MAX_VARIABLE {
            return self.error(format!("{name} takes {bytes} bytes; at most {MAX_VARIABLE}"));
        }
        if open && !external && self.peek() != Some(Kind::Sign(b'=')) {
            return self.error(format!("{name} has no size"));
        }
        let (init, refused) = (Vec::new(), None);
        Ok(Variable { name, space, bytes, align, init, external: open, ty, refused })
    }

    /// Numbers of at most `most` bytes, nested braces flattened.
    fn initialiser(&mut self, variable: &mut Variable, most: usize) -> Result<()> {
        let (mut depth, ty) = (0usize, variable.ty);
        loop {
            if let Some(number) = self.float() {
                match (number, ty) {
                    (Kind::F32(bits), _) if ty.bytes() == 4 => {
                        variable.init.extend(bits.to_le_bytes());
                    }
                    (Kind::F64(bits), Ty::F32) => {
                        variable.init.extend((f64::from_bits(bits) as f32).to_le_bytes());
                    }
                    (Kind::F64(bits), Ty::F64) => variable.init.extend(bits.to_le_bytes()),
                    _ => return self.error("a decimal for a variable that is not a float"),
                }
            } else if let Some(value) = self.constant()? {
                variable.init.extend(&value.to_le_bytes()[..ty.bytes()]);
            } else {
                match self.next()? {
                    Kind::Sign(b'{') => depth += 1,
                    Kind::Sign(b'}') if depth > 0 => depth -= 1,
                    Kind::Sign(b',') if depth > 0 => continue,
                    other => {
                        self.at -= 1;
                        let what = show(other);
                        variable.refused = Some(format!(
                            "{what} is an initial value of {}; only numbers are supported",
                            variable.name
                        ));
                        return self.skip_initialiser(depth);
                    }
                }
            }
            if variable.init.len() > most {
                return self.error(format!("{} has more values than elements", variable.name));
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    /// To the end of an initialiser, out of `depth` braces.
    fn skip_initialiser(&mut self, mut depth: usize) -> Result<()> {
        loop {
            match self.peek() {
                Some(Kind::Sign(b';')) => return Ok(()),
                Some(Kind::Sign(b',')) if depth == 0 => return Ok(()),
                Some(Kind::Sign(b'{' | b'(')) => depth += 1,
                Some(Kind::Sign(b'}' | b')')) => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.next()?;
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
