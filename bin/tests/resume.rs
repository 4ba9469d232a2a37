//! Runs that stop, resume, and share folders.
#![cfg(unix)]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{carp, fails, pictures, result, stdout, train, train_command};
use files::FolderLock;
use safetensors::SafeTensors;
use tempfile::TempDir;

/// The files in a folder.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let file = |entry: std::fs::DirEntry| {
        (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())
    };
    entries.map(file).collect()
}

/// Waits until the first step of a run is logged.
fn wait_for_a_step(folder: &Path, run: &mut Child) {
    let metrics = folder.join("metrics.jsonl");
    while !std::fs::metadata(&metrics).is_ok_and(|file| file.len() > 0) {
        assert!(run.try_wait().unwrap().is_none(), "the run ended before it was stopped");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// `inner`, started by a program that sets how signals are taken.
fn started_by(launcher: &[&str], inner: &Command, folder: &Path) -> Command {
    let mut command = Command::new(launcher[0]);
    command.args(&launcher[1..]).arg(inner.get_program()).args(inner.get_args());
    command.current_dir(folder);
    command
}

#[test]
fn signals_stop_a_run_and_save_it() {
    let temp = TempDir::new().unwrap();
    for (signal, code) in [("INT", 0), ("TERM", 143), ("HUP", 129)] {
        // Few enough epochs that a run which misses the signal ends and fails here.
        let inner = train_command(temp.path(), &["--out", signal, "--set", "train.epochs=2000"]);
        // A child also ignores what its starter ignores: SIGHUP, where the tests run under nohup.
        let heed = format!("--default-signal={signal}");
        let launcher = if cfg!(target_os = "linux") { &["env", &heed][..] } else { &["env"] };
        let mut command = started_by(launcher, &inner, temp.path());
        let mut run = command.stdout(Stdio::piped()).spawn().unwrap();
        wait_for_a_step(&temp.path().join(signal), &mut run);
        let pid = run.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
        let output = run.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{signal}");
        let text = stdout(&output);
        assert!(text.contains(&format!("resume with: carp train --resume {signal}")), "{text}");
        assert!(temp.path().join(signal).join("checkpoint.safetensors").is_file(), "{signal}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_run_under_nohup_outlives_its_terminal() {
    let temp = TempDir::new().unwrap();
    let inner = train_command(temp.path(), &["--out", "x", "--set", "train.epochs=40"]);
    let mut command = started_by(&["nohup"], &inner, temp.path());
    let mut run = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for_a_step(&temp.path().join("x"), &mut run);
    let pid = run.id().to_string();
    assert!(Command::new("kill").args(["-s", "HUP", &pid]).status().unwrap().success());
    assert!(run.wait().unwrap().success());
    assert_eq!(result(&temp.path().join("x"))["steps"], 160);
}

#[test]
fn a_finished_run_is_left_alone() {
    let temp = TempDir::new().unwrap();
    assert!(train(temp.path(), &["--out", "x"]).status.success());
    let folder = temp.path().join("x");
    let before = contents(&folder);
    let again = carp(temp.path(), &["train", "--resume", "x"]);
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    let text = stdout(&again);
    let digest = result(&folder)["weights_sha256"].as_str().unwrap().to_owned();
    assert!(text.contains("already finished") && text.contains(&digest), "{text}");
    assert_eq!(contents(&folder), before);

    // One that was killed in its last measurement does that again, and nothing else.
    std::fs::remove_file(folder.join("result.json")).unwrap();
    let again = carp(temp.path(), &["train", "--resume", "x"]);
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    assert_eq!(result(&folder)["weights_sha256"], digest);
    for file in ["metrics.jsonl", "checkpoint.safetensors", "neighbours.png"] {
        assert_eq!(std::fs::read(folder.join(file)).unwrap(), before[file], "{file}");
    }
}

#[test]
fn a_resume_over_other_data_is_refused() {
    let temp = TempDir::new().unwrap();
    let [a, b] = ["a", "b"].map(|class| temp.path().join("data").join(class));
    pictures(&a, 0..12);
    pictures(&b, 12..24);
    let data = ["--preset", "folder", "--data", "data", "--out", "x"];
    let run = train(temp.path(), &[&data[..], &["--set", "train.batch_size=8"]].concat());
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let folder = temp.path().join("x");
    std::fs::remove_file(folder.join("result.json")).unwrap();
    let resume = || carp(temp.path(), &["train", "--resume", "x"]);

    let before = contents(&folder);
    pictures(&a, 24..25);
    fails(&resume(), 2, &["data", "split pretrain has 23 images, had 22"]);
    std::fs::remove_file(a.join("24.png")).unwrap();
    std::fs::rename(a.join("03.png"), b.join("03.png")).unwrap();
    fails(&resume(), 2, &["split pretrain has other images or labels"]);
    std::fs::rename(b.join("03.png"), a.join("03.png")).unwrap();
    // Another picture under an old name.
    std::fs::rename(a.join("05.png"), temp.path().join("05.png")).unwrap();
    std::fs::copy(a.join("06.png"), a.join("05.png")).unwrap();
    fails(&resume(), 2, &["split pretrain has other images or labels"]);
    assert_eq!(contents(&folder), before);
    std::fs::rename(temp.path().join("05.png"), a.join("05.png")).unwrap();
    let same = resume();
    assert!(same.status.success(), "{}", String::from_utf8_lossy(&same.stderr));
    assert!(!stdout(&same).contains("warning"), "{}", stdout(&same));

    // A checkpoint of an older version does not say which data it is of.
    let file = folder.join("checkpoint.safetensors");
    let bytes = std::fs::read(&file).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let mut metadata: BTreeMap<_, _> = header.metadata().clone().unwrap().into_iter().collect();
    assert!(metadata.remove("carp.data").is_some());
    assert!(metadata.remove("carp.sha256").is_some());
    metadata.insert("carp.format".to_owned(), "1".to_owned());
    let tensors = SafeTensors::deserialize(&bytes).unwrap().tensors();
    std::fs::write(
        &file,
        safetensors::serialize(tensors, Some(metadata.into_iter().collect())).unwrap(),
    )
    .unwrap();
    std::fs::remove_file(folder.join("result.json")).unwrap();
    let older = resume();
    assert!(older.status.success(), "{}", String::from_utf8_lossy(&older.stderr));
    assert!(stdout(&older).contains("warning: the checkpoint does not say"), "{}", stdout(&older));
}

#[test]
fn runs_do_not_share_a_folder() {
    let temp = TempDir::new().unwrap();
    let runs = ["seed=1", "seed=2", "seed=3"].map(|seed| {
        let mut command = train_command(temp.path(), &["--set", seed, "--set", "train.epochs=1"]);
        command.stdout(Stdio::null()).spawn().unwrap()
    });
    runs.into_iter().for_each(|mut run| assert!(run.wait().unwrap().success()));
    for name in ["shapes-1", "shapes-2", "shapes-3"] {
        assert!(temp.path().join("runs").join(name).join("result.json").is_file(), "{name}");
    }

    let folder = temp.path().join("runs/shapes-1");
    let lock = FolderLock::take(&folder).unwrap();
    let before = contents(&folder);
    let resume = || carp(temp.path(), &["train", "--resume", "runs/shapes-1"]);
    fails(&resume(), 2, &["runs/shapes-1 is in use"]);
    fails(&train(temp.path(), &["--out", "runs/shapes-1"]), 2, &["runs/shapes-1 is in use"]);
    assert_eq!(contents(&folder), before);
    drop(lock);
    assert!(resume().status.success());
}
