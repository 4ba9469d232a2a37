//! Five training steps of each compared method against PyTorch's (`tools/golden_methods.py`): losses,
//! networks, and what the method keeps.

use std::collections::{BTreeMap, BTreeSet};

use carp::config::Config;
use carp::layout;
use carp::learner::{Learner, UpdateSettings};
use carp::method::{MethodConfig, Moment};
use carp::step::StepConfig;
use methods::pcl_v2::densities;
use safetensors::SafeTensors;
use tensor::Cpu;

/// Relative to the largest element of a tensor, or 1: single against double precision, whose distance grows
/// with every step, to 2.2e-4 after five.
const TOLERANCE: f32 = 3e-4;
/// Weight decay of runs that do not set it.
const DECAY: f32 = 1e-3;
const STEPS_PER_EPOCH: usize = 2;
const IMAGES: usize = 24;

/// The script's `noise`.
fn noise(key: u32, count: usize) -> impl Iterator<Item = f32> {
    (0..count as u32).map(move |place| {
        let start = place.wrapping_mul(0x9E37_79B1).wrapping_add(key.wrapping_mul(0x85EB_CA77));
        let x = (start ^ (start >> 15)).wrapping_mul(0x2C1B_3C6D);
        let x = (x ^ (x >> 12)).wrapping_mul(0x297A_2D39);
        let x = x ^ (x >> 15);
        (f64::from(x) / f64::from(1u32 << 31) - 1.0) as f32
    })
}

/// The fixture file.
struct File(Vec<u8>);

impl File {
    fn open() -> File {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/methods.safetensors");
        File(std::fs::read(path).unwrap())
    }

    /// Settings of each run, one a line, by its name.
    fn runs(&self) -> BTreeMap<String, String> {
        let (_, header) = SafeTensors::read_metadata(&self.0).unwrap();
        header.metadata().clone().unwrap().into_iter().collect()
    }

    /// The tensors `NAME.*`.
    fn tensors(&self, name: &str) -> BTreeMap<String, Vec<f32>> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let tensors = file.iter().filter_map(|(tensor, view)| {
            let key = tensor.strip_prefix(&format!("{name}."))?.to_owned();
            let bytes = view.data().as_chunks().0.iter();
            Some((key, bytes.map(|&bytes| f32::from_le_bytes(bytes)).collect()))
        });
        tensors.collect()
    }
}

/// `KEY=VALUE`, one a line.
fn settings(text: &str) -> Vec<(String, String)> {
    let setting = |line: &str| {
        let (key, value) = line.split_once('=').unwrap();
        (key.to_owned(), value.to_owned())
    };
    text.lines().map(setting).collect()
}

fn close(name: &str, got: &[f32], want: &[f32]) {
    assert_eq!(got.len(), want.len(), "{name}");
    let most = want.iter().fold(1.0f32, |most, x| most.max(x.abs()));
    let error = got.iter().zip(want).fold(0.0f32, |most, (a, b)| most.max((a - b).abs()));
    assert!(error <= TOLERANCE * most, "{name}: off by {error:e}: {got:?} and {want:?}");
}

/// Name, shape and numbers of a network's weights, by name.
fn weights(learner: &mut Learner, role: &str) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let is_weight = |name: &str| name.starts_with(role) && !name.contains("running_");
    let mut all: Vec<_> =
        learner.copies().into_iter().filter(|(name, ..)| is_weight(name)).collect();
    all.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    all
}

/// The script's initial weights and kept tensors.
fn start(learner: &mut Learner, tensors: &BTreeMap<String, Vec<f32>>) {
    learner.initialize(0);
    for (place, (name, shape, data)) in (1000..).zip(weights(learner, "student.")) {
        let scale = match shape.len() {
            1 => 0.2,
            _ => (3.0 * shape[0] as f64 / data.len() as f64).sqrt(),
        };
        let shift = if shape.len() == 1 && name.ends_with("weight") { 1.0 } else { 0.0 };
        let numbers: Vec<f32> =
            noise(place, data.len()).map(|x| (f64::from(x) * scale + shift) as f32).collect();
        assert!(learner.set_tensor(&name, &shape, &numbers).unwrap());
    }
    learner.copy_student_to_teacher();
    for (name, shape, _) in learner.copies() {
        if let Some(kept) = name.strip_prefix("state.") {
            let before = &tensors[&format!("before.{kept}")];
            learner.set_tensor(&name, &shape, before).unwrap();
        }
    }
}

/// Writes the inputs that a method draws at random as the script chooses them.
fn write_choices(learner: &mut Learner, step: usize, images: &[u32]) {
    let executor = learner.executor_mut();
    let inputs: Vec<_> =
        executor.graph().values().map(|(value, info)| (value, info.name.clone())).collect();
    for (value, name) in inputs {
        if let Some(level) = name.strip_prefix("word_place.") {
            // Maps of 12x12 and 6x6 have 8x8 and 2x2 averages of their inner part.
            let places = if level == "0" { 64 } else { 4 };
            let place = |row: u32| places * row + (row + 3 * step as u32) % places;
            executor.write_u32(value, &(0..images.len() as u32).map(place).collect::<Vec<_>>());
        }
        if let Some(number) = name.strip_prefix("columns.") {
            let clusters = if number == "0" { 16 } else { 18 };
            let labels = images.iter().map(|image| image * 5 % (clusters - 4));
            executor.write_u32(value, &labels.chain(clusters - 4..clusters).collect::<Vec<_>>());
        }
    }
}

fn compare(
    method: &str,
    (config, weight_decay): (&Config, f32),
    tensors: &BTreeMap<String, Vec<f32>>,
) {
    let lr = config.optimizer.base_lr as f32;
    let config = StepConfig { images: IMAGES, ..config.step() };
    let mut learner = Learner::new(&config, &Cpu).unwrap();
    start(&mut learner, tensors);
    let groups = learner.view_groups().to_vec();
    let mut losses = Vec::new();
    for step in 0..5 {
        for (index, group) in groups.iter().enumerate() {
            let shape = [config.batch, 3, group.size, group.size];
            let view = |view: usize| {
                let pixels: Vec<f32> =
                    noise((16 * step + view) as u32, shape.iter().product()).collect();
                layout::from_pytorch(&shape, &pixels)
            };
            let views = group.first..group.first + group.count;
            learner.write_group(index, &views.flat_map(view).collect::<Vec<_>>());
        }
        let images: Vec<u32> =
            (0..config.batch).map(|row| (2 * row + step % STEPS_PER_EPOCH) as u32).collect();
        let at = Moment { seed: 0, step, steps_per_epoch: STEPS_PER_EPOCH };
        let (hooks, executor) = learner.method();
        hooks.before_forward(at, &images, executor);
        write_choices(&mut learner, step, &images);
        learner.write_forward_momentum(0.9);
        let (teacher_momentum, number) = (0.9, step + 1);
        let update = UpdateSettings { lr, weight_decay, teacher_momentum, number };
        losses.push(learner.step(step, true, Some(update)).unwrap().loss);
        let (hooks, executor) = learner.method();
        hooks.after_step(at, &images, executor);
    }
    close(&format!("{method}: losses"), &losses, &tensors["loss"]);
    for role in ["student", "teacher"] {
        let mut sketch = Vec::new();
        for (place, (_, _, data)) in (3000..).zip(weights(&mut learner, &format!("{role}."))) {
            let square: f64 = data.iter().map(|&x| f64::from(x).powi(2)).sum();
            let along = data.iter().zip(noise(place, data.len()));
            let along: f64 = along.map(|(&w, x)| f64::from(w) * f64::from(x)).sum();
            sketch.extend([square.sqrt() as f32, along as f32]);
        }
        let want = tensors.get(role).cloned().unwrap_or_default();
        close(&format!("{method}: {role}"), &sketch, &want);
    }
    for (name, _, data) in learner.copies() {
        if let Some(kept) = name.strip_prefix("state.") {
            let want = &tensors[&format!("after.{kept}")];
            close(&format!("{method}: {kept}"), &data, want);
        }
    }
}

/// All but CARP, whose steps `carp audit` replays.
#[test]
fn five_steps_are_pytorchs() {
    let file = File::open();
    let mut methods = BTreeSet::from(["carp"]);
    for (name, text) in file.runs() {
        let settings = settings(&text);
        let config = Config::load("shapes", &settings).unwrap();
        let decay = settings.iter().find(|(key, _)| key == "optimizer.weight_decay");
        let decay = decay.map_or(DECAY, |(_, value)| value.parse().unwrap());
        compare(&name, (&config, decay), &file.tensors(&name));
        methods.insert(config.method.name());
    }
    assert_eq!(methods, MethodConfig::all().iter().map(MethodConfig::name).collect());
}

#[test]
fn densities_are_those_of_pcls_formula() {
    let tensors = File::open().tensors("densities");
    let labels: Vec<u32> = tensors["labels"].iter().map(|&label| label as u32).collect();
    let phi = densities(&tensors["points"], 5, &labels, &tensors["centroids"], 0.2);
    close("densities", &phi, &tensors["phi"]);
    // The formula's special cases are there: a cluster of one point and one of none.
    let of = |cluster| labels.iter().filter(|&&label| label == cluster).count();
    assert_eq!([of(5), of(6)], [1, 0]);
}
