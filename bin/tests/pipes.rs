//! Output that cannot be written: nobody reads it, or the disk is full.
#![cfg(unix)]

mod common;

use std::fs::File;
use std::path::Path;
use std::process::Output;

use common::{command, train_command};
use tempfile::TempDir;

/// A recorded computation.
fn fixture() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/audit");
    let file = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    file.canonicalize().unwrap().to_str().unwrap().to_owned()
}

/// A pipe that is closed at its other end.
fn closed() -> std::io::PipeWriter {
    std::io::pipe().unwrap().1
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_command_that_nobody_reads_ends_without_a_word() {
    let temp = TempDir::new().unwrap();
    let fixture = fixture();
    for args in [
        &["data", "list"][..],
        &["data", "list", "--markdown"],
        &["audit", "--verbose", &fixture, &fixture],
        &["trace"],
        &["plan"],
        &["ptx", "run", "add"],
        &["weights", "show", &fixture],
    ] {
        let output = command(temp.path(), args).stdout(closed()).output().unwrap();
        assert_eq!(stderr(&output), "", "{args:?}");
        assert_eq!(output.status.code(), Some(141), "{args:?}");
    }
}

#[test]
fn a_closed_standard_error_changes_no_exit_code() {
    let temp = TempDir::new().unwrap();
    let ends =
        |args: &[&str]| command(temp.path(), args).stderr(closed()).output().unwrap().status.code();
    assert_eq!(ends(&["train", "--preset", "none.toml"]), Some(1));
    assert_eq!(ends(&["train", "--set", "model.width=0"]), Some(2));
    assert_eq!(ends(&["audit", "none.safetensors"]), Some(2));
    assert_eq!(ends(&["data", "list"]), Some(0));
}

#[test]
fn a_run_that_nobody_reads_stops_and_saves() {
    let temp = TempDir::new().unwrap();
    let mut run = train_command(temp.path(), &["--out", "x", "--set", "train.epochs=1000"]);
    let output = run.stdout(closed()).output().unwrap();
    assert_eq!((stderr(&output), output.status.code()), (String::new(), Some(141)));
    assert!(temp.path().join("x/checkpoint.safetensors").is_file());
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_one_line() {
    let temp = TempDir::new().unwrap();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = command(temp.path(), &["data", "list"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let line = stderr(&output);
    assert!(line.contains("standard output") && line.lines().count() == 1, "{line}");
}
