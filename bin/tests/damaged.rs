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
    for (args, code) in [
        (&["eval", "knn", "x"][..], 1),
        (&["embed", "x", "-o", "map"], 1),
        (&["features", "x", "-o", "f.safetensors"], 1),
        (&["weights", "show", "x"], 1),
        (&["weights", "export", "x", "-o", "w.safetensors"], 1),
        (&["verify", "x"], 2),
    ] {
        let changed = ["x/checkpoint.safetensors: has changed since it was written"];
        fails(&carp(temp.path(), args), code, &changed);
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
    fails(&carp(temp.path(), &["verify", "x"]), 2, &unreadable);
}

#[test]
fn a_path_that_is_no_run_is_told_alike() {
    let temp = TempDir::new().unwrap();
    std::fs::write(temp.path().join("file"), "").unwrap();
    std::fs::create_dir(temp.path().join("empty")).unwrap();
    let run =
        [("none", "no such run folder"), ("file", "a file, should"), ("empty", "no run folder")];
    let weights = [("no\nne", "no such run folder or file"), ("empty", "has no checkpoint")];
    for (command, what) in [
        (&["verify"][..], &run[..]),
        (&["report"], &run),
        (&["train", "--resume"], &run),
        (&["eval", "knn"], &weights),
        (&["eval", "all"], &weights),
        (&["features", "-o", "x"], &weights),
        (&["embed", "-o", "x"], &weights),
        (&["weights", "show"], &weights),
        (&["weights", "export", "-o", "x"], &weights),
    ] {
        for &(path, what) in what {
            let told = format!("error: {}: {what}", path.replace('\n', "\\n"));
            fails(&carp(temp.path(), &[command, &[path]].concat()), 2, &[&told]);
        }
    }
    fails(&carp(temp.path(), &["learn", "new", "file"]), 2, &["file: a file, should be a folder"]);
}

#[test]
fn an_output_is_no_input_and_no_other_output() {
    let temp = run();
    let checkpoint = temp.path().join("x/checkpoint.safetensors");
    std::os::unix::fs::symlink(&checkpoint, temp.path().join("link")).unwrap();
    std::os::unix::fs::symlink("x", temp.path().join("again")).unwrap();
    let before = std::fs::read(&checkpoint).unwrap();
    for args in [
        &["weights", "export", "x", "-o", "x/checkpoint.safetensors"][..],
        &["weights", "export", "link", "-o", "x/../again/checkpoint.safetensors"],
        &["features", "x", "-o", "link"],
        &["features", "x", "-o", "x/checkpoint-previous.safetensors"],
        &["report", "x", "-o", "x/metrics.jsonl"],
        &["verify", "x", "--audit", "again/config.toml"],
        &["eval", "knn", "again", "--json", "x/result.json"],
        &["eval", "semi", "x", "--json", "again/checkpoint.safetensors"],
        &["eval", "linear", "x", "--confusion", "link"],
        &["eval", "all", "link", "--out", "y", "--json", "x/checkpoint.safetensors"],
        &["plan", "--preset", "x/config.toml", "--svg", "again/config.toml"],
    ] {
        fails(&carp(temp.path(), args), 2, &["an input cannot be the output"]);
    }
    assert_eq!(std::fs::read(&checkpoint).unwrap(), before);
    let twice = ["eval", "knn", "x", "--confusion", "y.png", "--json", "./y.png"];
    fails(&carp(temp.path(), &twice), 2, &["y.png: two outputs cannot go to one file"]);
    let beside = carp(temp.path(), &["weights", "export", "x", "-o", "x/backbone.safetensors"]);
    assert!(beside.status.success(), "{}", String::from_utf8_lossy(&beside.stderr));
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
