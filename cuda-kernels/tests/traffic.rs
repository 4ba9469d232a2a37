//! The memory traffic promised in the kernels' comments against the emulator's counts.
//!
//! The emulator counts 32-byte transactions without caches. So a second read of the same bytes,
//! cached on a GPU, is counted here, and a scalar read by all 32 threads of a warp costs 1 byte per
//! thread.

mod common;

use std::sync::Arc;

use common::uniform;
use cuda_kernels::drivers::emulator::{Emulator, Profile};
use cuda_kernels::{Gpu, launch};
use tensor::geometry::{BatchNorm, Pool2d};
use tensor::kernel::{AdamW, Unary};
use tensor::{Backend, Io, Kernel, Numerics, Shape, Slot};

/// Bytes that a kernel moves, per element of `elements`, with inputs and outputs of these lengths
/// filled with random numbers above 0; fails on bank conflicts.
fn bytes(kernel: Kernel, inputs: &[usize], outputs: &[usize], elements: usize) -> f64 {
    bytes_by_index(kernel, inputs, &[], outputs, elements)
}

/// The same for a kernel whose last input is indices.
fn bytes_by_index(
    kernel: Kernel,
    inputs: &[usize],
    indices: &[u32],
    outputs: &[usize],
    elements: usize,
) -> f64 {
    let mut end = 0;
    let mut slot = |len: usize| {
        let offset = usize::next_multiple_of(end, tensor::arena::ALIGN);
        end = offset + len;
        Slot::new(offset, len)
    };
    let mut inputs: Vec<Slot> = inputs.iter().map(|&len| slot(len)).collect();
    let outputs: Vec<Slot> = outputs.iter().map(|&len| slot(len)).collect();
    let workspace = slot(launch::workspace(&kernel, Numerics::Exact));
    let index = slot(indices.len());
    let profile = Profile::default();
    let mut gpu =
        Gpu::new(Box::new(Emulator::profiled(Arc::clone(&profile))), end, Numerics::Exact).unwrap();
    let positive: Vec<f32> = uniform(1, end).iter().map(|x| 1.5 + x).collect();
    gpu.write(Slot::new(0, end), &positive);
    if index.len > 0 {
        gpu.write_u32(index, indices);
        inputs.push(index);
    }
    gpu.run(&kernel, &Io { inputs: &inputs, outputs: &outputs, workspace });
    gpu.finish().unwrap();
    let profile = profile.lock().unwrap();
    for (kernel, counts) in profile.iter() {
        assert_eq!(counts.bank_conflicts, 0, "{kernel}: bank conflicts");
    }
    let transactions: u64 = profile.values().map(|counts| counts.transactions).sum();
    (32 * transactions) as f64 / elements as f64
}

/// Within 3 % of the promise: partial sums and parameters are small compared with the data.
fn check(name: &str, got: f64, promised: f64) {
    println!("{name}: {got:.2} bytes per element, promised {promised}");
    let error = (got / promised - 1.0).abs();
    assert!(error < 0.03, "{name}: {got:.2} bytes per element, promised {promised}");
}

const LEN: usize = 8192;

#[test]
fn pointwise() {
    let (low, high, n, columns) = (0.0, 9.0, LEN, 32);
    let unary = Unary::ALL.into_iter().flat_map(|function| {
        let backward = (Kernel::UnaryBackward(function), &[LEN, LEN][..], 12.0);
        [(Kernel::Unary(function), &[LEN][..], 8.0), backward]
    });
    let kernels: [(Kernel, &[usize], f64); 14] = [
        (Kernel::Fill(1.0), &[], 4.0),
        (Kernel::Copy, &[n], 8.0),
        (Kernel::Add, &[n, n], 12.0),
        (Kernel::Mul, &[n, n], 12.0),
        (Kernel::Clamp { low, high }, &[n], 8.0),
        (Kernel::ClampBackward { low, high }, &[n, n], 12.0),
        (Kernel::Scale(2.0), &[n], 8.0),
        (Kernel::ScaleBy, &[1, n], 8.0 + 1.0),
        (Kernel::Accumulate, &[1, n], 12.0 + 1.0),
        // The bias comes from the cache.
        (Kernel::AddBias, &[n, columns], 8.0 + 4.0),
        (Kernel::BiasGelu, &[n, columns], 8.0 + 4.0),
        (Kernel::BiasGeluBackward, &[n, columns, n], 12.0 + 4.0),
        (Kernel::BiasRelu { residual: false }, &[n, columns], 8.0 + 4.0),
        (Kernel::BiasRelu { residual: true }, &[n, columns, n], 12.0 + 4.0),
    ];
    for (kernel, inputs, promised) in kernels.into_iter().chain(unary) {
        check(kernel.name(), bytes(kernel, inputs, &[n], n), promised);
    }
}

#[test]
fn reductions_read_once() {
    let (rows, columns) = (1024, 32);
    let len = rows * columns;
    let sum_rows = Kernel::SumRows { rows, columns };
    let partial_sums = launch::workspace(&sum_rows, Numerics::Exact) as f64 / len as f64;
    let got = bytes(sum_rows, &[len], &[columns], len);
    check("sum_rows", got, 4.0 * (1.0 + 2.0 * partial_sums));
    // A row's sum is one number, but costs a transaction.
    let got = bytes(Kernel::SumColumns { columns }, &[len], &[rows], len);
    check("sum_columns", got, 4.0 + 32.0 / columns as f64);
    check("sum", bytes(Kernel::Sum(1.0), &[len], &[1], len), 4.0);
}

#[test]
fn rows_of_softmax_and_weight_norm() {
    let (rows, columns, eps) = (8, 1024, 0.0);
    let n = rows * columns;
    let kernels: [(Kernel, &[usize], &[usize], f64); 6] = [
        // x three times, two of them cached.
        (Kernel::Softmax { columns }, &[n], &[n], 16.0),
        (Kernel::LogSoftmax { columns }, &[n], &[n], 16.0),
        // y and dy twice, or dy twice and y once.
        (Kernel::SoftmaxBackward { columns }, &[n, n], &[n], 20.0),
        (Kernel::LogSoftmaxBackward { columns }, &[n, n], &[n], 16.0),
        (Kernel::L2Normalize { columns, eps }, &[n], &[n, rows], 12.0),
        (Kernel::L2NormalizeBackward { columns, eps }, &[n, rows, n], &[n], 20.0),
    ];
    for (kernel, inputs, outputs, promised) in kernels {
        check(kernel.name(), bytes(kernel, inputs, outputs, n), promised);
    }
}

#[test]
fn batch_norm() {
    let (rows, channels, eps, momentum) = (2048, 32, 1e-5, 0.1);
    let (n, c) = (rows * channels, channels);
    // Few enough rows that a thread has 8, for which it reads 4 and 6 parameters of its channel.
    let (parameters, parameters_backward) = (4.0 * 4.0 / 8.0, 6.0 * 4.0 / 8.0);
    for (relu, residual, forward, backward) in [
        // x twice and y once; x, y and dy twice and dx once.
        (false, false, 12.0, 20.0),
        (true, false, 12.0, 28.0),
        (false, true, 16.0, 20.0),
        (true, true, 16.0, 28.0),
    ] {
        let norm = BatchNorm { rows, channels, eps, momentum, training: true, relu, residual };
        let name = format!("relu {relu}, residual {residual}");
        let inputs = &[n, c, c, n][..if residual { 4 } else { 3 }];
        let got = bytes(Kernel::BatchNorm(norm), inputs, &[n, c, c, c, c], n);
        check(&format!("batch_norm, {name}"), got, forward + parameters);
        // Without ReLU the gradient through it is dy itself.
        let outputs = &[n, c, c, n][..if residual && relu { 4 } else { 3 }];
        let got = bytes(Kernel::BatchNormBackward(norm), &[n, n, n, c, c, c], outputs, n);
        check(&format!("batch_norm_backward, {name}"), got, backward + parameters_backward);
    }
}

#[test]
fn optimizers() {
    let (n, momentum) = (LEN, 0.9);
    check("ema", bytes(Kernel::Ema, &[1, n], &[n], n), 12.0 + 1.0);
    let got = bytes(Kernel::Sgd { momentum }, &[n, 1, 1], &[n, n], n);
    check("sgd", got, 20.0 + 2.0);
    let adamw = AdamW { betas: (0.9, 0.999), eps: 1e-8 };
    let got = bytes(Kernel::AdamW(adamw), &[n, 1, 1, 2], &[n, n, n], n);
    check("adamw", got, 28.0 + 4.0);
    // First the norms, which read w twice, once from a cache, then SGD's step. A thread has 8 weights, for which it reads its tensor's
    // range and the weight decay, then also learning rate and trust ratio. A tensor this large has
    // work for all blocks.
    let n = 128 * 2048;
    let lars = Kernel::Lars { momentum, eta: 1e-3, tensors: 1 };
    let got = bytes_by_index(lars, &[n, 1, 1], &[0, n as u32], &[n, n], n);
    check("lars", got, 12.0 + 20.0 + (3.0 + 5.0) / 8.0);
}

#[test]
fn pools() {
    let pool = Pool2d::new("pool", Shape::from([2, 16, 16, 32]), 2, 2, 0).unwrap();
    let (n, pixels) = (2, 256);
    let (x, y) = (n * pixels * 32, pool.y_shape().elements());
    // Windows side by side: per element of x, x once and a quarter of y and argmax.
    check("max_pool2d", bytes(Kernel::MaxPool2d(pool), &[x], &[y, y], x), 6.0);
    check("avg_pool2d", bytes(Kernel::AvgPool2d(pool), &[x], &[y], x), 5.0);
    // Each pixel reads its window's dy: four times, three of them cached.
    let got = bytes(Kernel::AvgPool2dBackward(pool), &[y], &[x], x);
    check("avg_pool2d_backward", got, 8.0);
    let got = bytes(Kernel::GlobalAvgPool { n, pixels }, &[x], &[n * 32], x);
    check("global_avg_pool", got, 4.0);
    let got = bytes(Kernel::GlobalAvgPoolBackward { n, pixels }, &[n * 32], &[x], x);
    check("global_avg_pool_backward", got, 8.0);
}
