//! All methods: the same bits on any number of threads, after a stop and within a memory budget; and
//! settings that do not fit are refused before the first step.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use autograd::trace::Recomputed;
use carp::checkpoint::{Checkpoint, Progress, save};
use carp::config::Config;
use carp::fingerprint::Fingerprint;
use carp::learner::{Learner, NamedTensor, UpdateSettings};
use carp::method::MethodConfig;
use carp::step::{Step, StepConfig};
use carp::trainer::Trainer;
use tensor::{Backend, Cpu, Device, Io, Kernel, Slot};

/// Steps of the runs below; 2 are an epoch.
const STEPS: usize = 5;
/// Where one of them stops: within the second epoch.
const STOP: usize = 3;

/// A tiny run of a method; what a method is too large for is set smaller.
fn config(method: &str, more: &[(&str, &str)]) -> carp::Result<Config> {
    let own: &[(&str, &str)] = match method {
        "swav" => &[("method.queue", "24"), ("method.queue_from_epoch", "0")],
        "pcl-v2" => &[
            ("method.queue", "24"),
            ("method.clusters", "[16, 20]"),
            ("method.negatives", "4"),
            ("method.from_epoch", "1"),
        ],
        "infomin" => &[("method.queue", "24")],
        "obow" => &[("method.words", "24")],
        _ => &[],
    };
    let common = [
        ("method.name", method),
        ("data.train_size", "25"),
        ("data.test_size", "8"),
        ("model.width", "2"),
        ("model.hidden", "12"),
        ("model.bottleneck", "6"),
        ("model.prototypes", "8"),
        ("model.partition_size", "4"),
        ("train.batch_size", "12"),
        ("train.epochs", "3"),
    ];
    let all = common.iter().chain(own).chain(more);
    let all: Vec<_> = all.map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
    Config::load("shapes", &all)
}

/// Takes some steps.
fn advance(trainer: &mut Trainer, steps: std::ops::Range<usize>) {
    let mut pipeline = trainer.pipeline(steps.start).unwrap();
    for step in steps {
        trainer.start_epoch(step, datasets::Progress::none()).unwrap();
        trainer.step(step, pipeline.next_batch().unwrap()).unwrap();
    }
}

/// All that a checkpoint holds after the steps.
fn outcome(config: &Config, threads: usize) -> Vec<NamedTensor> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| {
        let mut trainer = Trainer::new(config, &Cpu).unwrap();
        advance(&mut trainer, 0..STEPS);
        bits(trainer.learner())
    })
}

fn bits(learner: &mut Learner) -> Vec<NamedTensor> {
    let all = learner.copies();
    assert!(all.iter().all(|(_, _, data)| data.iter().all(|x| x.is_finite())));
    all
}

#[test]
fn threads_and_budgets_change_no_bit() {
    for method in MethodConfig::all() {
        let name = method.name();
        let free = config(name, &[]).unwrap();
        let want = outcome(&free, 1);
        for threads in [2, 3, 8] {
            assert!(outcome(&free, threads) == want, "{name} on {threads} threads");
        }
        let bytes = Trainer::planned(&free, &Cpu).unwrap().learner().executor().plan().bytes();
        let budget = format!("{}B", bytes / 100 * 95);
        let bounded = config(name, &[("train.memory_budget", &budget)]).unwrap();
        let mut trainer = Trainer::planned(&bounded, &Cpu).unwrap();
        assert!(Recomputed::of(trainer.learner().executor().graph()).is_some(), "{name}");
        assert!(outcome(&bounded, 2) == want, "{name} within a budget");
    }
}

/// Where a [`Faulty`] device makes a NaN.
const NOWHERE: u8 = 0;
const IN_A_GRADIENT: u8 = 1;
const IN_THE_LOSS: u8 = 2;

/// A CPU that makes a NaN in the gradient of every convolution's weight, or in the loss once nothing but
/// the check reads it.
struct Faulty(Arc<AtomicU8>);

struct FaultyBackend {
    cpu: Box<dyn Backend>,
    place: Arc<AtomicU8>,
}

impl Device for Faulty {
    fn workspace(&self, kernel: &Kernel) -> usize {
        Cpu.workspace(kernel)
    }

    fn open(&self, elements: usize) -> tensor::Result<Box<dyn Backend>> {
        Ok(Box::new(FaultyBackend { cpu: Cpu.open(elements)?, place: Arc::clone(&self.0) }))
    }
}

impl Backend for FaultyBackend {
    tensor::moves_data_by!(cpu);

    fn all_finite(&mut self, x: Slot) -> bool {
        self.cpu.all_finite(x)
    }

    fn run(&mut self, kernel: &Kernel, io: &Io) {
        let place = self.place.load(Ordering::Relaxed);
        if place == IN_THE_LOSS && matches!(kernel, Kernel::NonFiniteCheck { .. }) {
            self.cpu.write(io.inputs[0], &[f32::NAN]);
        }
        self.cpu.run(kernel, io);
        if place == IN_A_GRADIENT && matches!(kernel, Kernel::Conv2dGradWeight(_)) {
            self.cpu.write(io.outputs[0].part(3, 1), &[f32::NAN]);
        }
    }
}

/// Nothing that is kept changes but what the forward pass changes: running statistics, OBoW's mean distance
/// of words, prototypes that it scales to length 1, and the teacher of methods that move it there.
#[test]
fn a_step_that_is_not_finite_changes_nothing_behind_its_gradients() {
    for method in MethodConfig::all() {
        let name = method.name();
        let config = config(name, &[]).unwrap();
        let in_forward = match name {
            "moco-v3" | "pcl-v2" | "obow" => "teacher.",
            "swav" | "sela-v2" => "student.prototypes",
            _ => "none.",
        };
        let kept = |trainer: &mut Trainer| -> Vec<NamedTensor> {
            let changes = |name: &str| {
                name.contains("running_")
                    || name.starts_with("state.mean_distance")
                    || name.starts_with(in_forward)
            };
            trainer.learner().copies().into_iter().filter(|(name, ..)| !changes(name)).collect()
        };
        let place = Arc::new(AtomicU8::new(NOWHERE));
        let device = Faulty(Arc::clone(&place));
        let mut trainer = Trainer::new(&config, &device).unwrap();
        advance(&mut trainer, 0..STOP);
        let mut pipeline = trainer.pipeline(STOP).unwrap();
        let batch = pipeline.next_batch().unwrap();
        let before = kept(&mut trainer);
        for (fault, line) in [
            (IN_A_GRADIENT, "a gradient is not finite in step 4: the first value that is not"),
            (
                IN_THE_LOSS,
                "the loss is not finite in step 4: the first value that is not finite is none",
            ),
        ] {
            place.store(fault, Ordering::Relaxed);
            for is_observed in [false, true] {
                let outcome = match is_observed {
                    false => trainer.step(STOP, batch),
                    true => trainer.observed_step(STOP, batch).map(|(terms, _)| terms),
                };
                let error = outcome.unwrap_err().to_string();
                assert!(error.starts_with(line), "{name}: {error}");
                let names_op = error.contains(" of student.backbone.");
                assert_eq!(names_op, fault == IN_A_GRADIENT, "{name}: {error}");
                let after = kept(&mut trainer);
                let changed = before.iter().zip(&after).find(|(a, b)| a != b);
                assert!(changed.is_none(), "{name}: {}", changed.unwrap().0.0);
            }
        }
        place.store(NOWHERE, Ordering::Relaxed);
        trainer.step(STOP, batch).unwrap();
        assert!(kept(&mut trainer) != before, "{name}: the next step does");
    }
}

#[test]
fn a_stopped_run_goes_on_with_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    for method in MethodConfig::all() {
        let name = method.name();
        let config = config(name, &[]).unwrap();
        let path = folder.path().join(name);
        let mut first = Trainer::new(&config, &Cpu).unwrap();
        advance(&mut first, 0..STOP);
        let progress = Progress { step: STOP, seconds: 0.0 };
        save(&path, &config, &Fingerprint::default(), first.learner(), progress).unwrap();
        let mut checkpoint = Checkpoint::load(&path).unwrap();
        // The settings survive, with those of the method.
        let config = checkpoint.config().unwrap();
        let mut second = Trainer::planned(&config, &Cpu).unwrap();
        checkpoint.restore(second.learner()).unwrap();
        advance(&mut second, STOP..STEPS);
        assert!(bits(second.learner()) == outcome(&config, 2), "{name}");
    }
}

/// Queues, words, clusters and maps of the recipes fit the presets for data of common sizes.
#[test]
fn recipes_fit_the_presets() {
    for preset in ["shapes", "fashion-mnist", "cifar10", "stl10", "folder"] {
        for method in MethodConfig::all() {
            let name = method.name();
            let chosen = [("method.name".to_owned(), name.to_owned())];
            let config = Config::load(preset, &chosen).unwrap();
            // More than the most prototypes: each cluster needs an image.
            let step = StepConfig { images: 17_000, ..config.step() };
            assert!(Step::new(&step).is_ok(), "{preset} {name}: {:?}", Step::new(&step).err());
        }
    }
}

#[test]
fn every_method_moves_its_weights() {
    for method in MethodConfig::all() {
        let config = config(method.name(), &[]).unwrap();
        let mut trainer = Trainer::new(&config, &Cpu).unwrap();
        let before = trainer.weights_sha256();
        advance(&mut trainer, 0..1);
        assert_ne!(trainer.weights_sha256(), before, "{}", method.name());
        let names = trainer.learner().copies().into_iter().map(|(name, ..)| name);
        let has_teacher = names.into_iter().any(|name| name.starts_with("teacher."));
        assert_eq!(has_teacher, method.has_teacher(), "{}", method.name());
    }
}

/// The network that the authors' own code evaluates: of CARP and DINO the teacher, of all others the one that
/// is trained, such as MoCo v3's `base_encoder`, PCL's `encoder_q` and Triplet's `online_net`.
#[test]
fn the_backbone_to_evaluate_is_the_authors() {
    for method in MethodConfig::all() {
        let name = method.name();
        let config = config(name, &[]).unwrap();
        let mut trainer = Trainer::new(&config, &Cpu).unwrap();
        advance(&mut trainer, 0..1);
        let learner = trainer.learner();
        let got = learner.backbone("bn1.weight").unwrap();
        let copies = learner.copies();
        let of = |role: &str| {
            let name = format!("{role}.backbone.bn1.weight");
            copies.iter().find(|(found, ..)| *found == name).map(|(.., data)| data)
        };
        assert_ne!(of("student"), of("teacher"), "{name}");
        let role = if ["carp", "dino"].contains(&name) { "teacher" } else { "student" };
        assert_eq!(Some(&got), of(role), "{name}");
    }
}

/// An epoch has two micro-batches, as an update has: one that is the whole run is an update, too.
#[test]
fn the_last_micro_batch_of_a_run_reaches_an_update() {
    let config = config("carp", &[("train.accumulation", "2"), ("train.steps", "1")]).unwrap();
    let mut trainer = Trainer::new(&config, &Cpu).unwrap();
    let before = trainer.weights_sha256();
    advance(&mut trainer, 0..1);
    assert_ne!(trainer.weights_sha256(), before);
}

/// A step that runs op by op has all written before it begins.
#[test]
fn an_update_leaves_the_momentum_of_the_forward_pass() {
    for (method, momentum) in [("moco-v3", 1.0), ("carp", 0.75)] {
        let step = config(method, &[]).unwrap().step();
        let mut learner = Learner::new(&step, &Cpu).unwrap();
        learner.write_forward_momentum(1.0);
        let teacher_momentum = 0.75;
        let settings = UpdateSettings { lr: 1.0, weight_decay: 0.0, teacher_momentum, number: 1 };
        learner.write_update(settings);
        let executor = learner.executor_mut();
        let mut values = executor.graph().values();
        let (value, _) = values.find(|(_, info)| info.name == "teacher_momentum").unwrap();
        drop(values);
        assert_eq!(executor.scalar(value), momentum, "{method}");
    }
}

#[test]
fn what_does_not_fit_is_one_line_before_training() {
    let refused = |method: &str, more: &[(&str, &str)], part: &str| {
        let line = match config(method, more) {
            Ok(config) => Trainer::planned(&config, &Cpu).err().expect(part).to_string(),
            Err(error) => error.to_string(),
        };
        assert!(line.lines().count() == 1 && line.contains(part), "{method}: {line}");
    };
    let small = [("train.batch_size", "8")];
    refused("triplet", &small, "a batch of 8 images has 7 negatives each; needs at least 11");
    for method in ["swav", "infomin", "pcl-v2"] {
        let queue = [("method.queue", "25")];
        refused(method, &queue, "method.queue: 25, should be a multiple of train.batch_size = 12");
    }
    let words = [("method.words", "25")];
    refused("obow", &words, "method.words: 25, should be a multiple of train.batch_size = 12");
    let deep = [("method.layers", r#"["layer2", "layer3"]"#)];
    refused("obow", &deep, "maps of 4x4; new words need at least 5x5");
    refused("obow", &[("method.layers", "[]")], "method.layers: empty");
    for layer in ["layer5", "maxpool"] {
        let layers = format!("[{layer:?}]");
        let part =
            format!("method.layers: the network has no map of {layer}; it has those of layer1");
        refused("obow", &[("method.layers", &layers)], &part);
    }
    for method in ["deepcluster-v2", "sela-v2"] {
        let many = [("model.prototypes", "25")];
        refused(method, &many, "model.prototypes: 24 images of an epoch cannot form 25 clusters");
    }
    let clusters = [("method.clusters", "[16, 26]")];
    refused("pcl-v2", &clusters, "method.clusters: 26, should be at most the 25 images");
    let few = [("method.clusters", "[15]")];
    refused("pcl-v2", &few, "at least train.batch_size + method.negatives = 16");
    let local = [("views.local_count", "1")];
    refused("infomin", &local, "the method takes 2 views and patches, not 3");
    let crowded = [("views.patch_count", "10")];
    refused("infomin", &crowded, "views.patch_count is 10, should be 0 to 9, one per cell");
    let wide = [("views.patch_count", "9"), ("views.patch_shift", "192")];
    refused("infomin", &wide, "views.patch_shift is 192, should be 0 to views.patch_crop less");
    for method in ["barlow-twins", "vicreg", "moco-v3", "pcl-v2", "triplet"] {
        let views = [("views.local_count", "1")];
        refused(method, &views, "the method takes 2 views, not 3: set views.local_count to 0");
    }
    let zero = [("method.temperature", "0.0")];
    refused("swav", &zero, "method.temperature is 0.0, should be above 0");
    refused("sela-v2", &[("method.heads", "0")], "method.heads is 0, should be 1 to");
    for (method, key) in [("dino", "centre_momentum"), ("obow", "momentum"), ("infomin", "beta")] {
        let key = format!("method.{key}");
        let part = format!("{key} is 1.5, should be 0 to 1");
        refused(method, &[(&key, "1.5")], &part);
    }
    // CARP's partition alone divides prototypes.
    assert!(config("swav", &[("model.partition_size", "512")]).is_ok());
    refused("carp", &[("model.partition_size", "9")], "should be 1 to model.prototypes = 8");
    let many = [("model.prototypes", "16777216"), ("model.bottleneck", "256")];
    refused(
        "carp",
        &many,
        "model.prototypes: too large for optimizer.name = lars: student.head.last",
    );
    refused("vicreg", &[("method.variance", "nan")], "method.variance is nan, should be 0 or more");
    // The last method counts, and the settings of others are passed over.
    let twice = ["dino", "swav"].map(|name| ("method.name".to_owned(), name.to_owned()));
    assert_eq!(
        Config::load("shapes", &twice).unwrap(),
        Config::load("shapes", &twice[1..]).unwrap()
    );
    refused("dyno", &[], "unknown method \"dyno\" (did you mean \"dino\"?)");
    refused("dino", &[("method.queue", "24")], "unknown key \"method.queue\"");
}
