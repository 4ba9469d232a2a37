//! Checks one exercise.

use std::path::Path;

use files::{Error, Result};

use crate::cuda;
use crate::exercise::{Check, Exercise};
use crate::kernel_check::{self, Program};
use crate::rust_check::{Attempt, compile};
use crate::verdict::Verdict;

/// Checks the file of an exercise, in a learner's `folder`; Rust is compiled in `build`.
///
/// # Errors
/// The file cannot be read, or its compiler not be started. What is wrong with its content is in the
/// verdict.
pub fn check(exercise: &Exercise, file: &Path, folder: &Path, build: &Path) -> Result<Verdict> {
    match exercise.check {
        Check::Rust(check) => match compile(&[Attempt { file, check }], folder, build)? {
            Ok(program) => program.run(0),
            Err(message) => Ok(Err(message)),
        },
        Check::Kernel(case) => Ok(match read(file)? {
            Ok(kernel) => kernel_check::check(&case(), kernel.program()),
            Err(message) => Err(message),
        }),
    }
}

/// The text of a kernel's file, and its PTX.
pub struct KernelText {
    name: String,
    ptx: String,
    cuda: Option<String>,
}

impl KernelText {
    /// The kernel.
    pub fn program(&self) -> Program<'_> {
        Program { name: &self.name, ptx: &self.ptx, cuda: self.cuda.as_deref() }
    }
}

/// Is a file in CUDA C++?
pub fn is_cuda(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "cu")
}

/// Reads a kernel's file, and compiles it where it is in CUDA C++. The inner error: the compiler's words.
///
/// # Errors
/// It cannot be read; there is no NVRTC.
pub fn read(file: &Path) -> Result<std::result::Result<KernelText, String>> {
    let text = std::fs::read_to_string(file).map_err(|source| Error::io(file, source))?;
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if !is_cuda(file) {
        return Ok(Ok(KernelText { name, ptx: text, cuda: None }));
    }
    let ptx = cuda::compile(&name, &text)?;
    Ok(ptx.map(|ptx| KernelText { name, ptx, cuda: Some(text) }))
}
