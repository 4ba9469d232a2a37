//! The learner's folder: the exercises' files, and what is known of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use files::{Error, Result, hex, write_atomically};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::catalogue::{EXERCISES, find};
use crate::check::{check, is_cuda, read};
use crate::exercise::{Check, Exercise};
use crate::kernel_case::KernelCase;
use crate::kernel_check::Program;
use crate::verdict::Verdict;

/// In the learner's folder: what passed, hints shown, and compiled checks.
const STATE: &str = ".learn";

/// What a learner reads first.
const README: &str = include_str!("../exercises/README.md");

/// A folder of exercises.
pub struct Folder {
    root: PathBuf,
    progress: Progress,
}

/// By the names of exercises.
#[derive(Default, Serialize, Deserialize)]
struct Progress {
    /// SHA-256 of the text that passed.
    passed: BTreeMap<String, String>,
    /// How many hints were shown.
    hints: BTreeMap<String, usize>,
}

/// How an exercise stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its check has not passed yet.
    Open,
    /// Its check has passed.
    Passed,
    /// It passed, and was changed since.
    Changed,
}

impl Folder {
    /// Lays out all exercises; files that are there stay as they are. Returns how many were written.
    ///
    /// # Errors
    /// I/O errors.
    pub fn create(root: &Path) -> Result<(Folder, usize)> {
        let state = root.join(STATE);
        std::fs::create_dir_all(&state).map_err(|source| Error::io(&state, source))?;
        let folder = Folder::open(root)?;
        let readme = root.join("README.md");
        if !readme.exists() {
            write_atomically(&readme, README.as_bytes())?;
        }
        let mut written = 0;
        for exercise in EXERCISES {
            for (path, text) in folder.files(exercise) {
                if !path.exists() {
                    write_atomically(&path, text.as_bytes())?;
                    written += usize::from(path == folder.path(exercise));
                }
            }
        }
        Ok((folder, written))
    }

    /// A folder that [`Folder::create`] made.
    ///
    /// # Errors
    /// It is none, or its record of what passed cannot be read.
    pub fn open(root: &Path) -> Result<Folder> {
        if !root.join(STATE).is_dir() {
            return Err(Error::Usage(format!(
                "{}: no exercises here; `carp learn new DIR` lays them out, --dir DIR names the folder",
                root.display()
            )));
        }
        Ok(Folder { root: root.to_owned(), progress: Progress::read(root)? })
    }

    /// The file of an exercise.
    pub fn path(&self, exercise: &Exercise) -> PathBuf {
        self.root.join(exercise.file_name(place(exercise)))
    }

    /// Its files, that in CUDA C++ last, with what they hold when they are laid out.
    pub fn files(&self, exercise: &Exercise) -> Vec<(PathBuf, &'static str)> {
        let in_cuda = exercise.cuda_file_name(place(exercise)).zip(exercise.cuda.as_ref());
        let in_cuda = in_cuda.map(|(name, cuda)| (self.root.join(name), cuda.text));
        [(self.path(exercise), exercise.text)].into_iter().chain(in_cuda).collect()
    }

    /// Of its files, the one that the learner works on: that which was changed last; none if all are as
    /// they were laid out.
    pub fn tried(&self, exercise: &Exercise) -> Option<PathBuf> {
        let changed = |&(ref path, text): &(PathBuf, &str)| {
            std::fs::read(path).is_ok_and(|now| now != text.as_bytes())
        };
        let time = |path: &PathBuf| path.metadata().and_then(|data| data.modified()).ok();
        let tried = self.files(exercise).into_iter().filter(changed).map(|(path, _)| path);
        tried.max_by_key(time)
    }

    /// The same, or its file.
    pub fn attempt(&self, exercise: &Exercise) -> PathBuf {
        self.tried(exercise).unwrap_or_else(|| self.path(exercise))
    }

    /// The exercise of that name, and its file: the one named, or [`Folder::attempt`].
    ///
    /// # Errors
    /// There is none.
    pub fn named(&self, name: &str) -> Result<(&'static Exercise, PathBuf)> {
        let exercise = find(name)?;
        let in_cuda = self.files(exercise).into_iter().find(|(path, _)| is_cuda(path));
        let file = match in_cuda {
            Some((path, _)) if name.ends_with(".cu") => path,
            _ if name.ends_with(".ptx") => self.path(exercise),
            _ => self.attempt(exercise),
        };
        Ok((exercise, file))
    }

    /// Checks a file of an exercise, and remembers if it passed.
    ///
    /// # Errors
    /// Those of [`check`].
    pub fn check(&mut self, exercise: &Exercise, path: &Path) -> Result<Verdict> {
        // Before the check: the file may be saved again meanwhile.
        let digest = digest(path)?;
        let verdict = check(exercise, path, &self.root, &self.root.join(STATE).join("build"))?;
        self.update(|progress| match verdict {
            Ok(()) => drop(progress.passed.insert(exercise.name.to_owned(), digest)),
            Err(_) => drop(progress.passed.remove(exercise.name)),
        })?;
        Ok(verdict)
    }

    /// How an exercise stands.
    pub fn state(&self, exercise: &Exercise) -> State {
        let Some(passed) = self.progress.passed.get(exercise.name) else { return State::Open };
        let holds = |(path, _): (PathBuf, _)| digest(&path).is_ok_and(|now| now == *passed);
        match self.files(exercise).into_iter().any(holds) {
            true => State::Passed,
            false => State::Changed,
        }
    }

    /// The first exercise that is not passed.
    pub fn next(&self) -> Option<&'static Exercise> {
        EXERCISES.iter().find(|exercise| self.state(exercise) != State::Passed)
    }

    /// The hints up to the next one that was not shown yet; and how many there are.
    ///
    /// # Errors
    /// I/O errors.
    pub fn next_hint(&mut self, exercise: &Exercise) -> Result<(Vec<&'static str>, usize)> {
        let in_cuda = is_cuda(&self.attempt(exercise));
        let all: Vec<&str> = exercise.hints(in_cuda).collect();
        let mut count = 0;
        self.update(|progress| {
            let shown = progress.hints.entry(exercise.name.to_owned()).or_default();
            *shown = (*shown + 1).min(all.len());
            count = *shown;
        })?;
        Ok((all[..count].to_vec(), all.len()))
    }

    /// Shows a kernel's file: by [`picture`](crate::picture::picture) or [`view`](crate::view::view).
    ///
    /// # Errors
    /// It is no kernel; its file cannot be read, or not be run.
    pub fn show(
        &self,
        exercise: &Exercise,
        path: &Path,
        show: fn(&KernelCase, Program<'_>) -> std::result::Result<String, String>,
    ) -> Result<String> {
        let Check::Kernel(case) = exercise.check else {
            let name = exercise.name;
            return Err(Error::Usage(format!("{name} is no kernel: there are no threads to draw")));
        };
        let problem = |problem| Error::data(path, problem);
        let kernel = read(path)?.map_err(problem)?;
        show(&case(), kernel.program()).map_err(problem)
    }

    /// Changes what is known, as it is now: `carp learn watch` may run beside another command.
    fn update(&mut self, change: impl FnOnce(&mut Progress)) -> Result<()> {
        self.progress = Progress::read(&self.root)?;
        change(&mut self.progress);
        let text = serde_json::to_vec_pretty(&self.progress).expect("plain data");
        write_atomically(&Progress::path(&self.root), &text)
    }
}

impl Progress {
    fn path(root: &Path) -> PathBuf {
        root.join(STATE).join("progress.json")
    }

    fn read(root: &Path) -> Result<Progress> {
        let path = Progress::path(root);
        match std::fs::read(&path) {
            Ok(text) => {
                serde_json::from_slice(&text).map_err(|error| Error::data(&path, error.to_string()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Progress::default()),
            Err(source) => Err(Error::io(path, source)),
        }
    }
}

fn place(exercise: &Exercise) -> usize {
    let place = EXERCISES.iter().position(|known| known.name == exercise.name);
    place.expect("it is in the list")
}

fn digest(path: &Path) -> Result<String> {
    let text = std::fs::read(path).map_err(|source| Error::io(path, source))?;
    Ok(hex(&Sha256::digest(text)))
}
