//! Standard output and standard error, which may be a pipe that nobody reads to its end.
//!
//! [`println!`] panics where it cannot write; Clippy refuses it and its like in this program.

use std::fmt::Display;
use std::io::{ErrorKind, Result, Write};
use std::process::exit;

use files::shown;

/// Exit code after a pipe was closed: a shell's for a program that SIGPIPE (13) ended.
const CLOSED_PIPE: i32 = 128 + 13;

/// [`println!`] through [`print()`].
macro_rules! say {
    ($($arguments:tt)*) => { $crate::print::print(&(format!($($arguments)*) + "\n")) };
}

/// [`eprintln!`] that says nothing where standard error is closed.
macro_rules! complain {
    ($($arguments:tt)*) => { $crate::print::print_error(&(format!($($arguments)*) + "\n")) };
}

pub(crate) use {complain, say};

/// Prints a text. If its reader is gone (`| head`), the program ends without a word; if it cannot be
/// written for another reason (a full disk), with one line.
pub fn print(text: &str) {
    match try_print(text) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => exit(CLOSED_PIPE),
        Err(error) => {
            complain!("error: standard output: {error}");
            exit(1);
        }
    }
}

/// Prints a text, or says why not, for what must not end there.
pub fn try_print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Prints an error in one line; a path or another word in it may have line breaks.
pub fn complain_of(error: &impl Display) {
    complain!("error: {}", shown(error.to_string().as_ref()));
}

/// Prints a text to standard error. There is nowhere to report that it cannot be written.
pub fn print_error(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}
