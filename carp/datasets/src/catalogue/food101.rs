//! Food-101 (Bossard et al., 2014). A line of the index is `CLASS/NUMBER`.

use files::Result;

use crate::catalogue::contents::{Contents, Split};
use crate::catalogue::description::{DataSet, Part};
use crate::catalogue::index::{Location, lines, need};
use crate::data_config::DataKind;

const ARCHIVE: &str = "food-101.tar.gz";

pub const FOOD101: DataSet = DataSet {
    kind: DataKind::Food101,
    name: "food101",
    torchvision: Some("food-101"),
    title: "Food-101",
    page: "https://data.vision.ee.ethz.ch/cvl/datasets_extra/food-101/",
    archives: &[ARCHIVE],
    layout: &[
        "food-101/images/apple_pie/1005649.jpg ...",
        "food-101/meta/classes.txt",
        "food-101/meta/train.txt",
        "food-101/meta/test.txt",
    ],
    parts: &[Part::new("train", &[75_750]), Part::new("test", &[25_250])],
    classes: 101,
    pretrain: "train",
    train: "train",
    test: "test",
    protocols: &["knn"],
    read,
};

fn read(source: &Location) -> Result<Contents> {
    let root = source.inner(&["food-101"]);
    let images = need(&root, &["images"], ARCHIVE)?;
    let classes = need(&root, &["meta/classes.txt"], ARCHIVE)?;
    let classes = lines(&classes, "a class", |line| Some(line.to_owned()))?;
    let mut splits = Vec::new();
    for name in ["train", "test"] {
        let index = need(&root, &[&format!("meta/{name}.txt")], ARCHIVE)?;
        let listed = lines(&index, "CLASS/NUMBER, a class of classes.txt", |line| {
            let (class, number) = line.split_once('/')?;
            let label = classes.iter().position(|known| known == class)?;
            Some((images.join(class).join(format!("{number}.jpg")), label as u32))
        })?;
        splits.push(Split::single(name, listed));
    }
    Ok(Contents::new(classes, splits))
}
