//! Evaluations of features against scikit-learn, faiss and the protocols' published descriptions
//! (fixtures made by tools/golden_eval.py).

use std::path::Path;

use carp::kmeans::{KmeansOptions, Start, kmeans};
use datasets::{Labels, Progress};
use evaluations::average_precision::Interpolation;
use evaluations::clustering::{self, ClusteringOptions};
use evaluations::clustering_scores::clustering_scores;
use evaluations::copy_detection::{self, CopyDetectionOptions, CopyFeatures, CopyNames};
use evaluations::features::{FeatureSet, Labelled};
use evaluations::few_shot::{self, Difficult, FewShotOptions};
use evaluations::knn::{self, KnnOptions, classify};
use evaluations::linear_svm::{self, SvmOptions};
use evaluations::retrieval::{self, Relevance, RetrievalOptions};
use safetensors::{Dtype, SafeTensors};
use tensor::random::{Purpose, Stream};

/// The bytes of a fixture.
fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/eval");
    std::fs::read(folder.join(format!("{name}.safetensors"))).unwrap()
}

/// Tensors of a fixture by name.
struct Tensors<'a>(SafeTensors<'a>);

impl Tensors<'_> {
    fn of(bytes: &[u8]) -> Tensors<'_> {
        Tensors(SafeTensors::deserialize(bytes).unwrap())
    }

    /// Numbers of any kind.
    fn numbers(&self, name: &str) -> Vec<f64> {
        let view = self.0.tensor(name).unwrap();
        let (data, size) = (view.data(), view.dtype().bitsize() / 8);
        let number = |bytes: &[u8]| match view.dtype() {
            Dtype::F64 => f64::from_le_bytes(bytes.try_into().unwrap()),
            Dtype::F32 => f32::from_le_bytes(bytes.try_into().unwrap()).into(),
            Dtype::I32 => i32::from_le_bytes(bytes.try_into().unwrap()).into(),
            Dtype::U8 => bytes[0].into(),
            other => panic!("{name} is {other:?}"),
        };
        data.chunks_exact(size).map(number).collect()
    }

    fn labels(&self, name: &str) -> Vec<u32> {
        self.numbers(name).iter().map(|&x| x as u32).collect()
    }

    /// Features and, if there is such a tensor, labels.
    fn set(&self, features: &str, labels: &str) -> FeatureSet {
        let dim = self.0.tensor(features).unwrap().shape()[1];
        let labels = match self.0.tensor(labels) {
            Err(_) => Labels::None,
            Ok(view) if view.shape().len() == 1 => Labels::Single(self.labels(labels)),
            Ok(view) => Labels::Multi {
                classes: view.shape()[1],
                shown: self.numbers(labels).iter().map(|&x| x as i32).collect(),
            },
        };
        let features = self.numbers(features).iter().map(|&x| x as f32).collect();
        FeatureSet { features, dim, labels, class_names: vec![] }
    }

    fn text(bytes: &[u8], key: &str) -> String {
        let (_, header) = SafeTensors::read_metadata(bytes).unwrap();
        header.metadata().as_ref().unwrap()[key].clone()
    }
}

fn close(got: f64, wanted: f64, tolerance: f64, what: &str) {
    assert!((got - wanted).abs() <= tolerance, "{what}: {got}, should be {wanted}");
}

#[test]
fn knn_predicts_as_scikit_learn() {
    let bytes = fixture("knn");
    let tensors = Tensors::of(&bytes);
    let (train, test) = (tensors.set("features", "labels"), tensors.set("test", "test_labels"));
    let (labels, test_labels) = (tensors.labels("labels"), tensors.labels("test_labels"));
    let ks = vec![1, 10, 60, 200];
    let bank = Labelled { features: &train.features, labels: &labels };
    let queries = Labelled { features: &test.features, labels: &test_labels };
    let rankings = classify(bank, queries, train.dim, 7, &ks, 0.07, Progress::none()).unwrap();
    let options = KnnOptions { ks: ks.clone(), ..KnnOptions::default() };
    let result = knn::evaluate(&train, &test, options, Progress::none()).unwrap();
    // The confusion matrix is that of scikit-learn's predictions, image by image.
    let best = result.accuracies.iter().map(|accuracy| accuracy.top1).fold(0.0, f64::max);
    let of_best = result.accuracies.iter().find(|accuracy| accuracy.top1 == best).unwrap();
    assert_eq!(result.confusion_k, of_best.k);
    let predicted = tensors.labels(&format!("predictions.{}", of_best.k));
    for (label, counts) in (0..).zip(result.confusion.counts()) {
        for (class, count) in (0..).zip(counts) {
            let pairs = test_labels.iter().zip(&predicted);
            let wanted = pairs.filter(|&pair| pair == (&label, &class)).count();
            assert_eq!(count, wanted as u64, "{label} as {class}");
        }
    }
    let right: u64 = result.confusion.per_class().iter().map(|class| class.right).sum();
    assert_eq!(right as f64 / 200.0, best);
    let json = serde_json::to_value(&result).unwrap();
    assert_eq!(json["per_class"].as_array().unwrap().len(), 7);
    let accuracies = result.accuracies;
    for ((k, rankings), accuracy) in ks.iter().zip(&rankings).zip(accuracies) {
        let predicted: Vec<u32> = rankings.iter().map(|ranking| ranking[0]).collect();
        assert_eq!(predicted, tensors.labels(&format!("predictions.{k}")), "k = {k}");
        let first_five = tensors.labels(&format!("first_five.{k}"));
        let voted = tensors.labels(&format!("voted.{k}"));
        let mut within = 0;
        for (row, ranking) in rankings.iter().enumerate() {
            let first_five = &first_five[5 * row..][..5.min(voted[row] as usize)];
            assert_eq!(ranking, first_five, "k = {k}");
            within += usize::from(first_five.contains(&test_labels[row]));
        }
        let right = predicted.iter().zip(&test_labels).filter(|(a, b)| a == b).count();
        assert_eq!((accuracy.top1, accuracy.top5), (right as f64 / 200.0, within as f64 / 200.0));
        assert!(accuracy.top1 > 0.5);
    }
}

#[test]
fn decision_values_are_scikit_learns() {
    let bytes = fixture("svm");
    let tensors = Tensors::of(&bytes);
    let (train, test) = (tensors.set("features", "labels"), tensors.set("test", "test_labels"));
    let scaled = |set: &FeatureSet| -> Vec<f32> {
        let row = |x: &[f32]| -> Vec<f32> {
            let length = x.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt() + 1e-5;
            x.iter().map(|&x| (f64::from(x) / length) as f32).collect()
        };
        set.features.chunks(set.dim).flat_map(row).collect()
    };
    let (rows, test_rows) = (scaled(&train), scaled(&test));
    let labels = tensors.numbers("labels");
    for (cost, difficult) in
        [(0.5, "negative"), (0.5, "ignored"), (4.0, "negative"), (4.0, "ignored")]
    {
        let name = format!("{cost:?}.{difficult}");
        let wanted = tensors.numbers(&format!("decisions.{name}"));
        for class in 0..6 {
            let label = |row: usize| labels[row * 6 + class];
            let used =
                (0..train.rows()).filter(|&row| difficult == "negative" || label(row) != 0.0);
            let (examples, positive): (Vec<&[f32]>, Vec<bool>) =
                used.map(|row| (&rows[row * train.dim..][..train.dim], label(row) > 0.0)).unzip();
            let mut stream = Stream::new(5, Purpose::Test, 0, class as u64);
            let svm =
                linear_svm::train(&examples, &positive, cost, &SvmOptions::default(), &mut stream);
            assert!(svm.has_converged);
            let wanted = &wanted[class * test.rows()..][..test.rows()];
            for (x, &wanted) in test_rows.chunks(test.dim).zip(wanted) {
                close(svm.decision(x), wanted, 1e-3, &format!("{name}, class {class}"));
            }
        }
        let options = |interpolation| FewShotOptions {
            costs: vec![cost],
            shots: vec![],
            interpolation,
            difficult: match difficult {
                "negative" => Difficult::Negative,
                _ => Difficult::Ignored,
            },
            ..FewShotOptions::default()
        };
        let maps = tensors.numbers(&format!("map.{name}"));
        let shown = |class: usize| {
            let labels = tensors.numbers("test_labels");
            labels.iter().skip(class).step_by(6).filter(|&&label| label > 0.0).count()
        };
        for (interpolation, wanted) in
            [Interpolation::AllPoints, Interpolation::ElevenPoints].into_iter().zip(maps)
        {
            let got = few_shot::evaluate(
                train.clone(),
                test.clone(),
                options(interpolation),
                Progress::none(),
            )
            .unwrap();
            close(got.scores[0].map, wanted, 1e-6, &format!("mAP of {name}, {interpolation:?}"));
            let classes = &got.scores[0].per_class;
            let precisions = classes.iter().map(|class| class.average_precision.unwrap());
            close(precisions.sum::<f64>() / 6.0, wanted, 1e-6, "mean of the classes");
            for (class, found) in classes.iter().enumerate() {
                assert_eq!((found.images, found.accuracy), (shown(class), None));
            }
        }
    }
}

#[test]
fn draws_have_a_mean_and_a_deviation() {
    let bytes = fixture("svm");
    let tensors = Tensors::of(&bytes);
    let sets = || (tensors.set("features", "labels"), tensors.set("test", "test_labels"));
    let options =
        FewShotOptions { costs: vec![0.5, 4.0], shots: vec![1, 8], ..FewShotOptions::default() };
    let run = |options: &FewShotOptions| {
        let (train, test) = sets();
        few_shot::evaluate(train, test, options.clone(), Progress::none()).unwrap()
    };
    let result = run(&options);
    let [one, eight, full] = &result.scores[..] else { panic!("two shots and all") };
    assert_eq!((one.shots, eight.shots, full.shots), (Some(1), Some(8), None));
    assert_eq!((one.draws, full.draws), (5, 1));
    assert!(one.map < eight.map && eight.map < full.map, "{result:?}");
    assert!(one.map_sd > 0.0 && full.map_sd == 0.0);
    let best = full.costs.iter().map(|cost| cost.map).fold(0.0, f64::max);
    assert_eq!(full.map, best);
    // Draws depend on the seed.
    assert_eq!(run(&options).scores[0].map, one.map);
    assert_ne!(run(&FewShotOptions { seed: 1, ..options }).scores[0].map, one.map);
}

#[test]
fn one_class_per_image_has_accuracy() {
    let bytes = fixture("knn");
    let tensors = Tensors::of(&bytes);
    let (train, test) = (tensors.set("features", "labels"), tensors.set("test", "test_labels"));
    let options = FewShotOptions { shots: vec![2], draws: 2, ..FewShotOptions::default() };
    let result = few_shot::evaluate(train, test, options, Progress::none()).unwrap();
    let accuracy = |i: usize| result.scores[i].costs[0].accuracy.unwrap();
    assert!(accuracy(0) > 1.0 / 7.0 && accuracy(1) > accuracy(0), "{result:?}");
    for (at, score) in result.scores.iter().enumerate() {
        let classes = score.per_class.iter();
        let right = classes.map(|class| class.accuracy.unwrap() * class.images as f64);
        close(right.sum::<f64>() / 200.0, accuracy(at), 1e-12, "right images of all classes");
    }
}

#[test]
fn clustering_scores_are_scikit_learns() {
    let bytes = fixture("scores");
    let tensors = Tensors::of(&bytes);
    let mut cases = 0;
    for name in tensors.0.names().iter().filter_map(|name| name.strip_prefix("classes.")) {
        let classes = tensors.labels(&format!("classes.{name}"));
        let scores = clustering_scores(&classes, &tensors.labels(&format!("clusters.{name}")));
        let got = [
            ("NMI", scores.nmi),
            ("AMI", scores.ami),
            ("ARI", scores.ari),
            ("Fowlkes-Mallows", scores.fowlkes_mallows),
            ("homogeneity", scores.homogeneity),
            ("completeness", scores.completeness),
            ("V-measure", scores.v_measure),
            ("accuracy", scores.accuracy),
        ];
        let wanted = tensors.numbers(&format!("scores.{name}"));
        assert_eq!(wanted.len(), got.len());
        for ((score, got), wanted) in got.into_iter().zip(wanted) {
            close(got, wanted, 1e-9, &format!("{score} of {name}"));
        }
        cases += 1;
    }
    assert_eq!(cases, 16);
}

#[test]
fn kmeans_is_not_worse_than_faiss() {
    let bytes = fixture("kmeans");
    let tensors = Tensors::of(&bytes);
    let set = tensors.set("features", "labels");
    let number = |name: &str| tensors.numbers(name)[0];
    for start in [Start::Random, Start::PlusPlus] {
        let options = |spherical| KmeansOptions {
            clusters: 8,
            spherical,
            start,
            starts: 10,
            iterations: 100,
            seed: 0,
        };
        let inertia =
            kmeans(&set.features, set.dim, &options(false), Progress::none()).unwrap().objective;
        let products =
            -kmeans(&set.features, set.dim, &options(true), Progress::none()).unwrap().objective;
        // Single precision on 1500 points: far below the gap to another optimum.
        let slack = 1.0 + 1e-6;
        assert!(inertia <= number("faiss_inertia") * slack, "{inertia} {start:?}");
        assert!(inertia <= number("sklearn_inertia") * slack, "{inertia} {start:?}");
        assert!(products * slack >= number("faiss_products"), "{products} {start:?}");
        let options = ClusteringOptions {
            kmeans: options(true),
            max_points_per_centroid: 0,
            ..ClusteringOptions::default()
        };
        let result = clustering::evaluate(set.clone(), None, options, Progress::none()).unwrap();
        let products = -result.objective;
        let wanted = number("faiss_products_standardized");
        assert!(products * slack >= wanted, "{products} {wanted} {start:?}");
        assert!(result.scores.nmi >= number("faiss_nmi_standardized") - 0.01, "{result:?}");
    }
    // faiss's limit on points per centroid.
    let kmeans = KmeansOptions { clusters: 0, ..ClusteringOptions::default().kmeans };
    let options = ClusteringOptions { kmeans, max_points_per_centroid: 100, standardize: true };
    let result = clustering::evaluate(set.clone(), Some(set), options, Progress::none()).unwrap();
    assert_eq!((result.points, result.scored, result.options.kmeans.clusters), (800, 1500, 8));
    assert!(result.scores.nmi > 0.9);
}

#[test]
fn retrieval_follows_the_revisited_protocol() {
    let bytes = fixture("retrieval");
    let tensors = Tensors::of(&bytes);
    let relevance: Relevance = serde_json::from_str(&Tensors::text(&bytes, "relevance")).unwrap();
    let (database, queries) = (tensors.set("features", ""), tensors.set("test", ""));
    let run = |relevance: &Relevance, options| {
        retrieval::evaluate(&database, &queries, relevance, options, Progress::none())
    };
    let result = run(&relevance, RetrievalOptions::default()).unwrap();
    for (name, got) in [("easy", &result.easy), ("medium", &result.medium), ("hard", &result.hard)]
    {
        let wanted = tensors.numbers(&format!("ap.{name}"));
        for (got, wanted) in got.average_precisions.iter().zip(&wanted) {
            assert_eq!(got.is_none(), wanted.is_nan());
            close(got.unwrap_or(0.0), if wanted.is_nan() { 0.0 } else { *wanted }, 1e-12, name);
        }
        let means: Vec<f64> =
            got.map.into_iter().chain(got.mean_precision.iter().flatten().copied()).collect();
        let wanted = tensors.numbers(&format!("means.{name}"));
        assert_eq!(means.len(), wanted.len());
        for (got, wanted) in means.into_iter().zip(wanted) {
            close(got, wanted, 1e-12, name);
        }
    }
    let line = |change: fn(&mut Relevance)| {
        let mut changed = relevance.clone();
        change(&mut changed);
        run(&changed, RetrievalOptions::default()).unwrap_err().to_string()
    };
    let dropped = line(|relevance| drop(relevance.hard.pop()));
    assert_eq!(dropped, "retrieval: `hard` has 6 lists for 7 queries");
    let outside = line(|relevance| relevance.junk[2].push(80));
    assert_eq!(outside, "retrieval: `junk` of query 2: 80 should be below 80, the database images");
    let twice = line(|relevance| relevance.junk[0] = relevance.easy[0].clone());
    assert!(twice.starts_with("retrieval: `junk` of query 0: ") && twice.ends_with("twice"));
    let zero = run(&relevance, RetrievalOptions { precision_at: vec![0] });
    assert!(zero.unwrap_err().to_string().contains("rank 0"));
}

#[test]
fn copies_are_found_as_by_the_published_protocol() {
    let bytes = fixture("copy_detection");
    let tensors = Tensors::of(&bytes);
    let names: CopyNames = serde_json::from_str(&Tensors::text(&bytes, "names")).unwrap();
    let features = |white: bool, distracted: bool| CopyFeatures {
        originals: tensors.set("originals", ""),
        queries: tensors.set("queries", ""),
        distractors: distracted.then(|| tensors.set("distractors", "")),
        whitening: white.then(|| tensors.set("whitening", "")),
    };
    for (white, white_name) in [(false, "plain"), (true, "white")] {
        for (distracted, distracted_name) in [(false, "own"), (true, "more")] {
            for top in [20, 0] {
                let options = CopyDetectionOptions { top, ..CopyDetectionOptions::default() };
                let result = copy_detection::evaluate(
                    features(white, distracted),
                    &names,
                    options,
                    Progress::none(),
                )
                .unwrap();
                let name = format!("map.{white_name}.{distracted_name}.{top}");
                for (block, wanted) in result.blocks.iter().zip(tensors.numbers(&name)) {
                    close(block.map, wanted, 1e-9, &format!("{name} of {}", block.name));
                }
                assert_eq!(result.strong, Some(result.blocks[0].map));
                assert_eq!(result.distractors, if distracted { 120 } else { 0 });
                let depth = if top == 20 { "the first 20" } else { "the whole ranking" };
                assert_eq!(result.depth(), depth);
            }
        }
    }
    let line = |change: fn(&mut CopyNames)| {
        let mut names = names.clone();
        change(&mut names);
        let options = CopyDetectionOptions::default();
        copy_detection::evaluate(features(false, false), &names, options, Progress::none())
            .unwrap_err()
            .to_string()
    };
    let short = line(|names| drop(names.originals.pop()));
    assert_eq!(short, "copy detection: 40 original features, 39 original names");
    let lost = line(|names| names.blocks[0].queries[3] = "x.jpg".to_owned());
    assert_eq!(lost, "copy detection: no original for x.jpg");
}

#[test]
fn bad_sets_are_one_line() {
    let set = |dim: usize, labels| FeatureSet {
        features: vec![1.0; 4 * dim],
        dim,
        labels,
        class_names: vec![],
    };
    let single = || set(2, Labels::Single(vec![0, 1, 0, 1]));
    let multi = |shown: [i32; 8]| set(2, Labels::Multi { classes: 2, shown: shown.to_vec() });
    let hot = || multi([1, 0, 0, 1, 1, 0, 0, 1]);
    let few = |train, test, options| {
        few_shot::evaluate(train, test, options, Progress::none()).unwrap_err()
    };
    let options = FewShotOptions { shots: vec![1], draws: 1, ..FewShotOptions::default() };
    let lines = [
        (
            knn::evaluate(
                &single(),
                &set(3, Labels::None),
                KnnOptions::default(),
                Progress::none(),
            )
            .unwrap_err(),
            "features of 2 and 3 numbers: both must come from one network",
        ),
        (
            knn::evaluate(
                &single(),
                &set(2, Labels::None),
                KnnOptions::default(),
                Progress::none(),
            )
            .unwrap_err(),
            "test features: has no `labels`; this protocol needs [N]",
        ),
        (
            clustering::evaluate(hot(), None, ClusteringOptions::default(), Progress::none())
                .unwrap_err(),
            "training features: labels are [N,2]; this protocol needs one class, [N]",
        ),
        (
            few(single(), hot(), options.clone()),
            "few-shot: training and test features need `labels`, both [N] or both [N,C]",
        ),
        (
            few(hot(), hot(), FewShotOptions { difficult: Difficult::Ignored, ..options.clone() }),
            "training labels have no -1: 0 then means absent, and cannot be ignored",
        ),
        (
            few(single(), single(), FewShotOptions { costs: vec![-1.0], ..options.clone() }),
            "few-shot: costs C should be above 0",
        ),
        (
            few(multi([1; 8]), hot(), options),
            "few-shot: no class has training images with it and without it",
        ),
    ];
    for (error, wanted) in lines {
        assert_eq!(error.to_string(), wanted);
    }
}
