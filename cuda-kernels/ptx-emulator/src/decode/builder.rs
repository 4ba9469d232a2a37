//! A kernel being decoded: the code so far, and the bodies being inlined.

use std::collections::HashMap;

use crate::ast::{Ast, Function};
use crate::error::Place;
use crate::ops::{Instruction, List, NONE, Preset, R};
use crate::types::{Class, Space, Ty};

/// Maximum instructions of a kernel with its calls inlined.
pub(super) const MAX_CODE: usize = 1 << 18;
/// Deepest nesting of calls.
pub(super) const MAX_DEPTH: usize = 64;
/// Most static shared memory of a block in bytes, on every card; ptxas refuses more.
pub(super) const MAX_SHARED: usize = 48 << 10;
/// Most local memory of a thread in bytes.
pub(super) const MAX_LOCAL: usize = 64 << 10;
/// Bytes between local variables, so that an access beyond the end of one is not one of the next.
pub(super) const LOCAL_GAP: u64 = 16;
/// Maximum bytes of parameters.
pub(super) const MAX_PARAMS: usize = 32_764;

/// A decoder's error message; the caller adds the line.
pub(super) type Result<T> = std::result::Result<T, String>;

/// Location of a variable.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot {
    pub(super) space: Space,
    /// Offset in the space, or the index of a module's variable.
    pub(super) at: u64,
}

/// A function's body being inlined.
pub(super) struct Frame<'a> {
    pub(super) function: &'a Function,
    pub(super) registers: Vec<R>,
    pub(super) variables: Vec<Option<Spot>>,
    pub(super) params: Vec<Spot>,
    pub(super) returns: Vec<Spot>,
    pub(super) labels: HashMap<&'a str, u32>,
    /// Jumps and their labels.
    pub(super) jumps: Vec<(usize, &'a str)>,
    /// Tables and their labels.
    pub(super) tables: Vec<(usize, &'a [String])>,
    pub(super) targets: HashMap<&'a str, &'a [String]>,
    /// Jumps to the end of the body (`ret` of a callee).
    pub(super) ends: Vec<usize>,
}

/// A register that the text names.
pub struct Named {
    /// The kernel's number of it.
    pub register: R,
    /// Its name in the text; one of a function that is called begins with the function's.
    pub name: String,
    /// Its type.
    pub ty: Ty,
}

/// Decodes one kernel.
pub(super) struct Builder<'a> {
    pub(super) ast: &'a Ast,
    pub(super) code: Vec<Instruction>,
    pub(super) places: Vec<Place>,
    pub(super) lists: Vec<R>,
    pub(super) tables: Vec<Vec<u32>>,
    pub(super) classes: Vec<Class>,
    /// The registers that the text names.
    pub(super) named: Vec<Named>,
    pub(super) presets: HashMap<Preset, R>,
    pub(super) shared: HashMap<String, u64>,
    pub(super) shared_end: u64,
    /// Where static shared variables begin and end.
    pub(super) shareds: Vec<(u32, u32)>,
    /// Where launch-sized arrays begin.
    pub(super) dynamic: u64,
    pub(super) local_end: u64,
    /// Where local variables begin and end.
    pub(super) locals: Vec<(u32, u32)>,
    pub(super) place: Place,
    pub(super) guard: (R, bool),
    /// Functions that are being inlined, innermost last.
    pub(super) inside: Vec<&'a str>,
}

impl<'a> Builder<'a> {
    /// Adds an instruction under the current guard.
    pub(super) fn emit(&mut self, mut instruction: Instruction) -> Result<()> {
        if self.code.len() == MAX_CODE {
            return Err(format!("more than {MAX_CODE} instructions with calls inlined"));
        }
        (instruction.guard, instruction.negated) = self.guard;
        self.code.push(instruction);
        self.places.push(self.place);
        Ok(())
    }

    pub(super) fn list(&mut self, registers: &[R]) -> List {
        let start = self.lists.len() as u32;
        self.lists.extend(registers);
        List { start, len: registers.len() as u8 }
    }

    /// A new register of the kernel.
    pub(super) fn fresh(&mut self, class: Class) -> Result<R> {
        let register = self.classes.len();
        if register >= NONE as usize {
            return Err("more than 65534 registers with calls inlined".to_owned());
        }
        self.classes.push(class);
        Ok(register as R)
    }

    pub(super) fn preset(&mut self, preset: Preset, class: Class) -> Result<R> {
        if let Some(&register) = self.presets.get(&preset) {
            return Ok(register);
        }
        let register = self.fresh(class)?;
        self.presets.insert(preset, register);
        Ok(register)
    }
}
