//! Copy detection by the Copydays protocol (Douze et al., 2009), as self-supervised methods report
//! it: edited copies retrieve their originals among originals and distractors.
//!
//! An original matches a query if both names begin with the same four characters. Average precision
//! by trapezoids over the first `top` of the ranking, averaged over the queries of a block (a kind
//! of edit).

use std::path::Path;

use carp::error::{Error, Result};
use datasets::{Dataset, Progress};
use serde::{Deserialize, Serialize};

use super::average_precision::trapezoid_average_precision;
use super::whitening::{Moments, Whitening};
use crate::features::FeatureSet;
use crate::neighbours::{Neighbour, neighbours};
use crate::picture_sheet::{Frame, Row};
use crate::ranking::{self, KEPT, QueryRanking, Ranked};

/// The block reported first.
pub const HEADLINE: &str = "strong";

/// Queries with one kind of edit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopyBlock {
    /// Such as `strong`, `jpegqual/15` or `crops/50`.
    pub name: String,
    /// File names.
    pub queries: Vec<String>,
}

/// The file names of the features.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopyNames {
    /// One per row of the database features.
    pub originals: Vec<String>,
    /// One per row of the query features, block by block.
    pub blocks: Vec<CopyBlock>,
}

impl CopyNames {
    /// Reads `{"originals": [name, ...], "blocks": [{"name": ..., "queries": [name, ...]}, ...]}`.
    ///
    /// # Errors
    /// A missing file, or invalid content.
    pub fn load(path: &Path) -> Result<CopyNames> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::io(path, source))?;
        let wrong = |error| {
            let form = "should be {\"originals\": [name, ...], \"blocks\": [{\"name\": ..., \
                        \"queries\": [name, ...]}, ...]}";
            Error::data(path, format!("{form}: {error}"))
        };
        serde_json::from_str(&text).map_err(wrong)
    }
}

/// Settings.
#[derive(Clone, Debug, Serialize)]
pub struct CopyDetectionOptions {
    /// How much of the ranking counts; 0 means all.
    pub top: usize,
    /// Power of the eigenvalues in whitening.
    pub whitening_power: f64,
}

impl Default for CopyDetectionOptions {
    fn default() -> CopyDetectionOptions {
        CopyDetectionOptions { top: 20, whitening_power: 0.5 }
    }
}

/// The result of a block.
#[derive(Clone, Debug, Serialize)]
pub struct BlockScore {
    /// Its name.
    pub name: String,
    /// Queries.
    pub queries: usize,
    /// Mean average precision, a fraction.
    pub map: f64,
}

/// The result of [`evaluate`], with its settings.
#[derive(Clone, Debug, Serialize)]
pub struct CopyDetectionResult {
    /// The settings.
    #[serde(flatten)]
    pub options: CopyDetectionOptions,
    /// Originals.
    pub originals: usize,
    /// Distractors.
    pub distractors: usize,
    /// Number of features the whitening was learned from; `None` without whitening.
    pub whitened_by: Option<usize>,
    /// D.
    pub dim: usize,
    /// Mean average precision of the block `strong`, if present.
    pub strong: Option<f64>,
    /// All blocks.
    pub blocks: Vec<BlockScore>,
    /// How each query ranks the originals and, after them, the distractors.
    #[serde(skip)]
    pub rankings: Vec<QueryRanking>,
}

impl CopyDetectionResult {
    /// How much of each ranking counted, in words.
    pub fn depth(&self) -> String {
        match self.options.top {
            top if top > 0 && top < self.originals + self.distractors => format!("the first {top}"),
            _ => "the whole ranking".to_owned(),
        }
    }
}

/// The features to compare.
pub struct CopyFeatures {
    /// Originals, in the order of the names.
    pub originals: FeatureSet,
    /// Queries, in the order of the names.
    pub queries: FeatureSet,
    /// Additional database images that match no query.
    pub distractors: Option<FeatureSet>,
    /// Images to learn the whitening from.
    pub whitening: Option<FeatureSet>,
}

/// Scores each block. Takes ownership to whiten in place; reports the queries done.
///
/// # Errors
/// Features of different lengths or numbers than the names, a query without an original.
pub fn evaluate(
    features: CopyFeatures,
    names: &CopyNames,
    options: CopyDetectionOptions,
    progress: Progress,
) -> Result<CopyDetectionResult> {
    let CopyFeatures { originals: mut database, mut queries, distractors, whitening } = features;
    let originals = database.rows();
    let query_names = || names.blocks.iter().flat_map(|block| &block.queries);
    for (what, set, names) in
        [("original", &database, names.originals.len()), ("query", &queries, query_names().count())]
    {
        if set.rows() != names {
            let wrong = format!("{} {what} features, {names} {what} names", set.rows());
            return Err(Error::usage(format!("copy detection: {wrong}")));
        }
    }
    if let Some(block) = names.blocks.iter().find(|block| block.queries.is_empty()) {
        let wrong = format!("copy detection: block {} has no queries", block.name);
        return Err(Error::usage(wrong));
    }
    database.same_dim(&queries)?;
    if let Some(distractors) = &distractors {
        database.same_dim(distractors)?;
        database.features.extend_from_slice(&distractors.features);
    }
    if let Some(set) = &whitening {
        database.same_dim(set)?;
        let whitening = Whitening::learn(set, Moments::Raw, options.whitening_power);
        whitening.apply(&mut database);
        whitening.apply(&mut queries);
    }
    let top = if options.top == 0 { database.rows() } else { options.top };
    let (dim, most) = (database.dim, top.max(KEPT));
    let nearest = neighbours(&database.features, &queries.features, dim, most, progress);
    let judged = |(name, nearest): (&String, &Vec<Neighbour>)| {
        let is_right = |original: &String| beginning(original).eq(beginning(name));
        let positives = names.originals.iter().filter(|original| is_right(original)).count();
        if positives == 0 {
            let wrong = format!("copy detection: no original for {name}");
            return Err(Error::usage(wrong));
        }
        let is_found =
            |&(_, row): &Neighbour| names.originals.get(row as usize).is_some_and(is_right);
        let counted = nearest.iter().take(top).enumerate();
        let ranks: Vec<usize> =
            counted.filter(|(_, near)| is_found(near)).map(|(rank, _)| rank).collect();
        let ranked = |near: &Neighbour| Ranked { row: near.1, kind: Frame::right(is_found(near)) };
        Ok(QueryRanking {
            average_precision: Some(trapezoid_average_precision(&ranks, positives)),
            first: nearest.iter().take(KEPT).map(ranked).collect(),
        })
    };
    let rankings: Vec<QueryRanking> =
        query_names().zip(&nearest).map(judged).collect::<Result<_>>()?;
    let mut rest = rankings.as_slice();
    let score = |block: &CopyBlock| {
        let (own, others) = rest.split_at(block.queries.len());
        rest = others;
        let sum: f64 = own.iter().filter_map(|ranking| ranking.average_precision).sum();
        let map = sum / own.len() as f64;
        BlockScore { name: block.name.clone(), queries: own.len(), map }
    };
    let blocks: Vec<BlockScore> = names.blocks.iter().map(score).collect();
    Ok(CopyDetectionResult {
        options,
        originals,
        distractors: database.rows() - originals,
        whitened_by: whitening.map(|set| set.rows()),
        dim: database.dim,
        strong: blocks.iter().find(|block| block.name == HEADLINE).map(|block| block.map),
        blocks,
        rankings,
    })
}

/// Rows for a [sheet](crate::picture_sheet::draw): a query, then the first `most` images of its
/// ranking, at most 20: green if they are its original, red if not. `rows` queries are shown, evenly
/// spaced from the worst average precision to the best. The rows of the data sets, one after the
/// other, are those of the features: queries block by block; originals, then distractors.
///
/// # Errors
/// Data sets of other sizes than the features; an image that cannot be read.
pub fn sheet(
    result: &CopyDetectionResult,
    queries: &[&dyn Dataset],
    database: &[&dyn Dataset],
    rows: usize,
    most: usize,
) -> Result<Vec<Row>> {
    let database_rows = result.originals + result.distractors;
    ranking::sheet(&result.rankings, queries, (database, database_rows), rows, most)
}

/// The part of a name that identifies the original.
fn beginning(name: &str) -> impl Iterator<Item = char> + '_ {
    name.chars().take(4)
}
