//! Constant expressions, folded to 64 bits while they are parsed.

use super::state::{Parser, Result, show};
use crate::lexer::Kind;

/// Deepest nesting of parentheses, signs and choices.
const MAX_NESTING: usize = 64;

/// Operators of two numbers and how strongly they bind, the longer ones first.
const OPERATORS: [(&[u8], u32); 18] = [
    (b"||", 0),
    (b"&&", 1),
    (b"==", 5),
    (b"!=", 5),
    (b"<=", 6),
    (b">=", 6),
    (b"<<", 7),
    (b">>", 7),
    (b"|", 2),
    (b"^", 3),
    (b"&", 4),
    (b"<", 6),
    (b">", 6),
    (b"+", 8),
    (b"-", 8),
    (b"*", PRODUCTS),
    (b"/", PRODUCTS),
    (b"%", PRODUCTS),
];
const PRODUCTS: u32 = 9;

impl<'a> Parser<'a, '_> {
    /// An integer's expression, if one is next.
    pub(super) fn constant(&mut self) -> Result<Option<u64>> {
        let begins = match self.peek() {
            Some(Kind::Int(_) | Kind::Sign(b'-' | b'+' | b'~' | b'(')) => true,
            Some(Kind::Sign(b'!')) => !matches!(self.peek_at(1), Some(Kind::Word(_))),
            _ => false,
        };
        if begins { self.choice(0).map(Some) } else { Ok(None) }
    }

    /// A float with its sign, if one is next.
    pub(super) fn float(&mut self) -> Option<Kind<'a>> {
        let minus = self.peek() == Some(Kind::Sign(b'-'));
        let signed = minus || self.peek() == Some(Kind::Sign(b'+'));
        let number = match self.peek_at(usize::from(signed))? {
            Kind::F32(bits) => Kind::F32(bits ^ u32::from(minus) << 31),
            Kind::F64(bits) => Kind::F64(bits ^ u64::from(minus) << 63),
            _ => return None,
        };
        self.at += 1 + usize::from(signed);
        Some(number)
    }

    /// Products that are added to an address, `+4*8`, `+-4`, `-4`, or nothing.
    pub(super) fn offset(&mut self) -> Result<i64> {
        let mut sum = 0i64;
        loop {
            let minus = match self.peek() {
                Some(Kind::Sign(sign @ (b'+' | b'-'))) => sign == b'-',
                _ => return Ok(sum),
            };
            self.at += 1;
            let term = self.operation(PRODUCTS, 0)? as i64;
            sum = if minus { sum.wrapping_sub(term) } else { sum.wrapping_add(term) };
        }
    }

    /// `a ? b : c`, or what binds stronger.
    fn choice(&mut self, depth: usize) -> Result<u64> {
        let condition = self.operation(0, depth)?;
        if !self.take(b'?') {
            return Ok(condition);
        }
        let chosen = self.choice(depth + 1)?;
        self.expect(b':')?;
        let other = self.choice(depth + 1)?;
        Ok(if condition != 0 { chosen } else { other })
    }

    /// Operations that bind at least so strongly.
    fn operation(&mut self, least: u32, depth: usize) -> Result<u64> {
        let mut left = self.unary(depth)?;
        loop {
            let is_next = |(signs, _): &&(&[u8], u32)| {
                let mut signs = signs.iter().enumerate();
                signs.all(|(at, &sign)| self.peek_at(at) == Some(Kind::Sign(sign)))
            };
            let next = OPERATORS.iter().find(is_next).filter(|&&(_, binds)| binds >= least);
            let Some(&(operator, binds)) = next else {
                return Ok(left);
            };
            self.at += operator.len();
            let right = self.operation(binds + 1, depth)?;
            left = match fold(operator, left, right) {
                Ok(result) => result,
                Err(why) => return self.error(why),
            };
        }
    }

    fn unary(&mut self, depth: usize) -> Result<u64> {
        if depth > MAX_NESTING {
            return self.error(format!("a constant nested deeper than {MAX_NESTING}"));
        }
        match self.next()? {
            Kind::Int(value) => Ok(value),
            Kind::Sign(b'+') => self.unary(depth + 1),
            Kind::Sign(b'-') => Ok(self.unary(depth + 1)?.wrapping_neg()),
            Kind::Sign(b'~') => Ok(!self.unary(depth + 1)?),
            Kind::Sign(b'!') => Ok((self.unary(depth + 1)? == 0).into()),
            Kind::Sign(b'(') => {
                // A cast changes no bits.
                if let Some(Kind::Word(".s64" | ".u64")) = self.peek() {
                    self.at += 1;
                    self.expect(b')')?;
                    return self.unary(depth + 1);
                }
                let value = self.choice(depth + 1)?;
                self.expect(b')')?;
                Ok(value)
            }
            other => {
                self.at -= 1;
                self.error(format!("{} in a constant, where a number should be", show(other)))
            }
        }
    }
}

/// An operation of 64 bits, where it is the same with and without a sign.
fn fold(operator: &[u8], a: u64, b: u64) -> std::result::Result<u64, String> {
    let signs = String::from_utf8_lossy(operator);
    if matches!(operator, b"/" | b"%") && b == 0 {
        return Err(format!("{a} {signs} 0 in a constant"));
    }
    if matches!(operator, b"/" | b"%" | b">>" | b"<" | b"<=" | b">" | b">=") && (a | b) >> 63 == 1 {
        return Err(format!("{signs} of numbers below 0 or from 2^63 on; write out the constant"));
    }
    let shift = u32::try_from(b).unwrap_or(u32::MAX);
    Ok(match operator {
        b"||" => (a != 0 || b != 0).into(),
        b"&&" => (a != 0 && b != 0).into(),
        b"==" => (a == b).into(),
        b"!=" => (a != b).into(),
        b"<=" => (a <= b).into(),
        b">=" => (a >= b).into(),
        b"<" => (a < b).into(),
        b">" => (a > b).into(),
        b"<<" => a.checked_shl(shift).unwrap_or(0),
        b">>" => a.checked_shr(shift).unwrap_or(0),
        b"|" => a | b,
        b"^" => a ^ b,
        b"&" => a & b,
        b"+" => a.wrapping_add(b),
        b"-" => a.wrapping_sub(b),
        b"*" => a.wrapping_mul(b),
        b"/" => a / b,
        _ => a % b,
    })
}
