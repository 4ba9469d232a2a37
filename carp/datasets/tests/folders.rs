//! Folders of pictures as people have them: splits under any name, and what systems put beside.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use datasets::{DataConfig, DataKind, Splits};
use tempfile::TempDir;

fn picture(path: &Path, value: u8) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let pixels = image::RgbImage::from_pixel(5, 4, image::Rgb([value, 2, 3]));
    // The name may tell no format.
    let mut bytes = std::io::Cursor::new(Vec::new());
    pixels.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    std::fs::write(path, bytes.into_inner()).unwrap();
}

/// Two pictures in each of these class folders.
fn classes(folder: &Path, names: &[&str]) {
    for name in names {
        for i in 0..2 {
            picture(&folder.join(name).join(format!("{i}.png")), i);
        }
    }
}

fn config(folder: &Path) -> DataConfig {
    let path = Some(folder.to_owned());
    DataConfig { kind: DataKind::Folder, path, ..DataConfig::default() }
}

fn open(folder: &Path) -> Splits {
    config(folder).open(0).unwrap()
}

fn error(folder: &Path) -> String {
    let error = config(folder).open(0).err().expect("should be refused").to_string();
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

/// Classes, training and test images.
fn found(splits: &Splits) -> (Vec<String>, usize, usize) {
    let (train, test) = (splits.train.as_ref().unwrap(), splits.test.as_ref().unwrap());
    (train.classes().to_vec(), train.len(), test.len())
}

fn cat_dog() -> Vec<String> {
    ["cat", "dog"].map(str::to_owned).to_vec()
}

#[test]
fn splits_have_many_names() {
    for (train, test) in [
        ("train", "val"),
        ("train", "valid"),
        ("Train", "Test"),
        ("TRAIN", "VALIDATION"),
        ("training", "testing"),
        ("train", "dev"),
    ] {
        let temp = TempDir::new().unwrap();
        classes(&temp.path().join(train), &["cat", "dog"]);
        classes(&temp.path().join(test), &["cat", "dog"]);
        assert_eq!(found(&open(temp.path())), (cat_dog(), 4, 4), "{train} {test}");
    }
    // A training split alone holds the classes; beside an unknown folder it is a question.
    let temp = TempDir::new().unwrap();
    classes(&temp.path().join("train"), &["cat", "dog"]);
    assert_eq!(open(temp.path()).train.unwrap().classes(), cat_dog());
    classes(&temp.path().join("second"), &["cat", "dog"]);
    let line = error(temp.path());
    assert!(line.contains("train: a training split without a test split"), "{line}");
    // Railway trains are a class.
    let temp = TempDir::new().unwrap();
    classes(temp.path(), &["bus", "train"]);
    assert_eq!(open(temp.path()).train.unwrap().classes(), ["bus", "train"]);
    let temp = TempDir::new().unwrap();
    for split in ["train", "Train", "val"] {
        classes(&temp.path().join(split), &["cat", "dog"]);
    }
    assert!(error(temp.path()).contains("is the same split as"));
}

#[test]
fn what_systems_make_is_no_class_and_no_picture() {
    let temp = TempDir::new().unwrap();
    classes(temp.path(), &["cat", "dog"]);
    for folder in [".ipynb_checkpoints", "__MACOSX", "@eaDir", ".git", "$recycle.bin"] {
        classes(&temp.path().join(folder), &["inside"]);
        classes(&temp.path().join("cat").join(folder), &["inside"]);
    }
    std::fs::write(temp.path().join("cat/._0.png"), b"AppleDouble").unwrap();
    std::fs::write(temp.path().join("cat/.hidden.png"), b"").unwrap();
    let splits = open(temp.path());
    assert_eq!((splits.train.unwrap().classes(), splits.pretrain.len()), (&cat_dog()[..], 4));
}

#[test]
fn stray_pictures_are_left_out_and_loose_ones_have_no_classes() {
    let temp = TempDir::new().unwrap();
    classes(temp.path(), &["cat", "dog"]);
    picture(&temp.path().join("preview.png"), 9);
    let splits = open(temp.path());
    assert_eq!((splits.train.unwrap().classes(), splits.pretrain.len()), (&cat_dog()[..], 4));
    for i in 0..4 {
        picture(&temp.path().join(format!("{i}.png")), i);
    }
    let splits = open(temp.path());
    assert_eq!((splits.train.is_none(), splits.pretrain.len()), (true, 9));
}

#[test]
fn class_names_need_not_be_text() {
    let temp = TempDir::new().unwrap();
    classes(temp.path(), &["a"]);
    for name in [&b"b\xfcro"[..], b"b\xe4ro"] {
        picture(&temp.path().join(OsStr::from_bytes(name)).join("0.png"), name[1]);
    }
    let train = open(temp.path()).train.unwrap();
    assert_eq!(train.classes(), ["a", r"b\xE4ro", r"b\xFCro"]);
    let value = |at: usize| (train.label(at).unwrap(), train.image(at).unwrap().pixels[0]);
    assert_eq!((value(2), value(3)), ((1, 0xe4), (2, 0xfc)));
}

#[test]
fn pictures_have_many_endings_and_none_is_passed_over() {
    let temp = TempDir::new().unwrap();
    for name in ["a.jpe", "b.JFIF", "c.PNG", "d.Jpg", "e.tiff"] {
        picture(&temp.path().join(name), 1);
    }
    for name in ["f.avif", "g.HEIC", "h.exr"] {
        std::fs::write(temp.path().join(name), b"not for this decoder").unwrap();
    }
    std::fs::write(temp.path().join("notes.txt"), b"no picture").unwrap();
    let data = open(temp.path()).pretrain;
    let read: Vec<bool> = (0..data.len()).map(|at| data.readable(at).unwrap().is_some()).collect();
    assert_eq!(read, [true, true, true, true, true, false, false, false]);
    assert_eq!(data.skipped(), 3);
}

#[test]
fn what_cannot_be_listed_is_left_out_or_refused() {
    let temp = TempDir::new().unwrap();
    classes(temp.path(), &["cat", "dog"]);
    std::os::unix::fs::symlink("/nowhere/at-all", temp.path().join("cat/latest")).unwrap();
    std::os::unix::fs::symlink(temp.path(), temp.path().join("dog/around")).unwrap();
    assert_eq!(open(temp.path()).pretrain.len(), 4);
    let strict = DataConfig { strict: true, ..config(temp.path()) };
    let line = strict.open(0).err().unwrap().to_string();
    assert!(line.contains("cat/latest: cannot be listed"), "{line}");
}
