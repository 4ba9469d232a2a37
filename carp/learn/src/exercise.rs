//! An exercise: a file with a gap, what fills it, hints, and its check.

use crate::kernel_case::KernelCase;

/// The line before a gap and the line after it hold these words, in a comment.
const GAP: [&str; 2] = ["YOUR CODE BEGINS", "YOUR CODE ENDS"];

/// An exercise.
pub struct Exercise {
    /// Its name, such as `softmax-gradient`.
    pub name: &'static str,
    /// The file with the gap as the learner gets it.
    pub text: &'static str,
    /// What fills the gap.
    pub solution: &'static str,
    /// One hint a line, from a nudge to all but the solution.
    pub hints: &'static str,
    /// How it is checked.
    pub check: Check,
}

/// A check.
pub enum Check {
    /// By Rust code that is compiled together with the exercise: a module with
    /// `check() -> Result<(), String>`.
    Rust(&'static str),
    /// In the emulator.
    Kernel(fn() -> KernelCase),
}

impl Exercise {
    /// The extension of its file.
    pub fn extension(&self) -> &'static str {
        match self.check {
            Check::Rust(_) => "rs",
            Check::Kernel(_) => "ptx",
        }
    }

    /// The name of its file, given its place in the list, from 0: `01-strides.rs`.
    pub fn file_name(&self, place: usize) -> String {
        format!("{:02}-{}.{}", place + 1, self.name, self.extension())
    }

    /// What it is about: the first line of its file.
    pub fn title(&self) -> &'static str {
        self.text.lines().next().unwrap_or_default().trim_start_matches(['/', '!', ' '])
    }

    /// The hints, in order.
    pub fn hints(&self) -> impl Iterator<Item = &'static str> {
        self.hints.lines()
    }

    /// The file with its gap filled.
    pub fn filled(&self, answer: &str) -> String {
        let mut text = String::new();
        let mut in_gap = false;
        for line in self.text.lines() {
            let ends = line.contains(GAP[1]);
            if ends {
                text += answer.trim_end_matches('\n');
                text.push('\n');
            }
            in_gap &= !ends;
            if !in_gap {
                text += line;
                text.push('\n');
            }
            in_gap |= line.contains(GAP[0]);
        }
        text
    }
}
