//! `carp learn` as a learner uses it.

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Output, Stdio};

use common::{carp, command, fails, stdout};
use tempfile::TempDir;

/// Puts the answer that `carp learn solution` prints into the gap.
fn solve(folder: &Path, file: &str, name: &str) {
    let answer = stdout(&carp(folder, &["learn", "solution", name]));
    let text = fs::read_to_string(folder.join(file)).unwrap();
    let (before, rest) = text.split_once("YOUR CODE BEGINS\n").unwrap();
    let (_, after) = rest.split_once("YOUR CODE ENDS").unwrap();
    let text = format!("{before}YOUR CODE BEGINS\n{answer}// YOUR CODE ENDS{after}");
    fs::write(folder.join(file), text).unwrap();
}

/// The output of a check that did not pass.
fn not_yet(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    stdout(output)
}

#[test]
fn exercises_are_laid_out_checked_and_listed() {
    let temp = TempDir::new().unwrap();
    fails(&carp(temp.path(), &["learn"]), 2, &["no exercises here", "carp learn new DIR"]);
    let made = stdout(&carp(temp.path(), &["learn", "new", "course"]));
    assert!(made.starts_with("28 exercises in course, 0 were there already\n"), "{made}");
    let folder = temp.path().join("course");
    let learn = |args: &[&str]| carp(&folder, &[&["learn"], args].concat());

    let text = not_yet(&learn(&["check"]));
    assert!(text.starts_with("01-strides.rs: not yet\n\n01-strides.rs:"), "{text}");
    assert!(text.contains("not yet implemented: the strides"), "{text}");
    solve(&folder, "01-strides.rs", "strides");
    let text = not_yet(&learn(&["check"]));
    assert!(text.starts_with("01-strides.rs: passed\n02-matmul.rs: not yet\n"), "{text}");
    let list = stdout(&learn(&[]));
    assert!(list.starts_with("passed   01-strides.rs "), "{list}");
    assert!(list.contains("next     02-matmul.rs ") && list.contains("1 of 28 passed"), "{list}");

    // A compiler's error comes as it is.
    fs::write(folder.join("02-matmul.rs"), "pub fn matmul() -> usize { \"none\" }\n").unwrap();
    let text = not_yet(&learn(&["check", "02-matmul.rs"]));
    assert!(text.contains("error[E0308]: mismatched types\n --> 02-matmul.rs:1:28"), "{text}");
    assert!(stdout(&learn(&["new", "."])).starts_with("0 exercises in ., 28 were there"));

    // Kernels are checked without a compiler, and drawn as they are.
    let text = not_yet(&learn(&["check", "coalescing"]));
    assert!(text.contains("8.0 times the 256 that it needs"), "{text}");
    let drawn = || {
        assert_eq!(stdout(&learn(&["picture", "coalescing"])), "coalescing.svg\n");
        fs::read_to_string(folder.join("coalescing.svg")).unwrap()
    };
    assert!(drawn().contains("32 transactions of 32 bytes; 128 of their 1024 bytes are used"));
    assert_eq!(stdout(&learn(&["view", "coalescing"])), "coalescing.html\n");
    let page = fs::read_to_string(folder.join("coalescing.html")).unwrap();
    assert!(page.contains("\"kernel\":\"twice\"") && page.contains("\"finding\":null"));
    solve(&folder, "21-coalescing.ptx", "21");
    assert_eq!(stdout(&learn(&["check", "21"])), "21-coalescing.ptx: passed\n");
    assert!(drawn().contains("4 transactions of 32 bytes; 128 of their 128 bytes are used"));
    assert!(stdout(&learn(&[])).contains("2 of 28 passed"));
    fs::write(folder.join("21-coalescing.ptx"), "").unwrap();
    assert!(stdout(&learn(&[])).contains("changed  21-coalescing.ptx"));

    fails(&learn(&["check", "stride"]), 2, &["no exercise stride", "`carp learn` lists all 28"]);
    fails(&learn(&["picture", "strides"]), 2, &["strides is no kernel"]);
    // A kernel's exercise in CUDA C++ has its own answer; without the compiler, a line says what to do.
    assert!(stdout(&learn(&["solution", "relu.cu"])).contains("fmaxf(x[i], 0.0f)"));
    let mut check = command(&folder, &["learn", "check", "20-relu.cu"]);
    let output = check.env("NVRTC_VENV", "nowhere").output().unwrap();
    fails(&output, 2, &["20-relu.cu", "pip install nvidia-cuda-nvrtc-cu12", "of the .ptx file"]);
    fs::remove_file(folder.join("05-reverse.rs")).unwrap();
    fails(&learn(&["check", "reverse"]), 1, &["05-reverse.rs"]);
}

#[test]
fn hints_come_one_by_one() {
    let temp = TempDir::new().unwrap();
    carp(temp.path(), &["learn", "new", "."]);
    let hint = || stdout(&carp(temp.path(), &["learn", "hint"]));
    let (first, second, third, again) = (hint(), hint(), hint(), hint());
    assert!(first.starts_with("1 of 3: ") && first.lines().count() == 1, "{first}");
    assert!(second.starts_with(&first) && second.lines().count() == 2, "{second}");
    assert!(third.contains("3 of 3: ") && third.contains("carp learn solution strides"), "{third}");
    assert_eq!(third, again);
}

#[test]
fn a_save_is_noticed() {
    let temp = TempDir::new().unwrap();
    carp(temp.path(), &["learn", "new", "."]);
    let gap = fs::read(temp.path().join("01-strides.rs")).unwrap();
    let mut watch = command(temp.path(), &["learn", "watch"]);
    let mut watch = watch.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut comes = |words: &str| assert!(lines.any(|line| line.contains(words)), "no {words:?}");
    comes("next: 01-strides.rs  Strides: where");
    comes("fill its gap and save it");
    fs::write(temp.path().join("01-strides.rs"), "pub fn strides() { wrong }\n").unwrap();
    comes("01-strides.rs: not yet");
    comes("cannot find value `wrong`");
    fs::write(temp.path().join("01-strides.rs"), &gap).unwrap();
    comes("not yet implemented");
    solve(temp.path(), "01-strides.rs", "strides");
    comes("01-strides.rs: passed");
    comes("next: 02-matmul.rs");
    watch.kill().unwrap();
    watch.wait().unwrap();
}
