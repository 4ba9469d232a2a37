//! German Traffic Sign Recognition Benchmark (Stallkamp et al., 2012). Each class folder of the
//! training set has its own `GT-000xx.csv`; the test set has one. Fields are separated by `;`;
//! `Filename` and `ClassId` tell which.

use std::path::{Path, PathBuf};

use files::{Error, Result};

use crate::catalogue::contents::{Contents, Split};
use crate::catalogue::description::{DataSet, Part};
use crate::catalogue::index::{Location, bad_line, need, sorted};
use crate::data_config::DataKind;
use crate::image_files::is_hidden;

const CLASSES: usize = 43;

pub const GTSRB: DataSet = DataSet {
    kind: DataKind::Gtsrb,
    name: "gtsrb",
    torchvision: None,
    title: "GTSRB",
    page: "https://benchmark.ini.rub.de/gtsrb_dataset.html",
    archives: &[
        "GTSRB_Final_Training_Images.zip (or the contest's GTSRB-Training_fixed.zip)",
        "GTSRB_Final_Test_Images.zip",
        "GTSRB_Final_Test_GT.zip",
    ],
    layout: &[
        "GTSRB/Final_Training/Images/00000/*.ppm, GT-00000.csv ... (or GTSRB/Training/00000/...)",
        "GTSRB/Final_Test/Images/00000.ppm ...",
        "GT-final_test.csv",
    ],
    parts: &[Part::new("train", &[39_209, 26_640]), Part::new("test", &[12_630])],
    classes: CLASSES,
    pretrain: "train",
    train: "train",
    test: "test",
    protocols: &["knn", "kmeans"],
    read,
};

fn read(source: &Location) -> Result<Contents> {
    let root = source.inner(&["GTSRB"]);
    let train = ["Final_Training/Images", "Training"];
    let train = need(&root, &train, "GTSRB_Final_Training_Images.zip")?;
    let entries = std::fs::read_dir(&train).map_err(|source| Error::io(&train, source))?;
    let entries = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut images = Vec::new();
    let is_class = |name: &String| train.join(name).is_dir() && !is_hidden(name.as_ref());
    for class in sorted(entries.filter(is_class)) {
        let folder = train.join(&class);
        let index = need(&folder, &[&format!("GT-{class}.csv")], "the training images")?;
        images.extend(rows(&index, &folder)?);
    }
    let folder = need(&root, &["Final_Test/Images"], "GTSRB_Final_Test_Images.zip")?;
    let index = ["GT-final_test.csv", "../GT-final_test.csv", "Final_Test/GT-final_test.csv"];
    let index = need(&root, &index, "GTSRB_Final_Test_GT.zip")?;
    let splits =
        vec![Split::single("train", images), Split::single("test", rows(&index, &folder)?)];
    Ok(Contents::new((0..CLASSES).map(|class| format!("{class:05}")).collect(), splits))
}

fn rows(index: &Path, folder: &Path) -> Result<Vec<(PathBuf, u32)>> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(b';')
        .from_path(index)
        .map_err(|error| Error::data(index, format!("cannot be read: {error}")))?;
    let header = reader
        .headers()
        .map_err(|error| bad_line(index, 1, format!("not the header of a class csv: {error}")))?;
    let column = |name: &str| {
        let found = header.iter().position(|field| field.trim() == name);
        found.ok_or_else(|| bad_line(index, 1, format!("has no column {name}")))
    };
    let (file, class) = (column("Filename")?, column("ClassId")?);
    let mut images = Vec::new();
    for (at, record) in (2..).zip(reader.records()) {
        let record = record.map_err(|error| {
            let line = error.position().map_or(at, |position| position.line() as usize);
            bad_line(index, line, format!("not a row of a class csv: {error}"))
        })?;
        let line = record.position().map_or(at, |position| position.line() as usize);
        let class = &record[class];
        let label = class.trim().parse().ok().filter(|&label: &u32| label < CLASSES as u32);
        let label = label.ok_or_else(|| {
            bad_line(index, line, format!("class {class:?} is out of range 0..{CLASSES}"))
        })?;
        images.push((folder.join(&record[file]), label));
    }
    if images.is_empty() {
        return Err(Error::data(index, "has no rows"));
    }
    Ok(images)
}
