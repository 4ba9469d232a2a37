//! Kernels and device functions: their heads, and what is done where one is not understood.

use super::state::{Parser, Result, show};
use crate::ast::{Function, Statement, StatementKind};
use crate::error::{Place, PtxError};
use crate::lexer::Kind;

impl Parser<'_, '_> {
    /// A kernel or a device function. What is wrong inside refuses that, not the others.
    pub(super) fn function(&mut self, entry: bool) -> Result<()> {
        let start = self.at;
        let function = match self.definition(entry) {
            Ok(function) => function,
            Err(error) => self.refused_function(start, entry, error)?,
        };
        let known = self.ast.functions.iter().position(|known| known.name == function.name);
        match known {
            Some(index) if self.ast.functions[index].body.is_none() => {
                self.ast.functions[index] = function;
            }
            Some(_) if function.body.is_none() => {}
            Some(_) => return self.error(format!("{} is defined twice", function.name)),
            None => self.ast.functions.push(function),
        }
        Ok(())
    }

    fn definition(&mut self, entry: bool) -> Result<Function> {
        let mut function = Function { entry, cluster: 1, ..Function::default() };
        if !entry {
            function.returns = self.parameters(&mut function)?;
        }
        function.line = self.line();
        function.name = self.word()?.to_owned();
        function.params = self.parameters(&mut function)?;
        loop {
            match self.next()? {
                Kind::Sign(b';') => break,
                Kind::Sign(b'{') => {
                    self.body(&mut function)?;
                    break;
                }
                Kind::Word(word @ (".maxntid" | ".reqntid")) => {
                    let shape = self.shape()?;
                    if word == ".reqntid" {
                        function.required_threads = Some(shape);
                    }
                    function.max_threads = Some(product(shape));
                }
                Kind::Word(".maxnreg") => {
                    function.registers_each = u32::try_from(self.int()?).ok();
                }
                Kind::Word(".minnctapersm" | ".maxnctapersm" | ".maxclusterrank") => {
                    self.int()?;
                }
                Kind::Word(".reqnctapercluster") => function.cluster = product(self.shape()?),
                Kind::Word(".noreturn" | ".explicitcluster" | ".blocksareclusters") => {}
                Kind::Word(".pragma") => {
                    self.next()?;
                    self.expect(b';')?;
                }
                // Before PTX 3, declarations end without a sign.
                Kind::Word(
                    ".visible" | ".weak" | ".extern" | ".entry" | ".func" | ".global" | ".const"
                    | ".shared" | ".file",
                ) if !entry => {
                    self.at -= 1;
                    break;
                }
                other => {
                    self.at -= 1;
                    return self.error(format!("{} after a function's name", show(other)));
                }
            }
        }
        Ok(function)
    }

    /// Goes behind a function that is not understood, if that can be found.
    fn refused_function(&mut self, start: usize, entry: bool, error: PtxError) -> Result<Function> {
        let place = Place { line: error.line, ..Place::default() };
        self.at = start;
        while !entry && self.peek().is_some_and(|next| !matches!(next, Kind::Word(_))) {
            while self.next()? != Kind::Sign(b')') {}
        }
        let (line, Ok(name)) = (self.line(), self.word()) else {
            return Err(error);
        };
        let mut depth = 0;
        loop {
            match self.next() {
                Err(_) => return Err(error),
                Ok(Kind::Sign(b'{')) => depth += 1,
                Ok(Kind::Sign(b'}')) if depth > 1 => depth -= 1,
                Ok(Kind::Sign(b'}')) => break,
                Ok(Kind::Sign(b';')) if depth == 0 => break,
                _ => {}
            }
        }
        let body = vec![Statement { place, kind: StatementKind::Refused(error.message) }];
        let (name, body) = (name.to_owned(), Some(body));
        Ok(Function { name, entry, line, body, cluster: 1, ..Function::default() })
    }

    /// One to three numbers; the others are 1.
    fn shape(&mut self) -> Result<[u32; 3]> {
        let mut shape = [1; 3];
        for (i, side) in shape.iter_mut().enumerate() {
            if i > 0 && !self.take(b',') {
                break;
            }
            *side = u32::try_from(self.int()?).unwrap_or(u32::MAX);
        }
        Ok(shape)
    }
}

fn product(shape: [u32; 3]) -> u64 {
    shape.iter().fold(1, |all, &side| all.saturating_mul(side.into()))
}
