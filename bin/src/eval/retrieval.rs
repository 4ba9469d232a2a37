//! `carp eval retrieval`: revisited Oxford and Paris.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use carp::error::{Error, Result};
use clap::Args;
use datasets::{Change, Changed, Reading};
use evaluations::all::{AllSettings, Protocol};
use evaluations::features::FeatureSet;
use evaluations::picture_sheet::{check_ending, draw};
use evaluations::ranking::KEPT;
use evaluations::retrieval::{Relevance, RetrievalOptions, RetrievalResult, evaluate, sheet};
use evaluations::retrieval_set::{RetrievalLook, RetrievalSet, box_of};

use super::feature_source::{FeatureSource, files, wanted};
use super::percent::percent;
use super::report::{Source, print_source};
use crate::bars::{PartsBar, watched};
use crate::commas::with_commas;
use crate::limits::within;
use crate::print::say;
use crate::threads::on_threads;

#[derive(Args)]
pub struct RetrievalArgs {
    #[command(flatten)]
    source: FeatureSource,
    /// Ground truth of features: {"easy": [[row, ...], ...], "hard": ..., "junk": ...}, per query, a
    /// list of database rows.
    #[arg(long, value_name = "FILE")]
    relevance: Option<PathBuf>,
    /// Shrink images so that neither side exceeds this.
    #[arg(long, value_name = "PIXELS", default_value_t = AllSettings::default().fit)]
    #[arg(conflicts_with = "features")]
    fit: usize,
    /// Crop queries to their boxes, as the benchmark does and the authors do not.
    #[arg(long, conflicts_with = "features")]
    query_boxes: bool,
    /// Ranks at which to measure precision.
    #[arg(long, value_name = "RANK,...", value_delimiter = ',')]
    #[arg(default_value = with_commas(&RetrievalOptions::default().precision_at))]
    precision_at: Vec<usize>,
    /// Draw a PNG with a row per query: the query, framed dark grey, then what was found, nearest
    /// first, framed green if right, red if wrong, light grey if it does not count
    /// (Medium). The rows go from the worst query to the best.
    #[arg(long, value_name = "FILE", conflicts_with = "features")]
    pictures: Option<PathBuf>,
    /// Most rows of pictures.
    #[arg(long, value_name = "N", default_value = "20", requires = "pictures")]
    rows: NonZeroUsize,
}

pub fn run(args: &RetrievalArgs) -> Result<ExitCode> {
    args.source.check_outputs(&[&args.pictures], &[&args.relevance])?;
    args.pictures.as_deref().map_or(Ok(()), check_ending)?;
    let (source, result) = on_threads(args.source.output.threads, || measure(args))?;
    print_source(&source);
    say!(
        "revisited retrieval, cosine: {} queries in {} images, features of {}; AP by trapezoids, \
         junk removed",
        result.queries,
        result.database,
        result.dim
    );
    let columns = result.options.precision_at.iter().map(|k| format!("{:>9}", format!("mP@{k} %")));
    say!("{:<8}{:>9}{}  queries", "", "mAP %", columns.collect::<String>());
    let rows = [("Easy", &result.easy), ("Medium", &result.medium), ("Hard", &result.hard)];
    for (name, score) in rows {
        let columns = score.mean_precision.iter().map(|&x| format!("{:>9}", percent(x)));
        let columns: String = columns.collect();
        say!("{name:<8}{:>9}{columns}  {:>7}", percent(score.map), score.queries);
    }
    args.source.output.save(Protocol::Retrieval, &source, &result)?;
    Ok(ExitCode::SUCCESS)
}

fn measure(args: &RetrievalArgs) -> Result<(Source, RetrievalResult)> {
    let options = RetrievalOptions { precision_at: args.precision_at.clone() };
    let Some(checkpoint) = args.source.checkpoint()? else {
        let (database, queries) = args.source.database_and_queries()?;
        let relevance = wanted(&args.relevance, "--relevance", "the ground truth")?;
        let source = files([
            ("features", Some(database)),
            ("test features", Some(queries)),
            ("ground truth", Some(relevance)),
        ]);
        let relevance = Relevance::load(relevance)?;
        let (database, queries) = (FeatureSet::load(database)?, FeatureSet::load(queries)?);
        let result = watched("rankings", |progress| {
            evaluate(&database, &queries, &relevance, options, progress)
        })?;
        return Ok((source, result));
    };
    if args.relevance.is_some() {
        let detail = "--relevance is for --features: a data set has its own ground truth";
        return Err(Error::usage(detail.to_owned()));
    }
    within("--fit", args.fit, 1..=usize::MAX)?;
    let images = &args.source.images;
    let (mut file, mut source) = images.open(checkpoint)?;
    let contents = images.data.contents(&file)?;
    let (data, _) = images.data.config(&file)?;
    let transform = images.transform(&file, Protocol::Retrieval, data.kind)?;
    let backbone = images.network.trained(&mut file, transform)?;
    let look = RetrievalLook { fit: args.fit, query_boxes: args.query_boxes };
    let mut bar = PartsBar::default();
    let set = RetrievalSet::new(&contents, &backbone, look, |part, done, images| {
        bar.set(part, done, images);
    })?;
    bar.finish();
    source.push(("data", contents.title.to_owned()));
    source.push(("images", look.images(&backbone)));
    source.push(("comparison", look.line()));
    let RetrievalSet { database, queries, relevance } = &set;
    let result =
        watched("rankings", |progress| evaluate(database, queries, relevance, options, progress))?;
    if let Some(path) = &args.pictures {
        let images = |split| contents.dataset(split, Reading { strict: true, cache: 0 });
        let (mut queries, database) = (images("queries")?, images("database")?);
        if args.query_boxes {
            let boxes = contents.queries.iter().map(box_of).collect();
            let change = Change::Crop { boxes, fit: None };
            queries = Arc::new(Changed { data: queries, change });
        }
        draw(path, &sheet(&result, &*queries, &*database, args.rows.get(), KEPT)?)?;
    }
    Ok((source, result))
}
