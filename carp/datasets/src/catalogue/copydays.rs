//! INRIA Copydays (Jégou et al., 2008; Douze et al., 2009): 157 originals, and copies of them that
//! were cropped, compressed, or strongly attacked. The first four characters of a file name
//! identify the original, so the originals are the classes.

use std::path::{Path, PathBuf};

use files::{Error, Result};

use crate::catalogue::contents::{Contents, Split};
use crate::catalogue::description::{DataSet, Part};
use crate::catalogue::index::{Location, need};
use crate::data_config::DataKind;
use crate::image_files::images_in;

/// Number of originals, and of images in each block but `strong`.
const ORIGINALS: &[usize] = &[157];

pub const COPYDAYS: DataSet = DataSet {
    kind: DataKind::Copydays,
    name: "copydays",
    torchvision: None,
    title: "Copydays",
    page: "https://lear.inrialpes.fr/~jegou/data.php",
    archives: &[
        "copydays_original.tar.gz",
        "copydays_strong.tar.gz",
        "copydays_crop.tar.gz",
        "copydays_jpeg.tar.gz",
    ],
    layout: &[
        "original/200000.jpg ... (or beside the other folders)",
        "strong/200001.jpg ...",
        "crops/10/200000.jpg ... crops/80/...",
        "jpegqual/3/200000.jpg ... jpegqual/75/... (or jpeg/)",
    ],
    parts: &[
        Part::new("original", ORIGINALS),
        Part::new("strong", &[229]),
        Part::optional("jpegqual/3", ORIGINALS),
        Part::optional("jpegqual/5", ORIGINALS),
        Part::optional("jpegqual/8", ORIGINALS),
        Part::optional("jpegqual/10", ORIGINALS),
        Part::optional("jpegqual/15", ORIGINALS),
        Part::optional("jpegqual/20", ORIGINALS),
        Part::optional("jpegqual/30", ORIGINALS),
        Part::optional("jpegqual/50", ORIGINALS),
        Part::optional("jpegqual/75", ORIGINALS),
        Part::optional("crops/10", ORIGINALS),
        Part::optional("crops/15", ORIGINALS),
        Part::optional("crops/20", ORIGINALS),
        Part::optional("crops/30", ORIGINALS),
        Part::optional("crops/40", ORIGINALS),
        Part::optional("crops/50", ORIGINALS),
        Part::optional("crops/60", ORIGINALS),
        Part::optional("crops/70", ORIGINALS),
        Part::optional("crops/80", ORIGINALS),
    ],
    classes: 157,
    pretrain: "original",
    train: "original",
    test: "strong",
    protocols: &["copy-detection"],
    read,
};

fn read(source: &Location) -> Result<Contents> {
    let root = source.inner(&["copydays"]);
    let original = match need(&root, &["original"], COPYDAYS.archives[0]) {
        Ok(folder) => folder,
        Err(_) if images_in(&root, source.strict).is_ok() => root.clone(),
        Err(missing) => return Err(missing),
    };
    let originals = images_in(&original, source.strict)?;
    let classes: Vec<String> = originals.iter().map(|file| original_of(file)).collect();
    let mut splits = Vec::new();
    for part in COPYDAYS.parts {
        let folder = match part.name {
            "original" => original.clone(),
            "strong" => need(&root, &["strong"], COPYDAYS.archives[1])?,
            name => {
                let other = name.replace("jpegqual", "jpeg").replace("crops", "crop");
                let folders = [root.join(name), root.join(other)];
                let Some(folder) = folders.into_iter().find(|path| path.is_dir()) else { continue };
                folder
            }
        };
        let image = |file: PathBuf| {
            let name = original_of(&file);
            match classes.iter().position(|class| *class == name) {
                Some(label) => Ok((file, label as u32)),
                None => Err(Error::data(file, format!("no original begins with {name}"))),
            }
        };
        let images =
            images_in(&folder, source.strict)?.into_iter().map(image).collect::<Result<_>>()?;
        splits.push(Split::single(part.name, images));
    }
    Ok(Contents::new(classes, splits))
}

/// The first four characters of the file's name.
fn original_of(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().chars().take(4).collect()
}
