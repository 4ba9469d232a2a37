//! An opcode's suffixes, taken one by one; any left over are refused.

use super::builder::Result;
use crate::ops::{Mode, Round};
use crate::types::Ty;

/// Why registers and accesses of `.b128` are refused.
pub(super) const WIDE: &str =
    "numbers of 128 bits are not supported; vectors of two of 64 bits are";

/// `fma.rn.ftz.f32` as its name and the suffixes not yet taken.
#[derive(Clone)]
pub struct Opcode<'a> {
    /// The full text.
    pub text: &'a str,
    /// Before the first dot.
    pub name: &'a str,
    suffixes: Vec<&'a str>,
}

impl<'a> Opcode<'a> {
    /// Splits an opcode at its dots.
    pub fn new(text: &'a str) -> Opcode<'a> {
        let mut parts = text.split('.');
        let name = parts.next().unwrap_or_default();
        Opcode { text, name, suffixes: parts.collect() }
    }

    /// The suffixes not yet taken.
    pub fn suffixes(&self) -> &[&'a str] {
        &self.suffixes
    }

    /// Takes the suffix if present.
    pub fn flag(&mut self, suffix: &str) -> bool {
        match self.suffixes.iter().position(|&s| s == suffix) {
            Some(at) => {
                self.suffixes.remove(at);
                true
            }
            None => false,
        }
    }

    /// Takes the first suffix recognised by `what`.
    pub fn find<T>(&mut self, what: impl Fn(&str) -> Option<T>) -> Option<T> {
        let (at, found) =
            self.suffixes.iter().enumerate().find_map(|(at, &s)| Some((at, what(s)?)))?;
        self.suffixes.remove(at);
        Some(found)
    }

    /// The same, but required.
    pub fn need<T>(&mut self, kind: &str, what: impl Fn(&str) -> Option<T>) -> Result<T> {
        self.find(what).ok_or_else(|| format!("{} has no known {kind}", self.text))
    }

    /// Takes the first of two suffixes (true) or the other.
    pub fn either(&mut self, first: &str, other: &str) -> bool {
        let found = self.flag(first);
        self.flag(other);
        found
    }

    /// Takes the first type.
    pub fn ty(&mut self) -> Result<Ty> {
        if self.suffixes.contains(&"b128") {
            return Err(format!("{}: {WIDE}", self.text));
        }
        self.need("type", Ty::from_name)
    }

    /// Takes the rounding of a float result, `.rn` if there is none.
    pub fn round(&mut self) -> Round {
        self.round_stated().unwrap_or(Round::Nearest)
    }

    /// Takes the rounding if it is stated.
    pub fn round_stated(&mut self) -> Option<Round> {
        self.find(|suffix| {
            Some(match suffix {
                "rn" => Round::Nearest,
                "rna" => Round::Away,
                "rz" => Round::Zero,
                "rm" => Round::Down,
                "rp" => Round::Up,
                _ => return None,
            })
        })
    }

    /// Takes rounding, `.ftz`, `.sat` and `.relu`.
    pub fn mode(&mut self) -> Mode {
        Mode {
            round: self.round(),
            ftz: self.flag("ftz"),
            sat: self.flag("sat"),
            relu: self.flag("relu"),
            finite: self.flag("satfinite"),
        }
    }

    /// Refuses remaining suffixes.
    pub fn done(&self) -> Result<()> {
        match self.suffixes.first() {
            Some(suffix) => Err(format!(".{suffix} of {} is not known", self.text)),
            None => Ok(()),
        }
    }

    /// Takes suffixes without effect here: cache hints, scopes.
    pub fn ignore(&mut self, known: &[&str]) {
        self.suffixes.retain(|suffix| {
            !known.contains(suffix) && !suffix.starts_with("L1::") && !suffix.starts_with("L2::")
        });
    }
}
