//! IDX files (LeCun's MNIST format), plain or gzip: MNIST, Fashion-MNIST and the like.
//!
//! Big-endian u32: magic 0x803 for images with count, rows, columns; 0x801 for labels with count;
//! then one byte per pixel or label.

use std::path::Path;

use files::{Error, Result};

use crate::binary_file::{check_labels, expect_len, find, numbered, read};
use crate::memory_dataset::MemoryDataset;
use crate::splits::Splits;

/// Where Debian's package dataset-fashion-mnist installs its files.
const DEBIAN: &str = "/usr/share/datasets/fashion-mnist";
const FASHION: [&str; 10] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

/// Opens the four files of a folder, or Debian's Fashion-MNIST.
///
/// # Errors
/// Missing, truncated or malformed files.
pub fn open(folder: Option<&Path>) -> Result<Splits> {
    let folder = folder.unwrap_or(Path::new(DEBIAN));
    if folder == Path::new(DEBIAN) && !folder.is_dir() {
        return Err(Error::data(
            folder,
            "no such folder: install Debian's dataset-fashion-mnist, or name the folder with the \
             four IDX files with --data DIR",
        ));
    }
    let is_fashion = folder.to_string_lossy().to_lowercase().contains("fashion");
    let classes = if is_fashion { FASHION.map(str::to_owned).to_vec() } else { numbered(10) };
    let name = if is_fashion { "Fashion-MNIST" } else { "IDX files" };
    Ok(Splits::labelled(
        split(folder, "train", format!("{name}, train"), &classes)?,
        split(folder, "t10k", format!("{name}, test"), &classes)?,
    ))
}

fn split(folder: &Path, prefix: &str, name: String, classes: &[String]) -> Result<MemoryDataset> {
    let path = |kind: &str| {
        let plain = format!("{prefix}-{kind}");
        find(folder, &[&plain, &format!("{plain}.gz")])
    };
    let images_path = path("images-idx3-ubyte")?;
    let labels_path = path("labels-idx1-ubyte")?;
    let images = read(&images_path)?;
    let [count, height, width] = header(&images_path, &images, 0x803)?;
    if height == 0 || width == 0 {
        return Err(Error::data(images_path, format!("images of {height} x {width} pixels")));
    }
    let sizes = [count, height, width].map(|size| size as u64);
    let pixels = sizes.into_iter().fold(1, u64::saturating_mul);
    expect_len(&images_path, images.len() as u64, pixels.saturating_add(16))?;
    let labels = read(&labels_path)?;
    let [label_count] = header(&labels_path, &labels, 0x801)?;
    expect_len(&labels_path, labels.len() as u64, 8 + label_count as u64)?;
    if label_count != count {
        let images = images_path.display();
        let detail = format!("{label_count} labels for the {count} images of {images}");
        return Err(Error::data(labels_path, detail));
    }
    let labels: Vec<u32> = labels[8..].iter().map(|&label| label.into()).collect();
    check_labels(&labels_path, &labels, classes.len())?;
    let size = (height, width, 1);
    Ok(MemoryDataset::new(name, size, &images[16..], labels, classes.to_vec()))
}

/// Checks the magic number and returns the N sizes after it.
fn header<const N: usize>(path: &Path, bytes: &[u8], magic: usize) -> Result<[usize; N]> {
    let number = |at: usize| -> Result<usize> {
        let bytes = bytes.get(4 * at..4 * at + 4).ok_or_else(|| {
            let detail =
                format!("truncated: {} bytes, the header alone has {}", bytes.len(), 4 * (N + 1));
            Error::data(path, detail)
        })?;
        Ok(u32::from_be_bytes(bytes.try_into().expect("four bytes")) as usize)
    };
    let found = number(0)?;
    if found != magic {
        let detail = format!("wrong magic {found:#x} at offset 0, expected {magic:#x}");
        return Err(Error::data(path, detail));
    }
    let mut sizes = [0; N];
    for (i, size) in sizes.iter_mut().enumerate() {
        *size = number(i + 1)?;
    }
    Ok(sizes)
}
