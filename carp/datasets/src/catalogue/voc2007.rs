//! PASCAL VOC 2007 (Everingham et al.): any number of classes per image. A class is present (1),
//! absent (-1), or present only as objects marked difficult (0), as in the official label files
//! `ImageSets/Main/CLASS_trainval.txt`.

use std::path::Path;

use files::{Error, Result};
use quick_xml::{Reader, events::Event};
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

/// The fields of an object that matter.
const FIELDS: [&str; 2] = ["name", "difficult"];

/// 1, 0 or -1 for each class.
fn shown(path: &Path) -> Result<[i32; 20]> {
    let text = text(path)?;
    // Counting lines takes as long as reading the file: only for an error.
    let line = |offset: u64| 1 + text[..offset as usize].matches('\n').count();
    let broken = |offset: u64, what: &str| {
        Error::data(path, format!("broken XML, line {}: {what}", line(offset)))
    };
    let mut reader = Reader::from_str(&text);
    reader.config_mut().expand_empty_elements = true;
    let (mut shown, mut depth, mut start) = ([-1; 20], 0, 0);
    // Of the object that is open, and of these the one that is open.
    let (mut fields, mut field): ([Option<String>; 2], _) = ([None, None], None);
    loop {
        let event = reader.read_event();
        let event = event.map_err(|error| broken(reader.error_position(), &error.to_string()))?;
        let offset = reader.buffer_position();
        match event {
            Event::Start(tag) => {
                let name = tag.name();
                match depth {
                    0 if start > 0 => return Err(broken(offset, "a second root element")),
                    1 => fields = [None, None],
                    2 => field = FIELDS.iter().position(|field| name.as_ref() == *field),
                    _ => {}
                }
                if depth < 2 {
                    start = offset;
                }
                depth += 1;
            }
            Event::Text(text) => {
                if let (3, Some(field)) = (depth, field) {
                    fields[field].get_or_insert_with(|| text.trim().to_owned());
                }
            }
            Event::End(tag) => {
                if depth == 2 && tag.name().as_ref() == "object" {
                    let (class, value) = object(&fields).map_err(|detail| {
                        Error::data(path, format!("line {}: {detail}", line(start)))
                    })?;
                    shown[class] = shown[class].max(value);
                }
                depth -= 1;
            }
            Event::DocType(_) => return Err(broken(offset, "a document type is not expected")),
            Event::Eof if depth > 0 || start == 0 => {
                return Err(broken(offset, "the end of its root element is missing"));
            }
            Event::Eof => return Ok(shown),
            _ => {}
        }
    }
}

/// Number of the class, and 1 or 0.
fn object([name, difficult]: &[Option<String>; 2]) -> std::result::Result<(usize, i32), String> {
    let name = name.as_deref().unwrap_or_default();
    let class = CLASSES.iter().position(|&class| class == name);
    let class = class.ok_or_else(|| format!("object {name:?} is not one of the 20 classes"))?;
    match difficult.as_deref() {
        None | Some("0") => Ok((class, 1)),
        Some("1") => Ok((class, 0)),
        Some(other) => Err(format!("difficult is {other:?}, should be 0 or 1")),
    }
}
