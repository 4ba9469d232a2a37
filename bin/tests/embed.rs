//! `carp embed` on a run of seconds: its files read back.

mod common;

use std::collections::BTreeSet;
use std::path::Path;

use carp::config::Config;
use common::{carp, fails, stdout, train};
use datasets::Labels;
use evaluations::features::FeatureSet;
use tempfile::TempDir;

fn text(folder: &Path, file: &str) -> String {
    std::fs::read_to_string(folder.join(file)).unwrap()
}

#[test]
fn the_files_hold_the_features_classes_and_pictures_of_the_test_images() {
    let temp = TempDir::new().unwrap();
    assert!(train(temp.path(), &["--out", "run"]).status.success());
    let output = carp(temp.path(), &["embed", "run", "-o", "maps/map"]);
    assert!(output.status.success(), "{output:?}");
    assert!(stdout(&output).contains("maps/map/map.png: 32 images"), "{output:?}");
    let folder = temp.path().join("maps/map");

    let args = ["features", "run", "--split", "test", "-o", "f.safetensors"];
    let output = carp(temp.path(), &args);
    assert!(output.status.success(), "{output:?}");
    let want = FeatureSet::load(&temp.path().join("f.safetensors")).unwrap();
    let vectors = text(&folder, "vectors.tsv");
    assert_eq!(vectors.lines().count(), 32);
    for (line, want) in vectors.lines().zip(want.features.chunks_exact(want.dim)) {
        let got: Vec<f64> = line.split('\t').map(|number| number.parse().unwrap()).collect();
        let length = want.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        assert_eq!(got.len(), want.len());
        for (got, &want) in got.iter().zip(want) {
            assert!((got - f64::from(want) / length).abs() < 1e-6, "{got} {want} / {length}");
        }
    }

    let Labels::Single(labels) = &want.labels else { panic!("{:?}", want.labels) };
    let names: Vec<&str> =
        labels.iter().map(|&label| want.class_names[label as usize].as_str()).collect();
    let metadata = text(&folder, "metadata.tsv");
    assert_eq!(metadata.lines().collect::<Vec<_>>(), names);

    // Six in a row: the fewest of which a square holds 32.
    let sprite = image::open(folder.join("sprite.png")).unwrap().into_rgb8();
    assert_eq!(sprite.dimensions(), (6 * 32, 6 * 32));
    let settings = text(&temp.path().join("run"), "config.toml");
    let config = Config::parse(&settings, "config.toml").unwrap();
    let test = config.data.open(config.seed).unwrap().test.unwrap();
    for row in [0, 5, 6, 31] {
        let picture = test.image(row).unwrap();
        assert_eq!((picture.width, picture.height, picture.channels), (32, 32, 3));
        let (left, top) = (row as u32 % 6 * 32, row as u32 / 6 * 32);
        let shown = image::imageops::crop_imm(&sprite, left, top, 32, 32).to_image();
        assert_eq!(shown.into_raw(), picture.pixels, "picture {row}");
    }

    // A point per picture and a square per class in the legend, with a colour per class.
    let classes = names.iter().collect::<BTreeSet<_>>().len();
    let svg = text(&folder, "map.svg");
    let colours = |shape: &str| -> BTreeSet<String> {
        let shapes = svg.split(shape).skip(1);
        shapes.map(|rest| rest.split("fill=\"").nth(1).unwrap()[..7].to_owned()).collect()
    };
    assert_eq!(svg.matches("<circle").count(), 32);
    assert!(classes > 1 && colours("<circle").len() == classes, "{classes} classes");
    assert!(names.iter().all(|name| svg.contains(*name)));
    let png = image::open(folder.join("map.png")).unwrap().into_rgb8();
    assert_eq!(png.dimensions(), (1000, 720));

    // What the settings name is there.
    let settings = text(&folder, "projector_config.pbtxt");
    let named: Vec<&str> = settings.split('"').skip(1).step_by(2).collect();
    assert_eq!(named, ["features", "vectors.tsv", "metadata.tsv", "sprite.png"]);
    assert!(named[1..].iter().all(|file| folder.join(file).is_file()));

    let output = carp(temp.path(), &["embed", "run", "--network", "pixels", "-o", "pixels"]);
    assert!(output.status.success(), "{output:?}");
    let first = text(&temp.path().join("pixels"), "vectors.tsv");
    let first = first.lines().next().unwrap();
    assert_eq!(first.split('\t').count(), 3 * config.knn.size * config.knn.size);
}

#[test]
fn mistakes_are_errors_of_one_line() {
    let temp = TempDir::new().unwrap();
    let of =
        |args: &[&str]| carp(temp.path(), &[&["embed", "nowhere", "-o", "map"], args].concat());
    fails(&of(&[]), 2, &["nowhere: no such run folder or file"]);
    fails(&of(&["--images", "0"]), 2, &["--images"]);
    fails(&of(&["--images", "65537"]), 2, &["--images", "65536"]);
}
