//! STL-10 (Coates, Ng and Lee, 2011), binary version; read by [`crate::data`]'s own reader.

use super::source::Source;
use super::{Contents, DataSet, Part};
use crate::data::{DataKind, stl10};
use crate::error::Result;

pub const STL10: DataSet = DataSet {
    kind: DataKind::Stl10,
    name: "stl10",
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

fn read(source: &Source) -> Result<Contents> {
    stl10::open(&source.inner(&["stl10_binary"]))
}
