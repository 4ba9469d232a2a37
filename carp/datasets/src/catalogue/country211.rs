//! Country211 (Radford et al., 2021): a folder per split with a folder per country.

use files::Result;

use crate::catalogue::contents::Contents;
use crate::catalogue::description::{DataSet, Part};
use crate::catalogue::index::{Location, class_folders, need};
use crate::data_config::DataKind;

const ARCHIVE: &str = "country211.tgz";

pub const COUNTRY211: DataSet = DataSet {
    kind: DataKind::Country211,
    name: "country211",
    torchvision: None,
    title: "Country211",
    page: "https://github.com/openai/CLIP/blob/main/data/country211.md",
    archives: &[ARCHIVE],
    layout: &[
        "country211/train/AD/*.jpg ...",
        "country211/valid/AD/*.jpg ...",
        "country211/test/AD/*.jpg ...",
    ],
    parts: &[
        Part::new("train", &[31_650]),
        Part::new("valid", &[10_550]),
        Part::new("test", &[21_100]),
    ],
    classes: 211,
    pretrain: "train",
    train: "train",
    test: "test",
    protocols: &["knn"],
    read,
};

fn read(source: &Location) -> Result<Contents> {
    let root = source.inner(&["country211"]);
    let (mut classes, mut splits) = (vec![], vec![]);
    for name in ["train", "valid", "test"] {
        let folder = need(&root, &[name], ARCHIVE)?;
        splits.push(class_folders(name, (&folder, source.strict), &mut classes)?);
    }
    Ok(Contents::new(classes, splits))
}
