//! `carp data` as a user runs it.

use std::path::Path;
use std::process::{Command, Output};

fn carp(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_carp")).args(args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// An image of one pixel, enough for `data check`.
fn picture(folder: &Path, name: &str) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join(name), b"P6 1 1 255\n\x01\x02\x03").unwrap();
}

#[test]
fn the_list_names_all_data_sets_and_their_archives() {
    let list = carp(&["data", "list"]);
    assert!(list.status.success());
    let text = stdout(&list);
    assert_eq!(text.lines().filter(|line| !line.starts_with(' ')).count(), 17, "{text}");
    for part in ["gtsrb  GTSRB", "102flowers.tgz", "VOCdevkit/VOC2007/JPEGImages", "trainval 3680"]
    {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    let page = stdout(&carp(&["data", "list", "--markdown"]));
    assert!(page.starts_with("# Data sets\n") && page.contains("\n| `inat2018` | [iNat"), "{page}");
}

#[test]
fn a_whole_data_set_is_good_and_a_broken_image_is_listed() {
    let temp = tempfile::tempdir().unwrap();
    for image in 0..157 {
        picture(&temp.path().join("original"), &format!("{}00.ppm", 2000 + image));
    }
    for image in 0..229 {
        let name = format!("{}{:02}.ppm", 2000 + image % 157, 1 + image / 157);
        picture(&temp.path().join("strong"), &name);
    }
    let folder = temp.path().to_str().unwrap();
    let good = carp(&["data", "check", "copydays", folder, "--threads", "2"]);
    let text = stdout(&good);
    assert_eq!(good.status.code(), Some(0), "{text}");
    for part in ["157 images of 157: good", "229 images of 229: good", "classes", "all good"] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    assert!(text.contains("crops/10       absent (optional)"), "{text}");

    std::fs::write(temp.path().join("strong/200501.ppm"), b"P6 9 9 255\n\x01").unwrap();
    let broken = carp(&["data", "check", "copydays", folder]);
    let text = stdout(&broken);
    assert_eq!(broken.status.code(), Some(1), "{text}");
    assert!(text.contains("229 images of 229: good, 1 broken:\n    "), "{text}");
    assert!(text.contains("strong/200501.ppm: cannot be decoded"), "{text}");
    assert!(text.ends_with("NOT as published\n"), "{text}");

    std::fs::remove_file(temp.path().join("strong/200501.ppm")).unwrap();
    let fewer = carp(&["data", "check", "copydays", folder]);
    assert_eq!(fewer.status.code(), Some(1));
    assert!(stdout(&fewer).contains("228 images of 229: WRONG COUNT"), "{}", stdout(&fewer));
}

#[test]
fn mistakes_are_one_line() {
    let cases: [(&[&str], i32, &str); 3] = [
        (&["data", "check", "petz", "."], 2, "did you mean \"pets\""),
        (&["data", "check", "pets", "/none"], 1, "no such folder: unpack images.tar.gz"),
        (&["data", "check", "pets", "/dev"], 1, "it comes with images.tar.gz"),
    ];
    for (args, code, part) in cases {
        let output = carp(args);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert_eq!(stderr.trim_end().lines().count(), 1, "{stderr}");
        assert!(stderr.contains(part), "{part:?} is not in {stderr}");
    }
}
