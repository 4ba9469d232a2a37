//! Tokens to [`Ast`]: declarations, scopes of registers and variables, statements.

use std::collections::HashMap;

use super::ast::{Ast, Function, Operand, Statement, StatementKind, Variable};
use super::error::{Place, PtxError};
use super::lexer::{Kind, Token, lex};
use super::types::{Space, Ty};

/// Longest text that is looked at.
const MAX_TEXT: usize = 64 << 20;
/// Deepest nesting of braces.
const MAX_SCOPES: usize = 64;
/// Largest variable.
const MAX_VARIABLE: usize = 256 << 20;
/// Registers that a function may use (declaring more is harmless).
const MAX_REGISTERS: usize = 60_000;

type Result<T> = std::result::Result<T, PtxError>;

/// Parses a text.
pub fn parse(name: &str, text: &str) -> Result<Ast> {
    if text.len() > MAX_TEXT {
        let message = format!("{} bytes of PTX; at most {MAX_TEXT} are read", text.len());
        return Err(PtxError { name: name.to_owned(), line: 1, message });
    }
    let tokens = lex(name, text)?;
    let mut parser = Parser { name, tokens, at: 0, ast: Ast::default(), place: Place::default() };
    parser.module()?;
    Ok(parser.ast)
}

/// What a name stands for inside a function.
#[derive(Clone, Copy)]
enum Name {
    /// A single register.
    Register(Ty),
    /// `%r<N>`: N registers that differ in the number behind.
    Registers(Ty, u64),
    Variable(u32),
    Parameter(u32),
    Return(u32),
}

/// Names between two braces, and the registers made so far.
#[derive(Default)]
struct Scope<'a> {
    names: HashMap<String, Name>,
    registers: HashMap<&'a str, u32>,
}

struct Parser<'a, 'n> {
    name: &'n str,
    tokens: Vec<Token<'a>>,
    at: usize,
    ast: Ast,
    place: Place,
}

impl<'a> Parser<'a, '_> {
    fn line(&self) -> u32 {
        let token = self.tokens.get(self.at).or(self.tokens.last());
        token.map_or(1, |token| token.line)
    }

    fn error<T>(&self, message: impl Into<String>) -> Result<T> {
        let message = message.into();
        Err(PtxError { name: self.name.to_owned(), line: self.line(), message })
    }

    fn peek(&self) -> Option<Kind<'a>> {
        self.tokens.get(self.at).map(|token| token.kind)
    }

    fn next(&mut self) -> Result<Kind<'a>> {
        match self.peek() {
            Some(kind) => {
                self.at += 1;
                Ok(kind)
            }
            None => self.error("the text ends in the middle of a statement"),
        }
    }

    /// Takes the sign if it comes next.
    fn take(&mut self, sign: u8) -> bool {
        let found = self.peek() == Some(Kind::Sign(sign));
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: u8) -> Result<()> {
        if self.take(sign) {
            return Ok(());
        }
        match self.peek() {
            Some(other) => self.error(format!("'{}' expected, not {}", sign as char, show(other))),
            None => self.error(format!("the text ends where '{}' should be", sign as char)),
        }
    }

    fn word(&mut self) -> Result<&'a str> {
        match self.next()? {
            Kind::Word(word) => Ok(word),
            other => {
                self.at -= 1;
                self.error(format!("a name expected, not {}", show(other)))
            }
        }
    }

    fn int(&mut self) -> Result<u64> {
        match self.next()? {
            Kind::Int(value) => Ok(value),
            other => {
                self.at -= 1;
                self.error(format!("an integer expected, not {}", show(other)))
            }
        }
    }

    fn skip_line(&mut self) {
        let line = self.line();
        while self.at < self.tokens.len() && self.tokens[self.at].line == line {
            self.at += 1;
        }
    }

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
                        return self.error("only 64-bit addresses are known");
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

    /// `.space .align N .type name[...] = {...}, name...;`
    fn variable_after_linkage(&mut self, external: bool) -> Result<Vec<Variable>> {
        let word = self.word()?;
        let Some(space) = word.get(1..).and_then(Space::from_name) else {
            return self.error(format!("{word} is no state space"));
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
                _ => match word.strip_prefix('.').and_then(Ty::from_name) {
                    Some(ty) if ty != Ty::Pred => {
                        // `.param .u64 .ptr .global .align 4 name`: attributes behind the type.
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
                        return self.error(format!("{word} is no type of a variable"));
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
                        _ => return self.error("a decimal for a variable that is no float"),
                    }
                }
                (other, _) => {
                    self.at -= 1;
                    return self.error(format!(
                        "{} in the initialiser of {}; only numbers are known",
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
    fn parameters(&mut self) -> Result<Vec<Variable>> {
        let mut found = Vec::new();
        if !self.take(b'(') {
            return Ok(found);
        }
        while !self.take(b')') {
            let word = self.word()?;
            if word != ".param" {
                self.at -= 1;
                return self.error(format!("{word} as a parameter; only .param is known"));
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

    fn function(&mut self, entry: bool) -> Result<()> {
        let returns = if entry { Vec::new() } else { self.parameters()? };
        let line = self.line();
        let name = self.word()?.to_owned();
        let params = self.parameters()?;
        let mut function = Function {
            name,
            entry,
            params,
            returns,
            variables: Vec::new(),
            registers: Vec::new(),
            body: None,
            line,
            max_threads: None,
            required_threads: None,
        };
        loop {
            match self.next()? {
                Kind::Sign(b';') => break,
                Kind::Sign(b'{') => {
                    self.body(&mut function)?;
                    break;
                }
                Kind::Word(word @ (".maxntid" | ".reqntid")) => {
                    let mut shape = [1; 3];
                    for (i, side) in shape.iter_mut().enumerate() {
                        if i > 0 && !self.take(b',') {
                            break;
                        }
                        *side = u32::try_from(self.int()?).unwrap_or(u32::MAX);
                    }
                    if word == ".reqntid" {
                        function.required_threads = Some(shape);
                    }
                    let product =
                        shape.iter().fold(1u64, |all, &side| all.saturating_mul(side.into()));
                    function.max_threads = Some(product);
                }
                Kind::Word(".minnctapersm" | ".maxnreg") => {
                    self.int()?;
                }
                Kind::Word(".noreturn") => {}
                Kind::Word(".pragma") => {
                    self.next()?;
                    self.expect(b';')?;
                }
                other => {
                    self.at -= 1;
                    return self.error(format!("{} behind a function's name", show(other)));
                }
            }
        }
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

    fn body(&mut self, function: &mut Function) -> Result<()> {
        let mut outer = Scope::default();
        let mut body = Vec::new();
        for (i, param) in function.params.iter().enumerate() {
            outer.names.insert(param.name.clone(), Name::Parameter(i as u32));
        }
        for (i, param) in function.returns.iter().enumerate() {
            outer.names.insert(param.name.clone(), Name::Return(i as u32));
        }
        let mut scopes = vec![outer];
        self.place = Place::default();
        while let Some(scope) = scopes.last_mut() {
            self.place.line = self.line();
            match self.next()? {
                Kind::Sign(b'{') => {
                    if scopes.len() == MAX_SCOPES {
                        return self.error(format!("more than {MAX_SCOPES} braces in braces"));
                    }
                    scopes.push(Scope::default());
                }
                Kind::Sign(b'}') => {
                    scopes.pop();
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
                    for variable in self.variable_after_linkage(false)? {
                        let index = function.variables.len() as u32;
                        scope.names.insert(variable.name.clone(), Name::Variable(index));
                        function.variables.push(variable);
                    }
                }
                Kind::Word(word) if word.starts_with('.') => {
                    self.at -= 1;
                    return self.error(format!("unknown directive {word}"));
                }
                Kind::Word(label) if self.take(b':') => {
                    let kind = match self.peek() {
                        Some(Kind::Word(".branchtargets")) => self.targets(label)?,
                        Some(Kind::Word(".callprototype" | ".calltargets")) => {
                            return self.error("calls through a pointer are not known");
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

    /// `.loc FILE LINE COLUMN`, with `, function_name ...` behind where code was inlined.
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

    /// `.reg .f32 %f<10>, a, b;`
    fn registers(&mut self) -> Result<Vec<(&'a str, Name)>> {
        let word = self.word()?;
        let Some(ty) = word.strip_prefix('.').and_then(Ty::from_name) else {
            self.at -= 1;
            return self.error(format!("{word} is no type of a register"));
        };
        let mut found = Vec::new();
        loop {
            let name = self.word()?;
            if self.take(b'<') {
                found.push((name, Name::Registers(ty, self.int()?)));
                self.expect(b'>')?;
            } else {
                found.push((name, Name::Register(ty)));
            }
            if !self.take(b',') {
                break;
            }
        }
        self.expect(b';')?;
        Ok(found)
    }

    fn instruction(
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
                _ => return self.error(format!("{name} guards, but is no predicate")),
            }
        }
        let opcode = self.word()?.to_owned();
        let mut operands = Vec::new();
        if !self.take(b';') {
            loop {
                operands.push(self.operand(scopes, function, 0)?);
                if self.take(b';') {
                    break;
                }
                self.expect(b',')?;
            }
        }
        Ok(StatementKind::Instruction { guard, opcode, operands })
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
        let operand = match self.next()? {
            Kind::Word("_") => Operand::Sink,
            Kind::Word(name) => self.resolve(name, scopes, function)?,
            Kind::Int(value) => Operand::Int(value),
            Kind::F32(bits) => Operand::F32(bits),
            Kind::F64(bits) => Operand::F64(bits),
            Kind::Sign(b'-') => match self.next()? {
                Kind::Int(value) => Operand::Int(value.wrapping_neg()),
                Kind::F32(bits) => Operand::F32(bits ^ 1 << 31),
                Kind::F64(bits) => Operand::F64(bits ^ 1 << 63),
                other => return self.error(format!("{} behind a minus", show(other))),
            },
            Kind::Sign(b'!') => {
                let name = self.word()?;
                match self.resolve(name, scopes, function)? {
                    Operand::Register(register) => Operand::Not(register),
                    _ => return self.error(format!("{name} is negated, but is no predicate")),
                }
            }
            Kind::Sign(b'[') => {
                let base = self.operand(scopes, function, depth + 1)?;
                let offset = self.offset()?;
                self.expect(b']')?;
                return Ok(Operand::Address(Box::new(base), offset));
            }
            Kind::Sign(open @ (b'{' | b'(')) => {
                let close = if open == b'{' { b'}' } else { b')' };
                let mut list = Vec::new();
                while !self.take(close) {
                    list.push(self.operand(scopes, function, depth + 1)?);
                    if !self.take(b',') {
                        self.expect(close)?;
                        break;
                    }
                }
                return Ok(if open == b'{' { Operand::Vector(list) } else { Operand::List(list) });
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
                _ => return self.error("an offset is added to what is no variable"),
            }
        }
        Ok(operand)
    }

    /// `+4`, `+-4`, `-4` or nothing.
    fn offset(&mut self) -> Result<i64> {
        if self.take(b'-') {
            return Ok((self.int()? as i64).wrapping_neg());
        }
        if !self.take(b'+') {
            return Ok(0);
        }
        let negative = self.take(b'-');
        let value = self.int()? as i64;
        Ok(if negative { value.wrapping_neg() } else { value })
    }

    /// What a name means here: inner scopes first.
    fn resolve(
        &mut self,
        name: &'a str,
        scopes: &mut [Scope<'a>],
        function: &mut Function,
    ) -> Result<Operand> {
        let digits = name.bytes().rev().take_while(u8::is_ascii_digit).count();
        let (prefix, number) = name.split_at(name.len() - digits);
        for scope in scopes.iter_mut().rev() {
            if let Some(&register) = scope.registers.get(name) {
                return Ok(Operand::Register(register));
            }
            let ty = match (scope.names.get(name), scope.names.get(prefix)) {
                (Some(&Name::Variable(index)), _) => return Ok(Operand::Variable(index, 0)),
                (Some(&Name::Parameter(index)), _) => return Ok(Operand::Parameter(index, 0)),
                (Some(&Name::Return(index)), _) => return Ok(Operand::Return(index, 0)),
                (Some(&Name::Register(ty)), _) => ty,
                (_, Some(&Name::Registers(ty, count))) if digits > 0 => {
                    if number.parse().is_ok_and(|number: u64| number < count) {
                        ty
                    } else {
                        self.at -= 1;
                        return self.error(format!("{name} of {prefix}<{count}>"));
                    }
                }
                _ => continue,
            };
            if function.registers.len() == MAX_REGISTERS {
                return self.error(format!("more than {MAX_REGISTERS} registers in use"));
            }
            let register = function.registers.len() as u32;
            function.registers.push(ty);
            scope.registers.insert(name, register);
            return Ok(Operand::Register(register));
        }
        if name.starts_with('%') {
            return Ok(Operand::Special(name.to_owned()));
        }
        Ok(Operand::Symbol(name.to_owned(), 0))
    }
}

fn show(kind: Kind<'_>) -> String {
    match kind {
        Kind::Word(word) => word.chars().take(60).collect(),
        Kind::Int(value) => value.to_string(),
        Kind::F32(bits) => format!("0f{bits:08X}"),
        Kind::F64(bits) => f64::from_bits(bits).to_string(),
        Kind::Text(text) => format!("\"{}\"", text.chars().take(60).collect::<String>()),
        Kind::Sign(sign) => format!("'{}'", sign as char),
    }
}
