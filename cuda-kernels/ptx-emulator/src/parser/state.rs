//! The parser's position, and its symbol tables.

use std::collections::{HashMap, HashSet};

use crate::ast::Ast;
use crate::error::{Place, PtxError};
use crate::lexer::{Kind, Token};
use crate::types::Ty;

/// Maximum length of a text.
pub(super) const MAX_TEXT: usize = 64 << 20;
/// Deepest nesting of braces.
pub(super) const MAX_SCOPES: usize = 64;
/// Maximum size of a variable.
pub(super) const MAX_VARIABLE: usize = 256 << 20;
/// Maximum registers that a function may use (declaring more is harmless).
pub(super) const MAX_REGISTERS: usize = 60_000;

/// The result of parsing.
pub(super) type Result<T> = std::result::Result<T, PtxError>;

/// The meaning of a name inside a function.
#[derive(Clone, Copy)]
pub(super) enum Name {
    /// A single register, or a vector of 2 or 4.
    Register(Ty, u8),
    /// `%r<N>`: N registers or vectors that differ in their number.
    Registers(Ty, u8, u64),
    Variable(u32),
    /// A variable of device memory that only the function knows by this name.
    Module(u32),
    Parameter(u32),
    Return(u32),
    /// Of a parameter that is passed in registers: the first, and how many.
    Held(u32, u8),
}

/// Names in a scope, and the registers and labels created so far.
#[derive(Default)]
pub(super) struct Scope<'a> {
    pub(super) names: HashMap<String, Name>,
    /// The first register of each, and how many.
    pub(super) registers: HashMap<&'a str, (u32, u8)>,
    pub(super) labels: HashSet<&'a str>,
    /// Which of the function's scopes, and its first statement.
    pub(super) number: usize,
    pub(super) start: usize,
}

pub(super) struct Parser<'a, 'n> {
    pub(super) name: &'n str,
    pub(super) tokens: Vec<Token<'a>>,
    pub(super) at: usize,
    pub(super) ast: Ast,
    pub(super) place: Place,
}

impl<'a> Parser<'a, '_> {
    pub(super) fn line(&self) -> u32 {
        let token = self.tokens.get(self.at).or(self.tokens.last());
        token.map_or(1, |token| token.line)
    }

    pub(super) fn error<T>(&self, message: impl Into<String>) -> Result<T> {
        let message = message.into();
        Err(PtxError { name: self.name.to_owned(), line: self.line(), message })
    }

    pub(super) fn peek(&self) -> Option<Kind<'a>> {
        self.peek_at(0)
    }

    pub(super) fn peek_at(&self, ahead: usize) -> Option<Kind<'a>> {
        self.tokens.get(self.at + ahead).map(|token| token.kind)
    }

    pub(super) fn next(&mut self) -> Result<Kind<'a>> {
        match self.peek() {
            Some(kind) => {
                self.at += 1;
                Ok(kind)
            }
            None => self.error("the text ends in the middle of a statement"),
        }
    }

    /// Takes the sign if it is next.
    pub(super) fn take(&mut self, sign: u8) -> bool {
        let found = self.peek() == Some(Kind::Sign(sign));
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, sign: u8) -> Result<()> {
        if self.take(sign) {
            return Ok(());
        }
        match self.peek() {
            Some(other) => self.error(format!("'{}' expected, not {}", sign as char, show(other))),
            None => self.error(format!("the text ends where '{}' should be", sign as char)),
        }
    }

    pub(super) fn word(&mut self) -> Result<&'a str> {
        match self.next()? {
            Kind::Word(word) => Ok(word),
            other => {
                self.at -= 1;
                self.error(format!("a name expected, not {}", show(other)))
            }
        }
    }

    pub(super) fn int(&mut self) -> Result<u64> {
        match self.next()? {
            Kind::Int(value) => Ok(value),
            other => {
                self.at -= 1;
                self.error(format!("an integer expected, not {}", show(other)))
            }
        }
    }

    pub(super) fn skip_line(&mut self) {
        let line = self.line();
        while self.at < self.tokens.len() && self.tokens[self.at].line == line {
            self.at += 1;
        }
    }
}

/// A token for messages.
pub(super) fn show(kind: Kind<'_>) -> String {
    match kind {
        Kind::Word(word) => word.chars().take(60).collect(),
        Kind::Int(value) => value.to_string(),
        Kind::F32(bits) => format!("0f{bits:08X}"),
        Kind::F64(bits) => f64::from_bits(bits).to_string(),
        Kind::Text(text) => format!("\"{}\"", text.chars().take(60).collect::<String>()),
        Kind::Sign(sign) => format!("'{}'", sign as char),
    }
}
