//! `carp verify`.
#![cfg(unix)]

mod common;

use common::{carp, fails, stdout, train};
use tempfile::TempDir;

#[test]
fn a_run_is_repeated_whole_in_part_and_from_a_checkpoint() {
    let temp = TempDir::new().unwrap();
    assert!(train(temp.path(), &["--out", "x", "--digest"]).status.success());
    for (more, steps) in [
        (&[][..], "steps 1 to 8"),
        (&["--threads", "3", "--steps", "3"], "steps 1 to 3"),
        (&["--from-checkpoint"], "steps 5 to 8"),
        (&["--from-checkpoint", "--steps", "1"], "steps 5 to 5"),
        (&["--device", "emulate", "--steps", "1"], "steps 1 to 1"),
    ] {
        let output = carp(temp.path(), &[&["verify", "x"], more].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let line = format!("{steps} are as recorded: loss and weights, to the bit\n");
        assert_eq!(stdout(&output), line);
    }
    fails(&carp(temp.path(), &["verify", "none"]), 2, &["none: no such run folder"]);
}

#[test]
fn a_difference_is_told_with_exit_code_1() {
    let temp = TempDir::new().unwrap();
    assert!(train(temp.path(), &["--out", "x"]).status.success());
    let same = stdout(&carp(temp.path(), &["verify", "x"]));
    assert!(same.contains("steps 1 to 8 have the recorded losses"), "{same}");
    let file = temp.path().join("x/metrics.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    // Steps without a line are told, and alone are nothing to compare.
    let later: String = text.split_inclusive('\n').skip(3).collect();
    std::fs::write(&file, later).unwrap();
    let told = stdout(&carp(temp.path(), &["verify", "x"]));
    let but = "recorded losses, but for 3 steps without a line in metrics.jsonl, the first step 1;";
    assert!(told.contains(but), "{told}");
    let none = carp(temp.path(), &["verify", "x", "--steps", "3"]);
    fails(&none, 2, &["x has recorded no step after step 0, of 3"]);
    let line: serde_json::Value = serde_json::from_str(text.lines().nth(2).unwrap()).unwrap();
    let loss = format!("\"loss\":{},", line["loss"]);
    std::fs::write(&file, text.replace(&loss, "\"loss\":1.5,")).unwrap();
    let output = carp(temp.path(), &["verify", "x"]);
    let told = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    let (first, second) = told.split_once('\n').unwrap();
    assert!(first.starts_with("step 3 is not as recorded: loss was 1.5, is"), "{told}");
    assert!(second.contains("only the record differs") && second.lines().count() == 1, "{told}");
}
