//! Stanford Cars (Krause et al., 2013): records with `fname` and `class` from 1 for each of the two
//! folders, or the older `cars_annos.mat`, whose field `test` gives the split.

use std::path::Path;

use files::{Error, Result};

use crate::catalogue::contents::{Contents, Split};
use crate::catalogue::description::{DataSet, Part};
use crate::catalogue::index::{Location, from_one, need};
use crate::data_config::DataKind;
use crate::mat::{Array, Mat, Records};

pub const CARS: DataSet = DataSet {
    kind: DataKind::Cars,
    name: "cars",
    torchvision: Some("stanford_cars"),
    title: "Stanford Cars",
    page: "https://ai.stanford.edu/~jkrause/cars/car_dataset.html",
    archives: &[
        "cars_train.tgz",
        "cars_test.tgz",
        "car_devkit.tgz",
        "cars_test_annos_withlabels.mat",
        "or car_ims.tgz and cars_annos.mat",
    ],
    layout: &[
        "cars_train/00001.jpg ...",
        "cars_test/00001.jpg ...",
        "devkit/cars_meta.mat",
        "devkit/cars_train_annos.mat",
        "cars_test_annos_withlabels.mat (or in devkit/)",
        "or car_ims/000001.jpg ... and cars_annos.mat",
    ],
    parts: &[Part::new("train", &[8144]), Part::new("test", &[8041])],
    classes: 196,
    pretrain: "train",
    train: "train",
    test: "test",
    protocols: &["knn"],
    read,
};

fn read(source: &Location) -> Result<Contents> {
    let root = source.inner(&["stanford_cars"]);
    let all = root.join("cars_annos.mat");
    if all.is_file() {
        let mat = Mat::read(&all)?;
        let classes = mat.texts("class_names")?;
        let (mut train, mut test) = (vec![], vec![]);
        let records = mat.records("annotations")?;
        for at in 0..records.len() {
            let (file, label) = record(&all, records, at, "relative_im_path", classes.len())?;
            let is_test = records.get(at, "test").and_then(Array::number);
            let split = match is_test {
                Some(0.0) => &mut train,
                Some(1.0) => &mut test,
                _ => return Err(bad(&all, at, "test", "0 or 1")),
            };
            split.push((root.join(file), label));
        }
        let splits = vec![Split::single("train", train), Split::single("test", test)];
        return Ok(Contents::new(classes, splits));
    }
    let meta = need(&root, &["devkit/cars_meta.mat", "cars_meta.mat"], "car_devkit.tgz")?;
    let classes = Mat::read(&meta)?.texts("class_names")?;
    let indices = [
        ("train", "devkit/cars_train_annos.mat", "car_devkit.tgz"),
        ("test", "cars_test_annos_withlabels.mat", "its page as a file of its own"),
    ];
    let mut splits = Vec::new();
    for (name, index, archive) in indices {
        let folder = need(&root, &[&format!("cars_{name}")], &format!("cars_{name}.tgz"))?;
        let other = match index.strip_prefix("devkit/") {
            Some(file) => file.to_owned(),
            None => format!("devkit/{index}"),
        };
        let path = need(&root, &[index, &other], archive)?;
        let mat = Mat::read(&path)?;
        let records = mat.records("annotations")?;
        let image = |at| {
            let (file, label) = record(&path, records, at, "fname", classes.len())?;
            Ok((folder.join(file), label))
        };
        splits.push(Split::single(name, (0..records.len()).map(image).collect::<Result<_>>()?));
    }
    Ok(Contents::new(classes, splits))
}

/// File and label of a record.
fn record<'r>(
    path: &Path,
    records: &'r Records,
    at: usize,
    file: &str,
    classes: usize,
) -> Result<(&'r str, u32)> {
    let label = records.get(at, "class").and_then(Array::number);
    let label = label.and_then(|label| from_one(label, classes));
    let name = records.get(at, file).and_then(Array::text);
    Ok((
        name.ok_or_else(|| bad(path, at, file, "a text"))?,
        label.ok_or_else(|| bad(path, at, "class", &format!("from 1 to {classes}")))?,
    ))
}

fn bad(path: &Path, at: usize, field: &str, wanted: &str) -> Error {
    Error::data(path, format!("annotations({}).{field} should be {wanted}", at + 1))
}
