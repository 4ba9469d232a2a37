//! The learner's folder: the exercises' files, and what is known of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use files::{Error, Result, hex, write_atomically};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::catalogue::EXERCISES;
use crate::check::check;
use crate::exercise::{Check, Exercise};
use crate::picture::picture;
use crate::verdict::Verdict;

/// In the learner's folder: what passed, hints shown, and compiled checks.
const STATE: &str = ".learn";

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
        let mut written = 0;
        for exercise in EXERCISES {
            let path = folder.path(exercise);
            if !path.exists() {
                write_atomically(&path, exercise.text.as_bytes())?;
                written += 1;
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
        let place = EXERCISES.iter().position(|known| known.name == exercise.name);
        self.root.join(exercise.file_name(place.expect("it is in the list")))
    }

    /// Checks an exercise, and remembers if it passed.
    ///
    /// # Errors
    /// Those of [`check`].
    pub fn check(&mut self, exercise: &Exercise) -> Result<Verdict> {
        let path = self.path(exercise);
        // Before the check: the file may be saved again meanwhile.
        let digest = digest(&path)?;
        let verdict = check(exercise, &path, &self.root, &self.root.join(STATE).join("build"))?;
        self.update(|progress| match verdict {
            Ok(()) => drop(progress.passed.insert(exercise.name.to_owned(), digest)),
            Err(_) => drop(progress.passed.remove(exercise.name)),
        })?;
        Ok(verdict)
    }

    /// How an exercise stands.
    pub fn state(&self, exercise: &Exercise) -> State {
        match self.progress.passed.get(exercise.name) {
            None => State::Open,
            Some(passed) if digest(&self.path(exercise)).is_ok_and(|now| now == *passed) => {
                State::Passed
            }
            Some(_) => State::Changed,
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
        let all: Vec<&str> = exercise.hints().collect();
        let mut count = 0;
        self.update(|progress| {
            let shown = progress.hints.entry(exercise.name.to_owned()).or_default();
            *shown = (*shown + 1).min(all.len());
            count = *shown;
        })?;
        Ok((all[..count].to_vec(), all.len()))
    }

    /// Which thread of a kernel touches which address, as SVG.
    ///
    /// # Errors
    /// It is no kernel; its file cannot be read, or not be run to its end.
    pub fn picture(&self, exercise: &Exercise) -> Result<String> {
        let Check::Kernel(case) = exercise.check else {
            let name = exercise.name;
            return Err(Error::Usage(format!("{name} is no kernel: there are no threads to draw")));
        };
        let path = self.path(exercise);
        let text = std::fs::read_to_string(&path).map_err(|source| Error::io(&path, source))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        picture(&case(), &name, &text).map_err(|problem| Error::data(&path, problem))
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

fn digest(path: &Path) -> Result<String> {
    let text = std::fs::read(path).map_err(|source| Error::io(path, source))?;
    Ok(hex(&Sha256::digest(text)))
}
