//! A PTX text and its kernels.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::allocate::{allocate, note_memory};
use super::ast::{Ast, Function};
use super::cfg::Graph;
use super::dataflow;
use super::decode::{Draft, decode};
use super::error::PtxError;
use super::memory::Memory;
use super::ops::{Flow, Kernel};
use super::parser::parse;
use super::slice::slice;
use super::types::Space;

/// A PTX text, parsed once; its kernels are decoded when they are first asked for.
#[derive(Debug)]
pub struct Module {
    name: String,
    /// Distinguishes modules with variables in the same memory.
    id: u64,
    ast: Ast,
    kernels: Vec<Entry>,
}

/// A kernel, and its function in the text.
#[derive(Debug)]
struct Entry {
    function: usize,
    kernel: OnceLock<Result<Kernel, PtxError>>,
}

impl Module {
    /// Parses a text; `name` identifies it in messages.
    ///
    /// # Errors
    /// It is no PTX, or has what is not supported outside of functions; names the line.
    pub fn parse(name: &str, text: &str) -> Result<Module, PtxError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let ast = parse(name, text)?;
        let functions = ast.functions.iter().enumerate();
        let kernels = functions.filter(|(_, function)| function.entry && function.body.is_some());
        let kernels = kernels.map(|(function, _)| Entry { function, kernel: OnceLock::new() });
        let kernels = kernels.collect();
        Ok(Module { name: name.to_owned(), id: NEXT.fetch_add(1, Relaxed), ast, kernels })
    }

    /// The names of its kernels, in text order.
    pub fn kernels(&self) -> impl Iterator<Item = &str> {
        self.kernels.iter().map(|entry| self.ast.functions[entry.function].name.as_str())
    }

    /// Its given name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A kernel by its name.
    ///
    /// # Errors
    /// There is none, or it has an instruction that is not known; names the line.
    pub fn kernel(&self, name: &str) -> Result<&Kernel, PtxError> {
        let Some(at) = self.kernels().position(|known| known == name) else {
            let names: Vec<&str> = self.kernels().collect();
            let message = format!("no kernel {name}; there are: {}", names.join(", "));
            return Err(PtxError { name: self.name.clone(), line: 1, message });
        };
        let Entry { function, kernel } = &self.kernels[at];
        kernel
            .get_or_init(|| self.decode(&self.ast.functions[*function]))
            .as_ref()
            .map_err(Clone::clone)
    }

    /// The names of a kernel's parameters.
    pub(super) fn parameter_names(&self, kernel: &str) -> impl Iterator<Item = &str> {
        let function = self.ast.functions.iter().find(|function| function.name == kernel);
        function.into_iter().flat_map(|function| &function.params).map(|param| param.name.as_str())
    }

    /// A kernel before its registers share slots, with their names. Its instructions are those of
    /// [`Module::kernel`], at the same places.
    pub(super) fn draft(&self, name: &str) -> Result<Draft, PtxError> {
        self.kernel(name)?;
        let named = |function: &&Function| function.name == name;
        let function = self.ast.functions.iter().find(named).expect("a kernel that was decoded");
        decode(&self.name, &self.ast, function)
    }

    fn decode(&self, function: &Function) -> Result<Kernel, PtxError> {
        let refuse = |message| PtxError { name: self.name.clone(), line: function.line, message };
        let mut draft = decode(&self.name, &self.ast, function)?;
        let graph = Graph::new(&draft.kernel);
        graph.annotate(&mut draft.kernel).map_err(refuse)?;
        note_memory(&mut draft.kernel);
        dataflow::annotate(&mut draft);
        draft.kernel.slice = slice(&draft.kernel, draft.classes.len());
        draft.kernel.flow = Flow::new(&draft.kernel, draft.classes.len());
        allocate(draft, &graph).map_err(refuse)
    }

    /// The source file with this index; empty if unknown.
    pub fn source(&self, file: u32) -> &str {
        let found = self.ast.files.iter().find(|&&(index, _)| index == file);
        found.map_or("", |(_, path)| path)
    }

    /// Its source files: index and path.
    pub fn sources(&self) -> &[(u32, String)] {
        &self.ast.files
    }

    /// Addresses of its variables; the first launch on a memory allocates them there.
    pub(super) fn place_variables(&self, memory: &mut Memory) -> Vec<u64> {
        if let Some(known) = memory.variables.get(&self.id) {
            return known.clone();
        }
        let mut places = Vec::new();
        for variable in &self.ast.variables {
            let at = match variable.space {
                Space::Global | Space::Const => memory.alloc(variable.bytes),
                _ => 0,
            };
            if at != 0 {
                let mut bytes = vec![0; variable.bytes];
                for (start, run) in &variable.init {
                    bytes[*start..][..run.len()].copy_from_slice(run);
                }
                // The allocation was made for these bytes.
                let _ = memory.write(at, &bytes);
            }
            places.push(at);
        }
        memory.variables.insert(self.id, places.clone());
        places
    }
}
