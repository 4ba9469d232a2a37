//! Oxford5k and Paris6k with the revisited ground truth (Radenović et al., 2018): a Python pickle
//! of `imlist`, `qimlist` (names without `.jpg`) and `gnd`, with `bbx`, `easy`, `hard` and `junk`
//! for each query. It is read as plain values, never run.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use files::{Error, Result};
use pickle::{Item, Pickle};

use crate::binary_file::read as read_bytes;
use crate::catalogue::contents::{Contents, Query, Split};
use crate::catalogue::description::{DataSet, Part};
use crate::catalogue::index::{Location, need};
use crate::data_config::DataKind;
use crate::image_files::images_below;

pub const ROXFORD5K: DataSet = DataSet {
    kind: DataKind::ROxford5k,
    name: "roxford5k",
    torchvision: None,
    title: "revisited Oxford5k",
    page: "https://www.robots.ox.ac.uk/~vgg/data/oxbuildings/ and http://cmp.felk.cvut.cz/revisitop/",
    archives: &["oxbuild_images.tgz", "gnd_roxford5k.pkl"],
    layout: &["jpg/all_souls_000000.jpg ...", "gnd_roxford5k.pkl"],
    parts: &[Part::new("queries", &[70]), Part::new("database", &[4993])],
    classes: 0,
    pretrain: "database",
    train: "",
    test: "",
    protocols: &["retrieval"],
    read: |source| read(source, "roxford5k", "oxbuild_images.tgz"),
};

pub const RPARIS6K: DataSet = DataSet {
    kind: DataKind::RParis6k,
    name: "rparis6k",
    torchvision: None,
    title: "revisited Paris6k",
    page: "https://www.robots.ox.ac.uk/~vgg/data/parisbuildings/ and http://cmp.felk.cvut.cz/revisitop/",
    archives: &["paris_1.tgz", "paris_2.tgz", "gnd_rparis6k.pkl"],
    layout: &[
        "jpg/paris_defense_000000.jpg ... (or in folders as unpacked, paris/defense/...)",
        "gnd_rparis6k.pkl",
    ],
    parts: &[Part::new("queries", &[70]), Part::new("database", &[6322])],
    classes: 0,
    pretrain: "database",
    train: "",
    test: "",
    protocols: &["retrieval"],
    read: |source| read(source, "rparis6k", "paris_1.tgz, paris_2.tgz"),
};

fn read(source: &Location, name: &str, archive: &str) -> Result<Contents> {
    let root = source.inner(&[name]);
    let path = need(&root, &[&format!("gnd_{name}.pkl")], "the page of the revisited benchmark")?;
    let bytes = read_bytes(&path)?;
    let pickle = Pickle::read(&path, &bytes)?;
    let truth = pickle.root();
    let (database, queries) = (names(&path, truth, "imlist")?, names(&path, truth, "qimlist")?);
    let gnd = key(&path, truth, "gnd", "gnd")?;
    let gnd = gnd.items().ok_or_else(|| bad(&path, gnd, "gnd", "a list"))?;
    if gnd.len() != queries.len() {
        let detail = format!("gnd has {} entries for the {} of qimlist", gnd.len(), queries.len());
        return Err(Error::data(path, detail));
    }
    // Its lists have as many numbers as the file has bytes at most, unless queries share them.
    let mut left = pickle.end();
    let query = |(at, item): (usize, Item)| query(&path, at, item, database.len(), &mut left);
    let truths = gnd.enumerate().map(query).collect::<Result<_>>()?;

    // The images are in one folder or, in some archives, in one per landmark.
    let folder = need(&root, &["jpg", "paris", "images", "."], archive)?;
    let images = images_below(&folder, source.strict)?;
    let stem = |path: &PathBuf| Some((path.file_stem()?.to_str()?.to_owned(), path.clone()));
    let files: HashMap<String, PathBuf> = images.iter().rev().filter_map(stem).collect();
    // A missing image is reported when it is opened.
    let find = |name: String| match files.get(&name) {
        Some(path) => path.clone(),
        None => folder.join(format!("{name}.jpg")),
    };
    let split =
        |name, images: Vec<String>| Split::unlabelled(name, images.into_iter().map(find).collect());
    let splits = vec![split("queries", queries), split("database", database)];
    Ok(Contents { queries: truths, ..Contents::new(vec![], splits) })
}

fn bad(path: &Path, item: Item, what: &str, wanted: &str) -> Error {
    let (kind, offset) = (item.kind(), item.offset());
    Error::data(path, format!("{what} is {kind} (offset {offset}), should be {wanted}"))
}

fn key<'p>(path: &Path, item: Item<'p>, key: &str, what: &str) -> Result<Item<'p>> {
    item.get(key).ok_or_else(|| match item.pairs() {
        Some(_) => Error::data(path, format!("has no {what}")),
        None => bad(path, item, &format!("what should hold {what}"), "a dict"),
    })
}

fn names(path: &Path, truth: Item, list: &str) -> Result<Vec<String>> {
    let item = key(path, truth, list, list)?;
    item.texts().ok_or_else(|| bad(path, item, list, "a list of names"))
}

fn query(path: &Path, at: usize, item: Item, images: usize, left: &mut usize) -> Result<Query> {
    let mut spend = |count: usize| -> Result<()> {
        let detail = || Error::data(path, "gnd refers to the same lists too many times");
        *left = left.checked_sub(count).ok_or_else(detail)?;
        Ok(())
    };
    spend(item.pairs().map_or(0, |pairs| pairs.len()))?;
    let mut numbers = |list: &str| {
        let what = format!("gnd[{at}].{list}");
        let item = key(path, item, list, &what)?;
        let numbers = item.numbers();
        let numbers = numbers.ok_or_else(|| bad(path, item, &what, "a list of numbers"))?;
        spend(numbers.len())?;
        Ok(numbers)
    };
    let bbx = numbers("bbx")?.try_into().map_err(|bbx: Vec<f64>| {
        Error::data(path, format!("gnd[{at}].bbx has {} numbers, should have 4", bbx.len()))
    })?;
    let mut places = |list: &str| -> Result<Vec<u32>> {
        let place = |number: f64| {
            let inside = number.fract() == 0.0 && number >= 0.0 && number < images as f64;
            inside.then_some(number as u32).ok_or_else(|| {
                let detail = format!("gnd[{at}].{list}: {number} is out of range 0..{images}");
                Error::data(path, detail)
            })
        };
        numbers(list)?.into_iter().map(place).collect()
    };
    Ok(Query { bbx, easy: places("easy")?, hard: places("hard")?, junk: places("junk")? })
}
