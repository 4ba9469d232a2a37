//! Oxford-IIIT Pets (Parkhi et al., 2012). A line of the index is `NAME CLASS SPECIES BREED`, the
//! class from 1; NAME without its number is the class name.

use files::Result;

use crate::catalogue::contents::{Contents, Split};
use crate::catalogue::description::{DataSet, Part};
use crate::catalogue::index::{Location, from_one, lines, need};
use crate::data_config::DataKind;

const CLASSES: usize = 37;

pub const PETS: DataSet = DataSet {
    kind: DataKind::Pets,
    name: "pets",
    torchvision: Some("oxford-iiit-pet"),
    title: "Oxford-IIIT Pets",
    page: "https://www.robots.ox.ac.uk/~vgg/data/pets/",
    archives: &["images.tar.gz", "annotations.tar.gz"],
    layout: &["images/Abyssinian_1.jpg ...", "annotations/trainval.txt", "annotations/test.txt"],
    parts: &[Part::new("trainval", &[3680]), Part::new("test", &[3669])],
    classes: CLASSES,
    pretrain: "trainval",
    train: "trainval",
    test: "test",
    protocols: &["knn"],
    read,
};

fn read(source: &Location) -> Result<Contents> {
    let root = source.inner(&["oxford-iiit-pet"]);
    let images = need(&root, &["images"], "images.tar.gz")?;
    let mut classes: Vec<String> = (1..=CLASSES).map(|class| class.to_string()).collect();
    let mut splits = Vec::new();
    for name in ["trainval", "test"] {
        let index = need(&root, &[&format!("annotations/{name}.txt")], "annotations.tar.gz")?;
        let listed = lines(&index, "NAME CLASS SPECIES BREED, CLASS from 1 to 37", |line| {
            let mut words = line.split_whitespace();
            let (file, class) = (words.next()?, words.next()?.parse().ok()?);
            Some((file.to_owned(), from_one(class, CLASSES)?))
        })?;
        for (file, label) in &listed {
            let breed = file.rsplit_once('_').map_or(file.as_str(), |(breed, _)| breed);
            breed.clone_into(&mut classes[*label as usize]);
        }
        let path = |(file, label)| (images.join(format!("{file}.jpg")), label);
        splits.push(Split::single(name, listed.into_iter().map(path).collect()));
    }
    Ok(Contents::new(classes, splits))
}
