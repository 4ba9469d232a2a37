//! The two checkpoints that a run's folder keeps: the last one, and the one before in case the last
//! is broken. Both are whole files with a checksum each. If `checkpoint.safetensors` is a link, both
//! are where it points to.

use std::path::{Path, PathBuf};

use files::{rename, replaced_file};

use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};

/// The last checkpoint of a run's folder.
fn last(folder: &Path) -> PathBuf {
    folder.join("checkpoint.safetensors")
}

/// The file beside `file` whose name ends in `-WHICH`.
fn beside(file: &Path, which: &str) -> PathBuf {
    let mut name = file.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{which}"));
    let mut path = file.with_file_name(name);
    if let Some(extension) = file.extension() {
        path.as_mut_os_string().push(".");
        path.as_mut_os_string().push(extension);
    }
    path
}

/// The checkpoint before the last one; `None` if checkpoints go into a device.
///
/// # Errors
/// What the system says.
pub fn previous(folder: &Path) -> Result<Option<PathBuf>> {
    Ok(replaced_file(&last(folder))?.map(|file| beside(&file, "previous")))
}

/// The best checkpoint of a run's folder, or the file itself.
pub fn checkpoint_of(path: &Path) -> PathBuf {
    if !path.is_dir() {
        return path.to_owned();
    }
    // A run that was killed just when its last one became the one before has only that.
    let previous = || previous(path).ok().flatten().filter(|file| file.exists());
    let last = last(path);
    if last.exists() { last } else { previous().unwrap_or(last) }
}

/// Writes a checkpoint with `save(path)`; the last one becomes the one before, in place of that. At
/// any moment one of them is there and whole.
///
/// # Errors
/// I/O errors; the checkpoints are as they were.
pub fn save(folder: &Path, save: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let last = last(folder);
    let Some(file) = replaced_file(&last)? else { return save(&last) };
    let next = beside(&file, "next");
    save(&next)?;
    if file.exists() {
        rename(&file, &beside(&file, "previous"))?;
    }
    Ok(rename(&next, &file)?)
}

/// Reads the last checkpoint. If that is broken or not there, it is put aside, the one before takes
/// its place, and a line says so.
///
/// # Errors
/// That of the last checkpoint, where the one before is not whole either, with that one's.
pub fn load(folder: &Path) -> Result<(Checkpoint, Option<String>)> {
    let last = last(folder);
    let error = match Checkpoint::load(&last) {
        Ok(checkpoint) => return Ok((checkpoint, None)),
        Err(error) => error,
    };
    let (true, Some(file)) = (is_broken(&error), replaced_file(&last)?) else { return Err(error) };
    let previous = beside(&file, "previous");
    let checkpoint = match Checkpoint::load(&previous) {
        Ok(checkpoint) => checkpoint,
        Err(_) if !previous.exists() => return Err(error),
        Err(other) => {
            return Err(Error::data(folder, format!("no whole checkpoint: {error}; {other}")));
        }
    };
    let step = checkpoint.progress()?.step;
    if file.exists() {
        rename(&file, &beside(&file, "broken"))?;
    }
    rename(&previous, &file)?;
    let line = format!("{error}; goes on from the checkpoint before it, after step {step}");
    Ok((Checkpoint::load(&last)?, Some(line)))
}

/// The file is not a whole checkpoint, which another attempt would not change.
fn is_broken(error: &Error) -> bool {
    match error {
        Error::File(files::Error::Io { source, .. }) => {
            source.kind() == std::io::ErrorKind::NotFound
        }
        Error::File(files::Error::Data { .. }) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{self, Progress};
    use crate::config::Config;
    use crate::fingerprint::Fingerprint;

    fn saved(folder: &Path, step: usize) {
        let progress = Progress { step, seconds: 1.0 };
        let mut tensors = vec![("student.a".to_owned(), vec![1], vec![step as f32])];
        let write = |path: &Path| {
            let config = Config::default();
            checkpoint::save(path, &config, &Fingerprint::default(), &mut tensors, progress)
        };
        save(folder, write).unwrap();
    }

    fn step(path: &Path) -> usize {
        Checkpoint::load(path).unwrap().progress().unwrap().step
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<_> = entries.map(|entry| name(entry).into_string().unwrap()).collect();
        names.sort();
        names
    }

    const LAST: &str = "checkpoint.safetensors";
    const PREVIOUS: &str = "checkpoint-previous.safetensors";

    #[test]
    fn two_are_kept_and_a_failed_save_changes_neither() {
        let temp = tempfile::tempdir().unwrap();
        saved(temp.path(), 1);
        assert_eq!(names(temp.path()), [LAST]);
        saved(temp.path(), 2);
        saved(temp.path(), 3);
        let failed = save(temp.path(), |path| Err(Error::data(path, "no room")));
        assert!(failed.is_err());
        assert_eq!(names(temp.path()), [PREVIOUS, LAST]);
        let [previous, last] = [PREVIOUS, LAST].map(|name| step(&temp.path().join(name)));
        assert_eq!((previous, last), (2, 3));
    }

    #[test]
    fn the_one_before_stands_in_for_a_broken_or_missing_one() {
        for is_missing in [false, true] {
            let temp = tempfile::tempdir().unwrap();
            let file = temp.path().join(LAST);
            saved(temp.path(), 1);
            saved(temp.path(), 2);
            assert!(load(temp.path()).unwrap().1.is_none());
            let mut bytes = std::fs::read(&file).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            if is_missing {
                std::fs::remove_file(&file).unwrap();
                assert_eq!(step(&checkpoint_of(temp.path())), 1);
            } else {
                std::fs::write(&file, &bytes).unwrap();
            }
            let (checkpoint, line) = load(temp.path()).unwrap();
            assert_eq!(checkpoint.progress().unwrap().step, 1);
            let line = line.unwrap();
            assert!(line.contains(LAST) && line.ends_with("before it, after step 1"), "{line}");
            assert_eq!(step(&file), 1);
            let broken = temp.path().join("checkpoint-broken.safetensors");
            assert_eq!(std::fs::read(broken).ok(), (!is_missing).then_some(bytes));
            // The next save keeps the good one.
            saved(temp.path(), 2);
            assert_eq!(step(&temp.path().join(PREVIOUS)), 1);
        }
    }

    #[test]
    fn without_a_whole_one_the_error_is_that_of_the_last() {
        let temp = tempfile::tempdir().unwrap();
        let refused = || load(temp.path()).err().unwrap().to_string();
        assert!(refused().contains("checkpoint.safetensors: No such file"));
        for name in [LAST, PREVIOUS] {
            std::fs::write(temp.path().join(name), "none").unwrap();
        }
        for name in [LAST, PREVIOUS] {
            assert!(refused().contains(&format!("{name}: not a whole")), "{}", refused());
        }
        assert_eq!(names(temp.path()), [PREVIOUS, LAST]);
    }

    #[test]
    #[cfg(unix)]
    fn behind_a_link_both_are_where_it_points_to() {
        let temp = tempfile::tempdir().unwrap();
        let [run, disk] = ["run", "disk"].map(|name| temp.path().join(name));
        [&run, &disk].iter().for_each(|folder| std::fs::create_dir(folder).unwrap());
        std::os::unix::fs::symlink(disk.join("big.safetensors"), run.join(LAST)).unwrap();
        saved(&run, 1);
        saved(&run, 2);
        assert_eq!((names(&run), run.join(LAST).is_symlink()), (vec![LAST.to_owned()], true));
        assert_eq!(names(&disk), ["big-previous.safetensors", "big.safetensors"]);
        std::fs::write(disk.join("big.safetensors"), "none").unwrap();
        assert_eq!(load(&run).unwrap().0.progress().unwrap().step, 1);
        assert!(run.join(LAST).is_symlink());
    }
}
