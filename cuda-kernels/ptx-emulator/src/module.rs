//! A PTX text, parsed and decoded once.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::allocate::{allocate, note_memory};
use super::ast::Variable;
use super::cfg::Graph;
use super::dataflow;
use super::decode::decode;
use super::error::PtxError;
use super::memory::Memory;
use super::ops::Kernel;
use super::parser::parse;
use super::types::Space;

/// A PTX text, parsed and decoded once.
#[derive(Debug)]
pub struct Module {
    name: String,
    /// Distinguishes modules with variables in the same memory.
    id: u64,
    kernels: Vec<Kernel>,
    variables: Vec<Variable>,
    files: Vec<(u32, String)>,
}

impl Module {
    /// Parses a text; `name` identifies it in messages. An error names the offending line.
    pub fn parse(name: &str, text: &str) -> Result<Module, PtxError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let ast = parse(name, text)?;
        let mut kernels = Vec::new();
        for function in ast.functions.iter().filter(|function| function.entry) {
            if function.body.is_none() {
                continue;
            }
            let refuse = |message| PtxError { name: name.to_owned(), line: function.line, message };
            let mut draft = decode(name, &ast, function)?;
            let graph = Graph::new(&draft.kernel);
            graph.annotate(&mut draft.kernel).map_err(refuse)?;
            note_memory(&mut draft.kernel);
            dataflow::annotate(&mut draft);
            kernels.push(allocate(draft, &graph).map_err(refuse)?);
        }
        let variables = ast.variables;
        let id = NEXT.fetch_add(1, Relaxed);
        Ok(Module { name: name.to_owned(), id, kernels, variables, files: ast.files })
    }

    /// The names of its kernels, in text order.
    pub fn kernels(&self) -> impl Iterator<Item = &str> {
        self.kernels.iter().map(|kernel| kernel.name.as_str())
    }

    /// Its given name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A kernel by its name.
    pub fn kernel(&self, name: &str) -> Option<&Kernel> {
        self.kernels.iter().find(|kernel| kernel.name == name)
    }

    /// The source file with this index; empty if unknown.
    pub fn source(&self, file: u32) -> &str {
        let found = self.files.iter().find(|&&(index, _)| index == file);
        found.map_or("", |(_, path)| path)
    }

    /// Its source files: index and path.
    pub fn sources(&self) -> &[(u32, String)] {
        &self.files
    }

    /// Addresses of its variables; the first launch on a memory allocates them there.
    pub(super) fn place_variables(&self, memory: &mut Memory) -> Vec<u64> {
        if let Some(known) = memory.variables.get(&self.id) {
            return known.clone();
        }
        let mut places = Vec::new();
        for variable in &self.variables {
            let at = match variable.space {
                Space::Global | Space::Const => memory.alloc(variable.bytes),
                _ => 0,
            };
            if at != 0 {
                let mut bytes = variable.init.clone();
                bytes.resize(variable.bytes, 0);
                // The allocation was made for these bytes.
                let _ = memory.write(at, &bytes);
            }
            places.push(at);
        }
        memory.variables.insert(self.id, places.clone());
        places
    }
}
