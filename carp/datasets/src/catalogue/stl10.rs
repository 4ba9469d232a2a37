//! STL-10 (Coates, Ng and Lee, 2011), binary version; read by `stl10_binary`.

use files::Result;

use crate::catalogue::contents::Contents;
use crate::catalogue::description::{DataSet, Part};
use crate::catalogue::index::Location;
use crate::catalogue::stl10_binary;
use crate::data_config::DataKind;

pub const STL10: DataSet = DataSet {
    kind: DataKind::Stl10,
    name: "stl10",
    torchvision: Some("stl10_binary"),
    title: "STL-10",
    page: "https://cs.stanford.edu/~acoates/stl10/",
    archives: &["stl10_binary.tar.gz"],
    layout: &[
        "stl10_binary/train_X.bin, train_y.bin",
        "stl10_binary/test_X.bin, test_y.bin",
        "stl10_binary/unlabeled_X.bin",
        "stl10_binary/class_names.txt",
    ],
    parts: &[
        Part::new("train", &[5000]),
        Part::new("test", &[8000]),
        Part::optional("unlabeled", &[100_000]),
    ],
    classes: 10,
    pretrain: "unlabeled",
    train: "train",
    test: "test",
    protocols: &["knn"],
    read,
};

fn read(source: &Location) -> Result<Contents> {
    stl10_binary::open(&source.inner(&["stl10_binary"]))
}
