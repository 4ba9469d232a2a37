//! Run folders whose files were damaged, edited or lost: one clear line each.

mod common;

use std::path::Path;

use common::{carp, fails, stdout, train};
use tempfile::TempDir;

/// A run of eight steps in the folder `x`, with checkpoints after steps 4 and 8.
fn run() -> TempDir {
    let temp = TempDir::new().unwrap();
    let output = train(temp.path(), &["--out", "x"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    temp
}

fn flip_last_bit(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(file, bytes).unwrap();
}

#[test]
fn every_reader_notices_a_changed_bit_of_a_checkpoint() {
    let temp = run();
    flip_last_bit(&temp.path().join("x/checkpoint.safetensors"));
    for args in [
        &["eval", "knn", "x"][..],
        &["embed", "x", "-o", "map"],
        &["features", "x", "-o", "f.safetensors"],
        &["weights", "show", "x"],
        &["weights", "export", "x", "-o", "w.safetensors"],
        &["verify", "x"],
    ] {
        let changed = ["x/checkpoint.safetensors: has changed since it was written"];
        fails(&carp(temp.path(), args), 1, &changed);
    }
    // The rest of a report is still there.
    let report = carp(temp.path(), &["report", "x"]);
    assert!(report.status.success());
    let warning = "warning: x/checkpoint.safetensors: has changed since it was written";
    assert!(stdout(&report).starts_with(warning), "{}", stdout(&report));

    flip_last_bit(&temp.path().join("x/checkpoint-previous.safetensors"));
    let resumed = carp(temp.path(), &["train", "--resume", "x"]);
    let both = ["x/checkpoint.safetensors: has", "x/checkpoint-previous.safetensors: has"];
    fails(&resumed, 1, &both);
}

#[test]
fn the_settings_of_a_run_are_those_of_its_checkpoint() {
    let temp = run();
    let file = temp.path().join("x/config.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let settings = |name: &str| {
        let output = carp(temp.path(), &["report", "x", "--quick", "-o", name]);
        let page = std::fs::read_to_string(temp.path().join(name)).unwrap();
        (stdout(&output), page.contains("width = 4"), page.contains("width = 5"))
    };
    assert_eq!(settings("a.html"), ("report: a.html\n".to_owned(), true, false));
    std::fs::write(&file, text.replace("width = 4\n", "width = 5\n")).unwrap();
    let warning = "warning: x/config.toml has another model.width; the settings are those of the \
                   checkpoint\n";
    assert_eq!(settings("b.html"), (format!("{warning}report: b.html\n"), true, false));
    let verified = stdout(&carp(temp.path(), &["verify", "x"]));
    assert_eq!(verified.strip_prefix(warning).map(|rest| rest.contains("recorded")), Some(true));
    let resumed = stdout(&carp(temp.path(), &["train", "--resume", "x"]));
    assert!(resumed.starts_with(&format!("{warning}x has already finished")), "{resumed}");
    std::fs::write(&file, "widht = 5\n").unwrap();
    let (told, ..) = settings("c.html");
    assert!(told.starts_with("warning: x/config.toml: unknown key \"widht\""), "{told}");
}

#[test]
fn verify_writes_only_a_difference_and_names_what_it_cannot_read() {
    let temp = run();
    // Nothing can be written there.
    std::fs::create_dir(temp.path().join("x/difference.safetensors")).unwrap();
    let output = carp(temp.path(), &["verify", "x"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let file = temp.path().join("x/metrics.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("\"loss\":", "\"lost\":")).unwrap();
    let unreadable = ["x/metrics.jsonl: line 1: missing field `loss`"];
    fails(&carp(temp.path(), &["verify", "x"]), 1, &unreadable);
}

#[test]
fn a_run_without_a_checkpoint_is_to_be_started_again() {
    let temp = run();
    for file in ["checkpoint.safetensors", "checkpoint-previous.safetensors"] {
        std::fs::remove_file(temp.path().join("x").join(file)).unwrap();
    }
    let resumed = carp(temp.path(), &["train", "--resume", "x"]);
    fails(&resumed, 1, &["x: has no checkpoint", "start it again"]);
}
