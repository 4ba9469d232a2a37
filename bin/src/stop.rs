//! What ends a run early: Ctrl-C, signals that ask a process to end, and a closed pipe.

use std::process::{ExitCode, exit};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use autograd::{Alone, Transport};
use carp::error::{Error, Result};
use indicatif::ProgressBar;
#[cfg(unix)]
use signal_hook::consts::{SIGHUP, SIGUSR1};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::print::{complain, try_print};

/// SIGPIPE, which Rust programs ignore: they see an error instead.
const SIGPIPE: usize = 13;

/// How long after the first signal the same one is no second wish: `timeout` signals its child and then
/// the group that the child is in.
const ECHO: Duration = Duration::from_secs(1);

/// How the run ends when it is asked to.
pub enum Ending {
    /// At once, with this line: nothing would be lost. There is something to resume if `is_saved`.
    AtOnce { line: String, is_saved: bool },
    /// After this, and after saving.
    After(&'static str),
}

struct Shared {
    /// The signal that asked the run to stop; 0 if none did.
    signal: AtomicUsize,
    ending: Mutex<Ending>,
    bar: Mutex<ProgressBar>,
    /// Rank and number of the processes that share the run: only the first one answers.
    rank: usize,
    ranks: usize,
}

/// Whether a run was asked to stop.
#[derive(Clone)]
pub struct Stop(Arc<Shared>);

impl Stop {
    /// Nothing asks yet; `ending` holds at first.
    pub fn new(ending: Ending) -> Stop {
        Stop::among(&Alone, ending)
    }

    /// As [`Stop::new`], for one of the ranks that share a run.
    pub fn among(ranks: &dyn Transport, ending: Ending) -> Stop {
        let (ending, bar) = (Mutex::new(ending), Mutex::new(ProgressBar::hidden()));
        let (rank, ranks) = (ranks.rank(), ranks.size());
        Stop(Arc::new(Shared { signal: AtomicUsize::new(0), ending, bar, rank, ranks }))
    }

    /// From here on these signals do not end the process, but ask the run to stop: SIGINT (Ctrl-C),
    /// SIGTERM (`kill`, job schedulers, containers), SIGHUP (a closed terminal; not under `nohup`), and
    /// SIGUSR1, which `mpirun` passes on to all processes. Each is answered at once; a second one ends
    /// the process, unless it repeats the first within a second.
    ///
    /// # Errors
    /// What the system says.
    pub fn on_signals(&self) -> Result<()> {
        let mut signals = vec![SIGINT, SIGTERM];
        #[cfg(unix)]
        signals.extend([SIGHUP, SIGUSR1].into_iter().filter(|&signal| !is_ignored(signal)));
        let mut signals = Signals::new(signals)
            .map_err(|error| Error::usage(format!("cannot listen for signals: {error}")))?;
        let stop = self.clone();
        std::thread::spawn(move || {
            let mut first = None;
            let asked =
                signals.forever().filter(|&signal| !is_echo(&mut first, signal, Instant::now()));
            asked.for_each(|signal| stop.answer(signal));
        });
        Ok(())
    }

    fn answer(&self, signal: i32) {
        let code = 128 + signal;
        let is_first = self.ask(signal as usize);
        self.lock(&self.0.bar).suspend(|| match &*self.lock(&self.0.ending) {
            Ending::AtOnce { line, is_saved } => {
                self.print(line);
                exit(if *is_saved && signal == SIGINT { 0 } else { code });
            }
            Ending::After(_) if !is_first => {
                self.complain("ended at once: the steps since the last checkpoint are lost");
                exit(code);
            }
            Ending::After(what) => {
                // Then mpirun asks the others to stop.
                let unless = if self.0.ranks > 1 { " unless a rank has died" } else { "" };
                self.complain(&format!(
                    "stopping after {what}{unless}, then saving; once more ends it at once"
                ));
            }
        });
    }

    /// True for the first to ask.
    fn ask(&self, signal: usize) -> bool {
        let order = Ordering::Relaxed;
        self.0.signal.compare_exchange(0, signal, order, order).is_ok()
    }

    fn lock<'a, T>(&self, value: &'a Mutex<T>) -> std::sync::MutexGuard<'a, T> {
        value.lock().expect("nothing panics under the lock")
    }

    /// How the run ends from here on.
    pub fn ends(&self, ending: Ending) {
        *self.lock(&self.0.ending) = ending;
    }

    /// Answers appear above this bar.
    pub fn above(&self, bar: ProgressBar) {
        *self.lock(&self.0.bar) = bar;
    }

    /// Nobody reads the output any more.
    pub fn closed_pipe(&self) {
        self.ask(SIGPIPE);
    }

    /// Whether the run should stop.
    pub fn is_asked(&self) -> bool {
        self.signal() != 0
    }

    /// The signal that asked; 0 if none did.
    pub fn signal(&self) -> usize {
        self.0.signal.load(Ordering::Relaxed)
    }

    /// Takes over a signal that another process got.
    pub fn adopt(&self, signal: usize) {
        self.ask(signal);
    }

    /// The last line of a run that stopped and saved.
    pub fn tell(&self, line: &str) {
        if self.signal() != SIGPIPE {
            self.print(line);
        }
    }

    fn complain(&self, line: &str) {
        if self.0.rank == 0 {
            complain!("{line}");
        }
    }

    fn print(&self, line: &str) {
        if self.0.rank == 0 {
            tell(line);
        }
    }

    /// The exit code of a run that stopped and saved: 0 after Ctrl-C, otherwise what a shell reports
    /// for the signal, so that a script does not take the run for finished.
    pub fn exit_code(&self) -> ExitCode {
        match self.signal() {
            signal if signal == SIGINT as usize => ExitCode::SUCCESS,
            signal => ExitCode::from(128 + signal as u8),
        }
    }
}

/// Whether a signal repeats the first one within [`ECHO`].
fn is_echo(first: &mut Option<(i32, Instant)>, signal: i32, now: Instant) -> bool {
    match *first {
        None => {
            *first = Some((signal, now));
            false
        }
        Some((earlier, at)) => earlier == signal && now.duration_since(at) < ECHO,
    }
}

/// Prints a line; to standard error if its reader has ended first, as `tee` does on Ctrl-C.
fn tell(line: &str) {
    if try_print(&format!("{line}\n")).is_err() {
        complain!("{line}");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_signal_within_a_second_is_an_echo() {
        let (mut first, start) = (None, Instant::now());
        let mut is_echo =
            |signal, ms| super::is_echo(&mut first, signal, start + Duration::from_millis(ms));
        assert!(!is_echo(SIGTERM, 0));
        assert!(is_echo(SIGTERM, 0) && is_echo(SIGTERM, 999));
        assert!(!is_echo(SIGINT, 1));
        assert!(!is_echo(SIGTERM, 1000));
    }
}
