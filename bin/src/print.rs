//! Long texts on the terminal.

use std::io::Write;

/// Prints a long text; a reader that has seen enough (`| head`) may close the pipe.
pub fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
