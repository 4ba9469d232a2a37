//! iNaturalist 2018 (Van Horn et al.): JSON lists of images, of their categories, and of all
//! categories.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use files::{Error, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::catalogue::contents::{Contents, Split};
use crate::catalogue::description::{DataSet, Part};
use crate::catalogue::index::{Location, need};
use crate::data_config::DataKind;

pub const INAT2018: DataSet = DataSet {
    kind: DataKind::INat2018,
    name: "inat2018",
    torchvision: None,
    title: "iNaturalist 2018",
    page: "https://github.com/visipedia/inat_comp/tree/master/2018",
    archives: &["train_val2018.tar.gz", "train2018.json.tar.gz", "val2018.json.tar.gz"],
    layout: &[
        "train_val2018/Aves/2761/*.jpg ...",
        "train2018.json",
        "val2018.json",
        "categories.json (class names; optional)",
    ],
    parts: &[Part::new("train", &[437_513]), Part::new("val", &[24_426])],
    classes: 8142,
    pretrain: "train",
    train: "train",
    test: "val",
    protocols: &["linear", "few-shot"],
    read,
};

#[derive(Deserialize)]
struct Index {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct Image {
    id: u64,
    file_name: String,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: u64,
    category_id: u64,
}

#[derive(Deserialize)]
struct Category {
    id: u64,
    name: String,
}

fn read(source: &Location) -> Result<Contents> {
    let root = source.inner(&["inat2018"]);
    need(&root, &["train_val2018"], "train_val2018.tar.gz")?;
    let (mut classes, mut splits) = (vec![], vec![]);
    for name in ["train", "val"] {
        let json = format!("{name}2018.json");
        let path = need(&root, &[&json], &format!("{json}.tar.gz"))?;
        let mut index: Index = parse(&path)?;
        index.categories.sort_by_key(|category| category.id);
        let named = |category: &Category| category.name.clone();
        classes = index.categories.iter().map(named).collect::<Vec<String>>();
        let places: HashMap<u64, u32> =
            index.categories.iter().map(|category| category.id).zip(0..).collect();
        let by_image: HashMap<u64, u64> =
            index.annotations.iter().map(|a| (a.image_id, a.category_id)).collect();
        let image = |image: Image| {
            let category = by_image.get(&image.id).ok_or_else(|| {
                Error::data(&path, format!("image {} has no annotation", image.id))
            })?;
            let label = places.get(category).ok_or_else(|| {
                let detail = format!("category {category} of image {} is not listed", image.id);
                Error::data(&path, detail)
            })?;
            Ok((root.join(image.file_name), *label))
        };
        let images = index.images.into_iter().map(image).collect::<Result<_>>()?;
        splits.push(Split::single(name, images));
    }
    // The indices use numbers as names; the names came later, in a separate file.
    let names = root.join("categories.json");
    if names.is_file() {
        let mut named: Vec<Category> = parse(&names)?;
        named.sort_by_key(|category| category.id);
        if named.len() == classes.len() {
            classes = named.into_iter().map(|category| category.name).collect();
        }
    }
    Ok(Contents::new(classes, splits))
}

fn parse<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let file = File::open(path).map_err(|source| Error::io(path, source))?;
    serde_json::from_reader(BufReader::new(file))
        .map_err(|error| Error::data(path, format!("broken JSON: {error}")))
}
