//! What retrieval, copy detection and clustering keep for a look at single images, and the sheets
//! of it, by hand.

use std::sync::Mutex;

use carp::kmeans::{KmeansOptions, Start};
use datasets::{Dataset, Labels, MemoryDataset, Progress};
use evaluations::clustering::{self, Assigned, Cluster, ClusteringOptions, ClusteringResult};
use evaluations::copy_detection::{
    self, CopyBlock, CopyDetectionOptions, CopyDetectionResult, CopyFeatures, CopyNames,
};
use evaluations::features::FeatureSet;
use evaluations::picture_sheet::{Frame, Row, draw};
use evaluations::ranking::Ranked;
use evaluations::retrieval::{self, Relevance, RetrievalOptions};

const RIGHT: [u8; 3] = [46, 160, 67];
const WRONG: [u8; 3] = [218, 54, 51];
const QUERY: [u8; 3] = [88, 88, 96];
const JUNK: [u8; 3] = [176, 176, 184];
/// Side of a framed picture of 64 pixels and the gap after it.
const CELL: u32 = 64 + 2 * 3 + 4;

/// Pictures of 8 x 8 grey pixels, enlarged to 64 x 64 on a sheet.
fn pictures(greys: &[u8], labels: &[u32]) -> MemoryDataset {
    let pixels: Vec<u8> = greys.iter().flat_map(|&grey| [grey; 64]).collect();
    let names = ["a", "b"].map(str::to_owned).to_vec();
    MemoryDataset::new("greys".to_owned(), (8, 8, 1), &pixels, labels.to_vec(), names)
}

/// The frame's colour and the grey of each picture in a row of the drawn sheet, given how many
/// pictures each group has.
fn drawn(rows: &[Row], row: u32, groups: &[u32]) -> Vec<([u8; 3], u8)> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sheet.png");
    draw(&path, rows).unwrap();
    let sheet = image::open(&path).unwrap().into_rgb8();
    assert_eq!(sheet.height(), 4 + rows.len() as u32 * CELL);
    let (mut found, mut x) = (Vec::new(), 4);
    for pictures in groups {
        for _ in 0..*pictures {
            let y = 4 + row * CELL;
            found.push((sheet.get_pixel(x, y).0, sheet.get_pixel(x + 3, y + 3).0[0]));
            x += CELL;
        }
        x += 16;
    }
    found
}

fn set(features: &[f32], dim: usize, labels: Labels) -> FeatureSet {
    FeatureSet { features: features.to_vec(), dim, labels, class_names: vec![] }
}

fn at_angles(degrees: &[f32]) -> FeatureSet {
    let point = |angle: &f32| [angle.to_radians().cos(), angle.to_radians().sin()];
    set(&degrees.iter().flat_map(point).collect::<Vec<f32>>(), 2, Labels::None)
}

#[test]
fn retrieval_shows_failures_and_successes() {
    let database = at_angles(&[0.0, 10.0, 20.0, 30.0, 90.0]);
    let queries = at_angles(&[1.0, 80.0, 25.0]);
    // The second query finds its one image last, the third has none.
    let relevance = Relevance {
        easy: vec![vec![0], vec![0], vec![]],
        hard: vec![vec![2], vec![], vec![]],
        junk: vec![vec![1], vec![], vec![3]],
    };
    let seen = Mutex::new(Vec::new());
    let show = |done, all| seen.lock().unwrap().push((done, all));
    let options = RetrievalOptions::default();
    let progress = Progress::new(&show);
    let result = retrieval::evaluate(&database, &queries, &relevance, options, progress).unwrap();
    assert_eq!(*seen.lock().unwrap(), [(3, 3)]);
    let kinds = |query: usize| -> Vec<(u32, Frame)> {
        result.rankings[query].first.iter().map(|ranked| (ranked.row, ranked.kind)).collect()
    };
    use Frame::{Neutral, Right, Wrong};
    assert_eq!(kinds(0), [(0, Right), (1, Neutral), (2, Right), (3, Wrong), (4, Wrong)]);
    assert_eq!(kinds(1), [(4, Wrong), (3, Wrong), (2, Wrong), (1, Wrong), (0, Right)]);
    let precisions: Vec<Option<f64>> =
        result.rankings.iter().map(|ranking| ranking.average_precision).collect();
    assert_eq!(precisions, [Some(1.0), Some(0.1), None]);
    assert_eq!(precisions, result.medium.average_precisions);
    assert!(serde_json::to_value(&result).unwrap().get("rankings").is_none());

    // The worst first; a query that does not count is not shown.
    let (asked, known) = (pictures(&[200, 201, 202], &[]), pictures(&[0, 1, 2, 3, 4], &[]));
    let rows = retrieval::sheet(&result, &asked, &known, 9, 3).unwrap();
    assert_eq!(rows.len(), 2);
    let worst = [(QUERY, 201), (WRONG, 4), (WRONG, 3), (WRONG, 2)];
    assert_eq!(drawn(&rows, 0, &[1, 3]), worst);
    let best = [(QUERY, 200), (RIGHT, 0), (JUNK, 1), (RIGHT, 2)];
    assert_eq!(drawn(&rows, 1, &[1, 3]), best);
    let wrong = retrieval::sheet(&result, &known, &known, 9, 3).err().unwrap().to_string();
    assert_eq!(wrong, "a sheet of rankings: 5 images for 3 rows of queries");
}

#[test]
fn copies_are_shown_from_several_data_sets() {
    let block = |name: &str, query: &str| CopyBlock {
        name: name.to_owned(),
        queries: vec![query.to_owned()],
    };
    let names = CopyNames {
        originals: ["aaaa.jpg", "bbbb.jpg", "cccc.jpg"].map(str::to_owned).to_vec(),
        blocks: vec![block("strong", "aaaa1.jpg"), block("crops/50", "bbbb1.jpg")],
    };
    let run = |top| -> CopyDetectionResult {
        let features = CopyFeatures {
            originals: at_angles(&[0.0, 90.0, 45.0]),
            queries: at_angles(&[12.0, 91.0]),
            distractors: Some(at_angles(&[10.0])),
            whitening: None,
        };
        let options = CopyDetectionOptions { top, ..CopyDetectionOptions::default() };
        copy_detection::evaluate(features, &names, options, Progress::none()).unwrap()
    };
    let result = run(20);
    // Row 3 is the distractor. Rank 1: ((0 / 1) + (1 / 2)) / 2.
    let ranked = |row, is_right| Ranked { row, kind: Frame::right(is_right) };
    let first = [ranked(3, false), ranked(0, true), ranked(2, false), ranked(1, false)];
    assert_eq!(result.rankings[0].first, first);
    let precisions: Vec<Option<f64>> =
        result.rankings.iter().map(|ranking| ranking.average_precision).collect();
    assert_eq!(precisions, [Some(0.25), Some(1.0)]);
    // What counts is what `top` says, what is kept is not.
    let shallow = run(1);
    assert_eq!(shallow.rankings[0].average_precision, Some(0.0));
    assert_eq!(shallow.rankings[0].first, first);

    let [strong, crops] = [200, 201].map(|grey| pictures(&[grey], &[]));
    let (originals, distractors) = (pictures(&[0, 1, 2], &[]), pictures(&[9], &[]));
    let queries: [&dyn Dataset; 2] = [&strong, &crops];
    let database: [&dyn Dataset; 2] = [&originals, &distractors];
    let rows = copy_detection::sheet(&result, &queries, &database, 2, 2).unwrap();
    assert_eq!(drawn(&rows, 0, &[1, 2]), [(QUERY, 200), (WRONG, 9), (RIGHT, 0)]);
    assert_eq!(drawn(&rows, 1, &[1, 2]), [(QUERY, 201), (RIGHT, 1), (WRONG, 2)]);
    // One row is the worst.
    let rows = copy_detection::sheet(&result, &queries, &database, 1, 2).unwrap();
    assert_eq!((rows.len(), drawn(&rows, 0, &[1])), (1, vec![(QUERY, 200)]));
    assert!(copy_detection::sheet(&result, &queries, &database[..1], 2, 2).is_err());
}

fn clustered(features: &FeatureSet, clusters: usize, spherical: bool) -> ClusteringResult {
    let options = ClusteringOptions {
        kmeans: KmeansOptions {
            clusters,
            spherical,
            start: Start::PlusPlus,
            ..ClusteringOptions::default().kmeans
        },
        standardize: false,
        max_points_per_centroid: 0,
    };
    clustering::evaluate(features.clone(), None, options, Progress::none()).unwrap()
}

#[test]
fn clusters_are_matched_and_shown() {
    // Two pure enough clusters, and one image far from both.
    let labels = vec![3, 3, 8, 8, 8, 8, 8];
    let features = [0.0, 0.3, 0.9, 10.0, 10.3, 10.1, 100.0];
    let result = clustered(&set(&features, 1, Labels::Single(labels.clone())), 3, false);
    let cluster = |row: usize| result.assigned[row].cluster;
    let held = |row: usize| result.per_cluster[cluster(row) as usize];
    assert_eq!(held(0), Cluster { images: 3, class: Some(3), right: 2 });
    assert_eq!(held(3), Cluster { images: 3, class: Some(8), right: 3 });
    assert_eq!(held(6), Cluster { images: 1, class: None, right: 0 });
    // Distances to 0.4.
    for (row, distance) in [0.4, 0.1, 0.5].into_iter().enumerate() {
        assert!((result.assigned[row].distance - distance).abs() < 1e-6);
    }
    assert_eq!(result.scores.accuracy, 5.0 / 7.0);
    assert_eq!(result.confusion.accuracy(), Some(5.0 / 7.0));
    assert_eq!(result.confusion.counts().collect::<Vec<_>>(), [[2, 0], [1, 3]]);
    assert_eq!(result.confusion.without_class(), [0, 1]);
    let json = serde_json::to_value(&result).unwrap();
    assert_eq!((&json["clusters"], &json["per_class"][1]["right"]), (&3.into(), &3.into()));
    assert!(json.get("assigned").is_none() && json["per_cluster"].as_array().unwrap().len() == 3);

    let greys = [10, 11, 12, 13, 14, 15, 16];
    let images = pictures(&greys, &labels);
    let rows = clustering::sheet(&result, &images, 9, 3).unwrap();
    assert_eq!(drawn(&rows, 0, &[1]), [(JUNK, 16)]);
    assert_eq!(drawn(&rows, 1, &[3]), [(RIGHT, 11), (RIGHT, 10), (WRONG, 12)]);
    assert_eq!(drawn(&rows, 2, &[1]), [(RIGHT, 15)]);
    assert_eq!(clustering::sheet(&result, &images, 2, 3).unwrap().len(), 2);
    let line = clustering::sheet(&result, &pictures(&[1], &[3]), 2, 3).err().unwrap().to_string();
    assert_eq!(line, "a sheet of clusters: 1 images for 7 features");
}

#[test]
fn spherical_distances_are_of_directions() {
    let both = set(&[3.0, 0.0, 0.0, 3.0], 2, Labels::Single(vec![0, 1]));
    let result = clustered(&both, 1, true);
    for Assigned { cluster, distance } in result.assigned {
        assert!(cluster == 0 && (distance - (1.0 - 0.5f32.sqrt())).abs() < 1e-6);
    }
}
