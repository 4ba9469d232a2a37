//! Describable Textures (Cimpoi et al., 2014): ten official partitions, each in three parts. A line
//! of an index is `CLASS/FILE`.

use files::{Error, Result};

use crate::catalogue::contents::{Contents, Split};
use crate::catalogue::description::{DataSet, Part};
use crate::catalogue::index::{Location, lines, need, sorted};
use crate::data_config::DataKind;

const ARCHIVE: &str = "dtd-r1.0.1.tar.gz";
const PARTITIONS: usize = 10;

pub const DTD: DataSet = DataSet {
    kind: DataKind::Dtd,
    name: "dtd",
    torchvision: None,
    title: "Describable Textures",
    page: "https://www.robots.ox.ac.uk/~vgg/data/dtd/",
    archives: &[ARCHIVE],
    layout: &[
        "dtd/images/banded/banded_0002.jpg ...",
        "dtd/labels/train1.txt, val1.txt, test1.txt (data.partition: 1 to 10)",
    ],
    parts: &[Part::new("train", &[1880]), Part::new("val", &[1880]), Part::new("test", &[1880])],
    classes: 47,
    pretrain: "train",
    train: "train",
    test: "test",
    protocols: &["kmeans"],
    read,
};

fn read(source: &Location) -> Result<Contents> {
    let partition = source.partition;
    if !(1..=PARTITIONS).contains(&partition) {
        let detail = format!("data.partition = {partition} should be from 1 to {PARTITIONS}");
        return Err(Error::Usage(detail));
    }
    let root = source.inner(&["dtd"]);
    let images = need(&root, &["images"], ARCHIVE)?;
    let mut listed = Vec::new();
    for name in ["train", "val", "test"] {
        let index = need(&root, &[&format!("labels/{name}{partition}.txt")], ARCHIVE)?;
        let lines = lines(&index, "CLASS/FILE", |line| {
            line.split_once('/').map(|(class, file)| (class.to_owned(), file.to_owned()))
        })?;
        listed.push((name, lines));
    }
    let all = listed.iter().flat_map(|(_, lines)| lines);
    let classes = sorted(all.map(|(class, _)| class.clone()));
    let image = |(class, file): (String, String)| {
        let label = classes.binary_search(&class).expect("one of the classes");
        (images.join(&class).join(file), label as u32)
    };
    let split = |(name, lines): (&'static str, Vec<(String, String)>)| {
        Split::single(name, lines.into_iter().map(image).collect())
    };
    let splits = listed.into_iter().map(split).collect();
    Ok(Contents::new(classes, splits))
}
