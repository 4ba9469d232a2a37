//! The command, small runs with it, and its mistakes.
#![allow(dead_code, reason = "no test uses all of it")]

use std::path::Path;
use std::process::{Command, Output};

use image::{Rgb, RgbImage};

/// Settings for a run of seconds.
pub const SMALL: [&str; 24] = [
    "data.train_size=64",
    "data.test_size=32",
    "model.width=4",
    "model.stem=imagenet",
    "model.hidden=16",
    "model.bottleneck=8",
    "model.prototypes=40",
    "model.partition_size=16",
    "train.epochs=2",
    "train.batch_size=16",
    "train.accumulation=1",
    "train.threads=2",
    "train.checkpoint_every_epochs=1",
    "knn.k=5",
    "knn.batch_size=16",
    "knn.every_epochs=1",
    "views.local_count=1",
    "views.global1.size=16",
    "views.global2.size=16",
    "views.local.size=8",
    "optimizer.name=lars",
    "optimizer.base_lr=0.45",
    "optimizer.warmup_epochs=0",
    "seed=3",
];

/// The command in a folder.
pub fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_carp"));
    command.args(args).current_dir(folder);
    command
}

pub fn carp(folder: &Path, args: &[&str]) -> Output {
    command(folder, args).output().unwrap()
}

/// `train` with the small settings, overridden by `more`.
pub fn train_command(folder: &Path, more: &[&str]) -> Command {
    let mut args = vec!["train"];
    SMALL.iter().for_each(|set| args.extend(["--set", set]));
    args.extend(more);
    command(folder, &args)
}

/// Runs [`train_command`].
pub fn train(folder: &Path, more: &[&str]) -> Output {
    train_command(folder, more).output().unwrap()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Asserts the exit code and a single line on standard error with all `parts`.
pub fn fails(output: &Output, code: i32, parts: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert_eq!(stderr.trim_end().lines().count(), 1, "not one line: {stderr}");
    for part in parts {
        assert!(stderr.contains(part), "{part:?} is not in {stderr}");
    }
}

pub fn result(folder: &Path) -> serde_json::Value {
    let text = std::fs::read_to_string(folder.join("result.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Writes pictures of one colour each.
pub fn pictures(folder: &Path, numbers: std::ops::Range<u8>) {
    std::fs::create_dir_all(folder).unwrap();
    for number in numbers {
        let picture = RgbImage::from_pixel(16, 16, Rgb([10 * number, number, 128]));
        picture.save(folder.join(format!("{number:02}.png"))).unwrap();
    }
}
