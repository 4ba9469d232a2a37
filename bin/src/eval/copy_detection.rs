//! `carp eval copy-detection`: Copydays.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use carp::error::{Error, Result};
use carp::views::EvalTransform;
use clap::Args;
use datasets::{Dataset, Reading};
use evaluations::all::{AllSettings, Protocol};
use evaluations::copy_detection::{
    CopyDetectionOptions, CopyDetectionResult, CopyFeatures, CopyNames, HEADLINE, evaluate, sheet,
};
use evaluations::copy_set::CopySet;
use evaluations::features::{FeatureSet, POOLED};
use evaluations::picture_sheet::{check_ending, draw};
use evaluations::ranking::KEPT;

use super::feature_source::{FeatureSource, files, wanted};
use super::report::{Source, print_source};
use crate::bars::{PartsBar, watched};
use crate::limits::{SIDE, within};
use crate::network_args::{batch_size, check_features};
use crate::print::say;
use crate::threads::on_threads;

#[derive(Args)]
pub struct CopyDetectionArgs {
    #[command(flatten)]
    source: FeatureSource,
    /// File names behind features: {"originals": [name, ...], "blocks": [{"name": ..., "queries":
    /// [name, ...]}, ...]}; the query features are stored block by block.
    #[arg(long, value_name = "FILE")]
    names: Option<PathBuf>,
    /// More images for the database: a folder of them, or their features.
    #[arg(long, value_name = "DIR|FILE")]
    distractors: Option<PathBuf>,
    /// Images to learn a whitening from: a folder of them, or their features [default: no
    /// whitening].
    #[arg(long, value_name = "DIR|FILE")]
    whitening: Option<PathBuf>,
    /// Stretch every image to a square of this side.
    #[arg(long, value_name = "PIXELS", default_value_t = AllSettings::default().copy_side)]
    #[arg(conflicts_with = "features")]
    stretch: usize,
    /// How much of each ranking counts; 0 means all.
    #[arg(long, value_name = "N", default_value_t = CopyDetectionOptions::default().top)]
    top: usize,
    /// Draw a PNG with a row per query: the query, framed dark grey, then what was found, nearest
    /// first, framed green if right, red if wrong. The rows go from the worst query to the best.
    #[arg(long, value_name = "FILE", conflicts_with = "features")]
    pictures: Option<PathBuf>,
    /// Most rows of pictures.
    #[arg(long, value_name = "N", default_value = "20", requires = "pictures")]
    rows: NonZeroUsize,
}

pub fn run(args: &CopyDetectionArgs) -> Result<ExitCode> {
    args.source
        .check_outputs(&[&args.pictures], &[&args.names, &args.distractors, &args.whitening])?;
    args.pictures.as_deref().map_or(Ok(()), check_ending)?;
    let (source, result) = on_threads(args.source.output.threads, || measure(args))?;
    let whitening = match result.whitened_by {
        Some(n) => format!("whitened (power {}, {n} images)", result.options.whitening_power),
        None => "not whitened".to_owned(),
    };
    print_source(&source);
    say!(
        "copy detection, cosine, {whitening}: {} originals and {} distractors, features of {}; AP by \
         trapezoids over {}",
        result.originals,
        result.distractors,
        result.dim,
        result.depth()
    );
    if let Some(map) = result.strong {
        say!("{HEADLINE}: mAP {:.2} %", 100.0 * map);
    }
    say!("{:<16}{:>8}{:>9}", "block", "queries", "mAP %");
    for block in &result.blocks {
        say!("{:<16}{:>8}{:>9.2}", block.name, block.queries, 100.0 * block.map);
    }
    args.source.output.save(Protocol::CopyDetection, &source, &result)?;
    Ok(ExitCode::SUCCESS)
}

fn measure(args: &CopyDetectionArgs) -> Result<(Source, CopyDetectionResult)> {
    let options = CopyDetectionOptions { top: args.top, ..CopyDetectionOptions::default() };
    let more =
        [("distractors", args.distractors.as_deref()), ("whitening", args.whitening.as_deref())];
    let Some(checkpoint) = args.source.checkpoint()? else {
        let (originals, queries) = args.source.database_and_queries()?;
        let names = wanted(&args.names, "--names", "the file names")?;
        let mut source = files([
            ("features", Some(originals)),
            ("test features", Some(queries)),
            ("file names", Some(names)),
        ]);
        source.extend(files(more));
        for (option, path) in more {
            if path.is_some_and(Path::is_dir) {
                let detail =
                    format!("{option}: a folder of images needs a CHECKPOINT; give features");
                return Err(Error::usage(detail));
            }
        }
        let load = |path: &Option<PathBuf>| path.as_deref().map(FeatureSet::load).transpose();
        let names = CopyNames::load(names)?;
        let features = CopyFeatures {
            originals: FeatureSet::load(originals)?,
            queries: FeatureSet::load(queries)?,
            distractors: load(&args.distractors)?,
            whitening: load(&args.whitening)?,
        };
        let result = watched("rankings", |progress| evaluate(features, &names, options, progress))?;
        return Ok((source, result));
    };
    if args.names.is_some() {
        let detail = "--names is for --features: a data set has its own file names";
        return Err(Error::usage(detail.to_owned()));
    }
    within("--stretch", args.stretch, 1..=SIDE)?;
    let images = &args.source.images;
    let (mut file, mut source) = images.open(checkpoint)?;
    let contents = images.data.contents(&file)?;
    let (data, _) = images.data.config(&file)?;
    let transform = images.transform(&file, Protocol::CopyDetection, data.kind)?;
    let transform = EvalTransform { resize: args.stretch, size: args.stretch, ..transform };
    source.push(("data", contents.title.to_owned()));
    source.push(("images", CopySet::images(&transform, images.network.network)));
    source.extend(files(more));
    let reading = Reading { strict: data.strict, cache: 0 };
    // Folders hold images, files their features.
    let folders = more.map(|(_, path)| path.filter(|path| path.is_dir()));
    let files = more.map(|(_, path)| path.filter(|path| !path.is_dir()));
    if let (Some(_), Some(path)) = (&args.pictures, files[0]) {
        let path = path.display();
        let detail = format!("--pictures needs the distractors' images, and {path} is no folder");
        return Err(Error::usage(detail));
    }
    let [distractors, whitening] = files.map(|path| path.map(FeatureSet::load).transpose());
    let (distractors, whitening) = (distractors?, whitening?);
    let set =
        watched(contents.title, |progress| CopySet::new(&contents, folders, reading, progress))?;
    let lost: usize = set.parts().map(|data| data.skipped()).sum();
    if lost > 0 {
        source.push(("unreadable images", lost.to_string()));
    }
    let batch = batch_size(&file, None)?;
    let mut encoder = images.network.encoder(&mut file, transform, POOLED.name, batch)?;
    check_features(&encoder, set.parts().map(|data| data.len()).sum())?;
    let mut bar = PartsBar::default();
    let mut features =
        set.features(&mut encoder, |part, done, images| bar.set(part, done, images))?;
    bar.finish();
    features.distractors = features.distractors.or(distractors);
    features.whitening = features.whitening.or(whitening);
    let names = set.names();
    let result = watched("rankings", |progress| evaluate(features, &names, options, progress))?;
    if let Some(path) = &args.pictures {
        let copies: Vec<&dyn Dataset> = set.blocks.iter().map(|(_, data)| &**data).collect();
        let database: Vec<&dyn Dataset> =
            std::iter::once(&set.originals).chain(&set.distractors).map(|data| &**data).collect();
        draw(path, &sheet(&result, &copies, &database, args.rows.get(), KEPT)?)?;
    }
    Ok((source, result))
}
