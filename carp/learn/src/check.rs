//! Checks one exercise.

use std::path::Path;

use files::{Error, Result};

use crate::exercise::{Check, Exercise};
use crate::kernel_check;
use crate::rust_check::{Attempt, compile};
use crate::verdict::Verdict;

/// Checks the file of an exercise, in a learner's `folder`; Rust is compiled in `build`.
///
/// # Errors
/// The file cannot be read, or `rustc` not be started. What is wrong with its content is in the verdict.
pub fn check(exercise: &Exercise, file: &Path, folder: &Path, build: &Path) -> Result<Verdict> {
    match exercise.check {
        Check::Rust(check) => match compile(&[Attempt { file, check }], folder, build)? {
            Ok(program) => program.run(0),
            Err(message) => Ok(Err(message)),
        },
        Check::Kernel(case) => {
            let text = std::fs::read_to_string(file).map_err(|source| Error::io(file, source))?;
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            Ok(kernel_check::check(&case(), &name, &text))
        }
    }
}
