//! What a run's data looked like, to notice on a resume that they are others.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use datasets::{Dataset, Splits};
use files::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::Result;

/// Most bytes of pixels that a digest reads of a split.
const PIXELS: usize = 512 << 20;
/// Most files of a split that it opens.
const FILES: usize = 4096;
/// Bytes that it reads of a file.
const START: u64 = 4096;

/// The data of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Fingerprint {
    pretrain: SplitFingerprint,
    train: Option<SplitFingerprint>,
    test: Option<SplitFingerprint>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct SplitFingerprint {
    name: String,
    images: usize,
    classes: usize,
    digest: String,
}

impl Fingerprint {
    /// Looks at the data. It is quick rather than complete: all labels and names of files, but of
    /// large data only evenly spaced images, and of their files only the size and the first bytes.
    ///
    /// # Errors
    /// An image that cannot be read.
    pub fn of(splits: &Splits) -> Result<Fingerprint> {
        let pretrain = SplitFingerprint::of(&*splits.pretrain)?;
        let other = |split: &Option<Arc<dyn Dataset>>| match split {
            Some(split) if Arc::ptr_eq(split, &splits.pretrain) => Ok(Some(pretrain.clone())),
            Some(split) => SplitFingerprint::of(&**split).map(Some),
            None => Ok(None),
        };
        let (train, test) = (other(&splits.train)?, other(&splits.test)?);
        Ok(Fingerprint { pretrain, train, test })
    }

    /// How the data are `now`, if they are not these.
    pub fn difference(&self, now: &Fingerprint) -> Option<String> {
        let splits = [
            ("pretrain", Some(&self.pretrain), Some(&now.pretrain)),
            ("train", self.train.as_ref(), now.train.as_ref()),
            ("test", self.test.as_ref(), now.test.as_ref()),
        ];
        splits.into_iter().find_map(|(split, then, now)| {
            let difference = match (then, now) {
                (Some(then), Some(now)) => then.difference(now)?,
                (None, Some(_)) => "is there, was not".to_owned(),
                (Some(_), None) => "is gone".to_owned(),
                (None, None) => return None,
            };
            Some(format!("split {split} {difference}"))
        })
    }
}

impl SplitFingerprint {
    fn of(data: &dyn Dataset) -> Result<SplitFingerprint> {
        let mut digest = Sha256::new();
        for class in data.classes() {
            digest.update(format!("{class:?}\n"));
        }
        for index in 0..data.len() {
            let (file, shown) = (data.file(index), data.shown(index));
            digest.update(format!("{file:?} {:?} {shown:?}\n", data.label(index)));
        }
        if !data.is_empty() && data.file(0).is_some() {
            for index in evenly_spaced(data.len(), FILES) {
                if let Some(Ok((size, start))) = data.file(index).map(size_and_start) {
                    digest.update(size.to_le_bytes());
                    digest.update(start);
                }
            }
        } else if !data.is_empty() {
            let most = PIXELS / data.image(0)?.pixels.len().max(1);
            for index in evenly_spaced(data.len(), most.max(1)) {
                let image = data.image(index)?;
                digest.update(format!("{}x{}\n", image.height, image.width));
                digest.update(&image.pixels);
            }
        }
        Ok(SplitFingerprint {
            name: data.name().to_owned(),
            images: data.len(),
            classes: data.classes().len(),
            digest: hex(&digest.finalize()),
        })
    }

    fn difference(&self, now: &SplitFingerprint) -> Option<String> {
        if self.name != now.name {
            return Some(format!("is {:?}, was {:?}", now.name, self.name));
        }
        if self.images != now.images {
            return Some(format!("has {} images, had {}", now.images, self.images));
        }
        if self.classes != now.classes {
            return Some(format!("has {} classes, had {}", now.classes, self.classes));
        }
        (self.digest != now.digest).then(|| "has other images or labels than it had".to_owned())
    }
}

fn size_and_start(path: &Path) -> std::io::Result<(u64, Vec<u8>)> {
    let file = File::open(path)?;
    let (size, mut start) = (file.metadata()?.len(), Vec::new());
    file.take(START).read_to_end(&mut start)?;
    Ok((size, start))
}

/// At most `most` of `0..len`.
fn evenly_spaced(len: usize, most: usize) -> impl Iterator<Item = usize> {
    (0..len).step_by(len.div_ceil(most).max(1))
}

#[cfg(test)]
mod tests {
    use datasets::MemoryDataset;

    use super::*;

    fn data(name: &str, pixels: &[u8], labels: &[u32], classes: &[&str]) -> MemoryDataset {
        let classes = classes.iter().map(|&class| class.to_owned()).collect();
        MemoryDataset::new(name.to_owned(), (1, 2, 1), pixels, labels.to_vec(), classes)
    }

    fn fingerprint(train: MemoryDataset) -> Fingerprint {
        let test = data("test", &[1, 2], &[0], &["a", "b"]);
        Fingerprint::of(&Splits::labelled(train, test)).unwrap()
    }

    #[test]
    fn every_change_is_told() {
        let original = fingerprint(data("x", &[0, 1, 2, 3], &[0, 1], &["a", "b"]));
        let told = |train| original.difference(&fingerprint(train)).unwrap_or_default();
        assert_eq!(told(data("x", &[0, 1, 2, 3], &[0, 1], &["a", "b"])), "");
        let name = told(data("y", &[0, 1, 2, 3], &[0, 1], &["a", "b"]));
        assert_eq!(name, "split pretrain is \"y\", was \"x\"");
        let images = told(data("x", &[0, 1], &[0], &["a", "b"]));
        assert_eq!(images, "split pretrain has 1 images, had 2");
        let classes = told(data("x", &[0, 1, 2, 3], &[0, 1], &["a", "b", "c"]));
        assert_eq!(classes, "split pretrain has 3 classes, had 2");
        for other in [
            data("x", &[0, 1, 2, 4], &[0, 1], &["a", "b"]),
            data("x", &[0, 1, 2, 3], &[1, 1], &["a", "b"]),
            data("x", &[0, 1, 2, 3], &[0, 1], &["a", "c"]),
        ] {
            assert_eq!(told(other), "split pretrain has other images or labels than it had");
        }
        let unlabelled = Splits {
            pretrain: Arc::new(data("x", &[0, 1, 2, 3], &[0, 1], &["a", "b"])),
            train: None,
            test: None,
        };
        let unlabelled = Fingerprint::of(&unlabelled).unwrap();
        assert_eq!(original.difference(&unlabelled).unwrap(), "split train is gone");
        assert_eq!(unlabelled.difference(&original).unwrap(), "split train is there, was not");
    }

    #[test]
    fn spaced_numbers_begin_at_0_and_are_not_too_many() {
        let all = |len, most| evenly_spaced(len, most).collect::<Vec<_>>();
        assert_eq!(all(4, 9), [0, 1, 2, 3]);
        assert_eq!(all(10, 4), [0, 3, 6, 9]);
        assert!(all(0, 4).is_empty());
    }
}
