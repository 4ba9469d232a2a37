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
    /// The same in CUDA C++, of a kernel: a learner fills either gap.
    pub cuda: Option<Cuda>,
}

/// A kernel's exercise in CUDA C++.
pub struct Cuda {
    /// The file with the gap.
    pub text: &'static str,
    /// What fills the gap.
    pub solution: &'static str,
    /// One hint a line.
    pub hints: &'static str,
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

    /// The name of its file in CUDA C++.
    pub fn cuda_file_name(&self, place: usize) -> Option<String> {
        self.cuda.as_ref().map(|_| format!("{:02}-{}.cu", place + 1, self.name))
    }

    /// What it is about: the first line of its file.
    pub fn title(&self) -> &'static str {
        self.text.lines().next().unwrap_or_default().trim_start_matches(['/', '!', ' '])
    }

    /// What fills the gap of its file, or of that in CUDA C++.
    pub fn solution_for(&self, in_cuda: bool) -> &'static str {
        self.cuda.as_ref().filter(|_| in_cuda).map_or(self.solution, |cuda| cuda.solution)
    }

    /// The hints, in order.
    pub fn hints(&self, in_cuda: bool) -> impl Iterator<Item = &'static str> {
        self.cuda.as_ref().filter(|_| in_cuda).map_or(self.hints, |cuda| cuda.hints).lines()
    }
}

/// A file with its gap filled.
pub fn fill(text: &str, answer: &str) -> String {
    let mut filled = String::new();
    let mut in_gap = false;
    for line in text.lines() {
        let ends = line.contains(GAP[1]);
        if ends {
            filled += answer.trim_end_matches('\n');
            filled.push('\n');
        }
        in_gap &= !ends;
        if !in_gap {
            filled += line;
            filled.push('\n');
        }
        in_gap |= line.contains(GAP[0]);
    }
    filled
}
