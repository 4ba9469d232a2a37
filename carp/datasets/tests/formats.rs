//! Data sets in their official formats, and every way in which files can be wrong.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;

use datasets::{DataConfig, DataKind, Dataset, Progress, Splits, Subset};
use files::Result;
use tempfile::TempDir;

fn open(kind: DataKind, path: &Path) -> Result<Splits> {
    DataConfig { kind, path: Some(path.to_owned()), ..DataConfig::default() }.open(0)
}

/// Asserts a one-line error with all `parts`.
fn fails(splits: Result<Splits>, parts: &[&str]) {
    let error = splits.err().expect("should be refused").to_string();
    assert_eq!(error.lines().count(), 1, "{error}");
    for part in parts {
        assert!(error.contains(part), "{part:?} is not in {error:?}");
    }
}

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join(name), bytes).unwrap();
}

fn idx_images(count: u32, pixels: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = [0x803u32, count, 2, 3].iter().flat_map(|x| x.to_be_bytes()).collect();
    bytes.extend((0..pixels).map(|i| i as u8));
    bytes
}

fn idx_labels(labels: &[u8]) -> Vec<u8> {
    let count = labels.len() as u32;
    let mut bytes: Vec<u8> = [0x801u32, count].iter().flat_map(|x| x.to_be_bytes()).collect();
    bytes.extend(labels);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Four good IDX files, plain for training and gzip for testing.
fn idx_folder() -> TempDir {
    let temp = TempDir::new().unwrap();
    let folder = temp.path();
    write(folder, "train-images-idx3-ubyte", &idx_images(3, 18));
    write(folder, "train-labels-idx1-ubyte", &idx_labels(&[0, 9, 4]));
    write(folder, "t10k-images-idx3-ubyte.gz", &gzip(&idx_images(1, 6)));
    write(folder, "t10k-labels-idx1-ubyte.gz", &gzip(&idx_labels(&[7])));
    temp
}

#[test]
fn idx_plain_and_gzip() {
    let temp = idx_folder();
    let splits = open(DataKind::Idx, temp.path()).unwrap();
    let (train, test) = (splits.train.unwrap(), splits.test.unwrap());
    assert_eq!((train.len(), test.len(), train.channels()), (3, 1, 1));
    assert_eq!((train.label(1), test.label(0)), (Some(9), Some(7)));
    let image = train.image(1).unwrap();
    assert_eq!((image.height, image.width), (2, 3));
    assert_eq!(image.pixels, [6, 7, 8, 9, 10, 11]);
}

#[test]
fn idx_faults() {
    let images = "train-images-idx3-ubyte";
    let labels = "train-labels-idx1-ubyte";
    let cases: [(&str, Vec<u8>, &[&str]); 7] = [
        (images, idx_images(3, 17), &[images, "truncated", "33 bytes", "expected 34"]),
        (images, idx_images(3, 19), &[images, "too long"]),
        (images, vec![0, 0], &[images, "truncated", "2 bytes", "16"]),
        (images, idx_labels(&[1; 40]), &[images, "wrong magic 0x801", "offset 0", "0x803"]),
        (labels, idx_labels(&[0, 10, 4]), &[labels, "label 10 of image 1", "0..10"]),
        (labels, idx_labels(&[0, 1]), &[labels, "2 labels for the 3 images"]),
        ("t10k-images-idx3-ubyte.gz", vec![1, 2, 3], &["t10k-images", "broken gzip"]),
    ];
    for (file, bytes, parts) in cases {
        let temp = idx_folder();
        write(temp.path(), file, &bytes);
        fails(open(DataKind::Idx, temp.path()), parts);
    }
    // Counts whose product is 2^64, and 38 MiB of zeros in half a one.
    let header = [0x803u32, 1 << 31, 1 << 31, 4].map(u32::to_be_bytes).concat();
    let zeros = gzip(&idx_images(0, 38 << 20));
    assert!(zeros.len() < 1 << 20, "{}", zeros.len());
    for (file, bytes, part) in
        [(images, header, "truncated: 16 bytes"), ("t10k-images-idx3-ubyte.gz", zeros, "unpack to")]
    {
        let temp = idx_folder();
        write(temp.path(), file, &bytes);
        fails(open(DataKind::Idx, temp.path()), &[file, part]);
    }
    let temp = idx_folder();
    std::fs::remove_file(temp.path().join(labels)).unwrap();
    fails(open(DataKind::Idx, temp.path()), &["has no", labels]);
    fails(open(DataKind::Idx, &temp.path().join("none")), &["none", "no such folder"]);
}

/// A CIFAR record: labels, then planes of red 1, green 2, blue 3 except the first red pixel.
fn cifar_record(labels: &[u8]) -> Vec<u8> {
    let planes = [1u8, 2, 3].into_iter().flat_map(|value| [value; 1024]);
    let mut record: Vec<u8> = labels.iter().copied().chain(planes).collect();
    record[labels.len()] = 200;
    record
}

#[test]
fn cifar_10_and_100() {
    let temp = TempDir::new().unwrap();
    let ten = temp.path().join("cifar-10-batches-bin");
    for i in 1..=5 {
        write(&ten, &format!("data_batch_{i}.bin"), &cifar_record(&[i]));
    }
    write(&ten, "test_batch.bin", &[cifar_record(&[8]), cifar_record(&[9])].concat());
    // The parent of the unpacked folder works too.
    let splits = open(DataKind::Cifar10, temp.path()).unwrap();
    let (train, test) = (splits.train.unwrap(), splits.test.unwrap());
    assert_eq!((train.len(), test.len()), (5, 2));
    assert_eq!((train.label(4), test.label(1)), (Some(5), Some(9)));
    assert_eq!(train.image(0).unwrap().pixels[..6], [200, 2, 3, 1, 2, 3]);

    write(&ten, "data_batch_3.bin", &cifar_record(&[10]));
    fails(open(DataKind::Cifar10, &ten), &["data_batch_3.bin", "label 10 of image 0"]);
    write(&ten, "data_batch_3.bin", &cifar_record(&[1])[..3000]);
    fails(open(DataKind::Cifar10, &ten), &["data_batch_3.bin", "3000 bytes", "3073"]);
    std::fs::remove_file(ten.join("data_batch_3.bin")).unwrap();
    fails(open(DataKind::Cifar10, &ten), &["has no data_batch_3.bin"]);
    // One that is there, as far as anyone can tell: without permission it is the same.
    #[cfg(unix)]
    {
        let file = ten.join("data_batch_3.bin");
        std::os::unix::fs::symlink("data_batch_3.bin", &file).unwrap();
        fails(open(DataKind::Cifar10, &ten), &["data_batch_3.bin: ", "symbolic links"]);
    }

    let hundred = temp.path().join("cifar-100-binary");
    write(&hundred, "train.bin", &cifar_record(&[19, 99]));
    write(&hundred, "test.bin", &cifar_record(&[1, 42]));
    let splits = open(DataKind::Cifar100, temp.path()).unwrap();
    assert_eq!(splits.test.unwrap().label(0), Some(42));
    write(&hundred, "test.bin", &cifar_record(&[1, 100]));
    fails(open(DataKind::Cifar100, temp.path()), &["test.bin", "label 100", "0..100"]);
}

#[test]
fn stl_10() {
    let temp = TempDir::new().unwrap();
    let picture: Vec<u8> = (0..3 * 96 * 96).map(|i| (i % 96) as u8).collect();
    for part in ["train", "test", "unlabeled"] {
        write(temp.path(), &format!("{part}_X.bin"), &picture.repeat(2));
        write(temp.path(), &format!("{part}_y.bin"), &[1, 10]);
    }
    let splits = open(DataKind::Stl10, temp.path()).unwrap();
    let (train, pretrain) = (splits.train.unwrap(), splits.pretrain);
    assert_eq!((train.label(0), train.label(1), pretrain.label(0)), (Some(0), Some(9), None));
    // Planes are stored by columns: the fastest index is the row.
    let image = pretrain.image(1).unwrap();
    assert_eq!(image.pixels[..6], [0, 0, 0, 0, 0, 0]);
    assert_eq!(image.pixels[96 * 3..96 * 3 + 6], [1, 1, 1, 1, 1, 1]);

    write(temp.path(), "test_y.bin", &[0, 1]);
    fails(open(DataKind::Stl10, temp.path()), &["test_y.bin", "of image 0", "out of range"]);
    write(temp.path(), "test_X.bin", &picture[1..]);
    fails(open(DataKind::Stl10, temp.path()), &["test_X.bin", "truncated", "expected 27648"]);
}

fn png(folder: &Path, name: &str, value: u8) {
    std::fs::create_dir_all(folder).unwrap();
    image::RgbImage::from_pixel(5, 4, image::Rgb([value, 2, 3])).save(folder.join(name)).unwrap();
}

#[test]
fn folders_flat_nested_and_by_class() {
    let temp = TempDir::new().unwrap();
    let flat = temp.path().join("flat");
    png(&flat, "b.png", 20);
    png(&flat, "a.jpg", 10);
    png(&flat.join("more"), "c.png", 30);
    write(&flat, "notes.txt", b"no image");
    let splits = open(DataKind::Folder, &flat).unwrap();
    assert!(splits.train.is_none() && splits.test.is_none());
    assert_eq!(splits.pretrain.len(), 3);
    let image = splits.pretrain.image(1).unwrap();
    assert_eq!((image.height, image.width, image.channels), (4, 5, 3));
    assert_eq!(image.pixels[..3], [20, 2, 3]);

    let classes = temp.path().join("classes");
    for class in ["cat", "dog"] {
        for i in 0..10 {
            png(&classes.join(class), &format!("{i}.png"), i);
        }
    }
    let splits = open(DataKind::Folder, &classes).unwrap();
    let (train, test) = (splits.train.unwrap(), splits.test.unwrap());
    assert_eq!((train.len(), test.len()), (18, 2));
    assert_eq!(train.classes(), ["cat", "dog"]);
    assert_eq!((train.label(0), train.label(17), test.label(1)), (Some(0), Some(1), Some(1)));

    let split = temp.path().join("split");
    for (part, class) in [("train", "x"), ("train", "y"), ("val", "x"), ("val", "y")] {
        png(&split.join(part).join(class), "1.png", 1);
    }
    let splits = open(DataKind::Folder, &split).unwrap();
    assert_eq!((splits.train.unwrap().len(), splits.test.unwrap().len()), (2, 2));
    std::fs::rename(split.join("val/y"), split.join("val/z")).unwrap();
    fails(open(DataKind::Folder, &split), &["val", "class folders", "\"z\""]);
}

#[test]
fn unreadable_images_are_skipped_and_counted_or_refused() {
    let temp = TempDir::new().unwrap();
    png(temp.path(), "a.png", 1);
    write(temp.path(), "b.png", b"\x89PNG\r\n\x1a\nbroken");
    png(temp.path(), "c.png", 3);
    let config = DataConfig { path: Some(temp.path().to_owned()), ..DataConfig::default() };
    let data = config.open(0).unwrap().pretrain;
    // The row is not there; no other picture stands in for it.
    for _ in 0..2 {
        assert_eq!(data.readable(1).unwrap(), None);
        assert_eq!((data.readable(2).unwrap().unwrap().pixels[0], data.skipped()), (3, 1));
    }
    let seen = Mutex::new(Vec::new());
    let show = |done, all| seen.lock().unwrap().push((done, all));
    let rest = Subset::readable(data, Progress::new(&show)).unwrap();
    assert_eq!(*seen.lock().unwrap(), [(1, 3), (2, 3), (3, 3)]);
    assert_eq!((rest.len(), rest.image(1).unwrap().pixels[0]), (2, 3));
    assert!(rest.file(1).unwrap().ends_with("c.png"));
    assert_eq!(rest.skipped(), 1);
    // Of two parts, each counts its own.
    let parts = temp.path().join("parts");
    for class in ["x", "y"] {
        (0..4).for_each(|i| png(&parts.join("train").join(class), &format!("{i}.png"), i));
        png(&parts.join("val").join(class), "0.png", 0);
    }
    write(&parts, "train/y/2.png", b"broken");
    let path = Some(parts);
    let splits = DataConfig { path, held_out: 3, ..DataConfig::default() }.open(0).unwrap();
    let lost = [splits.train, splits.test].map(|part| {
        let (whole, rest) =
            (part.clone().unwrap(), Subset::readable(part.unwrap(), Progress::none()));
        let rest = rest.unwrap();
        assert_eq!(rest.skipped(), whole.skipped());
        assert_eq!(rest.skipped(), whole.len() - rest.len());
        rest.skipped()
    });
    assert_eq!(lost.iter().sum::<usize>(), 1);

    let strict = DataConfig { strict: true, ..config }.open(0).unwrap().pretrain;
    let error = strict.readable(1).unwrap_err().to_string();
    assert!(error.contains("b.png") && error.contains("cannot be decoded"), "{error}");
    assert!(Subset::readable(strict, Progress::none()).is_err());

    let empty = TempDir::new().unwrap();
    fails(open(DataKind::Folder, empty.path()), &["no images"]);
    fails(open(DataKind::Folder, &empty.path().join("none")), &["no such folder"]);
}

#[test]
fn decoded_images_are_kept_within_the_cache() {
    let temp = TempDir::new().unwrap();
    for i in 0..4 {
        png(temp.path(), &format!("{i}.png"), i);
    }
    // With no cache every access decodes, and notices a deleted file.
    let config = DataConfig { path: Some(temp.path().to_owned()), ..DataConfig::default() };
    let cached = config.open(0).unwrap().pretrain;
    let uncached = DataConfig { cache_mib: 0, strict: true, ..config }.open(0).unwrap().pretrain;
    let first = cached.image(2).unwrap();
    uncached.image(2).unwrap();
    std::fs::remove_file(temp.path().join("2.png")).unwrap();
    assert_eq!(cached.image(2).unwrap(), first);
    assert!(uncached.image(2).unwrap_err().to_string().contains("2.png"));
}

#[test]
fn held_out_images_are_tested_on_and_not_trained_on() {
    let shapes = |train_size, held_out| {
        let config = DataConfig {
            kind: DataKind::Shapes,
            train_size,
            test_size: 4,
            ..DataConfig::default()
        };
        DataConfig { held_out, ..config }.open(1)
    };
    let (whole, splits) = (shapes(10, 0).unwrap().pretrain, shapes(10, 3).unwrap());
    let pixels = |data: &dyn Dataset, index| data.image(index).unwrap().pixels.clone();
    let place = |data: &dyn Dataset, index| {
        (0..10).find(|&place| pixels(&*whole, place) == pixels(data, index)).unwrap()
    };
    let (train, test) = (splits.train.unwrap(), splits.test.unwrap());
    assert!(std::sync::Arc::ptr_eq(&train, &splits.pretrain));
    let places = |data: &dyn Dataset| (0..data.len()).map(|index| place(data, index)).collect();
    let (kept, held_out): (Vec<_>, Vec<_>) = (places(&*train), places(&*test));
    assert!(held_out.is_sorted() && held_out.len() == 3, "{held_out:?}");
    assert_eq!(BTreeSet::from_iter([kept, held_out].concat()), BTreeSet::from_iter(0..10));
    // Labels may follow a pattern: classes are drawn, not spaced.
    let drawn = shapes(400, 100).unwrap().test.unwrap();
    let classes: BTreeSet<_> = (0..100).map(|index| drawn.label(index)).collect();
    assert_eq!(classes.len(), drawn.classes().len());
    assert!((train.memory() + test.memory()).abs_diff(whole.memory()) <= 1);
    let error = shapes(10, 10).err().unwrap().to_string();
    assert!(error.contains("data.held_out is 10") && error.contains("10 images"), "{error}");
}
