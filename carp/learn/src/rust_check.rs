//! Compiles Rust exercises with their checks, by `rustc` alone, and runs them.

use std::fmt::Write as _;
use std::io::{Read, pipe};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use files::{Error, Result};

use crate::verdict::Verdict;

const MAIN: &str = include_str!("../exercises/main.rs");
const COMPARE: &str = include_str!("compare.rs");
const GOLDEN: &str = include_str!("golden.rs");
/// Longest time that a check may take; each takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most output of a check that is read.
const MOST_OUTPUT: u64 = 1 << 16;

/// A learner's file and the check that is compiled with it.
pub struct Attempt<'a> {
    /// The file.
    pub file: &'a Path,
    /// The Rust code of the check.
    pub check: &'a str,
}

/// Attempts, compiled as one program.
pub struct Program {
    path: PathBuf,
}

/// Compiles attempts; in `build`, a folder that is made.
///
/// # Errors
/// No `rustc`; a file that cannot be written. The inner error: what the compiler says, with paths from
/// `folder` on.
pub fn compile(
    attempts: &[Attempt<'_>],
    folder: &Path,
    build: &Path,
) -> Result<std::result::Result<Program, String>> {
    let write = |name: &str, text: &str| {
        let path = build.join(name);
        std::fs::write(&path, text).map_err(|source| Error::io(path, source))
    };
    std::fs::create_dir_all(build).map_err(|source| Error::io(build, source))?;
    let folder = absolute(folder)?;
    let (mut modules, mut checks) = (String::new(), String::new());
    for (number, attempt) in attempts.iter().enumerate() {
        let check = format!("check{number}.rs");
        write(&check, attempt.check)?;
        let [file, check] = [absolute(attempt.file)?, absolute(&build.join(check))?];
        let _ = writeln!(
            modules,
            "mod attempt{number} {{\n    #[path = {file:?}]\n    pub mod exercise;\n    #[path = {check:?}]\n    \
             pub mod check;\n}}"
        );
        let _ = write!(checks, "attempt{number}::check::check, ");
    }
    let _ = writeln!(modules, "pub const CHECKS: &[fn() -> Result<(), String>] = &[{checks}];");
    write("attempts.rs", &modules)?;
    write("compare.rs", COMPARE)?;
    write("golden.rs", GOLDEN)?;
    write("main.rs", MAIN)?;
    let path = build.join(format!("checks{}", std::env::consts::EXE_SUFFIX));
    let mut remap = folder.into_os_string();
    remap.push(format!("{}=", std::path::MAIN_SEPARATOR));
    let output = Command::new("rustc")
        .args(["--edition", "2024", "--cap-lints", "allow", "-C", "debuginfo=0"])
        .arg("--remap-path-prefix")
        .arg(remap)
        .arg("-o")
        .args([&path, &build.join("main.rs")])
        .output()
        .map_err(|source| {
            Error::Usage(format!(
                "rustc cannot be started ({source}): install Rust, https://rustup.rs"
            ))
        })?;
    Ok(match output.status.success() {
        true => Ok(Program { path }),
        false => Err(String::from_utf8_lossy(&output.stderr).trim_end().to_owned()),
    })
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::fs::canonicalize(path).map_err(|source| Error::io(path, source))
}

impl Program {
    /// Runs the check of an attempt, by its number.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn run(&self, number: usize) -> Result<Verdict> {
        let io = |source| Error::io(&self.path, source);
        let (output, input) = pipe().map_err(io)?;
        let mut command = Command::new(&self.path);
        command.arg(number.to_string()).stdin(Stdio::null());
        command.stdout(input.try_clone().map_err(io)?).stderr(input);
        let mut child = command.spawn().map_err(io)?;
        // It holds the ends of the pipe that the check writes to.
        drop(command);
        // Beside the wait: a pipe that nobody empties would stop the check.
        let reader = spawn(move || {
            let mut text = Vec::new();
            let _ = output.take(MOST_OUTPUT).read_to_end(&mut text);
            String::from_utf8_lossy(&text).trim_end().to_owned()
        });
        let status = wait(&mut child).map_err(io)?;
        let output = reader.join().expect("reading does not panic");
        Ok(match status {
            Some(status) if status.success() => Ok(()),
            Some(_) => Err(output),
            None => {
                let seconds = PATIENCE.as_secs();
                let ending = format!("no end after {seconds} seconds: a loop that does not end?");
                Err(if output.is_empty() { ending } else { format!("{output}\n{ending}") })
            }
        })
    }
}

/// How it ended; none if it took too long.
fn wait(child: &mut Child) -> std::io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        sleep(Duration::from_millis(5));
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}
