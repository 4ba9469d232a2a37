//! What ends a run early: Ctrl-C, signals that ask a process to end, and a closed pipe.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use carp::error::{Error, Result};
#[cfg(unix)]
use signal_hook::consts::SIGHUP;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::register_usize;

/// SIGPIPE, which Rust programs ignore: they see an error instead.
const SIGPIPE: usize = 13;

/// The signal that asked the run to stop; 0 if none did.
#[derive(Default)]
pub struct Stop(Arc<AtomicUsize>);

impl Stop {
    /// From here on these signals do not end the process, but ask the run to stop: SIGINT (Ctrl-C),
    /// SIGTERM (`kill`, job schedulers, containers) and SIGHUP (a closed terminal; not under
    /// `nohup`).
    ///
    /// # Errors
    /// What the system says.
    pub fn on_signals(&self) -> Result<()> {
        let listen = |signal| {
            register_usize(signal, Arc::clone(&self.0), signal as usize)
                .map_err(|error| Error::usage(format!("cannot listen for signals: {error}")))
        };
        listen(SIGINT)?;
        listen(SIGTERM)?;
        #[cfg(unix)]
        if !is_ignored(SIGHUP) {
            listen(SIGHUP)?;
        }
        Ok(())
    }

    /// Nobody reads the output any more.
    pub fn closed_pipe(&self) {
        self.0.store(SIGPIPE, Ordering::Relaxed);
    }

    /// Whether the run should stop.
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    /// The exit code of a run that stopped and saved: 0 after Ctrl-C, otherwise what a shell reports
    /// for the signal, so that a script does not take the run for finished.
    pub fn exit_code(&self) -> ExitCode {
        match self.0.load(Ordering::Relaxed) {
            signal if signal == SIGINT as usize => ExitCode::SUCCESS,
            signal => ExitCode::from(128 + signal as u8),
        }
    }
}

/// Whether the program was started with this signal ignored, as far as the system tells (Linux).
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
