//! Notices saves.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use crate::catalogue::EXERCISES;
use crate::exercise::Exercise;
use crate::folder::Folder;

/// How often the files are looked at. It works on every file system, and costs nothing for so few.
const PERIOD: Duration = Duration::from_millis(200);

/// When a file was last changed, and how long it is; none while an editor replaces it.
type Stamp = Option<(SystemTime, u64)>;

/// The exercises' files as they were last seen.
pub struct Watch {
    seen: Vec<(&'static Exercise, PathBuf, Stamp)>,
}

fn stamp(path: &Path) -> Stamp {
    let data = path.metadata().ok()?;
    Some((data.modified().ok()?, data.len()))
}

impl Watch {
    /// From now on.
    pub fn new(folder: &Folder) -> Watch {
        let files =
            |exercise| folder.files(exercise).into_iter().map(move |(path, _)| (exercise, path));
        let stamped = |(exercise, path): (_, PathBuf)| {
            let now = stamp(&path);
            (exercise, path, now)
        };
        Watch { seen: EXERCISES.iter().flat_map(files).map(stamped).collect() }
    }

    /// Waits until a file is saved: its exercise, and the file.
    pub fn wait(&mut self) -> (&'static Exercise, PathBuf) {
        loop {
            for (exercise, path, seen) in &mut self.seen {
                let now = stamp(path);
                if now.is_some() && now != *seen {
                    *seen = now;
                    return (exercise, path.clone());
                }
            }
            sleep(PERIOD);
        }
    }
}
