//! An image that cannot be read is left out with its label, and no other stands in for it.

use std::path::Path;
use std::sync::Arc;

use carp::pipeline::{Pipeline, PipelineConfig};
use carp::views::{EvalTransform, Views};
use datasets::{Change, Changed, Crop, DataConfig, DataKind, Filter, Labels, Progress, Splits};
use evaluations::features::{Encoder, FeatureSet};
use evaluations::trained::LabelledSplits;

fn grey(path: &Path, value: u8) {
    image::RgbImage::from_pixel(4, 4, image::Rgb([value; 3])).save(path).unwrap();
}

/// train/ and test/ with two classes of two images each; the second cat is broken.
fn splits(folder: &Path) -> Splits {
    for split in ["train", "test"] {
        for (class, values) in [("cat", [10, 20]), ("dog", [110, 120])] {
            let class = folder.join(split).join(class);
            std::fs::create_dir_all(&class).unwrap();
            for (place, value) in values.into_iter().enumerate() {
                grey(&class.join(format!("{place}.png")), value);
            }
        }
        std::fs::write(folder.join(split).join("cat/1.png"), b"broken").unwrap();
    }
    let path = Some(folder.to_owned());
    DataConfig { kind: DataKind::Folder, path, ..DataConfig::default() }.open(0).unwrap()
}

fn encoder() -> Encoder {
    let (mean, std) = (vec![0.5; 3], vec![0.5; 3]);
    Encoder::of_pixels(EvalTransform { resize: 1, size: 1, filter: Filter::Bilinear, mean, std })
}

/// The grey value and the label of each row.
fn rows(set: &FeatureSet) -> Vec<(u8, u32)> {
    let Labels::Single(labels) = &set.labels else { panic!("one label each") };
    let values = set.features.chunks(3).map(|pixel| (pixel[0] * 255.0).round() as u8);
    values.zip(labels.iter().copied()).collect()
}

#[test]
fn features_leave_out_pixels_label_and_box_together() {
    let temp = tempfile::tempdir().unwrap();
    let train = splits(temp.path()).train.unwrap();
    let set = encoder().feature_set(&*train, |_| ()).unwrap();
    assert_eq!(rows(&set), [(10, 0), (110, 1), (120, 1)]);
    assert_eq!(train.skipped(), 1);
    // Each image keeps its own box, of which the first and the last lie apart.
    let crop = |left| Crop { top: 0, left, height: 4, width: 1 };
    grey(&temp.path().join("train/dog/1.png"), 120);
    let change = Change::Crop { boxes: (0..4).map(crop).collect(), fit: None };
    let boxed = Changed { data: train, change };
    assert_eq!(rows(&encoder().feature_set(&boxed, |_| ()).unwrap()), rows(&set));
}

#[test]
fn splits_to_train_with_leave_out_the_row() {
    let temp = tempfile::tempdir().unwrap();
    let splits = LabelledSplits::new(&splits(temp.path()), Progress::none()).unwrap();
    // A list is of the split's files, and those that cannot be read are left out.
    let list = temp.path().join("list.txt");
    let listed = |text: &str| {
        std::fs::write(&list, text).unwrap();
        splits.listed(&list).map_err(|error| error.to_string())
    };
    assert_eq!(listed("cat/0.png\ncat/1.png\ndog/1.png\n"), Ok(vec![0, 2]));
    assert!(listed("cat/1.png\n").unwrap_err().ends_with("no image in the list can be read"));
    assert!(listed("cat/2.png\n").unwrap_err().contains("is not a training image"));
    assert_eq!(splits.train.image(1).unwrap().pixels[0], 110);
    assert_eq!((splits.train_labels, splits.test_labels), (vec![0, 1, 1], vec![0, 1, 1]));
}

#[test]
fn a_batch_tells_which_images_it_shows() {
    let temp = tempfile::tempdir().unwrap();
    let data = splits(temp.path()).pretrain;
    let views = Views::crop_and_flip(4, (1.0, 1.0), Filter::Bilinear, (&[0.0; 3], &[1.0; 3]));
    let config = PipelineConfig {
        seed: 3,
        batch: 4,
        rank: 0,
        ranks: 1,
        partial: false,
        first_step: 0,
        steps: 2,
        ahead: 1,
        threads: 2,
    };
    let mut pipeline = Pipeline::start(Arc::clone(&data), views, config).unwrap();
    for _ in 0..2 {
        let batch = pipeline.next_batch().unwrap();
        for (&sample, view) in batch.samples.iter().zip(batch.groups[0].chunks(48)) {
            let value = data.image(sample as usize).unwrap().pixels[0];
            assert!((view[0] * 255.0 - f32::from(value)).abs() < 0.5, "{sample}: {}", view[0]);
        }
        let mut samples = batch.samples.clone();
        samples.sort_unstable();
        assert_eq!(samples, [0, 2, 2, 3]);
    }
    assert_eq!(data.skipped(), 1);
}
