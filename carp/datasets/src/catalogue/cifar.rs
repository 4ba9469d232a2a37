//! CIFAR-10 and CIFAR-100 (Krizhevsky, 2009); the binary version and the Python version.

use files::Result;

use crate::catalogue::cifar_batches;
use crate::catalogue::contents::Contents;
use crate::catalogue::description::{DataSet, Part};
use crate::catalogue::index::Location;
use crate::data_config::DataKind;

const PAGE: &str = "https://www.cs.toronto.edu/~kriz/cifar.html";
const PARTS: &[Part] = &[Part::new("train", &[50_000]), Part::new("test", &[10_000])];

pub const CIFAR10: DataSet = DataSet {
    kind: DataKind::Cifar10,
    name: "cifar10",
    torchvision: Some("cifar-10-batches-py"),
    title: "CIFAR-10",
    page: PAGE,
    archives: &["cifar-10-binary.tar.gz (or cifar-10-python.tar.gz)"],
    layout: &[
        "cifar-10-batches-bin/data_batch_1.bin ... data_batch_5.bin, test_batch.bin",
        "or cifar-10-batches-py/data_batch_1 ... data_batch_5, test_batch",
    ],
    parts: PARTS,
    classes: 10,
    pretrain: "train",
    train: "train",
    test: "test",
    protocols: &["kmeans"],
    read: read10,
};

pub const CIFAR100: DataSet = DataSet {
    kind: DataKind::Cifar100,
    name: "cifar100",
    torchvision: Some("cifar-100-python"),
    title: "CIFAR-100",
    page: PAGE,
    archives: &["cifar-100-binary.tar.gz (or cifar-100-python.tar.gz)"],
    layout: &["cifar-100-binary/train.bin, test.bin", "or cifar-100-python/train, test"],
    parts: PARTS,
    classes: 100,
    pretrain: "train",
    train: "train",
    test: "test",
    protocols: &["kmeans"],
    read: read100,
};

fn read10(source: &Location) -> Result<Contents> {
    cifar_batches::open10(&source.inner(&["cifar-10-batches-bin", "cifar-10-batches-py"]))
}

fn read100(source: &Location) -> Result<Contents> {
    cifar_batches::open100(&source.inner(&["cifar-100-binary", "cifar-100-python"]))
}
