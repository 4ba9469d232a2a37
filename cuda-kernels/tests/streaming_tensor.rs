//! CARP's loss from embeddings with products on tensor cores, against f64 formulas with every operand
//! rounded where the kernels round it.

mod common;

use common::{Places, bf16, cut, permutation, rounding_gpu, tf32, uniform};
use cuda_kernels::launch;
use tensor::arena::DType;
use tensor::geometry::{PartitionLoss, StreamingLoss};
use tensor::{Backend, Io, Kernel, Numerics, Slot};

/// The f32 `EPS` of `kernels/loss.cuh`.
const EPS: f64 = f32::EPSILON as f64;

/// Views, images, prototypes, partition size, dimension.
fn sizes(views: usize, batch: usize, prototypes: usize, size: usize, dim: usize) -> StreamingLoss {
    let loss = PartitionLoss::new(views, batch, prototypes, size).unwrap();
    StreamingLoss { loss, dim, views_at_once: views }
}

/// Embeddings of student and teacher, prototypes of both, and their order.
struct Data {
    inputs: [Vec<f32>; 4],
    order: Vec<u32>,
}

impl Data {
    fn random(sizes: StreamingLoss, scale: f32) -> Data {
        let StreamingLoss { loss, dim, .. } = sizes;
        let scaled = |index, len| uniform(index, len).iter().map(|x| scale * x).collect();
        let inputs = [
            scaled(1, loss.views * loss.batch * dim),
            scaled(2, 2 * loss.batch * dim),
            uniform(3, loss.prototypes * dim),
            uniform(4, loss.prototypes * dim),
        ];
        Data { inputs, order: permutation(5, loss.prototypes) }
    }
}

/// C + H, C, H, and the gradients by the student's embeddings and prototypes.
fn on_gpu(sizes: StreamingLoss, numerics: Numerics, data: &Data, shift: usize) -> Vec<Vec<f32>> {
    let kernel = Kernel::StreamingLoss(sizes);
    let mut places = Places::default();
    let mut place = |len, shift| places.slot(len, shift, DType::F32);
    let mut inputs: Vec<Slot> = data.inputs.iter().map(|input| place(input.len(), shift)).collect();
    inputs.push(place(data.order.len(), shift));
    let lens = [1, 1, 1, data.inputs[0].len(), data.inputs[2].len()];
    let outputs = lens.map(|len| place(len, shift));
    let workspace = place(launch::workspace(&kernel, numerics), 0);
    let end = places.end;
    let mut gpu = rounding_gpu(end, numerics);
    gpu.write(Slot::new(0, end), &vec![f32::NAN; end]);
    for (slot, input) in inputs.iter().zip(&data.inputs) {
        gpu.write(*slot, input);
    }
    gpu.write_u32(inputs[4], &data.order);
    gpu.run(&kernel, &Io { inputs: &inputs, outputs: &outputs, workspace });
    let read = |slot: &Slot| {
        let mut data = vec![0.0; slot.len];
        gpu.read(*slot, &mut data);
        data
    };
    let results = outputs.iter().map(read).collect();
    gpu.finish().unwrap();
    results
}

/// How operands are rounded: what is stored as rows of prototypes, what is packed, and logits.
struct Rounding {
    image: fn(&[f32]) -> Vec<f32>,
    packed: fn(&[f32]) -> Vec<f32>,
    logits: fn(&[f32]) -> Vec<f32>,
}

impl Rounding {
    fn of(numerics: Numerics, sizes: StreamingLoss) -> Rounding {
        let in_eights = [sizes.loss.views * sizes.loss.batch, sizes.dim]
            .iter()
            .all(|len| len.is_multiple_of(8));
        match numerics {
            Numerics::Bf16 if in_eights => Rounding { image: bf16, packed: bf16, logits: bf16 },
            Numerics::Bf16 => Rounding { image: bf16, packed: bf16, logits: <[f32]>::to_vec },
            _ => Rounding { image: cut, packed: tf32, logits: <[f32]>::to_vec },
        }
    }
}

/// The numbers as f32, rounded.
fn rounded(x: &[f64], round: fn(&[f32]) -> Vec<f32>) -> Vec<f64> {
    let x: Vec<f32> = x.iter().map(|&x| x as f32).collect();
    round(&x).into_iter().map(f64::from).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn softmax(x: &[f64]) -> Vec<f64> {
    let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let e: Vec<f64> = x.iter().map(|x| (x - max).exp()).collect();
    let sum: f64 = e.iter().sum();
    e.iter().map(|e| e / sum).collect()
}

fn clamped(x: f64) -> f64 {
    x.clamp(EPS, 1.0 - EPS)
}

fn is_inside(x: f64) -> bool {
    (EPS..=1.0 - EPS).contains(&x)
}

/// As [`on_gpu`] by the formulas; of each number also the sum of its terms' sizes.
fn formulas(sizes: StreamingLoss, numerics: Numerics, data: &Data) -> Vec<Vec<[f64; 2]>> {
    let StreamingLoss { loss, dim, .. } = sizes;
    let (size, batch, blocks) = (loss.partition_size, loss.batch, loss.blocks());
    let rounding = Rounding::of(numerics, sizes);
    let [student, teacher, v, v_teacher] =
        data.inputs.each_ref().map(|x| x.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>());
    let [z, z_teacher] = [&student, &teacher].map(|z| rounded(z, rounding.packed));
    let unit = |v: &[f64], c: usize| -> (Vec<f64>, f64) {
        let v = &v[c * dim..][..dim];
        let length = dot(v, v).sqrt();
        (v.iter().map(|v| v / length).collect(), length)
    };
    let (mut consistency, mut entropy) = (0.0, 0.0);
    let mut grad_student = vec![[0.0; 2]; student.len()];
    let mut grad_prototypes = vec![[0.0; 2]; v.len()];
    for block in 0..blocks {
        let order = &data.order[block * size..][..size];
        let units: Vec<_> = order.iter().map(|&c| unit(&v, c as usize)).collect();
        let w: Vec<Vec<f64>> = units.iter().map(|(w, _)| rounded(w, rounding.image)).collect();
        let w_teacher: Vec<Vec<f64>> = order
            .iter()
            .map(|&c| rounded(&unit(&v_teacher, c as usize).0, rounding.image))
            .collect();
        let logits =
            |z: &[f64], w: &[Vec<f64>]| -> Vec<f64> { w.iter().map(|w| dot(z, w)).collect() };
        let p: Vec<Vec<f64>> = z
            .chunks_exact(dim)
            .map(|z| softmax(&rounded(&logits(z, &w), rounding.logits)))
            .collect();
        let q: Vec<Vec<f64>> =
            z_teacher.chunks_exact(dim).map(|z| softmax(&logits(z, &w_teacher))).collect();
        let mean = |c: usize| p.iter().chain(&q).map(|p| p[c]).sum::<f64>() / loss.rows() as f64;
        let means: Vec<f64> = (0..size).map(mean).collect();
        let log = |m: f64| (clamped(m) * size as f64).ln();
        entropy += means.iter().map(|&m| m * log(m)).sum::<f64>();
        let g: Vec<f64> = means.iter().map(|&m| log(m) + f64::from(is_inside(m))).collect();
        for (i, p) in p.iter().enumerate() {
            let mean_g = dot(p, &g);
            let mut ds: Vec<f64> =
                (0..size).map(|c| p[c] * (g[c] - mean_g) / (blocks * loss.rows()) as f64).collect();
            for j in (0..2).filter(|&j| j != i / batch) {
                let q = &q[j * batch + i % batch];
                let d = dot(p, q);
                consistency -= clamped(d).ln();
                if is_inside(d) {
                    for c in 0..size {
                        ds[c] += p[c] * (1.0 - q[c] / d) / loss.terms() as f64;
                    }
                }
            }
            let ds = rounded(&ds, rounding.image);
            for c in 0..size {
                let (unit, length) = &units[c];
                let add = |to: &mut [f64; 2], term: f64| *to = [to[0] + term, to[1] + term.abs()];
                let z = &z[i * dim..][..dim];
                let along: f64 = dot(unit, z);
                let along_size: f64 = unit.iter().zip(z).map(|(w, z)| (w * z).abs()).sum();
                for d in 0..dim {
                    add(&mut grad_student[i * dim + d], ds[c] * w[c][d]);
                    let to = &mut grad_prototypes[order[c] as usize * dim + d];
                    let term = ds[c] * (z[d] - unit[d] * along) / length;
                    let size = ds[c].abs() * (z[d].abs() + unit[d].abs() * along_size) / length;
                    *to = [to[0] + term, to[1] + size];
                }
            }
        }
    }
    let (consistency, entropy) = (consistency / loss.terms() as f64, entropy / blocks as f64);
    let scalar = |x: f64| vec![[x, 1.0 + (size as f64).ln()]];
    let scalars = [consistency + entropy, consistency, entropy].map(scalar);
    scalars.into_iter().chain([grad_student, grad_prototypes]).collect()
}

fn check(sizes: StreamingLoss, scale: f32, shift: usize) {
    let data = Data::random(sizes, scale);
    for numerics in [Numerics::Tf32, Numerics::Bf16] {
        // A number next to the middle of two may go the other way: its term is off by a rounding.
        let rounding = if numerics == Numerics::Bf16 { 2.0f64.powi(-8) } else { 2.0f64.powi(-10) };
        let got = on_gpu(sizes, numerics, &data, shift);
        assert_eq!(got, on_gpu(sizes, numerics, &data, shift), "a second run gives other bits");
        let want = formulas(sizes, numerics, &data);
        let tolerances = [1e-5, 1e-5, 1e-5, rounding, rounding];
        for (k, tolerance) in tolerances.into_iter().enumerate() {
            for (i, (got, [want, size])) in got[k].iter().zip(&want[k]).enumerate() {
                let got = f64::from(*got);
                assert!(
                    (got - want).abs() <= tolerance * size,
                    "{numerics:?} {sizes:?}: output {k}[{i}] is {got}, not {want} of terms of {size}"
                );
            }
        }
    }
}

#[test]
fn rows_in_eights() {
    check(sizes(2, 4, 20, 9, 8), 1.5, 0);
    check(sizes(3, 8, 70, 33, 24), 1.5, 1);
    check(sizes(2, 36, 140, 130, 72), 0.5, 0);
}

#[test]
fn any_rows() {
    check(sizes(2, 1, 3, 2, 2), 1.5, 0);
    check(sizes(2, 5, 31, 31, 33), 1.5, 1);
    check(sizes(3, 4, 40, 7, 20), 1.5, 0);
}

#[test]
fn a_partition_of_one_prototype() {
    check(sizes(2, 4, 9, 1, 8), 1.0, 0);
}

/// Some probabilities are 0 or 1, some products outside of what is not clamped.
#[test]
fn large_logits() {
    check(sizes(2, 8, 40, 20, 16), 20.0, 0);
}

#[test]
fn several_groups() {
    check(sizes(2, 4, 601, 2, 8), 1.5, 0);
}

/// bf16 halves what prototypes and logits take; neither grows with K.
#[test]
fn memory_does_not_grow_with_the_prototypes() {
    let workspace = |prototypes, numerics| {
        launch::workspace(&Kernel::StreamingLoss(sizes(8, 32, prototypes, 512, 256)), numerics)
    };
    for numerics in [Numerics::Tf32, Numerics::Bf16] {
        let elements = workspace(65_536, numerics);
        assert!(elements <= 4 << 20, "{numerics:?}: {elements}");
        assert!(workspace(1 << 20, numerics) <= 4 << 20);
    }
}
