//! The variants of the loss: equal and correct numbers and gradients, in the promised memory.

use autograd::gradcheck::{Input, largest_error};
use autograd::{Executor, Graph, LossInputs, Plan, Value};
use carp::config::Config;
use carp::learner::{Learner, UpdateSettings};
use carp::loss::{LossVariant, carp_loss};
use tensor::Cpu;
use tensor::random::{Purpose, Stream};

/// V, B, D, K, N_B.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    views: usize,
    batch: usize,
    dim: usize,
    prototypes: usize,
    partition_size: usize,
}

fn sizes([views, batch, dim, prototypes, partition_size]: [usize; 5]) -> Sizes {
    Sizes { views, batch, dim, prototypes, partition_size }
}

impl Sizes {
    fn inputs(self, g: &mut Graph) -> LossInputs {
        let Sizes { views, batch, dim, prototypes, .. } = self;
        LossInputs {
            student: g.param("student", [views * batch, dim]),
            teacher: g.input("teacher", [2 * batch, dim]),
            student_prototypes: g.param("student_prototypes", [prototypes, dim]),
            teacher_prototypes: g.input("teacher_prototypes", [prototypes, dim]),
            permutation: g.input_u32("permutation", [prototypes]),
        }
    }

    /// The graph of loss and gradients: inputs, and (loss, C, H, gradients).
    fn graph(self, variant: LossVariant) -> autograd::Result<(Graph, LossInputs, [Value; 5])> {
        let mut graph = Graph::new();
        let inputs = self.inputs(&mut graph);
        let terms = carp_loss(&mut graph, variant, inputs, self.partition_size)?;
        let seed = graph.fill([1], 1.0);
        let wrt = [inputs.student, inputs.student_prototypes];
        let grads = graph.backward(&[(terms.loss, seed)], &wrt)?;
        let outputs =
            [terms.loss, terms.consistency, terms.entropy, grads[0].unwrap(), grads[1].unwrap()];
        outputs.iter().for_each(|&value| graph.keep(value));
        Ok((graph, inputs, outputs))
    }
}

/// Data of the five inputs.
struct Data {
    student: Vec<f32>,
    teacher: Vec<f32>,
    student_prototypes: Vec<f32>,
    teacher_prototypes: Vec<f32>,
    permutation: Vec<u32>,
}

impl Data {
    /// Embeddings of about these lengths; the teacher's differ from the student's by `noise`.
    fn new(s: Sizes, scale: f32, noise: f32, seed: u64) -> Data {
        let mut random = Stream::new(seed, Purpose::Test, 1, 0);
        let mut draw = |n: usize| -> Vec<f32> { (0..n).map(|_| random.range(-1.0, 1.0)).collect() };
        let base = draw(s.batch * s.dim);
        let mut near = |views: usize| -> Vec<f32> {
            let all = draw(views * s.batch * s.dim);
            let mixed = all.iter().zip(base.iter().cycle());
            mixed.map(|(x, base)| scale * (base + noise * x)).collect()
        };
        let (student, teacher) = (near(s.views), near(2));
        let student_prototypes = draw(s.prototypes * s.dim);
        let teacher_prototypes =
            student_prototypes.iter().map(|x| x + noise * random.range(-0.1, 0.1)).collect();
        let mut permutation: Vec<u32> = (0..s.prototypes as u32).collect();
        random.shuffle(&mut permutation);
        Data { student, teacher, student_prototypes, teacher_prototypes, permutation }
    }
}

/// Loss, C, H, gradients.
fn evaluate(s: Sizes, variant: LossVariant, data: &Data) -> [Vec<f32>; 5] {
    let (graph, inputs, outputs) = s.graph(variant).unwrap();
    let mut executor = Executor::new(graph, &Cpu).unwrap();
    executor.write(inputs.student, &data.student);
    executor.write(inputs.teacher, &data.teacher);
    executor.write(inputs.student_prototypes, &data.student_prototypes);
    executor.write(inputs.teacher_prototypes, &data.teacher_prototypes);
    executor.write_u32(inputs.permutation, &data.permutation);
    executor.run_all().unwrap();
    outputs.map(|value| executor.read(value))
}

/// Largest difference relative to the largest element, or to `floor` if that is larger.
fn difference(got: &[f32], want: &[f32], floor: f32) -> f32 {
    let scale = want.iter().fold(floor, |most, x| most.max(x.abs()));
    let apart = got.iter().zip(want).map(|(a, b)| (a - b).abs());
    apart.fold(0.0, |most, x| if x.is_nan() { f32::INFINITY } else { most.max(x) }) / scale
}

#[test]
fn variants_agree() {
    // Ordinary logits, near uniform, both clamps, equal logits, logits of 1e4.
    let scales = [(3.0, 0.5), (0.01, 0.5), (60.0, 0.02), (60.0, 2.0), (0.0, 0.0), (5e3, 0.5)];
    let shapes = [
        [2, 6, 16, 64, 16],
        [8, 4, 24, 100, 32],
        [3, 5, 8, 40, 1],
        [4, 3, 20, 48, 48],
        [2, 1, 16, 33, 8],
    ];
    for (i, s) in shapes.map(sizes).into_iter().enumerate() {
        for (scale, noise) in scales {
            let data = Data::new(s, scale, noise, i as u64);
            let want = evaluate(s, LossVariant::FusedSoftmax, &data);
            assert!(want[0][0].is_finite());
            for variant in LossVariant::ALL {
                let got = evaluate(s, variant, &data);
                let name = variant.name();
                // Near a perfect or uniform assignment terms cancel and leave their rounding: there
                // the floor is a tenth of one term.
                let by_embedding = 0.1 / (2 * s.views - 2) as f32 / s.batch as f32;
                let by_prototype = 0.1 * scale.max(0.1) / s.prototypes as f32;
                let loss = want[0][0].max(0.1);
                let floors = [loss, loss, loss, by_embedding, by_prototype];
                for (term, floor) in floors.into_iter().enumerate() {
                    let allowed = if term < 3 { 1e-6 } else { 1e-5 };
                    let off = difference(&got[term], &want[term], floor);
                    assert!(off <= allowed, "{name}, {s:?}, scale {scale}, output {term}: {off}");
                }
            }
        }
    }
}

#[test]
fn gradients_agree_with_central_differences() {
    let shapes =
        [[2, 3, 4, 8, 4], [3, 2, 5, 10, 4], [8, 2, 3, 12, 3], [2, 2, 3, 7, 7], [3, 2, 4, 5, 1]];
    for (i, s) in shapes.map(sizes).into_iter().enumerate() {
        let data = Data::new(s, 2.0, 0.7, 20 + i as u64);
        // Without the entropy term, C alone of the unfused loss.
        let whole = LossVariant::ALL.map(|variant| (variant, true));
        for (variant, has_entropy) in whole.into_iter().chain([(LossVariant::Unfused, false)]) {
            let shaped = |rows: usize, data: &[f32]| Input {
                shape: [rows, s.dim].into(),
                data: data.to_vec(),
            };
            let inputs = [
                shaped(s.views * s.batch, &data.student),
                shaped(s.prototypes, &data.student_prototypes),
            ];
            let error = largest_error(&inputs, 1.0 / 64.0, |g, v| {
                // The constants come in as indices: the bits of f32 as u32.
                let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<u32>>();
                let all = s.inputs(g);
                let inputs = LossInputs { student: v[0], student_prototypes: v[1], ..all };
                let terms = carp_loss(g, variant, inputs, s.partition_size)?;
                let written = vec![
                    (all.teacher, bits(&data.teacher)),
                    (all.teacher_prototypes, bits(&data.teacher_prototypes)),
                    (all.permutation, data.permutation.clone()),
                ];
                let loss = if has_entropy { terms.loss } else { terms.consistency };
                Ok((loss, written))
            });
            let error = error.unwrap();
            assert!(error < 4e-3, "{}, {s:?}: off by {error}", variant.name());
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let s = sizes([3, 8, 32, 330, 32]);
    let data = Data::new(s, 3.0, 0.5, 1);
    for variant in LossVariant::ALL {
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| evaluate(s, variant, &data))
        };
        let want = run(1);
        for threads in [2, 3, 8] {
            assert!(run(threads) == want, "{} on {threads} threads", variant.name());
        }
    }
}

/// Bytes that the planned loss needs besides its inputs and their gradients.
fn working_bytes(s: Sizes, variant: LossVariant) -> usize {
    let (graph, ..) = s.graph(variant).unwrap();
    let plan = Plan::new(&graph, &Cpu);
    plan.bytes() - 4 * (plan.persistent + (s.views * s.batch + s.prototypes) * s.dim)
}

#[test]
fn streaming_needs_no_more_memory_for_more_prototypes() {
    for variant in [LossVariant::Streaming, LossVariant::StreamingTiled] {
        let of = |k| working_bytes(sizes([8, 64, 256, k, 512]), variant);
        assert!(of(65536) <= 16 << 20, "{} bytes", of(65536));
        assert_eq!(of(4096), of(65536));
        assert_eq!(of(65536), of(262_144));
    }
    let logits = 4 * 10 * 64 * 65536;
    assert!(working_bytes(sizes([8, 64, 256, 65536, 512]), LossVariant::FusedSoftmax) > logits);
}

#[test]
fn bad_sizes_are_one_line() {
    for (case, wants) in [
        ([2, 3, 4, 8, 0], "partition size 0 with 8 prototypes; choose 1 to 8"),
        ([2, 3, 4, 8, 9], "partition size 9 with 8 prototypes; choose 1 to 8"),
        ([1, 3, 4, 8, 4], "needs at least 2 views"),
    ] {
        for variant in LossVariant::ALL {
            let error = sizes(case).graph(variant).err().expect("an error").to_string();
            assert!(error.contains(wants) && !error.contains('\n'), "{error}");
        }
    }
}

#[test]
fn training_with_any_variant_gives_the_same_curve() {
    let curve = |variant: LossVariant| -> Vec<f32> {
        let settings = [
            ("model.width", "4"),
            ("model.prototypes", "70"),
            ("model.partition_size", "16"),
            ("train.batch_size", "16"),
            ("views.global1.size", "12"),
            ("views.global2.size", "12"),
            ("views.local.size", "8"),
            ("views.local_count", "2"),
            ("model.loss_variant", variant.name()),
        ];
        let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let config = Config::load("shapes", &settings).unwrap().step();
        let mut learner = Learner::new(&config, &Cpu).unwrap();
        learner.initialize(3);
        let mut random = Stream::new(3, Purpose::Test, 2, 0);
        let mut order: Vec<u32> = (0..70).collect();
        let groups = learner.view_groups().to_vec();
        (1..=50)
            .map(|number| {
                for (index, group) in groups.iter().enumerate() {
                    let mut pixels = Vec::new();
                    for row in 0..group.count * config.batch {
                        let level = (row % config.batch) as f32 / 8.0 - 1.0;
                        let pixel = |_| level + random.range(-0.5, 0.5);
                        pixels.extend((0..group.size * group.size * 3).map(pixel));
                    }
                    learner.write_group(index, &pixels);
                }
                random.shuffle(&mut order);
                learner.write_partition(&order);
                let settings =
                    UpdateSettings { lr: 0.6, weight_decay: 1e-6, teacher_momentum: 0.95, number };
                learner.step(number, true, Some(settings)).unwrap().loss
            })
            .collect()
    };
    let want = curve(LossVariant::Unfused);
    assert!(want[49] < want[0], "does not learn: {want:?}");
    for variant in LossVariant::ALL {
        let got = curve(variant);
        let off = got.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off < 1e-4, "{}: {off}", variant.name());
    }
}
