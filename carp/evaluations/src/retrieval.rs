//! Instance retrieval by the revisited Oxford and Paris protocol (Radenović et al., 2018).
//!
//! Each query has database images that are easy, hard or junk. What counts as a match (ok) and what
//! is removed from the ranking (junk):
//!
//! | | ok | junk |
//! |---|---|---|
//! | Easy | easy | junk and hard |
//! | Medium | easy and hard | junk |
//! | Hard | hard | junk and easy |
//!
//! Average precision by trapezoids over the remaining ranks; precision at k is taken at min(k, rank
//! of the last ok image). Queries without an ok image do not count.

use std::path::Path;

use carp::error::{Error, Result};
use datasets::{Dataset, Progress};
use serde::{Deserialize, Serialize};

use super::average_precision::trapezoid_average_precision;
use crate::features::FeatureSet;
use crate::neighbours::{Neighbour, neighbours};
use crate::picture_sheet::{Frame, Row};
use crate::ranking::{self, KEPT, QueryRanking, Ranked};

/// Queries whose full rankings are in memory together.
const QUERIES: usize = 32;

/// Rows of database images per query; those in none of the three are irrelevant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relevance {
    /// Shows the query's building clearly.
    pub easy: Vec<Vec<u32>>,
    /// Shows it under difficult conditions.
    pub hard: Vec<Vec<u32>>,
    /// Ignored.
    pub junk: Vec<Vec<u32>>,
}

impl Relevance {
    /// Reads `{"easy": [[row, ...], ...], "hard": ..., "junk": ...}`, one list per query each.
    ///
    /// # Errors
    /// A missing file, or invalid content.
    pub fn load(path: &Path) -> Result<Relevance> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::io(path, source))?;
        let wrong = |error| {
            let form = "should be {\"easy\": [[row, ...], ...], \"hard\": ..., \"junk\": ...}";
            Error::data(path, format!("{form}: {error}"))
        };
        serde_json::from_str(&text).map_err(wrong)
    }

    fn check(&self, queries: usize, database: usize) -> Result<()> {
        let lists = [("easy", &self.easy), ("hard", &self.hard), ("junk", &self.junk)];
        for (name, lists) in lists {
            if lists.len() != queries {
                let there = lists.len();
                let wrong = format!("retrieval: `{name}` has {there} lists for {queries} queries");
                return Err(Error::usage(wrong));
            }
        }
        for query in 0..queries {
            let mut seen = std::collections::BTreeSet::new();
            for (name, lists) in lists {
                for &row in &lists[query] {
                    let wrong = if row as usize >= database {
                        format!("should be below {database}, the database images")
                    } else if !seen.insert(row) {
                        "is listed twice".to_owned()
                    } else {
                        continue;
                    };
                    let line = format!("retrieval: `{name}` of query {query}: {row} {wrong}");
                    return Err(Error::usage(line));
                }
            }
        }
        Ok(())
    }
}

/// Settings.
#[derive(Clone, Debug, Serialize)]
pub struct RetrievalOptions {
    /// Ranks at which to measure precision.
    pub precision_at: Vec<usize>,
}

impl Default for RetrievalOptions {
    fn default() -> RetrievalOptions {
        RetrievalOptions { precision_at: vec![1, 5, 10] }
    }
}

/// Mean over the queries that count.
#[derive(Clone, Debug, Serialize)]
pub struct RetrievalScore {
    /// Queries with an ok image.
    pub queries: usize,
    /// Mean average precision, a fraction; `None` if no query counts.
    pub map: Option<f64>,
    /// Mean precision at each of the ranks.
    pub mean_precision: Vec<Option<f64>>,
    /// Per query; `None` for those that do not count.
    pub average_precisions: Vec<Option<f64>>,
}

/// The result of [`evaluate`], with its settings.
#[derive(Clone, Debug, Serialize)]
pub struct RetrievalResult {
    /// The settings.
    #[serde(flatten)]
    pub options: RetrievalOptions,
    /// Database images.
    pub database: usize,
    /// Queries.
    pub queries: usize,
    /// D.
    pub dim: usize,
    /// Easy.
    pub easy: RetrievalScore,
    /// Medium.
    pub medium: RetrievalScore,
    /// Hard.
    pub hard: RetrievalScore,
    /// How each query ranks the database, judged as in Medium.
    #[serde(skip)]
    pub rankings: Vec<QueryRanking>,
}

/// Ranks the database by cosine for each query and scores the rankings; reports the queries
/// done.
///
/// # Errors
/// Features of different lengths, relevance that does not match them, precision at rank 0.
pub fn evaluate(
    database: &FeatureSet,
    queries: &FeatureSet,
    relevance: &Relevance,
    options: RetrievalOptions,
    progress: Progress,
) -> Result<RetrievalResult> {
    database.same_dim(queries)?;
    relevance.check(queries.rows(), database.rows())?;
    if options.precision_at.contains(&0) {
        let wrong = "retrieval: precision at rank 0: ranks start at 1";
        return Err(Error::usage(wrong.to_owned()));
    }
    let at = &options.precision_at;
    let [mut easy, mut medium, mut hard] = [(); 3].map(|()| Vec::new());
    let mut rankings = Vec::with_capacity(queries.rows());
    let mut query = 0;
    for group in queries.features.chunks(QUERIES * queries.dim) {
        let first = query;
        let show = |done, _| progress.report(first + done, queries.rows());
        let (features, rows) = (&database.features, database.rows());
        for ranking in neighbours(features, group, database.dim, rows, Progress::new(&show)) {
            let mut place = vec![0; database.rows()];
            for (rank, &(_, row)) in ranking.iter().enumerate() {
                place[row as usize] = rank;
            }
            let ranks = |lists: [&[u32]; 2]| -> Vec<usize> {
                lists.into_iter().flatten().map(|&row| place[row as usize]).collect()
            };
            let [e, h, j] =
                [&relevance.easy, &relevance.hard, &relevance.junk].map(|lists| &lists[query][..]);
            easy.push(score_query(ranks([e, &[]]), ranks([j, h]), at));
            medium.push(score_query(ranks([e, h]), ranks([j, &[]]), at));
            hard.push(score_query(ranks([h, &[]]), ranks([j, e]), at));
            rankings.push(QueryRanking {
                average_precision: medium[query].as_ref().map(|(average, _)| *average),
                first: first_ranked(&ranking, [e, h].concat(), j),
            });
            query += 1;
        }
    }
    let [easy, medium, hard] = [easy, medium, hard].map(|scores| mean_score(&scores, at.len()));
    let (queries, dim) = (queries.rows(), queries.dim);
    Ok(RetrievalResult {
        options,
        database: database.rows(),
        queries,
        dim,
        easy,
        medium,
        hard,
        rankings,
    })
}

/// Rows for a [sheet](crate::picture_sheet::draw): a query, then the first `most` images of its
/// ranking, at most 20: green if they are ok, grey if junk, red otherwise, as in Medium. Of the
/// queries that count, `rows` are shown, evenly spaced from the worst average precision to the best.
/// The rows of the data sets are those of the features.
///
/// # Errors
/// Data sets of other sizes than the features; an image that cannot be read.
pub fn sheet(
    result: &RetrievalResult,
    queries: &dyn Dataset,
    database: &dyn Dataset,
    rows: usize,
    most: usize,
) -> Result<Vec<Row>> {
    ranking::sheet(&result.rankings, &[queries], (&[database], result.database), rows, most)
}

/// The first images of a ranking.
fn first_ranked(ranking: &[Neighbour], ok: Vec<u32>, junk: &[u32]) -> Vec<Ranked> {
    let judged = |&(_, row): &Neighbour| {
        let kind =
            if junk.contains(&row) { Frame::Neutral } else { Frame::right(ok.contains(&row)) };
        Ranked { row, kind }
    };
    ranking.iter().take(KEPT).map(judged).collect()
}

/// Average precision and precisions of one query, from the ranks of its ok and junk images.
fn score_query(
    mut ok: Vec<usize>,
    mut junk: Vec<usize>,
    precision_at: &[usize],
) -> Option<(f64, Vec<f64>)> {
    ok.sort_unstable();
    junk.sort_unstable();
    // Ranks with the junk before them removed.
    for rank in &mut ok {
        *rank -= junk.partition_point(|junk| junk < rank);
    }
    let last = ok.last()? + 1;
    let precision = |&k: &usize| {
        let k = k.min(last);
        ok.iter().filter(|&&rank| rank < k).count() as f64 / k as f64
    };
    let average = trapezoid_average_precision(&ok, ok.len());
    Some((average, precision_at.iter().map(precision).collect()))
}

fn mean_score(scores: &[Option<(f64, Vec<f64>)>], precisions: usize) -> RetrievalScore {
    let counted: Vec<&(f64, Vec<f64>)> = scores.iter().flatten().collect();
    let queries = counted.len();
    let mean = |sum: f64| (queries > 0).then(|| sum / queries as f64);
    let precision = |k: usize| mean(counted.iter().map(|score| score.1[k]).sum());
    RetrievalScore {
        queries,
        map: mean(counted.iter().map(|score| score.0).sum()),
        mean_precision: (0..precisions).map(precision).collect(),
        average_precisions: scores
            .iter()
            .map(|score| score.as_ref().map(|score| score.0))
            .collect(),
    }
}
