//! Variable layout: shared memory is laid out first, local memory at first use.

use super::builder::{Builder, Frame, LOCAL_GAP, MAX_LOCAL, MAX_SHARED, Result, Spot};
use crate::ast::{Function, Operand, Statement, StatementKind, Variable};
use crate::types::Space;

impl<'a> Builder<'a> {
    /// The location of a variable, assigned at its first use.
    pub(super) fn spot(&mut self, frame: &mut Frame<'a>, operand: &Operand) -> Result<(Spot, i64)> {
        match operand {
            &Operand::Parameter(index, offset) => Ok((frame.params[index as usize], offset)),
            &Operand::Return(index, offset) => Ok((frame.returns[index as usize], offset)),
            &Operand::Variable(index, offset) => {
                let index = index as usize;
                if let Some(spot) = frame.variables[index] {
                    return Ok((spot, offset));
                }
                let variable = usable(&frame.function.variables[index])?;
                let spot = match variable.space {
                    Space::Shared => {
                        let name = format!("{}.{index}", frame.function.name);
                        self.shared_spot(&name, variable)
                    }
                    Space::Local | Space::Param => {
                        let align = variable.align.max(1) as u64;
                        let gap = if self.local_end == 0 { 0 } else { LOCAL_GAP };
                        let at = (self.local_end + gap).next_multiple_of(align);
                        self.local_end = at + variable.bytes as u64;
                        if self.local_end > MAX_LOCAL as u64 {
                            return Err(format!(
                                "{} needs {} bytes of local memory; at most {MAX_LOCAL}",
                                frame.function.name, self.local_end
                            ));
                        }
                        self.locals.push((at as u32, self.local_end as u32));
                        Spot { space: Space::Local, at }
                    }
                    _ => return Err(format!("{}: a global inside a function", variable.name)),
                };
                frame.variables[index] = Some(spot);
                Ok((spot, offset))
            }
            Operand::Symbol(name, offset) => {
                let found = self.ast.variables.iter().position(|known| known.name == *name);
                let Some(index) = found else {
                    return Err(format!("{name} is not declared"));
                };
                let variable = usable(&self.ast.variables[index])?;
                let spot = match variable.space {
                    Space::Shared => self.shared_spot(name, variable),
                    Space::Global | Space::Const => {
                        Spot { space: variable.space, at: index as u64 }
                    }
                    _ => return Err(format!("{name} is in no space of a module")),
                };
                Ok((spot, *offset))
            }
            _ => Err("a variable's name expected".to_owned()),
        }
    }

    /// Lays out the static shared variables of all reachable functions; launch-sized arrays begin
    /// after them.
    pub(super) fn lay_out_shared(&mut self, kernel: &'a Function) -> Result<()> {
        let mut reached = vec![kernel];
        let mut align = 16;
        let mut next = 0;
        while let Some(&function) = reached.get(next) {
            next += 1;
            for (index, variable) in function.variables.iter().enumerate() {
                if variable.space == Space::Shared {
                    self.place_shared(format!("{}.{index}", function.name), variable)?;
                }
            }
            let statements = function.body.iter().flatten();
            for name in statements.filter_map(operands_of).flatten().filter_map(symbol_of) {
                let called = self.ast.functions.iter().find(|known| known.name == name);
                if let Some(called) = called.filter(|f| !reached.iter().any(|r| r.name == f.name)) {
                    reached.push(called);
                }
                let variable = self.ast.variables.iter().find(|known| known.name == name);
                match variable.filter(|known| known.space == Space::Shared) {
                    Some(variable) if variable.external => align = variable.align.max(align),
                    Some(variable) => self.place_shared(name.to_owned(), variable)?,
                    None => {}
                }
            }
        }
        self.dynamic = self.shared_end.next_multiple_of(align as u64);
        Ok(())
    }

    fn place_shared(&mut self, name: String, variable: &Variable) -> Result<()> {
        if self.shared.contains_key(&name) {
            return Ok(());
        }
        let at = self.shared_end.next_multiple_of(variable.align.max(1) as u64);
        self.shared_end = at + variable.bytes as u64;
        if self.shared_end > MAX_SHARED as u64 {
            return Err(format!(
                "{} bytes of shared memory; at most {MAX_SHARED}",
                self.shared_end
            ));
        }
        self.shareds.push((at as u32, self.shared_end as u32));
        self.shared.insert(name, at);
        Ok(())
    }

    fn shared_spot(&self, name: &str, variable: &Variable) -> Spot {
        let at = if variable.external { self.dynamic } else { self.shared[name] };
        Spot { space: Space::Shared, at }
    }
}

fn usable(variable: &Variable) -> Result<&Variable> {
    variable.refused.clone().map_or(Ok(variable), Err)
}

fn operands_of(statement: &Statement) -> Option<&[Operand]> {
    match &statement.kind {
        StatementKind::Instruction { operands, .. } => Some(operands),
        _ => None,
    }
}

/// The outside name in an operand or an address.
fn symbol_of(operand: &Operand) -> Option<&str> {
    match operand {
        Operand::Symbol(name, _) => Some(name),
        Operand::Address(base, _) => symbol_of(base),
        _ => None,
    }
}
