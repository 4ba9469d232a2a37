//! Runs that stop, resume, and share folders.
#![cfg(unix)]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

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
        let mut run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        wait_for_a_step(&temp.path().join(signal), &mut run);
        let pid = run.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
        let output = run.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{signal}");
        let text = stdout(&output);
        assert!(text.contains(&format!("resume with: carp train --resume {signal}")), "{text}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.starts_with("stopping after this step, then saving"), "{said}");
        assert!(temp.path().join(signal).join("checkpoint.safetensors").is_file(), "{signal}");
    }
}

/// Sends Ctrl-C to a run that nothing keeps; returns its exit code and all its output.
///
/// # Panics
/// If it does not end within a second or so.
fn interrupted(run: Child) -> (Option<i32>, String) {
    let start = Instant::now();
    let pid = run.id().to_string();
    assert!(Command::new("kill").args(["-s", "INT", &pid]).status().unwrap().success());
    let output = run.wait_with_output().unwrap();
    assert!(start.elapsed() < Duration::from_millis(1500), "{:?}", start.elapsed());
    (output.status.code(), stdout(&output) + &String::from_utf8_lossy(&output.stderr))
}

#[test]
fn before_the_first_step_and_behind_the_last_a_run_stops_at_once() {
    let temp = TempDir::new().unwrap();
    // Measurements take seconds, steps milliseconds.
    let sets = ["data.test_size=12000", "knn.batch_size=1", "knn.every_epochs=0"];
    let sets = sets.map(|set| ["--set", set]);
    let start = |out: &str| {
        let inner = train_command(temp.path(), &[&["--out", out], sets.as_flattened()].concat());
        let mut command = started_by(&["env", "--default-signal=INT"], &inner, temp.path());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let run = start("x");
    while !temp.path().join("x/metrics.jsonl").exists() {
        std::thread::sleep(Duration::from_millis(2));
    }
    let (code, told) = interrupted(run);
    assert_eq!(code, Some(130));
    assert!(told.ends_with("stopped before the first step: there is nothing to save\n"), "{told}");

    let mut run = start("y");
    wait_for_a_step(&temp.path().join("y"), &mut run);
    // The other seven steps, and the checkpoint.
    std::thread::sleep(Duration::from_millis(700));
    let (code, told) = interrupted(run);
    assert_eq!(code, Some(0));
    assert!(told.ends_with("stopped after step 8; resume with: carp train --resume y\n"), "{told}");
    assert!(!temp.path().join("y/result.json").exists());
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

/// A run with a checkpoint after each of two epochs, its folder, and its steps' numbers.
fn two_epochs(folder: &Path) -> (serde_json::Value, Vec<String>) {
    assert!(train(folder.parent().unwrap(), &["--out", "x"]).status.success());
    (result(folder)["weights_sha256"].clone(), numbers(folder))
}

/// What `metrics.jsonl` says, without times.
fn numbers(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    let numbers = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        format!("{} {} {}", line["step"], line["loss"], line["knn"])
    };
    text.lines().map(numbers).collect()
}

#[test]
fn a_broken_checkpoint_falls_back_to_the_one_before() {
    let temp = TempDir::new().unwrap();
    let folder = temp.path().join("x");
    let (digest, steps) = two_epochs(&folder);
    let file = folder.join("checkpoint.safetensors");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let resumed = carp(temp.path(), &["train", "--resume", "x"]);
    assert!(resumed.status.success(), "{}", String::from_utf8_lossy(&resumed.stderr));
    let text = stdout(&resumed);
    let told = "goes on from the checkpoint before it, after step 4";
    assert_eq!(text.lines().filter(|line| line.contains(told)).count(), 1, "{text}");
    assert_eq!((&result(&folder)["weights_sha256"], numbers(&folder)), (&digest, steps));
    assert_eq!(std::fs::read(folder.join("checkpoint-broken.safetensors")).unwrap(), bytes);
}

#[test]
fn a_picture_that_cannot_be_written_loses_no_result() {
    let temp = TempDir::new().unwrap();
    let folder = temp.path().join("x");
    std::fs::create_dir_all(folder.join("neighbours.png")).unwrap();
    let output = train(temp.path(), &["--out", "x"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(stdout(&output).contains("warning: no picture of the neighbours"), "{output:?}");
    assert!(result(&folder)["knn_pixels"].is_number());
}

#[test]
#[cfg(target_os = "linux")]
fn links_and_devices_are_written_through() {
    let temp = TempDir::new().unwrap();
    let [folder, disk] = ["x", "disk"].map(|name| temp.path().join(name));
    [&folder, &disk].iter().for_each(|folder| std::fs::create_dir(folder).unwrap());
    let files = ["config.toml", "metrics.jsonl", "checkpoint.safetensors", "result.json"];
    for file in files {
        std::os::unix::fs::symlink(disk.join(file), folder.join(file)).unwrap();
    }
    std::os::unix::fs::symlink("/dev/full", folder.join("neighbours.png")).unwrap();
    let output = train(temp.path(), &["--out", "x"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(stdout(&output).contains("no picture of the neighbours"), "{}", stdout(&output));
    assert!(files.iter().all(|file| folder.join(file).is_symlink() && disk.join(file).is_file()));
    assert!(disk.join("checkpoint-previous.safetensors").is_file());
    assert!(folder.join("neighbours.png").is_symlink());
}
