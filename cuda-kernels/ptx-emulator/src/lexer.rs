//! Text to tokens. A word keeps its dots: `ld.global.v4.f32`, `.reg` and `%tid.x` are one token; but
//! directives are one each, `.reg.u64` two.

use super::error::PtxError;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind<'a> {
    /// An opcode, a directive, a register, a label, a name.
    Word(&'a str),
    /// An integer, as its 64 bits.
    Int(u64),
    /// `0f` and 8 digits: the bits of an f32.
    F32(u32),
    /// `0d` and 16 digits, or a decimal: the bits of an f64.
    F64(u64),
    /// A quoted string.
    Text(&'a str),
    /// A single sign.
    Sign(u8),
}

/// A token and its line, from 1.
#[derive(Debug, Clone, Copy)]
pub struct Token<'a> {
    /// What it is.
    pub kind: Kind<'a>,
    /// Where it is.
    pub line: u32,
}

/// Splits `text` into tokens, without comments.
pub fn lex<'a>(name: &str, text: &'a str) -> Result<Vec<Token<'a>>, PtxError> {
    Lexer { name, text, bytes: text.as_bytes(), at: 0, line: 1, tokens: Vec::new() }.run()
}

struct Lexer<'a, 'n> {
    name: &'n str,
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    line: u32,
    tokens: Vec<Token<'a>>,
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'.' | b'%')
}

impl<'a> Lexer<'a, '_> {
    fn error(&self, message: impl Into<String>) -> PtxError {
        PtxError { name: self.name.to_owned(), line: self.line, message: message.into() }
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn push(&mut self, kind: Kind<'a>) {
        self.tokens.push(Token { kind, line: self.line });
    }

    fn run(mut self) -> Result<Vec<Token<'a>>, PtxError> {
        while self.at < self.bytes.len() {
            match self.peek(0) {
                b'\n' => {
                    self.line += 1;
                    self.at += 1;
                }
                b' ' | b'\t' | b'\r' | 0 => self.at += 1,
                b'/' if self.peek(1) == b'/' => self.skip_line(),
                b'/' if self.peek(1) == b'*' => self.skip_comment()?,
                b'"' => self.string()?,
                b'0'..=b'9' => self.number()?,
                b'.' if self.peek(1).is_ascii_digit() => self.number()?,
                b'%' if self.after_number() => self.sign(b'%'),
                byte if is_word(byte) => self.word(),
                sign @ (b'{' | b'}' | b'[' | b']' | b'(' | b')' | b',' | b';' | b':' | b'='
                | b'+' | b'-' | b'!' | b'@' | b'|' | b'<' | b'>' | b'~' | b'*' | b'/'
                | b'^' | b'&' | b'?') => self.sign(sign),
                _ => {
                    let bad = self.text[self.at..].chars().next().unwrap_or('?');
                    return Err(self.error(format!("unexpected character {bad:?}")));
                }
            }
        }
        Ok(self.tokens)
    }

    fn sign(&mut self, sign: u8) {
        self.push(Kind::Sign(sign));
        self.at += 1;
    }

    /// Is a `%` here a remainder, not the beginning of a name?
    fn after_number(&self) -> bool {
        let last = self.tokens.last().map(|token| token.kind);
        matches!(last, Some(Kind::Int(_) | Kind::Sign(b')')))
    }

    fn skip_line(&mut self) {
        while self.at < self.bytes.len() && self.peek(0) != b'\n' {
            self.at += 1;
        }
    }

    fn skip_comment(&mut self) -> Result<(), PtxError> {
        let Some(length) = self.text[self.at..].find("*/") else {
            return Err(self.error("comment without an end"));
        };
        self.line += self.text[self.at..self.at + length].matches('\n').count() as u32;
        self.at += length + 2;
        Ok(())
    }

    fn string(&mut self) -> Result<(), PtxError> {
        let start = self.at + 1;
        match self.text[start..].find(['"', '\n']) {
            Some(length) if self.bytes[start + length] == b'"' => {
                self.push(Kind::Text(&self.text[start..start + length]));
                self.at = start + length + 1;
                Ok(())
            }
            _ => Err(self.error("text without a closing quote")),
        }
    }

    fn word(&mut self) {
        let start = self.at;
        let directive = self.peek(0) == b'.';
        loop {
            if directive && self.at > start && self.peek(0) == b'.' {
                break;
            } else if is_word(self.peek(0)) {
                self.at += 1;
            } else if self.peek(0) == b':' && self.peek(1) == b':' && is_word(self.peek(2)) {
                self.at += 2;
            } else {
                break;
            }
        }
        self.push(Kind::Word(&self.text[start..self.at]));
    }

    fn number(&mut self) -> Result<(), PtxError> {
        let start = self.at;
        while self.peek(0).is_ascii_alphanumeric()
            || self.peek(0) == b'.'
            || (matches!(self.peek(0), b'+' | b'-')
                && matches!(self.bytes[self.at - 1], b'e' | b'E')
                && self.at > start
                && !self.text[start..].starts_with("0x"))
        {
            self.at += 1;
        }
        let text = &self.text[start..self.at];
        let kind =
            parse_number(text).ok_or_else(|| self.error(format!("{text} is not a PTX number")))?;
        self.push(kind);
        Ok(())
    }
}

fn parse_number(text: &str) -> Option<Kind<'static>> {
    let digits = text.trim_end_matches(['U', 'u']);
    let radix = |digits: &str, radix| u64::from_str_radix(digits, radix).ok().map(Kind::Int);
    match text.get(..2) {
        Some("0f" | "0F") if text.len() == 10 => {
            u32::from_str_radix(&text[2..], 16).ok().map(Kind::F32)
        }
        Some("0d" | "0D") if text.len() == 18 => {
            u64::from_str_radix(&text[2..], 16).ok().map(Kind::F64)
        }
        Some("0x" | "0X") => radix(&digits[2..], 16),
        Some("0b" | "0B") => radix(&digits[2..], 2),
        _ if text.contains(['.', 'e', 'E']) => {
            text.parse::<f64>().ok().map(|value| Kind::F64(value.to_bits()))
        }
        _ if digits.len() > 1 && digits.starts_with('0') => radix(&digits[1..], 8),
        _ => radix(digits, 10),
    }
}
