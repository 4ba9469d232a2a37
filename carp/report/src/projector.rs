//! Features for TensorBoard's projector: tab-separated files, a picture that holds all pictures, and
//! the settings that name them (`projector_config.proto`).

use std::fmt::Write as _;
use std::io::Cursor;
use std::path::Path;

use carp::error::{Error, Result};
use datasets::Dataset;
use evaluations::features::FeatureSet;
use files::write_atomically;
use image::ImageFormat;

use crate::feature_map::{FeatureMap, unit};
use crate::thumbnails::{SIDE, thumbnails};

/// More pictures do not fit into the largest picture that the projector takes, of 8192 pixels a side.
pub const MOST: usize = (8192 / SIDE) * (8192 / SIDE);

/// Names of the files.
const FILES: [&str; 4] = ["vectors.tsv", "metadata.tsv", "sprite.png", "projector_config.pbtxt"];

/// Writes `vectors.tsv`, the features of all images, each scaled to length 1, so that the projector's
/// principal components are those of the map; `metadata.tsv`, the names of their classes, if there are
/// any; `sprite.png`, the images; and `projector_config.pbtxt`.
///
/// # Errors
/// An image that cannot be read; a file that cannot be written.
///
/// # Panics
/// If the map is not of all features, or the features not of all images.
pub fn write(
    folder: &Path,
    data: &dyn Dataset,
    features: &FeatureSet,
    map: &FeatureMap,
) -> Result<()> {
    let rows: Vec<usize> = (0..data.len()).collect();
    assert_eq!([features.rows(), map.x.len()], [rows.len(); 2], "a feature and a point per image");
    let [vectors, metadata, sprite, settings] = FILES.map(|name| folder.join(name));
    write_atomically(&vectors, vectors_tsv(features).as_bytes())?;
    let has_classes = !map.labels.is_empty();
    if has_classes {
        write_atomically(&metadata, metadata_tsv(map).as_bytes())?;
    }
    // The projector goes by the picture's width.
    let per_row = (rows.len() as f64).sqrt().ceil() as usize;
    let mut png = Cursor::new(Vec::new());
    thumbnails(data, &rows, per_row)?
        .write_to(&mut png, ImageFormat::Png)
        .map_err(|error| Error::data(data.name(), format!("cannot be drawn: {error}")))?;
    write_atomically(&sprite, png.get_ref())?;
    Ok(write_atomically(&settings, projector_config(has_classes).as_bytes())?)
}

/// A line per feature.
fn vectors_tsv(features: &FeatureSet) -> String {
    let line = |feature: &[f32]| {
        let numbers: Vec<String> = unit(feature).map(|x| x.to_string()).collect();
        numbers.join("\t") + "\n"
    };
    features.features.chunks_exact(features.dim).map(line).collect()
}

/// A line per feature, without a heading, as the projector wants it for one column.
fn metadata_tsv(map: &FeatureMap) -> String {
    // What would end a field or a line is a space.
    let line = |&class: &u32| map.class_name(class).replace(char::is_control, " ") + "\n";
    map.labels.iter().map(line).collect()
}

fn projector_config(has_classes: bool) -> String {
    let [vectors, metadata, sprite, _] = FILES;
    let mut text =
        format!("embeddings {{\n  tensor_name: \"features\"\n  tensor_path: \"{vectors}\"\n");
    if has_classes {
        let _ = writeln!(text, "  metadata_path: \"{metadata}\"");
    }
    let _ = writeln!(text, "  sprite {{\n    image_path: \"{sprite}\"");
    let _ = writeln!(text, "    single_image_dim: {SIDE}\n    single_image_dim: {SIDE}\n  }}\n}}");
    text
}
