//! `carp weights` on files that PyTorch wrote, and which of a run's networks is taken, as a user runs it.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{carp, stdout, train};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/weights").join(name)
}

fn weights(args: &[&str], file: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_carp"));
    command.args(["weights", args[0]]).arg(file).args(&args[1..]).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_network_that_is_taken_and_the_one_that_is_not_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.safetensors");
    let out = out.to_str().unwrap();
    for (name, student, teacher) in [
        ("carp.pth", "student.module.backbone.", "teacher.module.backbone."),
        ("moco_v3.pth", "state_dict.module.base_encoder.", "state_dict.module.momentum_encoder."),
    ] {
        let told = text(&weights(&["export", "--out", out], &fixture(name)).stdout);
        let line = format!(
            "teacher found under {teacher:?}; student under {student:?} ignored: --student takes it\n"
        );
        assert!(told.contains(&line), "{told}");
        let told = text(&weights(&["export", "--student", "--out", out], &fixture(name)).stdout);
        let line = format!("student found under {student:?}; teacher under {teacher:?} ignored: ");
        assert!(told.contains(&line), "{told}");
    }
    let told = text(&weights(&["export", "--out", out], &fixture("torchvision.pth")).stdout);
    assert!(told.contains("100 tensors") && !told.contains("ignored"), "{told}");
}

/// Of a run of MoCo v3 the student, without an option.
#[test]
fn the_network_that_the_methods_authors_evaluate_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let short = ["--set", "views.local_count=0", "--set", "train.epochs=1", "--out", "run"];
    let output = train(folder.path(), &[&["--method", "moco-v3"][..], &short].concat());
    assert!(output.status.success(), "{output:?}");
    let run = |words: &str| {
        let output = carp(folder.path(), &words.split(' ').collect::<Vec<_>>());
        assert!(output.status.success(), "{words}: {output:?}");
        stdout(&output)
    };
    let shown = run("weights show run");
    assert!(shown.contains("under \"student.backbone.\", a student, taken by default:"), "{shown}");
    let told = run("weights export run --out it");
    assert!(told.contains("student found under"), "{told}");
    assert!(
        told.contains("teacher under \"teacher.backbone.\" ignored: --teacher takes it"),
        "{told}"
    );
    assert!(run("weights export run --teacher --out other").contains("teacher found under"));
    let bytes = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    assert_ne!(bytes("it"), bytes("other"));
    for (more, network) in [("", "student"), (" --network teacher", "teacher")] {
        run(&format!("eval knn run -k 5 --json knn.json{more}"));
        let json: serde_json::Value = serde_json::from_slice(&bytes("knn.json")).unwrap();
        assert_eq!(json["source"]["network"], network, "{json}");
    }
    let table = run("eval all run --protocols knn");
    assert!(table.contains("| raw pixels | untrained network | trained network |"), "{table}");
}

#[test]
fn what_is_read_past_is_named() {
    let shown = weights(&["show", "--all"], &fixture("beside.pth"));
    let (out, fault) = (text(&shown.stdout), text(&shown.stderr));
    assert!(out.contains("\n  u16   [4] state_dict.uint16\n"), "{out}");
    assert!(out.contains("\n  sparse_coo [2, 3] state_dict.sparse\n"), "{out}");
    assert!(out.contains("not readable as f32: state_dict.complex64 (complex64), "), "{out}");
    assert!(out.contains("read past, nothing was run: objects of "), "{out}");
    assert!(out.contains(", __main__.Callback, __main__.Color, __main__.Point, "), "{out}");
    assert_eq!((shown.status.code(), fault.lines().count()), (Some(1), 1), "{fault}");
    assert!(fault.contains("no ResNet in it"), "{fault}");
}
