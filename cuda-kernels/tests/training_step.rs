//! CARP's whole training step on the kernels: ResNet-18 of width 8, views of two sizes, LARS, the
//! moving average. It must end with the CPU's weights to the bit, allocate once, wait for the device
//! only where its report is read, and give the same results when replayed from one recording.

#[path = "common/device.rs"]
mod device;

use std::sync::{Arc, Mutex};

use carp::checkpoint::weights_sha256;
use carp::config::Config;
use carp::learner::{Learner, NamedTensor, UpdateSettings};
use cuda_kernels::Driver;
use cuda_kernels::device::OnDriver;
use cuda_kernels::driver::{Arg, Graph, Launch};
use tensor::random::{Purpose, Stream};
use tensor::{Cpu, Device, Numerics, Result};

const STEPS: usize = 5;
const BATCH: usize = 4;
const PROTOTYPES: usize = 70;

/// A learner with these settings besides those of the test.
fn learner_with(device: &dyn Device, others: &[(&str, &str)]) -> Learner {
    let settings = [
        ("model.width", "8"),
        ("model.stem", "imagenet"),
        ("model.hidden", "32"),
        ("model.bottleneck", "16"),
        ("model.prototypes", "70"),
        ("model.partition_size", "16"),
        ("model.loss_variant", "streaming"),
        ("optimizer.name", "lars"),
        ("train.batch_size", "4"),
        ("train.accumulation", "1"),
        ("views.global1.size", "16"),
        ("views.global2.size", "16"),
        ("views.local.size", "12"),
        ("views.local_count", "2"),
    ];
    let settings = settings.iter().chain(others);
    let settings: Vec<_> =
        settings.map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
    let config = Config::load("shapes", &settings).unwrap();
    let mut learner = Learner::new(&config.step(), device).unwrap();
    learner.initialize(3);
    // Initially all assignments are almost uniform and the loss is almost ln N_B whatever the
    // network does. With embeddings of this length they are not, and every weight affects the loss.
    let last = "student.head.mlp.6.weight";
    let tensors = learner.copies();
    let (_, shape, data) =
        tensors.iter().find(|(name, _, _)| name == last).expect("the last layer");
    let longer: Vec<f32> = data.iter().map(|x| 40.0 * x).collect();
    assert!(learner.set_tensor(last, shape, &longer).unwrap());
    learner.copy_student_to_teacher();
    learner
}

/// Writes the views of a step, of this many images, and its partition.
fn write(learner: &mut Learner, number: usize, batch: usize) {
    let mut random = Stream::new(3, Purpose::Test, 2, number as u64);
    for (group, size) in [16usize, 12].into_iter().enumerate() {
        let mut pixels = Vec::new();
        for row in 0..2 * batch {
            let level = (row % 4) as f32 / 2.0 - 1.0;
            pixels.extend((0..size * size * 3).map(|_| level + random.range(-0.5, 0.5)));
        }
        learner.write_group(group, &pixels);
    }
    let mut order: Vec<u32> = (0..PROTOTYPES as u32).collect();
    random.shuffle(&mut order);
    learner.write_partition(&order);
}

fn settings(number: usize) -> UpdateSettings {
    let lr = 0.03 / (number + 1) as f32;
    UpdateSettings { lr, weight_decay: 1e-4, teacher_momentum: 0.9, number: number + 1 }
}

/// Takes a step; returns the loss.
fn step(learner: &mut Learner, number: usize, batch: usize) -> f32 {
    write(learner, number, batch);
    learner.step(number, true, Some(settings(number))).unwrap().loss
}

/// Losses of the steps and all tensors after them.
fn train(device: &dyn Device) -> (Vec<f32>, Vec<NamedTensor>) {
    train_with(device, &[], STEPS)
}

fn train_with(
    device: &dyn Device,
    settings: &[(&str, &str)],
    steps: usize,
) -> (Vec<f32>, Vec<NamedTensor>) {
    let mut learner = learner_with(device, settings);
    let batch = settings.iter().find(|(key, _)| *key == "train.batch_size");
    let batch = batch.map_or(BATCH, |(_, value)| value.parse().unwrap());
    let losses = (0..steps).map(|number| step(&mut learner, number, batch)).collect();
    let tensors = learner.copies();
    learner.executor_mut().finish().unwrap();
    (losses, tensors)
}

/// A driver's counted requests.
#[derive(Default)]
struct Counts {
    allocations: usize,
    launches: usize,
    replays: usize,
    waits: usize,
}

/// A driver that counts, and records launches if `records` is set.
struct Watched {
    driver: Box<dyn Driver>,
    counts: Arc<Mutex<Counts>>,
    records: bool,
    recording: Option<Vec<OwnedLaunch>>,
    recorded: Vec<Vec<OwnedLaunch>>,
}

/// A launch that owns its arguments.
struct OwnedLaunch {
    launch: Launch<'static>,
    args: Vec<Arg>,
}

impl Driver for Watched {
    fn name(&self) -> String {
        self.driver.name()
    }

    fn allocate(&mut self, bytes: usize) -> Result<u64> {
        self.counts.lock().unwrap().allocations += 1;
        self.driver.allocate(bytes)
    }

    fn write(&mut self, at: u64, data: &[u8]) -> Result<()> {
        assert!(self.recording.is_none(), "a recording cannot hold what the host writes");
        self.driver.write(at, data)
    }

    fn read(&mut self, at: u64, data: &mut [u8]) -> Result<()> {
        assert!(self.recording.is_none(), "a recording cannot hold what the host reads");
        self.counts.lock().unwrap().waits += 1;
        self.driver.read(at, data)
    }

    fn launch(&mut self, launch: &Launch) -> Result<()> {
        self.counts.lock().unwrap().launches += 1;
        match &mut self.recording {
            Some(recording) => {
                let args = launch.args.to_vec();
                recording.push(OwnedLaunch { launch: Launch { args: &[], ..*launch }, args });
                Ok(())
            }
            None => self.driver.launch(launch),
        }
    }

    fn synchronize(&mut self) -> Result<()> {
        self.counts.lock().unwrap().waits += 1;
        self.driver.synchronize()
    }

    fn capture(&mut self) -> Result<bool> {
        if self.records {
            self.recording = Some(Vec::new());
        }
        Ok(self.records)
    }

    fn end_capture(&mut self) -> Result<Graph> {
        self.recorded.push(self.recording.take().expect("a recording has begun"));
        Ok(Graph(self.recorded.len() - 1))
    }

    fn replay(&mut self, graph: Graph) -> Result<()> {
        self.counts.lock().unwrap().replays += 1;
        for OwnedLaunch { launch, args } in &self.recorded[graph.0] {
            self.driver.launch(&Launch { args, ..*launch })?;
        }
        Ok(())
    }
}

/// A device whose driver is watched.
fn watched(
    counts: &Arc<Mutex<Counts>>,
    records: bool,
    driver: fn() -> Box<dyn Driver>,
    numerics: Numerics,
) -> impl Device {
    let counts = Arc::clone(counts);
    let open = move || {
        let counts = Arc::clone(&counts);
        let driver = driver();
        let watched = Watched { driver, counts, records, recording: None, recorded: Vec::new() };
        Ok(Box::new(watched) as Box<dyn Driver>)
    };
    OnDriver(open, numerics)
}

fn digest(mut tensors: Vec<NamedTensor>) -> String {
    weights_sha256(&mut tensors).unwrap()
}

#[test]
fn five_steps_are_those_of_the_cpu_to_the_bit_and_so_is_their_replay() {
    let (want_losses, want) = train(&Cpu);
    let apart = |a: f32, b: f32| (a - b).abs() > 0.01;
    assert!(want_losses.windows(2).all(|pair| apart(pair[0], pair[1])), "{want_losses:?}");

    let counts = Arc::new(Mutex::new(Counts::default()));
    let (losses, tensors) = train(&watched(&counts, false, device::driver, Numerics::Exact));
    assert_eq!(counts.lock().unwrap().allocations, 1, "an executor asks for its arena and no more");
    assert_eq!(counts.lock().unwrap().replays, 0);
    assert_eq!(losses, want_losses);
    assert_eq!(digest(tensors), digest(want.clone()));

    // Scalars and views are in device memory: a recording contains none of them.
    let counts = Arc::new(Mutex::new(Counts::default()));
    let (replayed, tensors_replayed) =
        train(&watched(&counts, true, device::fast_driver, Numerics::Exact));
    assert_eq!(counts.lock().unwrap().replays, STEPS - 1, "all phases of a step together");
    assert_eq!(replayed, losses);
    assert_eq!(digest(tensors_replayed), digest(want));
}

#[test]
fn other_losses_networks_and_optimizers_give_the_bits_of_the_cpu() {
    let cases: [&[(&str, &str)]; 5] = [
        &[("model.loss_variant", "unfused")],
        &[("model.loss_variant", "fused-softmax"), ("optimizer.name", "sgd")],
        &[("model.loss_variant", "streaming-tiled"), ("train.accumulation", "2")],
        &[("model.arch", "resnet50"), ("model.stem", "cifar"), ("optimizer.name", "adamw")],
        &[("model.width", "20"), ("train.batch_size", "4")],
    ];
    for settings in cases {
        let (want_losses, want) = train_with(&Cpu, settings, 2);
        let (losses, tensors) = train_with(&device::fast_device(), settings, 2);
        assert_eq!(losses, want_losses, "{settings:?}");
        assert_eq!(digest(tensors), digest(want), "{settings:?}");
    }
}

#[test]
fn a_step_is_replayed_and_waited_for_once() {
    for records in [false, true] {
        let counts = Arc::new(Mutex::new(Counts::default()));
        let device = watched(&counts, records, device::fast_driver, Numerics::Exact);
        let mut learner = learner_with(&device, &[]);
        step(&mut learner, 0, BATCH);
        for number in 1..3 {
            *counts.lock().unwrap() = Counts::default();
            step(&mut learner, number, BATCH);
            let counts = counts.lock().unwrap();
            // Loss, C, H and whether all is finite lie side by side.
            assert_eq!((counts.waits, counts.allocations), (1, 0));
            assert_eq!(counts.replays, usize::from(records));
            let is_launched = !records || number == 1;
            assert_eq!(counts.launches > 100, is_launched, "{} launches", counts.launches);
        }
    }
}

/// The bits of student, teacher and momentum, without what the forward pass updates.
fn trained(learner: &mut Learner) -> Vec<(String, Vec<u32>)> {
    let is_trained = |name: &str| !name.contains("running_") && !name.starts_with("gradient.");
    let tensors = learner.copies().into_iter().filter(|(name, ..)| is_trained(name));
    tensors.map(|(name, _, data)| (name, data.into_iter().map(f32::to_bits).collect())).collect()
}

/// A NaN in the sum of one gradient alone, and in a view, in updates that are launched one by one, recorded
/// and replayed: all that is trained keeps its bits, and the error names the first value at fault.
#[test]
fn an_update_that_is_not_finite_changes_nothing_that_is_trained() {
    let update = |learner: &mut Learner, number: usize, is_faulty: bool| {
        write(learner, 2 * number, BATCH);
        learner.step(number, true, None).unwrap();
        write(learner, 2 * number + 1, BATCH);
        if is_faulty {
            let executor = learner.executor_mut();
            let is_sum = |name: &str| name == "gradient.student.head.mlp.0.weight";
            let sum = executor.graph().values().find(|(_, info)| is_sum(&info.name)).unwrap().0;
            executor.write_part(sum, 7, &[f32::NAN]);
        }
        learner.step(number, false, Some(settings(number)))
    };
    let run = |device: &dyn Device, good: usize| {
        let mut learner = learner_with(device, &[("train.accumulation", "2")]);
        for number in 0..good {
            update(&mut learner, number, false).unwrap();
        }
        let before = trained(&mut learner);
        let line = |learner: &mut Learner, error: carp::error::Error| {
            assert!(trained(learner) == before, "{error}");
            error.to_string()
        };
        let error = update(&mut learner, good, true).unwrap_err();
        let of_gradient = line(&mut learner, error);
        write(&mut learner, 2 * good, BATCH);
        let views = learner.view_groups()[0].images;
        learner.executor_mut().write_part(views, 5, &[f32::NAN]);
        let error = learner.step(good, true, Some(settings(good))).unwrap_err();
        let of_loss = line(&mut learner, error);
        update(&mut learner, good, false).unwrap();
        assert!(trained(&mut learner) != before);
        ([of_gradient, of_loss], trained(&mut learner))
    };
    for good in 0..3 {
        let (lines, want) = run(&Cpu, good);
        let words =
            format!("not finite in step {}: the first value that is not finite is", good + 1);
        for (line, what, origin) in [
            (&lines[0], "a gradient is", "gradient.student.head.mlp.0.weight by accumulate"),
            (&lines[1], "the loss is", "input views.0"),
        ] {
            assert!(line.starts_with(&format!("{what} {words} {origin};")), "{line}");
        }
        let counts = Arc::new(Mutex::new(Counts::default()));
        let device = watched(&counts, true, device::fast_driver, Numerics::Exact);
        let (lines_there, got) = run(&device, good);
        assert_eq!(lines_there, lines);
        assert!(got == want, "after {good} good updates");
    }
}

/// Images of a step whose student has rows enough for tensor cores.
const MORE: (&str, &str) = ("train.batch_size", "6");

fn assert_near(losses: &[f32], exact: &[f32], case: &str) {
    for (loss, of_exact) in losses.iter().zip(exact) {
        let near = (loss - of_exact).abs() < 0.02 * of_exact.abs();
        assert!(near, "{case}: {losses:?}, not {exact:?}");
    }
    assert_ne!(losses, exact, "{case}");
}

/// With each loss, so that products of layers and those of the loss are on tensor cores.
#[test]
fn steps_in_tf32_are_near_exact_ones() {
    for loss in ["streaming", "fused-softmax"] {
        let settings = [MORE, ("model.loss_variant", loss), ("model.bottleneck", "24")];
        let (exact, _) = train_with(&Cpu, &settings, 3);
        let device = OnDriver(|| Ok(device::fast_driver()), Numerics::Tf32);
        let (losses, _) = train_with(&device, &settings, 3);
        assert_near(&losses, &exact, loss);
    }
}

/// Activations between convolutions are bf16 in memory: the losses stay near those in f32, and runs, replays
/// and steps that make results anew in half of the memory end with the same bits.
#[test]
fn steps_in_bf16_are_near_exact_ones_and_repeat_to_the_bit() {
    let device = || OnDriver(|| Ok(device::fast_driver()), Numerics::Bf16);
    for (arch, steps) in [("resnet18", STEPS), ("resnet50", 3)] {
        let settings = [("model.arch", arch), MORE];
        let (exact, _) = train_with(&Cpu, &settings, steps);
        let driver = if arch == "resnet18" { device::driver } else { device::fast_driver };
        let one_by_one = OnDriver(move || Ok(driver()), Numerics::Bf16);
        let (losses, tensors) = train_with(&one_by_one, &settings, steps);
        assert_near(&losses, &exact, arch);

        let counts = Arc::new(Mutex::new(Counts::default()));
        let recorded = watched(&counts, true, device::fast_driver, Numerics::Bf16);
        let (replayed, tensors_replayed) = train_with(&recorded, &settings, steps);
        assert_eq!(replayed, losses);
        assert_eq!(digest(tensors_replayed), digest(tensors.clone()));

        let bytes = |device: &dyn Device, settings: &[(&str, &str)]| {
            learner_with(device, settings).executor_mut().plan().bytes()
        };
        let (all, of_exact) = (bytes(&device(), &settings), bytes(&Cpu, &settings));
        assert!(all < of_exact * 85 / 100, "{arch}: {all} bytes, {of_exact} exactly");
        let budget = format!("{}KiB", all / 1024 * 99 / 100);
        let settings = [settings[0], MORE, ("train.memory_budget", &budget)];
        assert!(bytes(&device(), &settings) < all);
        let (again, tensors_again) = train_with(&device(), &settings, steps);
        assert_eq!(again, losses);
        assert_eq!(digest(tensors_again), digest(tensors));
    }
}
