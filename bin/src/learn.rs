//! `carp learn`: exercises, and the checks that correct them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use carp::error::{Error, Result};
use clap::{Args, Subcommand};
use files::write_atomically;
use learn::catalogue::{EXERCISES, find};
use learn::check::is_cuda;
use learn::exercise::{Check, Exercise};
use learn::folder::{Folder, State};
use learn::kernel_case::KernelCase;
use learn::kernel_check::Program;
use learn::picture::picture;
use learn::view::view;
use learn::watch::Watch;

use crate::outputs::check_outputs;
use crate::print::say;

#[derive(Args)]
pub struct LearnArgs {
    #[command(subcommand)]
    command: Option<LearnCommand>,
    /// The folder that `carp learn new` made.
    #[arg(long, global = true, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

#[derive(Subcommand)]
enum LearnCommand {
    /// Lay the exercises out in a folder; files that are there stay as they are.
    New {
        /// The folder.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Check an exercise; without NAME, from the next one on until one fails.
    Check {
        /// Its name, number or file.
        name: Option<String>,
    },
    /// Check an exercise whenever its file is saved, and go on to the next when it passes.
    Watch,
    /// Show a hint, and with each call one more.
    Hint {
        /// Its name, number or file; without it, the next one's.
        name: Option<String>,
    },
    /// Print what fills the gap.
    Solution {
        /// Its name, number or file.
        name: String,
    },
    /// Write a page to step through a warp of a kernel; the one that a finding is in, if there is one.
    View {
        /// Its name, number or file.
        name: String,
        /// The page [default: NAME.html].
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Draw which thread of a kernel touches which address, as SVG.
    Picture {
        /// Its name, number or file.
        name: String,
        /// The picture [default: NAME.svg].
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

pub fn run(args: &LearnArgs) -> Result<ExitCode> {
    match &args.command {
        None => list(&Folder::open(&args.dir)?),
        Some(LearnCommand::New { folder }) => {
            if folder.is_file() {
                let file = folder.display();
                return Err(Error::usage(format!("{file}: a file, should be a folder")));
            }
            let (_, written) = Folder::create(folder)?;
            let kept = EXERCISES.len() - written;
            say!("{written} exercises in {}, {kept} were there already", folder.display());
            say!("go there and read README.md; `carp learn watch` checks what you save");
        }
        Some(LearnCommand::Check { name: Some(name) }) => {
            let mut folder = Folder::open(&args.dir)?;
            let (exercise, file) = folder.named(name)?;
            let passed = check(&mut folder, exercise, &file)?;
            return Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Some(LearnCommand::Check { name: None }) => {
            let mut folder = Folder::open(&args.dir)?;
            while let Some(exercise) = folder.next() {
                let file = folder.attempt(exercise);
                if !check(&mut folder, exercise, &file)? {
                    return Ok(ExitCode::FAILURE);
                }
            }
            say!("all {} exercises passed", EXERCISES.len());
        }
        Some(LearnCommand::Watch) => watch(&mut Folder::open(&args.dir)?)?,
        Some(LearnCommand::Hint { name }) => hint(&mut Folder::open(&args.dir)?, name.as_deref())?,
        Some(LearnCommand::Solution { name }) => {
            crate::print::print(find(name)?.solution_for(name.ends_with(".cu")));
        }
        Some(LearnCommand::View { name, output }) => show(args, name, output, view, "html")?,
        Some(LearnCommand::Picture { name, output }) => show(args, name, output, picture, "svg")?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes what shows a kernel.
fn show(
    args: &LearnArgs,
    name: &str,
    output: &Option<PathBuf>,
    by: fn(&KernelCase, Program<'_>) -> std::result::Result<String, String>,
    extension: &str,
) -> Result<()> {
    let folder = Folder::open(&args.dir)?;
    let (exercise, file) = folder.named(name)?;
    let default = || PathBuf::from(format!("{}.{extension}", exercise.name));
    let output = output.clone().unwrap_or_else(default);
    check_outputs([&output], [&file])?;
    write_atomically(&output, folder.show(exercise, &file, by)?.as_bytes())?;
    say!("{}", output.display());
    Ok(())
}

/// All exercises, and how they stand.
fn list(folder: &Folder) {
    let next = folder.next();
    let mut passed = 0;
    for exercise in EXERCISES {
        let state = folder.state(exercise);
        passed += usize::from(state == State::Passed);
        let is_next = next.is_some_and(|next| next.name == exercise.name);
        let mark = match state {
            State::Passed => "passed",
            State::Changed => "changed",
            State::Open if is_next => "next",
            State::Open => "",
        };
        say!("{mark:<8} {:<27} {}", name(&folder.path(exercise)), exercise.title());
    }
    say!("\n{passed} of {} passed", EXERCISES.len());
    if let Some(next) = next {
        say!(
            "next: {}; `carp learn check` checks it, `carp learn hint` helps",
            name(&folder.path(next))
        );
    }
}

fn name(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Checks a file of an exercise and prints what comes of it; true if it passed.
fn check(folder: &mut Folder, exercise: &Exercise, file: &Path) -> Result<bool> {
    let verdict = folder.check(exercise, file)?;
    match &verdict {
        Ok(()) => say!("{}: passed", name(file)),
        Err(lines) => say!("{}: not yet\n\n{lines}\n", name(file)),
    }
    Ok(verdict.is_ok())
}

/// Checks what is saved until all has passed.
fn watch(folder: &mut Folder) -> Result<()> {
    let mut watch = Watch::new(folder);
    while let Some(next) = folder.next() {
        say!("\nnext: {}  {}", name(&folder.path(next)), next.title());
        let (mut exercise, mut file) = match folder.tried(next) {
            Some(file) => (next, file),
            None => {
                say!("fill its gap and save it; `carp learn hint` helps");
                watch.wait()
            }
        };
        while !check(folder, exercise, &file)? {
            (exercise, file) = watch.wait();
        }
    }
    say!("\nall {} exercises passed", EXERCISES.len());
    Ok(())
}

fn hint(folder: &mut Folder, wanted: Option<&str>) -> Result<()> {
    let exercise = match wanted {
        Some(name) => find(name)?,
        None => match folder.next() {
            Some(next) => next,
            None => {
                say!("all {} exercises passed", EXERCISES.len());
                return Ok(());
            }
        },
    };
    let (hints, all) = folder.next_hint(exercise)?;
    for (number, hint) in hints.iter().enumerate() {
        say!("{} of {all}: {hint}", number + 1);
    }
    if hints.len() == all {
        let file = folder.attempt(exercise);
        let named = if is_cuda(&file) { name(&file) } else { exercise.name.to_owned() };
        say!("`carp learn solution {named}` prints what fills the gap");
    }
    if let Check::Kernel(_) = exercise.check {
        say!("`carp learn view {}` writes a page in which you step through a warp", exercise.name);
    }
    Ok(())
}
