//! Every exercise: the gap as shipped fails with a helpful line, the solution passes, and mistakes
//! that are often made are named.

use std::path::{Path, PathBuf};

use learn::Verdict;
use learn::catalogue::EXERCISES;
use learn::exercise::{Check, Exercise};
use learn::kernel_check;
use learn::rust_check::{Attempt, compile};
use tempfile::TempDir;

/// Writes a file per text and checks all Rust ones as one program.
fn verdicts(attempts: &[(&Exercise, String)]) -> Vec<Verdict> {
    let temp = TempDir::new().unwrap();
    let path = |number: usize, exercise: &Exercise| -> PathBuf {
        temp.path().join(format!("{number:03}-{}.{}", exercise.name, exercise.extension()))
    };
    let mut rust = Vec::new();
    for (number, (exercise, text)) in attempts.iter().enumerate() {
        std::fs::write(path(number, exercise), text).unwrap();
        if let Check::Rust(check) = exercise.check {
            rust.push((path(number, exercise), check));
        }
    }
    let compiled: Vec<Attempt<'_>> =
        rust.iter().map(|(file, check)| Attempt { file, check }).collect();
    let program = match compiled.is_empty() {
        true => None,
        false => Some(
            compile(&compiled, temp.path(), &temp.path().join("build"))
                .unwrap()
                .unwrap_or_else(|message| panic!("{message}")),
        ),
    };
    let mut next = 0;
    let verdict = |(number, (exercise, text)): (usize, &(&Exercise, String))| match exercise.check {
        Check::Rust(_) => {
            next += 1;
            program.as_ref().unwrap().run(next - 1).unwrap()
        }
        Check::Kernel(case) => {
            let file = path(number, exercise);
            kernel_check::check(
                &case(),
                Path::new(file.file_name().unwrap()).to_str().unwrap(),
                text,
            )
        }
    };
    attempts.iter().enumerate().map(verdict).collect()
}

#[test]
fn gaps_fail_and_solutions_pass() {
    let all = || EXERCISES.iter();
    let gaps: Vec<_> = all().map(|exercise| (exercise, exercise.text.to_owned())).collect();
    let solved: Vec<_> =
        all().map(|exercise| (exercise, exercise.filled(exercise.solution))).collect();
    let both = verdicts(&[gaps, solved].concat());
    let (gaps, solved) = both.split_at(EXERCISES.len());
    for ((exercise, gap), solved) in all().zip(gaps).zip(solved) {
        let line = gap.as_ref().unwrap_err();
        println!("{}: {line}", exercise.name);
        assert!(!line.is_empty(), "{}: no word about what is missing", exercise.name);
        assert_eq!(solved, &Ok(()), "{}", exercise.name);
    }
}
