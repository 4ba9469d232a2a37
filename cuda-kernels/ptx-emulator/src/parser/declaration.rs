//! Declarations of variables and parameters.

use super::state::{MAX_REGISTERS, MAX_VARIABLE, Parser, Result, show};
use crate::ast::{Function, Variable};
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

    pub(super) fn variables(&mut self, space: Space, external: bool) -> Result<Vec<Variable>> {
        let mut found = Vec::new();
        let (ty, align, lanes) = self.type_and_align()?;
        loop {
            let name = self.word()?.to_owned();
            let (mut variable, parts) = self.extent(name, space, ty, align, lanes, external)?;
            let (open, row) = (variable.external, variable.bytes);
            if self.take(b'=') {
                variable.external = false;
                let most = if open { MAX_VARIABLE } else { variable.bytes };
                let bytes = self.initialiser(&mut variable, most, &parts)?;
                if open {
                    variable.bytes = bytes.next_multiple_of(row.max(1));
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

    /// A variable, and the bytes of what braces hold: of all, of its rows, down to an element.
    fn extent(
        &mut self,
        name: String,
        space: Space,
        ty: Ty,
        align: usize,
        lanes: usize,
        external: bool,
    ) -> Result<(Variable, Vec<usize>)> {
        let mut parts = vec![ty.bytes() * lanes];
        let mut open = false;
        while self.take(b'[') {
            // The launch or the initial values may give the first length.
            match self.constant()? {
                Some(length) => {
                    let length = usize::try_from(length).unwrap_or(usize::MAX);
                    parts.iter_mut().for_each(|bytes| *bytes = bytes.saturating_mul(length));
                }
                None if parts.len() == 1 => open = true,
                None => return self.error(format!("{name} lacks a length")),
            }
            parts.push(ty.bytes() * lanes);
            self.expect(b']')?;
        }
        let bytes = parts[0];
        if bytes > MAX_VARIABLE {
            return self.error(format!("{name} takes {bytes} bytes; at most {MAX_VARIABLE}"));
        }
        if open && !external && self.peek() != Some(Kind::Sign(b'=')) {
            return self.error(format!("{name} has no size"));
        }
        let (init, refused, registers) = (Vec::new(), None, Vec::new());
        let external = open;
        let variable =
            Variable { name, space, bytes, align, init, external, ty, refused, registers };
        Ok((variable, parts))
    }

    /// Numbers of at most `most` bytes; zeros where inner braces hold fewer than their part has.
    /// Gives the bytes that all of it takes.
    fn initialiser(
        &mut self,
        variable: &mut Variable,
        most: usize,
        parts: &[usize],
    ) -> Result<usize> {
        let ty = variable.ty;
        let mut at = 0;
        // Where the open braces began.
        let mut starts = Vec::new();
        loop {
            let number = match (self.float(), ty) {
                (Some(Kind::F32(bits)), _) if ty.bytes() == 4 => Some(bits.into()),
                (Some(Kind::F64(bits)), Ty::F32) => {
                    Some((f64::from_bits(bits) as f32).to_bits().into())
                }
                (Some(Kind::F64(bits)), Ty::F64) => Some(bits),
                (Some(_), _) => {
                    return self.error("a decimal for a variable that is not a float");
                }
                (None, _) => self.constant()?,
            };
            let mut full = most;
            if let Some(number) = number {
                let bytes = &number.to_le_bytes()[..ty.bytes()];
                match variable.init.last_mut() {
                    Some((start, run)) if *start + run.len() == at => run.extend(bytes),
                    _ => variable.init.push((at, bytes.to_vec())),
                }
                at += bytes.len();
            } else {
                match self.next()? {
                    Kind::Sign(b'{') => starts.push(at),
                    Kind::Sign(b'}') if !starts.is_empty() => {
                        let start = starts.pop().unwrap_or(0);
                        if let (Some(part), false) = (parts.get(starts.len()), starts.is_empty()) {
                            let end = start.saturating_add(*part);
                            (full, at) = (full.min(end), at.max(end));
                        }
                    }
                    Kind::Sign(b',') if !starts.is_empty() => continue,
                    other => {
                        self.at -= 1;
                        let what = show(other);
                        variable.refused = Some(format!(
                            "{what} is an initial value of {}; only numbers are supported",
                            variable.name
                        ));
                        self.skip_initialiser(starts.len())?;
                        return Ok(at);
                    }
                }
            }
            if at > full {
                return self.error(format!("{} has more values than elements", variable.name));
            }
            if starts.is_empty() {
                return Ok(at);
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

    /// `(.param .b32 a, .param .b64 b)`, of a device function also `(.reg .b32 a)`, whose registers
    /// are those of `function` from here on.
    pub(super) fn parameters(&mut self, function: &mut Function) -> Result<Vec<Variable>> {
        let mut found = Vec::new();
        if !self.take(b'(') {
            return Ok(found);
        }
        while !self.take(b')') {
            let word = self.word()?;
            if word == ".reg" && !function.entry {
                found.push(self.register_parameter(function)?);
            } else if word == ".param" {
                let (ty, align, lanes) = self.type_and_align()?;
                let name = self.word()?.to_owned();
                found.push(self.extent(name, Space::Param, ty, align, lanes, false)?.0);
            } else {
                self.at -= 1;
                return self.error(format!("{word} as a parameter; only .param is supported"));
            }
            if !self.take(b',') {
                self.expect(b')')?;
                break;
            }
        }
        Ok(found)
    }

    fn register_parameter(&mut self, function: &mut Function) -> Result<Variable> {
        let (ty, lanes) = self.register_type()?;
        let name = self.word()?.to_owned();
        let first = self.add_registers(function, &name, ty, lanes)?;
        Ok(Variable {
            name,
            space: Space::Param,
            bytes: ty.bytes() * usize::from(lanes),
            align: ty.bytes().max(1),
            init: Vec::new(),
            external: false,
            ty,
            refused: None,
            registers: (first..first + u32::from(lanes)).collect(),
        })
    }

    /// Gives a function a register of this name, or one for each component; returns the first one's number.
    pub(super) fn add_registers(
        &self,
        function: &mut Function,
        name: &str,
        ty: Ty,
        lanes: u8,
    ) -> Result<u32> {
        let first = function.registers.len();
        if first >= MAX_REGISTERS {
            return self.error(format!("more than {MAX_REGISTERS} registers in use"));
        }
        for part in ["x", "y", "z", "w"].iter().take(lanes.into()) {
            function.registers.push(ty);
            function.register_names.push(match lanes {
                1 => name.to_owned(),
                _ => format!("{name}.{part}"),
            });
        }
        Ok(first as u32)
    }
}
