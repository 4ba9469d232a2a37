//! Training of classifiers against PyTorch (fixtures/probe.safetensors, tools/golden_probe.py), and
//! the protocols `linear` and `semi`.

use std::path::Path;
use std::sync::Arc;

use autograd::{Executor, Graph, Phase, cross_entropy_index};
use carp::layout;
use carp::nn::{Arch, ResNetConfig, Stem};
use carp::optimizer::Optimizer;
use carp::schedule::EpochSchedule;
use carp::views::EvalTransform;
use datasets::{Dataset, Filter, Labels, MemoryDataset, Progress};
use evaluations::backbone::Backbone;
use evaluations::features::FeatureSet;
use evaluations::heads::{Heads, HeadsConfig};
use evaluations::linear::{LinearResult, LinearSettings, linear_of_backbone, linear_of_features};
use evaluations::semi::{FineTuner, FineTunerConfig, SemiSettings, semi};
use evaluations::trained::{LabelledSplits, TrainedBackbone};
use safetensors::SafeTensors;
use tensor::Cpu;
use tensor::random::{Purpose, Stream};

/// As in the script, relative to the largest element of a tensor or 1.
const TOLERANCE: f32 = 1e-4;

struct Fixture(Vec<u8>);

impl Fixture {
    fn open() -> Fixture {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/probe.safetensors");
        Fixture(std::fs::read(path).unwrap())
    }

    fn file(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.0).unwrap()
    }

    fn numbers(&self, name: &str) -> Vec<f32> {
        let number = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().unwrap());
        self.file().tensor(name).unwrap().data().chunks_exact(4).map(number).collect()
    }

    fn integers(&self, name: &str) -> Vec<u32> {
        let number = |bytes: &[u8]| i64::from_le_bytes(bytes.try_into().unwrap()) as u32;
        self.file().tensor(name).unwrap().data().chunks_exact(8).map(number).collect()
    }

    /// Tensors below a prefix in this project's layout.
    fn network(&self, prefix: &str) -> Vec<(String, Vec<f32>)> {
        let file = self.file();
        let below = |name: &&str| name.starts_with(prefix);
        let mut names: Vec<&str> = file.names().into_iter().filter(below).collect();
        names.sort_unstable();
        let tensor = |name: &str| {
            let data =
                layout::from_pytorch(file.tensor(name).unwrap().shape(), &self.numbers(name));
            (name[prefix.len()..].to_owned(), data)
        };
        names.into_iter().map(tensor).collect()
    }

    fn expect(&self, name: &str, got: &[f32]) {
        close(name, got, &self.numbers(name));
    }
}

fn close(name: &str, got: &[f32], want: &[f32]) {
    assert_eq!(got.len(), want.len(), "{name}");
    let most = want.iter().fold(1.0f32, |most, x| most.max(x.abs()));
    let error = got.iter().zip(want).fold(0.0f32, |most, (a, b)| most.max((a - b).abs()));
    assert!(error <= TOLERANCE * most, "{name}: off by {error:e}");
}

#[test]
fn cross_entropy_is_pytorchs() {
    let fixture = Fixture::open();
    let mut g = Graph::new();
    let (x, index) = (g.param("x", [6, 5]), g.input_u32("index", [6]));
    let dy = g.input("dy", [6]);
    let losses = g.cross_entropy(x, index).unwrap();
    let grad = g.backward(&[(losses, dy)], &[x]).unwrap()[0].unwrap();
    g.keep(losses);
    g.keep(grad);
    let mut executor = Executor::new(g, &Cpu).unwrap();
    executor.write(x, &fixture.numbers("ce.logits"));
    executor.write(dy, &fixture.numbers("ce.grad_y"));
    executor.write_u32(index, &cross_entropy_index(5, fixture.integers("ce.labels")));
    executor.run(Phase::Forward).unwrap();
    executor.run(Phase::Backward).unwrap();
    fixture.expect("ce.losses", &executor.read(losses));
    fixture.expect("ce.grad", &executor.read(grad));
}

#[test]
fn probes_train_as_pytorchs_do() {
    let fixture = Fixture::open();
    let (features, labels) = (fixture.numbers("probe.features"), fixture.integers("probe.labels"));
    let lars = Optimizer::Lars { momentum: 0.9, eta: 0.02 };
    for (name, optimizer, weight_decay) in
        [("lars", lars, 0.0), ("sgd", Optimizer::Sgd { momentum: 0.9 }, 1e-2)]
    {
        // Both learning rates in one graph; the script trains them in turn.
        let config =
            HeadsConfig { dim: 7, classes: 3, batch: 16, heads: 2, optimizer, weight_decay };
        let mut heads = Heads::new(&config, &Cpu).unwrap();
        for head in 0..2 {
            heads.set(head, &fixture.numbers("probe.weight"), &fixture.numbers("probe.bias"));
        }
        let mut losses = [vec![], vec![]];
        for epoch in 0..4 {
            let lr = [0.5, 2.0].map(|lr| EpochSchedule::Cosine.at(lr, epoch, 4) as f32);
            for rows in fixture.integers(&format!("probe.order.{epoch}")).chunks(16) {
                let row = |&row: &u32| features[row as usize * 7..][..7].to_vec();
                let batch: Vec<f32> = rows.iter().flat_map(row).collect();
                let batch_labels: Vec<u32> = rows.iter().map(|&row| labels[row as usize]).collect();
                let step = heads.step(&batch, &batch_labels, &lr).unwrap();
                losses.iter_mut().zip(step).for_each(|(losses, loss)| losses.push(loss));
            }
        }
        for (head, losses) in losses.iter().enumerate() {
            let (weight, bias) = heads.get(head);
            fixture.expect(&format!("probe.{name}.{head}.losses"), losses);
            fixture.expect(&format!("probe.{name}.{head}.weight"), &weight);
            fixture.expect(&format!("probe.{name}.{head}.bias"), &bias);
        }
        // Logits follow from the weights, also for more rows than a batch.
        let logits = heads.logits(&features).unwrap();
        for (row, logits) in features.chunks(7).zip(logits.chunks(6)) {
            for head in 0..2 {
                let (weight, bias) = heads.get(head);
                for class in 0..3 {
                    let weights = &weight[class * 7..][..7];
                    let dot: f32 = row.iter().zip(weights).map(|(x, w)| x * w).sum();
                    let want = dot + bias[class];
                    assert!((logits[head * 3 + class] - want).abs() < 1e-4 * (1.0 + want.abs()));
                }
            }
        }
    }
}

#[test]
fn fine_tuning_is_pytorchs() {
    let fixture = Fixture::open();
    let config = FineTunerConfig {
        resnet: small_resnet(),
        classes: 3,
        batch: 8,
        size: 10,
        momentum: 0.9,
        weight_decay: 1e-3,
    };
    let mut tuner = FineTuner::new(&config, &Cpu).unwrap();
    tuner.load(&fixture.network("tune.before."));
    let labels = fixture.integers("tune.labels");
    let mut losses = Vec::new();
    for (step, lr) in [[0.02, 0.5], [0.004, 0.1]].into_iter().enumerate() {
        let images = fixture.numbers(&format!("tune.images.{step}"));
        losses.push(
            tuner.step(&layout::from_pytorch(&[8, 1, 10, 10], &images), &labels, lr).unwrap(),
        );
    }
    fixture.expect("tune.losses", &losses);
    let after = fixture.network("tune.after.");
    let got = tuner.tensors();
    assert_eq!(got.len(), after.len());
    for (name, want) in &after {
        let (_, data) = got.iter().find(|(own, _)| own == name).expect("the same names");
        close(name, data, want);
    }
}

fn small_resnet() -> ResNetConfig {
    ResNetConfig {
        arch: Arch::ResNet18,
        stem: Stem::Cifar,
        width: 2,
        in_channels: 1,
        zero_init_residual: true,
    }
}

/// Three clouds of points; `noise` of 0.3 separates them well.
fn clouds(rows: usize, noise: f32, seed: u64) -> FeatureSet {
    let mut stream = Stream::new(seed, Purpose::Test, 0, 0);
    let labels: Vec<u32> = (0..rows as u32).map(|row| row % 3).collect();
    let mut features = Vec::new();
    for &label in &labels {
        for axis in 0..4 {
            let centre = if axis == label { 1.0 } else { 0.0 };
            features.push(centre + noise * stream.normal());
        }
    }
    FeatureSet { features, dim: 4, labels: Labels::Single(labels), class_names: vec![] }
}

fn settings() -> LinearSettings {
    LinearSettings { lr: vec![0.01, 1.0], epochs: 8, batch_size: 32, ..LinearSettings::inat18() }
}

fn probe(
    settings: &LinearSettings,
    train: &FeatureSet,
    test: &FeatureSet,
) -> Result<LinearResult, String> {
    let (a, b) = (Path::new("train.safetensors"), Path::new("test.safetensors"));
    let result = linear_of_features(settings, (train, a), (test, b), &Cpu, &mut |_| ());
    result.map_err(|error| error.to_string())
}

#[test]
fn a_probe_learns_and_reports_the_best_epoch() {
    let (train, test) = (clouds(203, 0.3, 1), clouds(99, 0.3, 2));
    let mut events = (0, 0);
    let (a, b) = (Path::new("a"), Path::new("b"));
    let result = linear_of_features(&settings(), (&train, a), (&test, b), &Cpu, &mut |event| {
        use evaluations::linear::ClassifierEvent;
        match event {
            ClassifierEvent::Step { step, steps } => {
                events.0 += 1;
                assert_eq!((step, steps), (events.0, 8 * 7));
            }
            ClassifierEvent::Epoch(results) => {
                events.1 += 1;
                assert!(results.iter().all(|result| result.epoch == events.1));
            }
        }
    })
    .unwrap();
    assert_eq!(events, (56, 8));
    assert_eq!((result.train_images, result.test_images), (203, 99));
    assert_eq!((result.classes, result.dim, result.heads.len()), (3, 4, 2));
    assert!(result.best().best.test.top1 > 0.95, "{:?}", result.best().best);
    assert_eq!(result.best().best.test.top5, 1.0);
    for head in &result.heads {
        let most = head.epochs.iter().fold(0.0f64, |most, epoch| most.max(epoch.test.top1));
        assert_eq!(head.best.test.top1, most);
        assert_eq!(&head.last, head.epochs.last().unwrap());
        assert!(head.last.loss < head.epochs[0].loss);
    }
    // The classes' right answers are those of the best epoch, 33 images each.
    let classes = result.confusion.per_class();
    let right: u64 = classes.iter().map(|class| class.right).sum();
    assert_eq!(right as f64 / 99.0, result.best().best.test.top1);
    assert!(classes.iter().all(|class| class.images == 33));
    // Labels with gaps, and a class without test images.
    let relabelled = |set: &FeatureSet, label: fn(&u32) -> u32| {
        let labels = set.classes(a).unwrap().iter().map(label).collect();
        FeatureSet { labels: Labels::Single(labels), ..set.clone() }
    };
    let far = relabelled(&train, |class| [7, 40, 1000][*class as usize]);
    let near = relabelled(&test, |class| [7, 1000, 1000][*class as usize]);
    let gaps = probe(&settings(), &far, &near).unwrap();
    let images = gaps
        .confusion
        .per_class()
        .iter()
        .map(|class| (class.label, class.images))
        .collect::<Vec<_>>();
    assert_eq!(images, [(7, 33), (40, 0), (1000, 66)]);
    let right: u64 = gaps.confusion.per_class().iter().map(|class| class.right).sum();
    assert_eq!(right as f64 / 99.0, gaps.best().best.test.top1);
    // A learning rate gives the same result with or without others.
    let alone = LinearSettings { lr: vec![1.0], ..settings() };
    assert_eq!(probe(&alone, &train, &test).unwrap().heads[0], result.heads[1]);
    // Few images per class, and a batch larger than all of them.
    let few = LinearSettings { images_per_class: Some(5), ..settings() };
    let few = probe(&few, &train, &test).unwrap();
    assert_eq!((few.train_images, few.settings.batch_size), (15, 15));
    // LARS; ImageNet's trust coefficient, for thousands of steps, is too low for these few.
    let lars =
        LinearSettings { epochs: 30, batch_size: 32, trust: 0.05, ..LinearSettings::imagenet() };
    assert!(probe(&lars, &train, &test).unwrap().best().best.test.top1 > 0.95);
}

#[test]
fn a_diverged_head_leaves_the_others_alone() {
    let (train, test) = (clouds(64, 0.3, 1), clouds(30, 0.3, 2));
    let both = LinearSettings { lr: vec![1e38, 0.3], ..settings() };
    let alone = LinearSettings { lr: vec![0.3], ..settings() };
    let both = probe(&both, &train, &test).unwrap();
    assert_eq!(both.heads[1], probe(&alone, &train, &test).unwrap().heads[0]);
    assert!(!both.heads[0].last.loss.is_finite());
    assert_eq!(both.confusion.accuracy(), Some(both.best().best.test.top1));
    assert_eq!((both.heads[0].last.test.top1, both.best_head), (0.0, 1));
    let hopeless = LinearSettings { lr: vec![1e38], ..settings() };
    let line = probe(&hopeless, &train, &test).unwrap_err();
    assert!(line.contains("not finite") && line.lines().count() == 1, "{line}");
}

#[test]
fn what_does_not_fit_is_one_line() {
    let (train, test) = (clouds(30, 0.3, 1), clouds(30, 0.3, 2));
    let fault = |settings: &LinearSettings, train: &FeatureSet, test: &FeatureSet, what: &str| {
        let line = probe(settings, train, test).unwrap_err();
        assert!(line.contains(what) && line.lines().count() == 1, "{line}");
    };
    let narrow = FeatureSet { dim: 3, features: vec![0.0; 90], ..test.clone() };
    fault(&settings(), &train, &narrow, "features of 4 and 3 numbers");
    let labelled = |set: &FeatureSet, label: &dyn Fn(u32) -> u32| FeatureSet {
        labels: Labels::Single((0..30).map(label).collect()),
        ..set.clone()
    };
    let new_class = labelled(&test, &|row| row / 10 + 1);
    // Test images of a class without training images count as wrong, and it is named.
    for (train, test, untrained) in
        [(&train, &new_class, 3), (&labelled(&train, &|row| row % 2 * 2), &test, 1)]
    {
        let result = probe(&settings(), train, test).unwrap();
        assert_eq!(
            (result.classes, &result.untrained[..]),
            (result.confusion.labels().len(), &[untrained][..])
        );
        let classes = result.confusion.per_class();
        let class = classes.iter().find(|class| class.label == untrained).unwrap();
        assert_eq!((class.images, class.right), (10, 0));
    }
    fault(&settings(), &labelled(&train, &|_| 2), &test, "fewer than two classes");
    let unlabelled = FeatureSet { labels: Labels::None, ..train.clone() };
    fault(&settings(), &unlabelled, &test, "has no `labels`");
    for (lr, what) in [(vec![0.1, 0.0], "learning rate 0"), (vec![-1.0], "learning rate -1")] {
        fault(&LinearSettings { lr, ..settings() }, &train, &test, what);
    }
    fault(&LinearSettings { lr: vec![], ..settings() }, &train, &test, "no learning rate");
    fault(&LinearSettings { lr: vec![f64::NAN], ..settings() }, &train, &test, "rate NaN");
    fault(&LinearSettings { epochs: 0, ..settings() }, &train, &test, "0 epochs");
    fault(&LinearSettings { momentum: 1.0, ..settings() }, &train, &test, "momentum 1");
    fault(&LinearSettings { trust: 0.0, ..settings() }, &train, &test, "trust coefficient 0");
    fault(&LinearSettings { weight_decay: -1.0, ..settings() }, &train, &test, "decay -1");
    fault(&LinearSettings { images_per_class: Some(0), ..settings() }, &train, &test, "0 images");
    let schedule = EpochSchedule::Multistep { milestones: vec![1], factor: -1.0 };
    fault(&LinearSettings { schedule, ..settings() }, &train, &test, "factor -1");
}

/// 8x8 images: a bright bar, horizontal or vertical, at random positions.
fn bars(count: usize, seed: u64) -> Arc<dyn Dataset> {
    let mut stream = Stream::new(seed, Purpose::Test, 1, 0);
    let mut pixels = Vec::new();
    for image in 0..count {
        let at = 2 + stream.below(4) as usize;
        for y in 0..8 {
            for x in 0..8 {
                let inside = if image % 2 == 0 { y == at } else { x == at };
                let noise = stream.below(40) as u8;
                pixels.push(noise + if inside { 200 } else { 0 });
            }
        }
    }
    Arc::new(MemoryDataset::new(
        "bars".to_owned(),
        (8, 8, 1),
        &pixels,
        (0..count as u32).map(|image| image % 2).collect(),
        ["lies", "stands"].map(str::to_owned).to_vec(),
    ))
}

fn bar_splits() -> LabelledSplits {
    let (train, test) = (bars(60, 1), bars(40, 2));
    LabelledSplits::of(train, test, Progress::none()).unwrap()
}

/// An untrained backbone for them.
fn bar_backbone() -> TrainedBackbone<'static> {
    let resnet = ResNetConfig { zero_init_residual: false, ..small_resnet() };
    TrainedBackbone {
        network: Backbone::untrained(&resnet, 5),
        transform: EvalTransform {
            filter: Filter::Bicubic,
            resize: 8,
            size: 8,
            mean: vec![0.1],
            std: vec![0.3],
        },
        batch: 7,
        threads: 2,
        device: &Cpu,
    }
}

/// Runs `work` on `threads` threads.
fn with_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

#[test]
fn a_frozen_backbone_with_random_views() {
    let (backbone, splits) = (bar_backbone(), bar_splits());
    let settings = LinearSettings { lr: vec![0.1], epochs: 3, batch_size: 16, ..settings() };
    let run = |crop_scale, threads: usize| {
        let backbone = TrainedBackbone { threads, ..backbone.clone() };
        with_threads(threads, || {
            linear_of_backbone(&settings, crop_scale, &backbone, &splits, &mut |_| ()).unwrap()
        })
    };
    let augmented = run(Some((0.5, 1.0)), 1);
    assert_eq!((augmented.train_images, augmented.dim), (60, 16));
    for threads in [2, 3] {
        assert_eq!(run(Some((0.5, 1.0)), threads), augmented);
    }
    // Every epoch has its own views, so training differs from that on stored features.
    let plain = run(None, 2);
    assert_ne!(plain.heads, augmented.heads);

    // Stored features match `linear_of_features` on the backbone's features.
    let mut extractor = backbone.extractor().unwrap();
    let mut set = |data: &Arc<dyn Dataset>, labels: &[u32]| FeatureSet {
        features: backbone.features(&mut extractor, data).unwrap(),
        dim: 16,
        labels: Labels::Single(labels.to_vec()),
        class_names: data.classes().to_vec(),
    };
    let train = set(&splits.train, &splits.train_labels);
    let test = set(&splits.test, &splits.test_labels);
    assert_eq!(probe(&settings, &train, &test).unwrap(), plain);

    let line = linear_of_backbone(&settings, Some((0.0, 1.0)), &backbone, &splits, &mut |_| ());
    assert!(line.unwrap_err().to_string().contains("crop scale 0,1"));
}

fn semi_settings(share: f64) -> SemiSettings {
    SemiSettings {
        epochs: 12,
        batch_size: 8,
        lr: 0.02,
        head_lr: 0.1,
        crop_scale: (0.6, 1.0),
        ..SemiSettings::swav(share)
    }
}

#[test]
fn fine_tuning_learns_with_the_same_bits_on_any_number_of_threads() {
    let (backbone, splits) = (bar_backbone(), bar_splits());
    let settings = semi_settings(0.7);
    let run = |threads: usize| {
        let backbone = TrainedBackbone { threads, ..backbone.clone() };
        with_threads(threads, || semi(&settings, &backbone, &splits, &mut |_| ()).unwrap())
    };
    let result = run(1);
    assert_eq!((result.train_images, result.left_out, result.test_images), (42, 2, 40));
    assert_eq!(result.epochs.len(), 12);
    assert!(result.best.test.top1 >= 0.8, "{:?}", result.epochs);
    assert_eq!(result.confusion.accuracy(), Some(result.best.test.top1));
    assert!(result.confusion.per_class().iter().all(|class| class.images == 20));
    for threads in [2, 3] {
        assert_eq!(run(threads), result);
    }
    assert_eq!(SemiSettings::swav(0.01).head_lr, 5.0);
    assert_eq!((SemiSettings::swav(0.1).lr, SemiSettings::swav(0.1).head_lr), (0.01, 0.2));
}

#[test]
fn fine_tuning_takes_a_list_and_refuses_what_does_not_do() {
    use evaluations::semi::KnownLabels;
    let (backbone, splits) = (bar_backbone(), bar_splits());
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("list.txt");
    let run = |settings: &SemiSettings| {
        semi(settings, &backbone, &splits, &mut |_| ()).map_err(|error| error.to_string())
    };
    let listed = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let labels = KnownLabels::List { path: path.clone() };
        run(&SemiSettings { labels, epochs: 1, ..semi_settings(1.0) })
    };
    let result = listed("3\n4\n11\n20\n").unwrap();
    assert_eq!((result.train_images, result.settings.batch_size), (4, 4));
    assert!(listed("3\nx.png\n").unwrap_err().contains("line 2: x.png is not a training image"));
    assert!(listed("3\n5\n").unwrap_err().contains("fewer than two classes"));
    let fault = |settings: SemiSettings, what: &str| {
        let line = run(&settings).unwrap_err();
        assert!(line.contains(what) && line.lines().count() == 1, "{line}");
    };
    fault(semi_settings(0.01), "1 % of 60 labels is 1, less than one for each of the 2 classes");
    fault(SemiSettings { lr: 0.0, ..semi_settings(0.5) }, "learning rate 0 of the backbone");
    fault(SemiSettings { head_lr: -2.0, ..semi_settings(0.5) }, "rate -2 of the classifier");
    fault(SemiSettings { batch_size: 1, ..semi_settings(0.5) }, "batches of 1");
    fault(SemiSettings { lr: 1e30, ..semi_settings(0.5) }, "choose lower ones");
    let schedule = EpochSchedule::Multistep { milestones: vec![1], factor: f64::NAN };
    fault(SemiSettings { schedule, ..semi_settings(0.5) }, "factor NaN");
    fault(semi_settings(0.0), "0 % of the labels");
}
