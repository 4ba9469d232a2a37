//! `carp compare` and `carp ablate` as a user runs them.

mod common;

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use common::{carp, command, fails, stdout};
use comparison::report::Report;
use comparison::table::markdown;
use tempfile::TempDir;

/// Settings for runs of two steps.
const SMALL: [&str; 5] = [
    "data.train_size=60",
    "data.test_size=20",
    "train.batch_size=16",
    "model.width=4",
    "views.local_count=0",
];

fn args<'a>(name: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let small = SMALL.iter().flat_map(|set| ["--set", set]);
    [name, "--preset", "minimal"].into_iter().chain(small).chain(more.iter().copied()).collect()
}

fn run(folder: &Path, name: &str, more: &[&str]) -> Output {
    carp(folder, &args(name, more))
}

#[test]
fn settings_are_compared_in_a_table_and_a_picture() {
    let temp = TempDir::new().unwrap();
    let runs = ["--run", "base", "--run", "plain:model.entropy_term=false"];
    let more = [&runs[..], &["--passes", "128", "--out", "x"]].concat();
    let output = run(temp.path(), "compare", &more);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let folder = temp.path().join("x");
    let report = Report::read(&folder.join("held-out.json")).unwrap();
    let names: Vec<&str> = report.rows.iter().map(|row| row.setting.name.as_str()).collect();
    assert_eq!((names, report.rows[0].steps), (vec!["base", "plain"], 2));
    let table = std::fs::read_to_string(folder.join("held-out.md")).unwrap();
    assert!(table == markdown(&report) && stdout(&output).contains(&table), "{table}");
    assert!(image::open(folder.join("held-out.png")).is_ok());
    assert!(std::fs::read_to_string(folder.join("held-out.svg")).unwrap().contains("plain"));
    // Again, it only reads.
    let again = run(temp.path(), "compare", &more);
    assert!(again.status.success() && stdout(&again).contains(&table), "{}", stdout(&again));
    let test = run(temp.path(), "compare", &[&more[..], &["--test"]].concat());
    assert!(stdout(&test).contains("tested on the test set"), "{}", stdout(&test));
    assert!(folder.join("test.md").exists());
}

#[test]
fn a_grid_is_varied_one_at_a_time_or_as_a_product() {
    let temp = TempDir::new().unwrap();
    let grid = ["--grid", "model.width=3,4", "--grid", "train.batch_size=8", "--passes", "64"];
    let names = |more: &[&str], out: &str| {
        let more = [&grid[..], more, &["--out", out]].concat();
        let output = run(temp.path(), "ablate", &more);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report = Report::read(&temp.path().join(out).join("held-out.json")).unwrap();
        let names = report.rows.into_iter().map(|row| row.setting.name);
        names.collect::<Vec<String>>()
    };
    let single = ["base", "model.width=3", "model.width=4", "train.batch_size=8"];
    assert_eq!(names(&[], "single"), single);
    let both = ["model.width=3,train.batch_size=8", "model.width=4,train.batch_size=8"];
    assert_eq!(names(&["--product"], "product"), both);
}

/// The steps of `--set train.steps` are the budget, unless an option gives another.
#[test]
fn steps_that_are_set_are_the_budget() {
    let temp = TempDir::new().unwrap();
    for (more, steps) in [(&[][..], 5), (&["--epochs", "1"], 3)] {
        let out = steps.to_string();
        let three = ["--run", "a", "--set", "train.steps=5", "--out", &out];
        let output = run(temp.path(), "compare", &[&three[..], more].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report = Report::read(&temp.path().join(&out).join("held-out.json")).unwrap();
        assert_eq!(report.rows[0].steps, steps);
    }
}

#[test]
fn mistakes_are_one_line_before_training() {
    let temp = TempDir::new().unwrap();
    let refused = |name, more: &[&str], parts: &[&str]| {
        fails(&run(temp.path(), name, more), 2, parts);
        assert!(!temp.path().join("runs").exists());
    };
    refused("compare", &[], &["nothing to compare", "--run"]);
    refused("compare", &["--run", "a:model.widht=3"], &["setting a", "model.width"]);
    refused("compare", &["--run", "a", "--held-out", "60"], &["data.held_out is 60"]);
    refused("compare", &["--run", "a", "--seconds", "0"], &["--seconds 0", "above 0"]);
    refused("ablate", &["--grid", "model.prototypes=8"], &["model.partition_size is 32"]);
    let dino = ["--method", "dino"];
    refused("ablate", &dino, &["the built-in grid is CARP's: give dino one, --grid"]);
    for (name, option, value) in [
        ("compare", "--run", "a:train.epochs=5"),
        ("compare", "--run", "a:seed=1,train.steps=5"),
        ("ablate", "--grid", "knn.every_epochs=1,2"),
        ("ablate", "--grid", "data.held_out=5"),
    ] {
        let output = run(temp.path(), name, &[option, value]);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains("is the same for all settings: decided by "), "{error}");
    }
}

#[test]
#[cfg(unix)]
fn a_comparison_that_is_stopped_goes_on() {
    let temp = TempDir::new().unwrap();
    let args =
        args("compare", &["--run", "a", "--run", "b:seed=5", "--epochs", "60", "--out", "x"]);
    let mut run = command(temp.path(), &args).stdout(Stdio::piped()).spawn().unwrap();
    let metrics = temp.path().join("x/a/seed-0/metrics.jsonl");
    while !std::fs::metadata(&metrics).is_ok_and(|file| file.len() > 0) {
        assert!(run.try_wait().unwrap().is_none(), "it ended before it was stopped");
        std::thread::sleep(Duration::from_millis(2));
    }
    let pid = run.id().to_string();
    let kill = std::process::Command::new("kill").args(["-s", "TERM", &pid]).status();
    assert!(kill.unwrap().success());
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143));
    assert!(stdout(&output).contains("the same command goes on from here"), "{}", stdout(&output));
    assert!(!temp.path().join("x/b").exists());
    let output = carp(temp.path(), &args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report = Report::read(&temp.path().join("x/held-out.json")).unwrap();
    assert!(report.rows.iter().all(|row| row.runs.len() == 1 && row.steps == 180));
}
