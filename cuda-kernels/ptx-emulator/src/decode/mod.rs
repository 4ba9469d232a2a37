//! [`Ast`] to [`Kernel`]: operands become registers, labels become indices, calls are inlined.
//!
//! Recursion is refused, so every call can be replaced by the callee's body with its own registers;
//! the warp then needs no call stack, and lanes that diverge inside a callee reconverge there.

mod arithmetic;
mod bits;
mod builder;
mod collective;
mod compare;
mod control;
mod copy;
mod dot;
mod forms;
mod inline;
mod mbarrier;
mod memory;
mod moves;
mod opcode;
mod operand;
mod variable;

use std::collections::HashMap;

pub use self::builder::Named;
use self::builder::{Builder, MAX_PARAMS, Result, Spot};
use super::ast::{Ast, Function};
use super::error::{Place, PtxError};
use super::ops::{Flow, Instruction, Kernel, NONE, Op, Order, Preset, R, Slice};
use super::types::{Class, Space};

/// A kernel before register allocation: register classes and presets.
pub struct Draft {
    /// The kernel; registers are numbers of the kernel, `slots` and `presets` are empty.
    pub kernel: Kernel,
    /// Class of each register.
    pub classes: Vec<Class>,
    /// Registers with initial values.
    pub presets: Vec<(R, Preset)>,
    /// Registers that the text names.
    pub named: Vec<Named>,
}

/// Decodes the kernel `function` of a text.
pub fn decode(name: &str, ast: &Ast, function: &Function) -> std::result::Result<Draft, PtxError> {
    let mut builder = Builder {
        ast,
        code: Vec::new(),
        places: Vec::new(),
        lists: Vec::new(),
        tables: Vec::new(),
        classes: Vec::new(),
        named: Vec::new(),
        presets: HashMap::new(),
        shared: HashMap::new(),
        shared_end: 0,
        shareds: Vec::new(),
        dynamic: 0,
        local_end: 0,
        locals: Vec::new(),
        place: Place { line: function.line, ..Place::default() },
        guard: (NONE, false),
        inside: Vec::new(),
    };
    builder.kernel(function).map_err(|message| PtxError {
        name: name.to_owned(),
        line: builder.place.line,
        message,
    })
}

impl<'a> Builder<'a> {
    fn kernel(&mut self, function: &'a Function) -> Result<Draft> {
        if function.cluster > 1 {
            let (name, blocks) = (&function.name, function.cluster);
            return Err(format!(
                "{name} wants clusters of {blocks} blocks, which are not supported"
            ));
        }
        let (mut params, mut end) = (Vec::new(), 0usize);
        for param in &function.params {
            end = end.next_multiple_of(param.align.max(1));
            params.push((end, param.bytes, param.ty));
            end += param.bytes;
        }
        if end > MAX_PARAMS {
            return Err(format!("{end} bytes of parameters; at most {MAX_PARAMS}"));
        }
        let spots = params.iter().map(|&(at, ..)| Spot { space: Space::Param, at: at as u64 });
        self.lay_out_shared(function)?;
        self.inline(function, spots.collect(), Vec::new(), [&[]; 2])?;
        self.guard = (NONE, false);
        self.emit(Instruction::new(Op::Exit))?;

        let mut presets: Vec<(R, Preset)> = self.presets.iter().map(|(&p, &r)| (r, p)).collect();
        presets.sort_by_key(|&(register, _)| register);
        let kernel = Kernel {
            name: function.name.clone(),
            code: std::mem::take(&mut self.code),
            places: std::mem::take(&mut self.places),
            hints: Vec::new(),
            slice: Slice::default(),
            flow: Flow::default(),
            lists: std::mem::take(&mut self.lists),
            tables: std::mem::take(&mut self.tables),
            straight: Vec::new(),
            order: Order::default(),
            collective_ahead: Vec::new(),
            slots: [0; 3],
            presets: Vec::new(),
            params,
            param_bytes: end,
            shared_bytes: self.shared_end as usize,
            dynamic_shared: self.dynamic as usize,
            local_bytes: self.local_end as usize,
            locals: std::mem::take(&mut self.locals),
            shared_grain: 4,
            global_grain: 4,
            ordered: false,
            max_threads: function.max_threads,
            registers: function.registers_each,
            required_threads: function.required_threads,
        };
        let classes = std::mem::take(&mut self.classes);
        Ok(Draft { kernel, classes, presets, named: std::mem::take(&mut self.named) })
    }
}
