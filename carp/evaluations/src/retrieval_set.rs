//! A revisited retrieval benchmark as features, in the authors' way: images shrunk to fit, at three
//! scales.

use std::sync::Arc;

use carp::error::{Error, Result};
use datasets::catalogue::{Contents, Query};
use datasets::{Change, Changed, Crop, Reading};

use crate::features::{AnySize, FeatureSet, SCALES};
use crate::retrieval::Relevance;
use crate::trained::TrainedBackbone;

/// Features of database and queries, and which images match.
pub struct RetrievalSet {
    /// The database's.
    pub database: FeatureSet,
    /// The queries'.
    pub queries: FeatureSet,
    /// The ground truth.
    pub relevance: Relevance,
}

/// How the images of a retrieval benchmark are seen.
#[derive(Clone, Copy)]
pub struct RetrievalLook {
    /// Longest side, in pixels.
    pub fit: usize,
    /// Crop queries to their boxes, as the benchmark does and the authors do not.
    pub query_boxes: bool,
}

impl RetrievalLook {
    /// The images in words; `backbone` standardises them.
    pub fn images(self, backbone: &TrainedBackbone) -> String {
        let (fit, standardisation) = (self.fit, backbone.transform.standardisation());
        format!(
            "images of database, tested on queries: shrunk to fit {fit} pixels (lanczos), \
             {standardisation}"
        )
    }

    /// The comparison in words.
    pub fn line(self) -> String {
        let boxes = if self.query_boxes { "cropped to their boxes" } else { "not cropped" };
        format!("scales 1, 1/sqrt(2), 1/2 (bilinear), cosine; queries {boxes}")
    }
}

impl RetrievalSet {
    /// Features of all images; calls `progress` with the split's name, the number done and that of
    /// all.
    ///
    /// # Errors
    /// A data set that is no retrieval benchmark; an image that cannot be read.
    pub fn new(
        contents: &Contents,
        backbone: &TrainedBackbone,
        look: RetrievalLook,
        mut progress: impl FnMut(&str, usize, usize),
    ) -> Result<RetrievalSet> {
        if contents.queries.is_empty() {
            let detail = "has no ground truth for retrieval: take roxford5k or rparis6k";
            return Err(Error::data(contents.title, detail));
        }
        let mut any_size = AnySize::new(backbone.network.clone(), backbone.device);
        let mut features = |name: &str| -> Result<FeatureSet> {
            // Each image is read once.
            let mut data = contents.dataset(name, Reading { strict: false, cache: 0 })?;
            if look.query_boxes && name == "queries" {
                let boxes = contents.queries.iter().map(box_of).collect();
                let change = Change::Crop { boxes, fit: Some(look.fit) };
                data = Arc::new(Changed { data, change });
            }
            let data = Changed { data, change: Change::Fit(look.fit) };
            let images = data.data.len();
            any_size.feature_set(&data, &backbone.transform, &SCALES, |done| {
                progress(name, done, images);
            })
        };
        let (database, queries) = (features("database")?, features("queries")?);
        let lists =
            |of: fn(&Query) -> &Vec<u32>| contents.queries.iter().map(of).cloned().collect();
        let relevance = Relevance {
            easy: lists(|query| &query.easy),
            hard: lists(|query| &query.hard),
            junk: lists(|query| &query.junk),
        };
        Ok(RetrievalSet { database, queries, relevance })
    }
}

/// The box of a query, rounded to whole pixels; halves to even, as Pillow's `crop` does.
pub fn box_of(query: &Query) -> Crop {
    let [left, top, right, bottom] =
        query.bbx.map(|place| place.round_ties_even().max(0.0) as usize);
    Crop { top, left, height: bottom.saturating_sub(top), width: right.saturating_sub(left) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_a_box_round_to_even() {
        let bbx = [2.5, 3.5, 10.5, 20.4];
        let query = Query { bbx, easy: vec![], hard: vec![], junk: vec![] };
        assert_eq!(box_of(&query), Crop { top: 4, left: 2, height: 16, width: 8 });
    }
}
