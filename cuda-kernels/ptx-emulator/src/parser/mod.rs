//! Tokens to [`Ast`]: declarations, scopes of registers and variables, statements.

mod constant;
mod declaration;
mod function;
mod operand;
mod state;

use self::state::{MAX_SCOPES, MAX_TEXT, Name, Parser, Result, Scope, show};
use crate::ast::{Ast, Function, Operand, Statement, StatementKind};
use crate::error::{Place, PtxError};
use crate::lexer::{Kind, lex};
use crate::types::{Space, Ty};

/// Parses a text.
pub fn parse(name: &str, text: &str) -> Result<Ast> {
    if text.len() > MAX_TEXT {
        let message = format!("{} bytes of PTX; at most {MAX_TEXT} are allowed", text.len());
        return Err(PtxError { name: name.to_owned(), line: 1, message });
    }
    let tokens = lex(name, text)?;
    let mut parser = Parser { name, tokens, at: 0, ast: Ast::default(), place: Place::default() };
    parser.module()?;
    Ok(parser.ast)
}

impl<'a> Parser<'a, '_> {
    fn module(&mut self) -> Result<()> {
        let mut version = false;
        while self.at < self.tokens.len() {
            let word = self.word()?;
            match word {
                ".version" => {
                    version = true;
                    match self.next()? {
                        Kind::F64(bits) if f64::from_bits(bits) < 10.0 => {}
                        other => return self.error(format!("version {} of PTX", show(other))),
                    }
                }
                _ if !version => {
                    self.at -= 1;
                    return self.error(format!("{word} before .version: is this PTX?"));
                }
                ".target" => {
                    let target = self.word()?;
                    if !target.starts_with("sm_") {
                        return self.error(format!("target {target}; an sm_NN is expected"));
                    }
                    while self.take(b',') {
                        self.word()?;
                    }
                }
                ".address_size" => {
                    if self.int()? != 64 {
                        return self.error("only 64-bit addresses are supported");
                    }
                }
                ".file" => self.file()?,
                ".section" => self.section()?,
                ".loc" | ".pragma" => {
                    self.at -= 1;
                    self.skip_line();
                }
                ".visible" | ".weak" | ".common" => {}
                ".extern" => {
                    if matches!(self.peek(), Some(Kind::Word(".func"))) {
                        continue;
                    }
                    let variable = self.variable_after_linkage(true)?;
                    self.ast.variables.extend(variable);
                }
                ".entry" | ".func" => self.function(word == ".entry")?,
                // A texture of old PTX.
                ".tex" => {
                    let variables = self.variables(Space::Global, false)?;
                    self.ast.variables.extend(variables);
                }
                _ if word.get(1..).and_then(Space::from_name).is_some() => {
                    self.at -= 1;
                    let variables = self.variable_after_linkage(false)?;
                    self.ast.variables.extend(variables);
                }
                _ => {
                    self.at -= 1;
                    return self.error(format!("unknown directive {word}"));
                }
            }
        }
        if version { Ok(()) } else { self.error("no .version: is this PTX?") }
    }

    fn file(&mut self) -> Result<()> {
        let index = self.int()?;
        let Kind::Text(path) = self.next()? else {
            return self.error(".file without a path");
        };
        let index = u32::try_from(index).unwrap_or(0);
        self.ast.files.push((index, path.to_owned()));
        while self.take(b',') {
            self.int()?;
        }
        Ok(())
    }

    fn section(&mut self) -> Result<()> {
        self.word()?;
        self.expect(b'{')?;
        while !self.take(b'}') {
            self.next()?;
        }
        Ok(())
    }

    fn body(&mut self, function: &mut Function) -> Result<()> {
        let mut outer = Scope::default();
        let mut body = Vec::new();
        let parameters = function.params.iter().enumerate();
        let parameters = parameters.map(|(i, param)| (param, Name::Parameter(i as u32)));
        let returns = function.returns.iter().enumerate();
        let returns = returns.map(|(i, param)| (param, Name::Return(i as u32)));
        for (param, name) in parameters.chain(returns) {
            let name = match param.registers.first() {
                Some(&first) => Name::Held(first, param.registers.len() as u8),
                None => name,
            };
            outer.names.insert(param.name.clone(), name);
        }
        let mut scopes = vec![outer];
        let mut braces = 0;
        self.place = Place::default();
        while let Some(scope) = scopes.last_mut() {
            self.place.line = self.line();
            match self.next()? {
                Kind::Sign(b'{') => {
                    if scopes.len() == MAX_SCOPES {
                        return self.error(format!("braces nested deeper than {MAX_SCOPES}"));
                    }
                    braces += 1;
                    let start = body.len();
                    scopes.push(Scope { number: braces, start, ..Scope::default() });
                }
                Kind::Sign(b'}') => {
                    // The outermost labels keep their names.
                    if let (Some(scope), false) = (scopes.pop(), scopes.is_empty()) {
                        own_labels(&scope, &mut body);
                    }
                }
                Kind::Sign(b';') => {}
                Kind::Word(".reg") => {
                    for (name, what) in self.registers()? {
                        scope.names.insert(name.to_owned(), what);
                    }
                }
                Kind::Word(".loc") => self.location()?,
                Kind::Word(".pragma") => {
                    self.next()?;
                    self.expect(b';')?;
                }
                Kind::Word(".file") => self.file()?,
                Kind::Word(word) if word.get(1..).and_then(Space::from_name).is_some() => {
                    self.at -= 1;
                    for mut variable in self.variable_after_linkage(false)? {
                        let (known, own) = (self.ast.variables.len(), function.variables.len());
                        let name = variable.name.clone();
                        if matches!(variable.space, Space::Global | Space::Const) {
                            variable.name = format!("{}.{name}#{known}", function.name);
                            scope.names.insert(name, Name::Module(known as u32));
                            self.ast.variables.push(variable);
                        } else {
                            scope.names.insert(name, Name::Variable(own as u32));
                            function.variables.push(variable);
                        }
                    }
                }
                Kind::Word(word) if word.starts_with('.') => {
                    self.at -= 1;
                    return self.error(format!("unknown directive {word}"));
                }
                Kind::Word(label) if self.take(b':') => {
                    if !scope.labels.insert(label) {
                        self.at -= 2;
                        return self.error(format!("label {label} is defined twice"));
                    }
                    let kind = match self.peek() {
                        Some(Kind::Word(".branchtargets")) => self.targets(label)?,
                        // Of calls through a pointer, which the decoder refuses.
                        Some(Kind::Word(".callprototype" | ".calltargets")) => {
                            while self.next()? != Kind::Sign(b';') {}
                            continue;
                        }
                        _ => StatementKind::Label(label.to_owned()),
                    };
                    body.push(Statement { place: self.place, kind });
                }
                Kind::Word(_) | Kind::Sign(b'@') => {
                    self.at -= 1;
                    let kind = self.instruction(&mut scopes, function)?;
                    body.push(Statement { place: self.place, kind });
                }
                other => {
                    self.at -= 1;
                    return self.error(format!("{} where a statement should be", show(other)));
                }
            }
        }
        function.body = Some(body);
        Ok(())
    }

    fn targets(&mut self, label: &str) -> Result<StatementKind> {
        self.at += 1;
        let mut labels = Vec::new();
        loop {
            labels.push(self.word()?.to_owned());
            if !self.take(b',') {
                break;
            }
        }
        self.expect(b';')?;
        Ok(StatementKind::Targets(label.to_owned(), labels))
    }

    /// `.loc FILE LINE COLUMN`, followed by `, function_name ...` for inlined code.
    fn location(&mut self) -> Result<()> {
        let line = self.tokens[self.at - 1].line;
        let (file, source_line) = (self.int()?, self.int()?);
        self.place.file = u32::try_from(file).unwrap_or(0);
        self.place.source_line = u32::try_from(source_line).unwrap_or(0);
        while self.tokens.get(self.at).is_some_and(|token| token.line == line) {
            self.at += 1;
        }
        Ok(())
    }

    /// The type of registers, and how many a vector of them has: `.v4 .f32`.
    fn register_type(&mut self) -> Result<(Ty, u8)> {
        let lanes = match self.peek() {
            Some(Kind::Word(".v2")) => 2,
            Some(Kind::Word(".v4")) => 4,
            _ => 1,
        };
        self.at += usize::from(lanes > 1);
        let word = self.word()?;
        let Some(ty) = word.strip_prefix('.').and_then(Ty::from_name) else {
            self.at -= 1;
            let why = if word == ".b128" { "not supported" } else { "not a register type" };
            return self.error(format!("{word} is {why}"));
        };
        Ok((ty, lanes))
    }

    /// `.reg .f32 %f<10>, a, b;`
    fn registers(&mut self) -> Result<Vec<(&'a str, Name)>> {
        let (ty, lanes) = self.register_type()?;
        let mut found = Vec::new();
        loop {
            let name = self.word()?;
            if self.take(b'<') {
                found.push((name, Name::Registers(ty, lanes, self.int()?)));
                self.expect(b'>')?;
            } else {
                found.push((name, Name::Register(ty, lanes)));
            }
            if !self.take(b',') {
                break;
            }
        }
        self.expect(b';')?;
        Ok(found)
    }
}

/// Renames the labels of a scope in braces that ends, so that they are nobody else's.
fn own_labels(scope: &Scope<'_>, body: &mut [Statement]) {
    if scope.labels.is_empty() {
        return;
    }
    let rename = |name: &mut String| {
        if scope.labels.contains(name.as_str()) {
            *name = format!("{name}#{}", scope.number);
        }
    };
    for statement in &mut body[scope.start..] {
        match &mut statement.kind {
            StatementKind::Refused(_) => {}
            StatementKind::Label(label) => rename(label),
            StatementKind::Targets(label, targets) => {
                rename(label);
                targets.iter_mut().for_each(rename);
            }
            StatementKind::Instruction { opcode, operands, .. } => {
                let jumps = opcode.starts_with("bra") || opcode.starts_with("brx");
                for operand in operands.iter_mut().filter(|_| jumps) {
                    if let Operand::Symbol(label, 0) = operand {
                        rename(label);
                    }
                }
            }
        }
    }
}
