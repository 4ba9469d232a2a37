//! Copydays as features, in the authors' way: images stretched to squares.

use std::path::Path;
use std::sync::Arc;

use carp::error::{Error, Result};
use carp::views::EvalTransform;
use datasets::catalogue::Contents;
use datasets::{
    Change, Changed, Dataset, FileDataset, Labels, Progress, Reading, Subset, images_below,
};

use crate::copy_detection::{CopyBlock, CopyFeatures, CopyNames};
use crate::features::{Encoder, FeatureSet};
use crate::network_file::NetworkName;

/// The images of a copy-detection benchmark that can be read.
pub struct CopySet {
    /// What the copies were made from.
    pub originals: Arc<dyn Dataset>,
    /// The copies, by kind of edit.
    pub blocks: Vec<(&'static str, Arc<dyn Dataset>)>,
    /// More images for the database.
    pub distractors: Option<Arc<dyn Dataset>>,
    /// Images to learn a whitening from.
    pub whitening: Option<Arc<dyn Dataset>>,
}

impl CopySet {
    /// The readable images of Copydays, with those below the folders `distractors` and `whitening`;
    /// reports the images decoded to find them, part by part.
    ///
    /// # Errors
    /// A data set of another kind; an image that cannot be read, if `reading` is strict; a split
    /// without one that can.
    pub fn new(
        contents: &Contents,
        [distractors, whitening]: [Option<&Path>; 2],
        reading: Reading,
        progress: Progress,
    ) -> Result<CopySet> {
        if contents.split("original").is_none() || contents.split("strong").is_none() {
            let detail = "has no copies with their originals: take copydays";
            return Err(Error::data(contents.title, detail));
        }
        // Names and features must be of the same images.
        let readable = |split| -> Result<_> {
            Ok(Subset::readable(contents.dataset(split, reading)?, progress)?)
        };
        let below = |path| folder(path, reading, progress);
        let blocks = contents.splits.iter().filter(|split| split.name != "original");
        Ok(CopySet {
            originals: readable("original")?,
            blocks: blocks
                .map(|split| Ok((split.name, readable(split.name)?)))
                .collect::<Result<_>>()?,
            distractors: distractors.map(below).transpose()?,
            whitening: whitening.map(below).transpose()?,
        })
    }

    /// Every part.
    pub fn parts(&self) -> impl Iterator<Item = &Arc<dyn Dataset>> {
        let copies = self.blocks.iter().map(|(_, data)| data);
        std::iter::once(&self.originals)
            .chain(copies)
            .chain(&self.distractors)
            .chain(&self.whitening)
    }

    /// The images in words.
    pub fn images(transform: &EvalTransform, network: NetworkName) -> String {
        let (side, scaling) = (transform.size, network.scaling(transform));
        format!(
            "images of original, tested on the other splits: stretched to {side} x {side} \
             (bicubic), {scaling}"
        )
    }

    /// The file names of the images.
    pub fn names(&self) -> CopyNames {
        let block = |(name, data): &(&str, Arc<dyn Dataset>)| CopyBlock {
            name: (*name).to_owned(),
            queries: file_names(&**data),
        };
        let blocks = self.blocks.iter().map(block).collect();
        CopyNames { originals: file_names(&*self.originals), blocks }
    }

    /// Features of all images, by an encoder for squares; calls `progress` with a part's name, the
    /// number done and that of all.
    ///
    /// # Errors
    /// Those of [`Encoder::feature_set`].
    pub fn features(
        &self,
        encoder: &mut Encoder,
        mut progress: impl FnMut(&str, usize, usize),
    ) -> Result<CopyFeatures> {
        let change = || Change::Stretch(encoder.transform().size);
        let stretched =
            |data: &Arc<dyn Dataset>| Changed { data: Arc::clone(data), change: change() };
        let originals = stretched(&self.originals);
        let blocks: Vec<Changed> = self.blocks.iter().map(|(_, data)| stretched(data)).collect();
        let [distractors, whitening] =
            [&self.distractors, &self.whitening].map(|data| data.as_ref().map(stretched));
        let mut features = |data: &Changed| {
            let (name, images) = (data.name(), data.len());
            encoder.feature_set(data, |done| progress(name, done, images))
        };
        let originals = features(&originals)?;
        let mut queries = FeatureSet { features: vec![], ..originals.clone() };
        for data in &blocks {
            queries.features.extend(features(data)?.features);
        }
        let distractors = distractors.as_ref().map(&mut features).transpose()?;
        let whitening = whitening.as_ref().map(features).transpose()?;
        Ok(CopyFeatures { originals, queries, distractors, whitening })
    }
}

fn file_names(data: &dyn Dataset) -> Vec<String> {
    let name = |index| {
        let file = data.file(index).and_then(Path::file_name).unwrap_or_default();
        file.to_string_lossy().into_owned()
    };
    (0..data.len()).map(name).collect()
}

/// All of them, whatever the folders in it are called, and as they are stored, like the data set's own.
fn folder(folder: &Path, reading: Reading, progress: Progress) -> Result<Arc<dyn Dataset>> {
    let files = images_below(folder, reading.strict)?;
    let name = folder.display().to_string();
    let data = FileDataset::new(name, files, Labels::None, vec![], reading);
    Ok(Subset::readable(Arc::new(data), progress)?)
}
