//! Long output on the terminal.

use std::io::Write;

/// Prints a long text; its reader (`| head`) may close the pipe early.
pub fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
