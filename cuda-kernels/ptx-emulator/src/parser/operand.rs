//! Instructions and their operands; name resolution.

use super::state::{Name, Parser, Result, Scope, show};
use crate::ast::{Function, Operand, StatementKind};
use crate::lexer::Kind;
use crate::types::Ty;

impl<'a> Parser<'a, '_> {
    pub(super) fn instruction(
        &mut self,
        scopes: &mut [Scope<'a>],
        function: &mut Function,
    ) -> Result<StatementKind> {
        let mut guard = None;
        if self.take(b'@') {
            let negated = self.take(b'!');
            let name = self.word()?;
            match self.resolve(name, scopes, function)? {
                Operand::Register(register)
                    if function.registers[register as usize] == Ty::Pred =>
                {
                    guard = Some((register, negated));
                }
                _ => return self.error(format!("{name} guards, but is not a predicate")),
            }
        }
        let opcode = self.word()?.to_owned();
        let start = self.at;
        let operands = match self.operands(opcode.starts_with("call"), scopes, function) {
            Ok(operands) => operands,
            // The decoder refuses it if the kernel is wanted; the others may be fine.
            Err(error) if error.line == self.tokens[start - 1].line => {
                self.at = start;
                while !self.take(b';') {
                    if matches!(self.next()?, Kind::Sign(b'}')) && self.peek().is_none() {
                        return Err(error);
                    }
                }
                vec![Operand::Unknown(error.message)]
            }
            Err(error) => return Err(error),
        };
        Ok(StatementKind::Instruction { guard, opcode, operands })
    }

    fn operands(
        &mut self,
        call: bool,
        scopes: &mut [Scope<'a>],
        function: &mut Function,
    ) -> Result<Vec<Operand>> {
        let mut operands = Vec::new();
        if !self.take(b';') {
            loop {
                let operand = match self.take(b'(') {
                    true if call => Operand::List(self.list(b')', scopes, function, 0)?),
                    parenthesis => {
                        self.at -= usize::from(parenthesis);
                        self.operand(scopes, function, 0)?
                    }
                };
                operands.push(operand);
                if self.take(b';') {
                    break;
                }
                self.expect(b',')?;
            }
        }
        Ok(operands)
    }

    fn operand(
        &mut self,
        scopes: &mut [Scope<'a>],
        function: &mut Function,
        depth: usize,
    ) -> Result<Operand> {
        if depth > 2 {
            return self.error("operand nested too deep");
        }
        match self.float() {
            Some(Kind::F32(bits)) => return Ok(Operand::F32(bits)),
            Some(Kind::F64(bits)) => return Ok(Operand::F64(bits)),
            _ => {}
        }
        if let Some(value) = self.constant()? {
            return Ok(Operand::Int(value));
        }
        let operand = match self.next()? {
            Kind::Word("_") => Operand::Sink,
            Kind::Word(name) => self.resolve(name, scopes, function)?,
            Kind::Sign(b'!') => {
                let name = self.word()?;
                match self.resolve(name, scopes, function)? {
                    Operand::Register(register) => Operand::Not(register),
                    _ => return self.error(format!("{name} is negated, but is not a predicate")),
                }
            }
            Kind::Sign(b'[') => {
                let base = self.operand(scopes, function, depth + 1)?;
                let offset = self.offset()?;
                self.expect(b']')?;
                return Ok(Operand::Address(Box::new(base), offset));
            }
            Kind::Sign(b'{') => {
                return Ok(Operand::Vector(self.list(b'}', scopes, function, depth)?));
            }
            other => {
                self.at -= 1;
                return self.error(format!("{} where an operand should be", show(other)));
            }
        };
        if self.take(b'|') {
            let second = self.operand(scopes, function, depth + 1)?;
            return Ok(Operand::Pair(Box::new(operand), Box::new(second)));
        }
        if depth == 0 {
            let offset = self.offset()?;
            match operand {
                _ if offset == 0 => {}
                Operand::Variable(v, at) => {
                    return Ok(Operand::Variable(v, at.wrapping_add(offset)));
                }
                Operand::Symbol(name, at) => {
                    return Ok(Operand::Symbol(name, at.wrapping_add(offset)));
                }
                Operand::Parameter(v, at) => {
                    return Ok(Operand::Parameter(v, at.wrapping_add(offset)));
                }
                _ => return self.error("an offset is added to something that is not a variable"),
            }
        }
        Ok(operand)
    }

    /// Operands up to a closing sign, at most `depth` inside others.
    fn list(
        &mut self,
        close: u8,
        scopes: &mut [Scope<'a>],
        function: &mut Function,
        depth: usize,
    ) -> Result<Vec<Operand>> {
        let mut list = Vec::new();
        while !self.take(close) {
            list.push(self.operand(scopes, function, depth + 1)?);
            if !self.take(b',') {
                self.expect(close)?;
                break;
            }
        }
        Ok(list)
    }

    /// Resolves a name: inner scopes first.
    fn resolve(
        &mut self,
        name: &'a str,
        scopes: &mut [Scope<'a>],
        function: &mut Function,
    ) -> Result<Operand> {
        let (whole, part) = split_component(name);
        let digits = whole.bytes().rev().take_while(u8::is_ascii_digit).count();
        let (prefix, number) = whole.split_at(whole.len() - digits);
        for scope in scopes.iter_mut().rev() {
            if let Some(&(first, lanes)) = scope.registers.get(whole) {
                return self.component(name, first, lanes, part);
            }
            let (ty, lanes) = match (scope.names.get(whole), scope.names.get(prefix)) {
                (Some(&Name::Variable(index)), _) => return Ok(Operand::Variable(index, 0)),
                (Some(&Name::Parameter(index)), _) => return Ok(Operand::Parameter(index, 0)),
                (Some(&Name::Return(index)), _) => return Ok(Operand::Return(index, 0)),
                (Some(&Name::Module(index)), _) => {
                    let variable = &self.ast.variables[index as usize];
                    return Ok(Operand::Symbol(variable.name.clone(), 0));
                }
                (Some(&Name::Held(first, lanes)), _) => {
                    return self.component(name, first, lanes, part);
                }
                (Some(&Name::Register(ty, lanes)), _) => (ty, lanes),
                (_, Some(&Name::Registers(ty, lanes, count))) if digits > 0 => {
                    if number.parse().is_ok_and(|number: u64| number < count) {
                        (ty, lanes)
                    } else {
                        self.at -= 1;
                        return self.error(format!("{whole} of {prefix}<{count}>"));
                    }
                }
                _ => continue,
            };
            let first = self.add_registers(function, whole, ty, lanes)?;
            scope.registers.insert(whole, (first, lanes));
            return self.component(name, first, lanes, part);
        }
        if name.starts_with('%') {
            return Ok(Operand::Special(name.to_owned()));
        }
        Ok(Operand::Symbol(name.to_owned(), 0))
    }

    /// A register, a vector of them, or one of that.
    fn component(&self, name: &str, first: u32, lanes: u8, part: Option<u8>) -> Result<Operand> {
        let all = first..first + u32::from(lanes);
        match part {
            None if lanes == 1 => Ok(Operand::Register(first)),
            None => Ok(Operand::Vector(all.map(Operand::Register).collect())),
            Some(part) if part < lanes && lanes > 1 => {
                Ok(Operand::Register(first + u32::from(part)))
            }
            // Beside a register `%tid`, `%tid.x` is still the special register.
            Some(_) if name.starts_with('%') => Ok(Operand::Special(name.to_owned())),
            Some(_) => self.error(format!("{name} of a single register or a shorter vector")),
        }
    }
}

/// `v.x` as the vector's name and which of its elements it is.
fn split_component(name: &str) -> (&str, Option<u8>) {
    let Some((whole, part)) = name.rsplit_once('.') else {
        return (name, None);
    };
    let part = match part {
        "x" | "r" => 0,
        "y" | "g" => 1,
        "z" | "b" => 2,
        "w" | "a" => 3,
        _ => return (name, None),
    };
    (whole, Some(part))
}
