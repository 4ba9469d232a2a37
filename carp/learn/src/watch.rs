//! Notices saves.

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
    seen: Vec<Stamp>,
}

fn stamp(folder: &Folder, exercise: &Exercise) -> Stamp {
    let data = folder.path(exercise).metadata().ok()?;
    Some((data.modified().ok()?, data.len()))
}

impl Watch {
    /// From now on.
    pub fn new(folder: &Folder) -> Watch {
        Watch { seen: EXERCISES.iter().map(|exercise| stamp(folder, exercise)).collect() }
    }

    /// Waits until a file is saved: its exercise.
    pub fn wait(&mut self, folder: &Folder) -> &'static Exercise {
        loop {
            for (seen, exercise) in self.seen.iter_mut().zip(EXERCISES) {
                let now = stamp(folder, exercise);
                if now.is_some() && now != *seen {
                    *seen = now;
                    return exercise;
                }
            }
            sleep(PERIOD);
        }
    }
}
