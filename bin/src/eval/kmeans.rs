//! `carp eval kmeans`: clusters features and scores the clusters against the classes.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use carp::error::Result;
use carp::kmeans::{KmeansOptions, Start};
use clap::{Args, ValueEnum};
use evaluations::all::Protocol;
use evaluations::clustering::{ClusteringOptions, evaluate, sheet};
use evaluations::picture_sheet::{check_ending, draw};
use evaluations::ranking::KEPT;

use super::class_args::ClassArgs;
use super::feature_source::FeatureSource;
use super::image_source::Sets;
use super::report::print_source;
use super::whiten_args::WhitenArgs;
use crate::bars::watched;
use crate::print::say;
use crate::threads::on_threads;

#[derive(Args)]
pub struct KmeansArgs {
    #[command(flatten)]
    source: FeatureSource,
    #[command(flatten)]
    whitening: WhitenArgs,
    /// Number of clusters; 0 means one per class.
    #[arg(long, value_name = "K", default_value_t = 0)]
    clusters: usize,
    /// Use Euclidean distances and plain means [default: unit centroids compared by inner product,
    /// as in the authors' script].
    #[arg(long)]
    euclidean: bool,
    /// Initial centroids.
    #[arg(long, value_name = "NAME", value_enum, default_value_t = StartArg::Random)]
    start: StartArg,
    /// Number of starts; the best is reported.
    #[arg(long, value_name = "N", default_value_t = ClusteringOptions::default().kmeans.starts)]
    starts: usize,
    /// Maximum iterations per start.
    #[arg(long, value_name = "N", default_value_t = ClusteringOptions::default().kmeans.iterations)]
    iterations: usize,
    /// Maximum training features per cluster, drawn at random (faiss's default); 0 means all.
    #[arg(
        long,
        value_name = "N",
        default_value_t = ClusteringOptions::default().max_points_per_centroid
    )]
    max_points_per_centroid: usize,
    /// Do not standardise features by the training mean and standard deviation.
    #[arg(long)]
    no_standardize: bool,
    #[command(flatten)]
    classes: ClassArgs,
    /// Draw a PNG with a row of test pictures per cluster, nearest to its centroid first: framed
    /// green if their class is the cluster's, red if not, grey if it has none; the least pure first.
    #[arg(long, value_name = "FILE", conflicts_with = "features")]
    pictures: Option<PathBuf>,
    /// Most rows of pictures.
    #[arg(long, value_name = "N", default_value = "20", requires = "pictures")]
    rows: NonZeroUsize,
    /// Random seed.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum StartArg {
    /// Features drawn without replacement, as in faiss.
    Random,
    /// k-means++.
    PlusPlus,
}

pub fn run(args: &KmeansArgs) -> Result<ExitCode> {
    args.source.check_outputs(&[&args.classes.confusion, &args.pictures], &[])?;
    args.pictures.as_deref().map_or(Ok(()), check_ending)?;
    args.classes.check()?;
    let options = ClusteringOptions {
        kmeans: KmeansOptions {
            clusters: args.clusters,
            spherical: !args.euclidean,
            start: match args.start {
                StartArg::Random => Start::Random,
                StartArg::PlusPlus => Start::PlusPlus,
            },
            starts: args.starts,
            iterations: args.iterations,
            seed: args.seed,
        },
        standardize: !args.no_standardize,
        max_points_per_centroid: args.max_points_per_centroid,
    };
    let (source, result) = on_threads(args.source.output.threads, || {
        let Sets { train, test, source, test_images } =
            args.source.train_and_maybe_test(Protocol::Kmeans, &args.whitening)?;
        let result = watched("k-means", |progress| evaluate(train, test, options, progress))?;
        if let (Some(path), Some(images)) = (&args.pictures, test_images) {
            draw(path, &sheet(&result, &*images, args.rows.get(), KEPT)?)?;
        }
        Ok((source, result))
    })?;
    print_source(&source);
    let (options, scores) = (&result.options, &result.scores);
    let (kind, objective) = if options.kmeans.spherical {
        ("spherical", "sum of inner products")
    } else {
        ("Euclidean", "inertia")
    };
    let start = match options.kmeans.start {
        Start::Random => "random",
        Start::PlusPlus => "k-means++",
    };
    let features = if options.standardize { "standardised" } else { "plain" };
    say!(
        "{kind} k-means, {} clusters of {} {features} training features of {} (at most {} per \
         cluster; 0 is all)",
        options.kmeans.clusters,
        result.points,
        result.dim,
        options.max_points_per_centroid
    );
    say!(
        "best of {} {start} starts, seed {}: {} of at most {} iterations, {objective} {:.6e}",
        options.kmeans.starts,
        options.kmeans.seed,
        result.best_start_iterations,
        options.kmeans.iterations,
        result.objective.abs()
    );
    say!(
        "scores x 100 of {} {} features, each in the cluster of the nearest centroid",
        result.scored,
        result.scored_split
    );
    for (name, score) in [
        ("NMI", scores.nmi),
        ("AMI", scores.ami),
        ("ARI", scores.ari),
        ("Fowlkes-Mallows", scores.fowlkes_mallows),
        ("homogeneity", scores.homogeneity),
        ("completeness", scores.completeness),
        ("V-measure", scores.v_measure),
        ("accuracy (Hungarian)", scores.accuracy),
    ] {
        say!("{name:<20}  {:>7.2}", 100.0 * score);
    }
    args.classes.show(&result.confusion, "each cluster taken for the class it is matched to")?;
    args.source.output.save(Protocol::Kmeans, &source, &result)?;
    Ok(ExitCode::SUCCESS)
}
