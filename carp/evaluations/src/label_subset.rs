//! Subsets of a labelled training set: k images per class, a fraction of all labels, or a list.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use carp::error::{Error, Result};
use datasets::Dataset;
use tensor::random::{Purpose, Stream};

/// The images of each class in random order, classes in order: (class, images).
fn by_class(labels: &[u32], classes: usize, seed: u64) -> Vec<Vec<u32>> {
    let mut images = vec![Vec::new(); classes];
    for (image, &label) in (0..).zip(labels) {
        images[label as usize].push(image);
    }
    for (class, images) in (0..).zip(&mut images) {
        Stream::new(seed, Purpose::Evaluation, 1, class).shuffle(images);
    }
    images
}

/// Sorted indices of k random images per class; all of a class that has fewer.
///
/// # Errors
/// A k of 0.
pub fn per_class(labels: &[u32], classes: usize, k: usize, seed: u64) -> Result<Vec<u32>> {
    if k == 0 {
        return Err(Error::usage("0 images per class: choose at least 1".to_owned()));
    }
    Ok(rising(by_class(labels, classes, seed).iter().flat_map(|images| images.iter().take(k))))
}

/// Fails unless a fraction of the labels is in (0, 1].
///
/// # Errors
/// As above.
pub fn check_share(share: f64) -> Result<()> {
    if share > 0.0 && share <= 1.0 {
        return Ok(());
    }
    let percent = 100.0 * share;
    Err(Error::usage(format!("{percent} % of the labels: choose above 0 and at most 100 %")))
}

/// Sorted indices of a fraction of all images, balanced over classes: if the number is not a
/// multiple of the classes, some random ones get one more. A class with too few gives all it has,
/// and the others make up for it.
///
/// # Errors
/// A fraction outside (0, 1], or too small for one image per class.
pub fn balanced(labels: &[u32], classes: usize, share: f64, seed: u64) -> Result<Vec<u32>> {
    check_share(share)?;
    let total = (share * labels.len() as f64).round() as usize;
    if total < classes {
        let percent = 100.0 * share;
        return Err(Error::usage(format!(
            "{percent} % of {} labels is {total}, less than one for each of the {classes} classes: \
             choose more",
            labels.len()
        )));
    }
    let mut order: Vec<u32> = (0..classes as u32).collect();
    Stream::new(seed, Purpose::Evaluation, 2, 0).shuffle(&mut order);
    let images = by_class(labels, classes, seed);
    // Take one more from each class that has more, in turn, until there are enough.
    let mut chosen = Vec::with_capacity(total);
    for round in 0.. {
        for &class in &order {
            if chosen.len() == total {
                return Ok(rising(chosen.iter()));
            }
            chosen.extend(images[class as usize].get(round));
        }
    }
    unreachable!("the images are at least as many as wanted")
}

/// Sorted indices of the images listed in a text file, one per line: by file name (such as
/// `n01440764_10016.JPEG`, as in SimCLR's lists for ImageNet, with or without its folder), or by
/// number, from 0, if the images are not individual files.
///
/// # Errors
/// An empty list; a name or number that is unknown, ambiguous or repeated.
pub fn listed(path: &Path, data: &dyn Dataset) -> Result<Vec<u32>> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::io(path, source))?;
    let mut places: HashMap<PathBuf, Vec<u32>> = HashMap::new();
    for index in 0..data.len() {
        let numbered = PathBuf::from(index.to_string());
        let file = data.file(index).unwrap_or(&numbered);
        for names in 1..=2 {
            places.entry(tail(file, names)).or_default().push(index as u32);
            if file.components().count() == 1 {
                break;
            }
        }
    }
    let mut indices = Vec::new();
    for (line, name) in (1..).zip(text.lines()).map(|(line, name)| (line, name.trim())) {
        if name.is_empty() {
            continue;
        }
        let fault = |what: &str| Err(Error::data(path, format!("line {line}: {name} {what}")));
        match places.get(&tail(Path::new(name), 2)).map(Vec::as_slice) {
            Some(&[index]) => indices.push(index),
            Some(_) => return fault("matches several images: give its folder as well"),
            None => return fault(&format!("is not a training image of {}", data.name())),
        }
    }
    let count = indices.len();
    let mut distinct = rising(indices.iter());
    distinct.dedup();
    if distinct.len() < count {
        return Err(Error::data(path, format!("lists {count} images, some twice")));
    }
    if distinct.is_empty() {
        return Err(Error::data(path, "lists no images"));
    }
    Ok(distinct)
}

/// The last `names` parts of a path.
fn tail(path: &Path, names: usize) -> PathBuf {
    let parts: Vec<_> = path.components().collect();
    parts[parts.len().saturating_sub(names)..].iter().collect()
}

fn rising<'a>(indices: impl Iterator<Item = &'a u32>) -> Vec<u32> {
    let mut indices: Vec<u32> = indices.copied().collect();
    indices.sort_unstable();
    indices
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files without images.
    struct Files(Vec<PathBuf>);

    impl Dataset for Files {
        fn name(&self) -> &str {
            "files"
        }
        fn len(&self) -> usize {
            self.0.len()
        }
        fn channels(&self) -> usize {
            3
        }
        fn classes(&self) -> &[String] {
            &[]
        }
        fn label(&self, _index: usize) -> Option<u32> {
            None
        }
        fn file(&self, index: usize) -> Option<&Path> {
            self.0.get(index).map(PathBuf::as_path).filter(|path| path.as_os_str() != "memory")
        }
        fn image(&self, _index: usize) -> files::Result<std::sync::Arc<datasets::Image>> {
            unreachable!("no pictures")
        }
    }

    fn per_label(chosen: &[u32], labels: &[u32], classes: usize) -> Vec<usize> {
        let mut counts = vec![0; classes];
        chosen.iter().for_each(|&image| counts[labels[image as usize] as usize] += 1);
        counts
    }

    #[test]
    fn k_images_of_each_class() {
        let labels: Vec<u32> = (0..100).map(|i| if i < 3 { 1 } else { i % 2 * 2 }).collect();
        let chosen = per_class(&labels, 3, 10, 0).unwrap();
        assert_eq!(per_label(&chosen, &labels, 3), [10, 3, 10]);
        assert!(chosen.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(chosen, per_class(&labels, 3, 10, 0).unwrap());
        assert_ne!(chosen, per_class(&labels, 3, 10, 1).unwrap());
        assert!(per_class(&labels, 3, 0, 0).is_err());
    }

    #[test]
    fn a_share_is_balanced() {
        let labels: Vec<u32> = (0..1000).map(|i| i % 3).collect();
        let chosen = balanced(&labels, 3, 0.1, 3).unwrap();
        let mut counts = per_label(&chosen, &labels, 3);
        counts.sort_unstable();
        assert_eq!(counts, [33, 33, 34]);
        assert_eq!(balanced(&labels, 3, 1.0, 3).unwrap().len(), 1000);
        for share in [0.0, -1.0, 1.1, f64::NAN, 0.001] {
            let line = balanced(&labels, 3, share, 3).unwrap_err().to_string();
            assert_eq!(line.lines().count(), 1);
        }
    }

    #[test]
    fn a_list_names_files_or_numbers() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("list.txt");
        let read = |text: &str, data: &Files| {
            std::fs::write(&path, text).unwrap();
            listed(&path, data).map_err(|error| error.to_string())
        };
        let files = Files(["d/a/1.png", "d/a/2.png", "d/b/1.png"].map(PathBuf::from).to_vec());
        assert_eq!(read("b/1.png\n\n2.png \n", &files), Ok(vec![1, 2]));
        assert_eq!(read("/elsewhere/a/1.png", &files), Ok(vec![0]));
        let fault = |text: &str, what: &str| {
            let line = read(text, &files).unwrap_err();
            assert!(line.contains(what) && line.lines().count() == 1, "{line}");
        };
        fault("2.png\n1.png", "line 2: 1.png matches several images");
        fault("3.png", "line 1: 3.png is not a training image of files");
        fault("0", "0 is not a training image");
        fault("2.png\na/2.png", "twice");
        fault(" \n", "lists no images");
        let memory = Files(vec![PathBuf::from("memory"); 12]);
        assert_eq!(read("10\n2\n", &memory), Ok(vec![2, 10]));
        assert!(read("12", &memory).unwrap_err().contains("12 is not a training image"));
    }
}
