//! What reads files from strangers, each as a function of their bytes; the fuzzer runs the same.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use carp::config::Config;
use datasets::catalogue::of_name;
use datasets::{DataConfig, DataKind};
use pickle::{Item, Pickle};
use ptx_emulator::Module;
use tempfile::TempDir;
use tensor::Cpu;
use weights::WeightsFile;

/// A reader and the memory that it may take for an input: so many MiB, and so many bytes for each
/// byte.
pub struct Target {
    pub name: &'static str,
    pub read: fn(&[u8]),
    pub mib: usize,
    pub per_byte: usize,
}

const fn target(name: &'static str, read: fn(&[u8]), mib: usize, per_byte: usize) -> Target {
    Target { name, read, mib, per_byte }
}

/// A name is also that of the folder with its seeds. Compressed kinds (images, `.mat`, `.pth`) may
/// unpack to a fixed size whatever theirs is.
pub const TARGETS: [Target; 14] = [
    target("audit", audit, 64, 16_384),
    target("cifar", cifar, 4, 256),
    target("gtsrb_csv", gtsrb_csv, 4, 512),
    target("idx", idx, 4, 4096),
    target("image", image, 256, 4096),
    target("inat_json", inat_json, 4, 512),
    target("mat", mat, 32, 1024),
    target("pickle", pickle, 4, 512),
    target("preset", preset, 4, 1024),
    target("pth", pth, 256, 16_384),
    target("ptx", ptx, 256, 4096),
    target("safetensors", safetensors, 4, 512),
    target("stl", stl, 4, 256),
    target("voc_xml", voc_xml, 4, 256),
];

/// A folder for the files of this process, in memory where there is such a place: disks are slow.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let make = || tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    FOLDER.get_or_init(make).path()
}

/// Writes a file, and its folders.
fn write(path: PathBuf, bytes: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// An error is one line.
fn one_line<T, E: Display>(result: Result<T, E>) -> Option<T> {
    result.inspect_err(|error| assert_eq!(error.to_string().lines().count(), 1, "{error}")).ok()
}

/// Opens one of the paper's data sets in the folder of its name.
fn open(name: &str) {
    let set = of_name(name).unwrap();
    let path = Some(folder().join(name));
    one_line(set.contents(&DataConfig { kind: set.kind, path, ..DataConfig::default() }));
}

/// A tree with one file per path, made once.
fn tree(made: &'static OnceLock<()>, files: &[(&str, &[u8])]) {
    made.get_or_init(|| {
        for (path, bytes) in files {
            write(folder().join(path), bytes);
        }
    });
}

/// An audit record, replayed.
fn audit(bytes: &[u8]) {
    let path = folder().join("record.safetensors");
    write(path.clone(), bytes);
    one_line(audit::audit(&path, &Cpu));
}

fn cifar(bytes: &[u8]) {
    static TREE: OnceLock<()> = OnceLock::new();
    tree(&TREE, &[("cifar100/test", b"")]);
    write(folder().join("cifar100/meta"), bytes);
    open("cifar100");
    fs::remove_file(folder().join("cifar100/meta")).unwrap();
    write(folder().join("cifar100/train"), bytes);
    open("cifar100");
}

fn gtsrb_csv(bytes: &[u8]) {
    static TREE: OnceLock<()> = OnceLock::new();
    tree(&TREE, &[("gtsrb/Training/1/a", b""), ("gtsrb/Final_Test/Images/a", b"")]);
    write(folder().join("gtsrb/Training/1/GT-1.csv"), bytes);
    write(folder().join("gtsrb/GT-final_test.csv"), bytes);
    open("gtsrb");
}

fn idx(bytes: &[u8]) {
    let is_gzip = bytes.starts_with(&[0x1f, 0x8b]);
    let folder = folder().join(if is_gzip { "idx-gz" } else { "idx" });
    let end = if is_gzip { ".gz" } else { "" };
    // The same bytes as images, and as labels of one image.
    let image = [&0x803u32.to_be_bytes(), &[1u32.to_be_bytes(); 3].concat()[..], b"x"].concat();
    let images = folder.join("train-images-idx3-ubyte");
    let labels = folder.join(format!("train-labels-idx1-ubyte{end}"));
    let config = DataConfig { kind: DataKind::Idx, path: Some(folder), ..DataConfig::default() };
    write(labels, bytes);
    write(images.clone(), image);
    one_line(config.open(0));
    fs::remove_file(&images).unwrap();
    write(images.with_extension(end.trim_start_matches('.')), bytes);
    one_line(config.open(0));
}

fn image(bytes: &[u8]) {
    static TREE: OnceLock<()> = OnceLock::new();
    tree(&TREE, &[("images/a", b"")]);
    write(folder().join("images/a.png"), bytes);
    let path = Some(folder().join("images"));
    let config = DataConfig { kind: DataKind::Folder, path, strict: true, ..DataConfig::default() };
    let splits = one_line(config.open(0)).expect("a folder with a picture");
    one_line(splits.pretrain.image(0));
}

fn inat_json(bytes: &[u8]) {
    static TREE: OnceLock<()> = OnceLock::new();
    tree(&TREE, &[("inat2018/train_val2018/a", b"")]);
    write(folder().join("inat2018/train2018.json"), bytes);
    write(folder().join("inat2018/val2018.json"), bytes);
    open("inat2018");
}

fn mat(bytes: &[u8]) {
    write(folder().join("cars/cars_annos.mat"), bytes);
    open("cars");
}

fn pickle(bytes: &[u8]) {
    let Some(pickle) = one_line(Pickle::read(Path::new("pickle"), bytes)) else { return };
    // As many values as there are, but not more, are looked at in every way.
    for item in pickle.all().take(64) {
        let _ = (item.kind(), item.class(), item.get("data"), item.state().map(Item::kind));
        let _ = (item.array(), item.numbers(), item.texts(), item.sizes());
    }
    static TREE: OnceLock<()> = OnceLock::new();
    tree(&TREE, &[("roxford5k/jpg/a.jpg", b"")]);
    write(folder().join("roxford5k/gnd_roxford5k.pkl"), bytes);
    open("roxford5k");
}

fn preset(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        one_line(Config::parse(text, "preset"));
    }
}

fn ptx(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let module = Module::parse("text", text);
        for kernel in module.iter().flat_map(Module::kernels) {
            one_line(module.as_ref().expect("it has kernels").kernel(kernel));
        }
        one_line(module);
    }
}

/// Opens a file of weights, and reads its first tensors.
fn weights(name: &str, bytes: &[u8]) {
    let path = folder().join(name);
    write(path.clone(), bytes);
    let Some(mut file) = one_line(WeightsFile::open(&path)) else { return };
    let names: Vec<String> = file.tensors().iter().take(8).map(|t| t.name.clone()).collect();
    for name in names {
        one_line(file.read(&name));
    }
}

fn pth(bytes: &[u8]) {
    weights("net.pth", bytes);
}

fn safetensors(bytes: &[u8]) {
    weights("net.safetensors", bytes);
}

fn stl(bytes: &[u8]) {
    const PICTURE: u64 = 3 * 96 * 96;
    static TREE: OnceLock<()> = OnceLock::new();
    tree(&TREE, &[("stl10/test_X.bin", b""), ("stl10/test_y.bin", b"")]);
    // The first byte tells how many pictures there are, the others are the labels.
    let (count, labels) = bytes.split_first().unwrap_or((&0, &[]));
    let pictures = fs::File::create(folder().join("stl10/train_X.bin")).unwrap();
    pictures.set_len(PICTURE * u64::from(*count)).unwrap();
    write(folder().join("stl10/train_y.bin"), labels);
    write(folder().join("stl10/class_names.txt"), labels);
    open("stl10");
}

fn voc_xml(bytes: &[u8]) {
    static TREE: OnceLock<()> = OnceLock::new();
    let lists = ["trainval", "test"].map(|part| format!("voc2007/ImageSets/Main/{part}.txt"));
    tree(&TREE, &[(&lists[0], b"1"), (&lists[1], b"1"), ("voc2007/JPEGImages/a", b"")]);
    write(folder().join("voc2007/Annotations/1.xml"), bytes);
    open("voc2007");
}
