//! ImageNet, ILSVRC 2012 (Russakovsky et al., 2015). The training images are in one folder per
//! class; the validation images too, or all in one folder, with classes from Kaggle's
//! `LOC_val_solution.csv` or from the devkit: one number per line, which `meta.mat` maps to a name.

use std::path::{Path, PathBuf};

use files::{Error, Result};

use crate::catalogue::contents::{Contents, Split};
use crate::catalogue::description::{DataSet, Part};
use crate::catalogue::index::{Location, bad_line, class_folders, lines, need};
use crate::data_config::DataKind;
use crate::image_files::images_in;
use crate::mat::{Array, Mat};

const TRUTH: &str = "ILSVRC2012_validation_ground_truth.txt";

pub const IMAGENET: DataSet = DataSet {
    kind: DataKind::ImageNet,
    name: "imagenet",
    torchvision: None,
    title: "ImageNet",
    page: "https://image-net.org/challenges/LSVRC/2012/",
    archives: &[
        "ILSVRC2012_img_train.tar",
        "ILSVRC2012_img_val.tar",
        "ILSVRC2012_devkit_t12.tar.gz (or Kaggle's imagenet-object-localization-challenge.zip)",
    ],
    layout: &[
        "train/n01440764/*.JPEG ... (each class's tar in its own folder)",
        "val/n01440764/*.JPEG ..., or val/ILSVRC2012_val_00000001.JPEG ... with one of:",
        "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt, meta.mat",
        "LOC_val_solution.csv (images in ILSVRC/Data/CLS-LOC/train, val)",
    ],
    parts: &[Part::new("train", &[1_281_167]), Part::new("val", &[50_000])],
    classes: 1000,
    pretrain: "train",
    train: "train",
    test: "val",
    protocols: &["knn", "linear", "kmeans", "semi"],
    read,
};

fn read(source: &Location) -> Result<Contents> {
    let root = source.folder;
    let folder = |split: &str| {
        let kaggle = format!("ILSVRC/Data/CLS-LOC/{split}");
        let names = [split, &format!("ILSVRC2012_img_{split}"), &kaggle];
        need(root, &names, &format!("ILSVRC2012_img_{split}.tar"))
    };
    let (train, val) = (folder("train")?, folder("val")?);
    let mut classes = Vec::new();
    let train = class_folders("train", (&train, source.strict), &mut classes)?;
    let val = if classes.iter().any(|class| val.join(class).is_dir()) {
        class_folders("val", (&val, source.strict), &mut classes)?
    } else {
        flat(root, images_in(&val, source.strict)?, &classes)?
    };
    Ok(Contents::new(classes, vec![train, val]))
}

/// Images in one folder.
fn flat(root: &Path, images: Vec<PathBuf>, classes: &[String]) -> Result<Split> {
    let csv = root.join("LOC_val_solution.csv");
    if csv.is_file() {
        return kaggle(&csv, images, classes);
    }
    let devkit = "ILSVRC2012_devkit_t12.tar.gz, or LOC_val_solution.csv from Kaggle";
    let below = ["ILSVRC2012_devkit_t12/data", "data", "."];
    let find = |name: &str| {
        let names = below.map(|folder| format!("{folder}/{name}"));
        need(root, &[&names[0], &names[1], &names[2]], devkit)
    };
    let (truth, meta) = (find(TRUTH)?, find("meta.mat")?);
    let mat = Mat::read(&meta)?;
    let synsets = mat.records("synsets")?;
    // From devkit number (from 1) to label.
    let mut labels = vec![None; 1 + synsets.len()];
    for at in 0..synsets.len() {
        let number = synsets.get(at, "ILSVRC2012_ID").and_then(Array::number);
        let name = synsets.get(at, "WNID").and_then(Array::text);
        let (Some(number), Some(name)) = (number, name) else {
            let detail = format!("synsets({}) has no ILSVRC2012_ID or WNID", at + 1);
            return Err(Error::data(&meta, detail));
        };
        if let Some(label) = labels.get_mut(number as usize) {
            *label = classes.iter().position(|class| class == name).map(|label| label as u32);
        }
    }
    let wanted = "the number of a class in train";
    let truths = lines(&truth, wanted, |line| *labels.get(line.parse::<usize>().ok()?)?)?;
    let label = |file: PathBuf| {
        // ILSVRC2012_val_00000001.JPEG is the first line.
        let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let number = stem.rsplit('_').next().and_then(|digits| digits.parse::<usize>().ok());
        match number.and_then(|number| truths.get(number.checked_sub(1)?)) {
            Some(&label) => Ok((file, label)),
            None => Err(Error::data(file, format!("{} has no line for it", truth.display()))),
        }
    };
    Ok(Split::single("val", images.into_iter().map(label).collect::<Result<_>>()?))
}

/// Rows of `ImageId,PredictionString`; the class is the first word of the latter.
fn kaggle(csv: &Path, images: Vec<PathBuf>, classes: &[String]) -> Result<Split> {
    let mut reader = csv::Reader::from_path(csv)
        .map_err(|error| Error::data(csv, format!("cannot be read: {error}")))?;
    let mut labels = std::collections::HashMap::new();
    for (at, record) in (2..).zip(reader.records()) {
        let record = record.map_err(|error| {
            let line = error.position().map_or(at, |position| position.line() as usize);
            bad_line(csv, line, format!("not a row of ImageId,PredictionString: {error}"))
        })?;
        let class = record.get(1).and_then(|words| words.split_whitespace().next());
        let label = classes.iter().position(|known| Some(known.as_str()) == class);
        let label = label.ok_or_else(|| {
            bad_line(csv, at, format!("class {:?} is not in train", class.unwrap_or_default()))
        })?;
        labels.insert(record[0].to_owned(), label as u32);
    }
    let label = |file: PathBuf| {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        match labels.get(&*stem) {
            Some(&label) => Ok((file, label)),
            None => Err(Error::data(&file, format!("{} has no row for it", csv.display()))),
        }
    };
    Ok(Split::single("val", images.into_iter().map(label).collect::<Result<_>>()?))
}
