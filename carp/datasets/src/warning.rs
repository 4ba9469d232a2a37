//! Warnings about files.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Prints a warning, once: the same file may belong to several splits and be opened many times.
pub fn warn(line: String) {
    // Nothing panics while the lines change.
    if TOLD.lock().unwrap_or_else(PoisonError::into_inner).insert(line.clone()) {
        // `eprintln!` would panic where standard error is closed.
        let _ = writeln!(std::io::stderr(), "warning: {line}");
    }
}
