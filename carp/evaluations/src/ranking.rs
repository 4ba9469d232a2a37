//! The first images of a query's ranking, and sheets of them.

use std::sync::Arc;

use carp::error::{Error, Result};
use datasets::{Dataset, Image};

use crate::picture_sheet::{Frame, Picture, Row, evenly_spaced};

/// Images kept of each ranking.
pub const KEPT: usize = 20;

/// A database image in a ranking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ranked {
    /// Its row.
    pub row: u32,
    /// [`Frame::Right`], [`Frame::Wrong`], or [`Frame::Neutral`] if it does not count.
    pub kind: Frame,
}

/// One query's ranking.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryRanking {
    /// Average precision, a fraction; `None` if the query does not count.
    pub average_precision: Option<f64>,
    /// The first [`KEPT`] images, nearest first.
    pub first: Vec<Ranked>,
}

/// Rows for a [sheet](crate::picture_sheet::draw): a query, then the first `most` images of its
/// ranking. Of the queries that count, `rows` are shown, evenly spaced from the worst average
/// precision to the best, so that failures and successes are both seen. The images are those of
/// `queries` and `database`, each one or several data sets, whose rows follow each other.
///
/// # Errors
/// Data sets with fewer or more images than queries or `database_rows`; an image that cannot be
/// read.
pub(crate) fn sheet(
    rankings: &[QueryRanking],
    queries: &[&dyn Dataset],
    (database, database_rows): (&[&dyn Dataset], usize),
    rows: usize,
    most: usize,
) -> Result<Vec<Row>> {
    for (what, parts, wanted) in
        [("queries", queries, rankings.len()), ("database", database, database_rows)]
    {
        let images: usize = parts.iter().map(|data| data.len()).sum();
        if images != wanted {
            let line = format!("a sheet of rankings: {images} images for {wanted} rows of {what}");
            return Err(Error::usage(line));
        }
    }
    let precision = |query: usize| rankings[query].average_precision;
    let mut order: Vec<usize> =
        (0..rankings.len()).filter(|&query| precision(query).is_some()).collect();
    order.sort_by(|&a, &b| f64::total_cmp(&precision(a).unwrap(), &precision(b).unwrap()));
    let row = |place: usize| {
        let query = order[place];
        let ranked = |ranked: &Ranked| {
            Ok(Picture::new(&*image(database, ranked.row as usize)?, ranked.kind))
        };
        let first = rankings[query].first.iter().take(most).map(ranked);
        let query = Picture::new(&*image(queries, query)?, Frame::Query);
        Ok(Row { groups: vec![vec![query], first.collect::<Result<_>>()?] })
    };
    evenly_spaced(order.len(), rows).into_iter().map(row).collect()
}

/// An image of data sets whose rows follow each other.
fn image(parts: &[&dyn Dataset], mut row: usize) -> Result<Arc<Image>> {
    for data in parts {
        if row < data.len() {
            return Ok(data.image(row)?);
        }
        row -= data.len();
    }
    unreachable!("the numbers of images were compared")
}
