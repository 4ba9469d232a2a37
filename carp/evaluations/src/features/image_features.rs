//! Features of images, where some of the images cannot be read.

use std::collections::BTreeSet;
use std::sync::Mutex;

use carp::error::{Error, Result};
use datasets::{Dataset, Labels};

use super::feature_set::FeatureSet;

/// Numbers of images that could not be read, noted by any thread.
#[derive(Default)]
pub(super) struct Unreadable(Mutex<BTreeSet<usize>>);

impl Unreadable {
    pub(super) fn note(&self, row: usize) {
        self.0.lock().expect("no thread panics while it notes").insert(row);
    }
}

/// Features of the images of a data set that can be read.
pub struct ImageFeatures {
    /// `[rows.len(), D]`.
    pub features: Vec<f32>,
    /// The images' numbers in the data set, rising.
    pub rows: Vec<u32>,
}

impl ImageFeatures {
    /// The rows of all images of `data`, less the unreadable ones.
    pub(super) fn without(
        mut features: Vec<f32>,
        unreadable: Unreadable,
        data: &dyn Dataset,
    ) -> Result<ImageFeatures> {
        let unreadable = unreadable.0.into_inner().expect("no thread panics while it notes");
        let (images, dim) = (data.len(), features.len() / data.len().max(1));
        let rows: Vec<u32> =
            (0..images).filter(|row| !unreadable.contains(row)).map(|row| row as u32).collect();
        for (place, &row) in rows.iter().enumerate() {
            let row = row as usize * dim;
            features.copy_within(row..row + dim, place * dim);
        }
        features.truncate(rows.len() * dim);
        ImageFeatures::new(features, rows, data)
    }

    /// Features of these rows of `data`.
    ///
    /// # Errors
    /// No rows.
    pub(super) fn new(
        features: Vec<f32>,
        rows: Vec<u32>,
        data: &dyn Dataset,
    ) -> Result<ImageFeatures> {
        if rows.is_empty() {
            return Err(Error::data(data.name(), "no image in it can be read"));
        }
        Ok(ImageFeatures { features, rows })
    }

    /// The features with the labels and class names of `data`, whose images they are.
    pub fn labelled(self, data: &dyn Dataset) -> FeatureSet {
        let ImageFeatures { features, rows } = self;
        let (dim, labels) = (features.len() / rows.len(), labels(data, &rows));
        FeatureSet { features, dim, labels, class_names: data.classes().to_vec() }
    }

    /// The features of all images of `data`.
    ///
    /// # Errors
    /// An image that could not be read.
    pub fn of_all(self, data: &dyn Dataset) -> Result<Vec<f32>> {
        match data.len() - self.rows.len() {
            0 => Ok(self.features),
            lost => Err(Error::data(data.name(), format!("{lost} images in it cannot be read"))),
        }
    }
}

/// The labels of these images of a data set.
fn labels(data: &dyn Dataset, rows: &[u32]) -> Labels {
    let rows = || rows.iter().map(|&row| row as usize);
    let single: Option<Vec<u32>> = rows().map(|row| data.label(row)).collect();
    let shown: Option<Vec<&[i32]>> = rows().map(|row| data.shown(row)).collect();
    match (single, shown) {
        (Some(labels), _) => Labels::Single(labels),
        (None, Some(rows)) => Labels::Multi { classes: data.classes().len(), shown: rows.concat() },
        (None, None) => Labels::None,
    }
}
