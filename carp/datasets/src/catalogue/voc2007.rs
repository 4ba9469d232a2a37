//! PASCAL VOC 2007 (Everingham et al.): any number of classes per image. A class is present (1),
//! absent (-1), or present only as objects marked difficult (0), as in the official label files
//! `ImageSets/Main/CLASS_trainval.txt`.

use std::path::Path;

use files::{Error, Result};
use rayon::prelude::*;

use crate::catalogue::contents::{Contents, Pictures, Split};
use crate::catalogue::description::{DataSet, Part};
use crate::catalogue::index::{Location, lines, need, text};
use crate::data_config::DataKind;
use crate::labels::Labels;

const CLASSES: [&str; 20] = [
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
];

pub const VOC2007: DataSet = DataSet {
    kind: DataKind::Voc2007,
    name: "voc2007",
    torchvision: Some("VOCdevkit"),
    title: "PASCAL VOC 2007",
    page: "http://host.robots.ox.ac.uk/pascal/VOC/voc2007/",
    archives: &["VOCtrainval_06-Nov-2007.tar", "VOCtest_06-Nov-2007.tar"],
    layout: &[
        "VOCdevkit/VOC2007/JPEGImages/000001.jpg ...",
        "VOCdevkit/VOC2007/Annotations/000001.xml ...",
        "VOCdevkit/VOC2007/ImageSets/Main/trainval.txt",
        "VOCdevkit/VOC2007/ImageSets/Main/test.txt",
    ],
    parts: &[Part::new("trainval", &[5011]), Part::new("test", &[4952])],
    classes: CLASSES.len(),
    pretrain: "trainval",
    train: "trainval",
    test: "test",
    protocols: &["few-shot"],
    read,
};

fn read(source: &Location) -> Result<Contents> {
    let root = source.inner(&["VOCdevkit/VOC2007", "VOC2007"]);
    let parts = [("trainval", VOC2007.archives[0]), ("test", VOC2007.archives[1])];
    let mut splits = Vec::new();
    for (name, archive) in parts {
        let images = need(&root, &["JPEGImages"], archive)?;
        let index = need(&root, &[&format!("ImageSets/Main/{name}.txt")], archive)?;
        let ids = lines(&index, "an image", |line| Some(line.to_owned()))?;
        let label =
            |id: &String| shown(&need(&root, &[&format!("Annotations/{id}.xml")], archive)?);
        let shown: Vec<[i32; 20]> = ids.par_iter().map(label).collect::<Result<_>>()?;
        let files = ids.iter().map(|id| images.join(format!("{id}.jpg"))).collect();
        let labels = Labels::Multi { classes: CLASSES.len(), shown: shown.concat() };
        splits.push(Split { name, pictures: Pictures::Files { files, labels } });
    }
    Ok(Contents::new(CLASSES.map(str::to_owned).to_vec(), splits))
}

/// 1, 0 or -1 for each class.
fn shown(path: &Path) -> Result<[i32; 20]> {
    let text = text(path)?;
    let document = roxmltree::Document::parse(&text)
        .map_err(|error| Error::data(path, format!("broken XML: {error}")))?;
    let mut shown = [-1; 20];
    for object in document.root_element().children().filter(|node| node.has_tag_name("object")) {
        // Counting lines takes as long as reading the file: only for an error.
        let line = || document.text_pos_at(object.range().start).row;
        let field = |name: &str| {
            let child = object.children().find(|node| node.has_tag_name(name));
            child.and_then(|node| node.text()).map(str::trim)
        };
        let name = field("name").unwrap_or_default();
        let Some(class) = CLASSES.iter().position(|&class| class == name) else {
            let detail = format!("line {}: object {name:?} is not one of the 20 classes", line());
            return Err(Error::data(path, detail));
        };
        let value = match field("difficult") {
            None | Some("0") => 1,
            Some("1") => 0,
            Some(other) => {
                let detail = format!("line {}: difficult is {other:?}, should be 0 or 1", line());
                return Err(Error::data(path, detail));
            }
        };
        shown[class] = shown[class].max(value);
    }
    Ok(shown)
}
