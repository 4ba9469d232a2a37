//! FGVC-Aircraft (Maji et al., 2013), by variant. A line of the index is `IMAGE VARIANT`; variant
//! names may contain spaces and slashes. The images keep the 20 rows of copyright notice at the
//! bottom.

use files::Result;

use crate::catalogue::contents::{Contents, Split};
use crate::catalogue::description::{DataSet, Part};
use crate::catalogue::index::{Location, lines, need};
use crate::data_config::DataKind;

const ARCHIVE: &str = "fgvc-aircraft-2013b.tar.gz";

pub const AIRCRAFT: DataSet = DataSet {
    kind: DataKind::Aircraft,
    name: "aircraft",
    torchvision: Some("fgvc-aircraft-2013b"),
    title: "FGVC-Aircraft",
    page: "https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/",
    archives: &[ARCHIVE],
    layout: &[
        "fgvc-aircraft-2013b/data/images/0034309.jpg ...",
        "fgvc-aircraft-2013b/data/variants.txt",
        "fgvc-aircraft-2013b/data/images_variant_trainval.txt",
        "fgvc-aircraft-2013b/data/images_variant_test.txt",
    ],
    parts: &[Part::new("trainval", &[6667]), Part::new("test", &[3333])],
    classes: 100,
    pretrain: "trainval",
    train: "trainval",
    test: "test",
    protocols: &["knn"],
    read,
};

fn read(source: &Location) -> Result<Contents> {
    let root = source.inner(&["fgvc-aircraft-2013b/data", "data"]);
    let images = need(&root, &["images"], ARCHIVE)?;
    let variants = need(&root, &["variants.txt"], ARCHIVE)?;
    let classes = lines(&variants, "a variant", |line| Some(line.to_owned()))?;
    let mut splits = Vec::new();
    for name in ["trainval", "test"] {
        let index = need(&root, &[&format!("images_variant_{name}.txt")], ARCHIVE)?;
        let listed = lines(&index, "IMAGE VARIANT, a variant of variants.txt", |line| {
            let (file, variant) = line.split_once(' ')?;
            let label = classes.iter().position(|class| class == variant.trim())?;
            Some((images.join(format!("{file}.jpg")), label as u32))
        })?;
        splits.push(Split::single(name, listed));
    }
    Ok(Contents::new(classes, splits))
}
