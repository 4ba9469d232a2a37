//! Oxford Flowers-102 (Nilsback and Zisserman, 2008): `labels` from 1 for all images, and the
//! numbers of the images of each split. These files contain no class names.

use files::{Error, Result};

use crate::catalogue::contents::{Contents, Split};
use crate::catalogue::description::{DataSet, Part};
use crate::catalogue::index::{Location, from_one, need};
use crate::data_config::DataKind;
use crate::mat::Mat;

const CLASSES: usize = 102;

pub const FLOWERS102: DataSet = DataSet {
    kind: DataKind::Flowers102,
    name: "flowers102",
    torchvision: Some("flowers-102"),
    title: "Oxford Flowers-102",
    page: "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/",
    archives: &["102flowers.tgz", "imagelabels.mat", "setid.mat"],
    layout: &["jpg/image_00001.jpg ...", "imagelabels.mat", "setid.mat"],
    parts: &[Part::new("train", &[1020]), Part::new("val", &[1020]), Part::new("test", &[6149])],
    classes: CLASSES,
    pretrain: "train",
    train: "train",
    test: "test",
    protocols: &["knn"],
    read,
};

fn read(source: &Location) -> Result<Contents> {
    let root = source.inner(&["flowers-102"]);
    let images = need(&root, &["jpg"], "102flowers.tgz")?;
    let path = need(&root, &["imagelabels.mat"], "its page as a file of its own")?;
    let mat = Mat::read(&path)?;
    let labels = mat.numbers("labels")?;
    let label = |(at, &number): (usize, &f64)| {
        from_one(number, CLASSES).ok_or_else(|| {
            let detail = format!("labels({}) is {number}, should be 1 to {CLASSES}", at + 1);
            Error::data(&path, detail)
        })
    };
    let labels: Vec<u32> = labels.iter().enumerate().map(label).collect::<Result<_>>()?;

    let path = need(&root, &["setid.mat"], "its page as a file of its own")?;
    let mat = Mat::read(&path)?;
    let mut splits = Vec::new();
    for (name, array) in [("train", "trnid"), ("val", "valid"), ("test", "tstid")] {
        let mut split = Vec::new();
        for (at, &number) in mat.numbers(array)?.iter().enumerate() {
            let index = from_one(number, labels.len()).ok_or_else(|| {
                let (at, images) = (at + 1, labels.len());
                Error::data(&path, format!("{array}({at}) is {number}, should be 1 to {images}"))
            })?;
            let file = images.join(format!("image_{number:05}.jpg"));
            split.push((file, labels[index as usize]));
        }
        splits.push(Split::single(name, split));
    }
    Ok(Contents::new((1..=CLASSES).map(|class| class.to_string()).collect(), splits))
}
