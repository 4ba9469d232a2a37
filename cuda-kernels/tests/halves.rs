//! Kernels with operands that are bf16 in memory, against the CPU on the same numbers in f32: what they
//! write as bf16 is the CPU's result rounded, to the bit, and all else is the same. Convolutions are in
//! `conv2d_tensor.rs`.

mod common;

use common::{Places, bf16, read, rounding_gpu, uniform, write};
use cuda_kernels::launch;
use tensor::arena::{ALIGN, DType};
use tensor::geometry::{BatchNorm, Pool2d};
use tensor::kernel::Unary;
use tensor::order::group_sums;
use tensor::{Backend, Cpu, Device, Io, Kernel, Numerics, Shape, Slot};

/// The types of a kernel's operands, all halved that can be.
fn types(kernel: &Kernel, inputs: usize, outputs: usize) -> [Vec<DType>; 2] {
    let groups = launch::halves(kernel, Numerics::Bf16);
    assert!(!groups.is_empty(), "{kernel:?} has no operands in bf16");
    let of = |is_half: bool| if is_half { DType::Bf16 } else { DType::F32 };
    [
        (0..inputs).map(|i| of(groups.iter().any(|group| group.inputs.contains(&i)))).collect(),
        (0..outputs).map(|i| of(groups.iter().any(|group| group.outputs.contains(&i)))).collect(),
    ]
}

/// The numbers of all outputs after a run, of these types; those updated in place start as 1.
fn run(
    mut backend: Box<dyn Backend>,
    kernel: &Kernel,
    (inputs, outputs): (&[Vec<f32>], &[usize]),
    [reads, writes]: &[Vec<DType>; 2],
    workspace: usize,
) -> Vec<Vec<f32>> {
    let mut places = Places::default();
    let mut place = |numbers, dtype| places.slot(numbers, 0, dtype);
    let mut slots: Vec<Slot> = Vec::new();
    slots.extend(inputs.iter().zip(reads).map(|(input, &dtype)| place(input.len(), dtype)));
    slots.extend(outputs.iter().zip(writes).map(|(&len, &dtype)| place(len, dtype)));
    let workspace = place(workspace, DType::F32);
    let (reads, writes) = slots.split_at(inputs.len());
    reads.iter().zip(inputs).for_each(|(&slot, input)| write(&mut *backend, slot, input));
    writes.iter().for_each(|&slot| backend.write(slot, &vec![1.0; slot.len]));
    backend.run(kernel, &Io { inputs: reads, outputs: writes, workspace });
    let results = writes.iter().map(|&slot| read(&mut *backend, slot)).collect();
    backend.finish().unwrap();
    results
}

/// Checks a call; returns what it wrote.
fn check(kernel: Kernel, inputs: &[&[f32]], outputs: &[usize]) -> Vec<Vec<f32>> {
    let types = types(&kernel, inputs.len(), outputs.len());
    let given = |(input, dtype): (&&[f32], &DType)| match dtype {
        DType::Bf16 => bf16(input),
        _ => input.to_vec(),
    };
    let inputs: Vec<Vec<f32>> = inputs.iter().zip(&types[0]).map(given).collect();
    let f32 = types.each_ref().map(|types| vec![DType::F32; types.len()]);
    let all: usize = inputs.iter().map(Vec::len).chain(outputs.iter().copied()).sum();
    let room = |workspace: usize| all + workspace + ALIGN * (inputs.len() + outputs.len() + 1);
    let workspace = Cpu.workspace(&kernel);
    let cpu = Cpu.open(room(workspace)).unwrap();
    let want = run(cpu, &kernel, (&inputs, outputs), &f32, workspace);
    let workspace = launch::workspace(&kernel, Numerics::Bf16);
    let gpu = Box::new(rounding_gpu(room(workspace), Numerics::Bf16));
    let got = run(gpu, &kernel, (&inputs, outputs), &types, workspace);
    for (output, (want, got)) in want.iter().zip(&got).enumerate() {
        let want = if types[1][output] == DType::Bf16 { bf16(want) } else { want.clone() };
        for (i, (want, got)) in want.iter().zip(got).enumerate() {
            let same = want.to_bits() == got.to_bits();
            assert!(same, "{kernel:?}: output {output}, [{i}] is {got}, not {want}");
        }
    }
    got
}

/// Around a warp's pairs of channels and a tile, one group of rows and several.
const SIZES: [(usize, usize); 7] =
    [(2, 8), (33, 16), (64, 8), (130, 40), (65, 64), (300, 72), (40, 136)];

#[test]
fn batch_norm() {
    for ((rows, channels), kind) in SIZES.into_iter().zip(0..).flat_map(|(sizes, i)| {
        // Training and inference, with and without residual and ReLU.
        (0..8).filter(move |kind| (i + kind) % 2 == 0 || *kind == 7).map(move |kind| (sizes, kind))
    }) {
        let [training, relu, residual] = [kind & 1, kind & 2, kind & 4].map(|bit| bit > 0);
        let norm = BatchNorm { rows, channels, eps: 1e-5, momentum: 0.1, training, relu, residual };
        let (len, c) = (rows * channels, channels);
        let [x, added, y, dy] = [1, 2, 3, 4].map(|i| uniform(i, len));
        let [weight, bias, mean] = [5, 6, 7].map(|i| uniform(i, c));
        let inv_std: Vec<f32> = uniform(8, c).iter().map(|x| 1.5 + x).collect();
        let residual_of = residual.then_some(&added[..]);
        let inputs: Vec<&[f32]> = [&x[..], &weight, &bias].into_iter().chain(residual_of).collect();
        check(Kernel::BatchNorm(norm), &inputs, &[len, c, c, c, c]);
        let inputs = [&x[..], &weight, &bias, &mean, &inv_std].into_iter().chain(residual_of);
        let inputs: Vec<&[f32]> = inputs.collect();
        check(Kernel::BatchNormApply(norm), &inputs, &[len]);
        let outputs = [len, c, c, len];
        let outputs = &outputs[..if relu && residual { 4 } else { 3 }];
        let inputs: [&[f32]; 6] = [&x, &y, &dy, &weight, &mean, &inv_std];
        check(Kernel::BatchNormBackward(norm), &inputs, outputs);
        let sums = uniform(9, group_sums(rows, c).elements());
        let inputs: [&[f32]; 6] = [&x, &dy, &weight, &mean, &inv_std, &sums];
        check(Kernel::BatchNormBackwardFromSums(norm), &inputs, &[len, c, c]);
    }
}

#[test]
fn pools() {
    let cases = [([2, 7, 5, 8], 3, 2, 1), ([1, 9, 9, 24], 2, 3, 1), ([3, 6, 6, 40], 2, 2, 0)];
    for (x, kernel, stride, padding) in cases {
        let pool = Pool2d::new("pool", Shape::from(x), kernel, stride, padding).unwrap();
        let (len, y) = (x.iter().product(), pool.y_shape().elements());
        let (images, dy) = (uniform(1, len), uniform(2, y));
        let argmax = check(Kernel::MaxPool2d(pool), &[&images], &[y, y]).swap_remove(1);
        check(Kernel::AvgPool2d(pool), &[&images], &[y]);
        check(Kernel::AvgPool2dBackward(pool), &[&dy], &[len]);
        check(Kernel::MaxPool2dBackward(pool), &[&dy, &argmax], &[len]);

        let [n, h, w, c] = x;
        check(Kernel::GlobalAvgPool { n, pixels: h * w }, &[&images], &[n * c]);
        check(Kernel::GlobalAvgPoolBackward { n, pixels: h * w }, &[&uniform(3, n * c)], &[len]);
    }
}

#[test]
fn pointwise() {
    for (rows, columns) in [(1, 8), (3, 40), (300, 24)] {
        let len = rows * columns;
        let [a, b, bias] = [(1, len), (2, len), (3, columns)].map(|(i, len)| uniform(i, len));
        check(Kernel::Add, &[&a, &b], &[len]);
        check(Kernel::Unary(Unary::Relu), &[&a], &[len]);
        check(Kernel::UnaryBackward(Unary::Relu), &[&a, &b], &[len]);
        check(Kernel::AddBias, &[&a, &bias], &[len]);
        check(Kernel::BiasRelu { residual: false }, &[&a, &bias], &[len]);
        check(Kernel::BiasRelu { residual: true }, &[&a, &bias, &b], &[len]);
    }
}
