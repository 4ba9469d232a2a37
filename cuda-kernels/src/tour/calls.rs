//! The calls of the tour, family by family: small sizes that are not multiples of tiles.

use tensor::geometry::{
    BatchNorm, Conv2d, ConvAlgorithm, Gemm, PartitionLoss, Pool2d, StreamingLoss,
};
use tensor::kernel::{AdamW, Unary};
use tensor::order::group_sums;
use tensor::{Kernel, Numerics};

use crate::launch;

/// The contents of an input.
pub enum Input {
    /// Random numbers in [0.1, 1), suitable for weights, variances and logarithms.
    Random(usize),
    /// The first `len` of a random order of `0..of`.
    Order { of: usize, len: usize },
    /// These indices.
    Indices(Vec<u32>),
}

use Input::{Indices, Order, Random};

/// A kernel, the contents of its inputs, and the lengths of its outputs.
pub struct Call(pub Kernel, pub Vec<Input>, pub Vec<usize>);

/// A product that matches no tile.
pub const PRODUCT: Gemm = Gemm { m: 100, n: 70, k: 50, trans_a: false, trans_b: true };
const LOSS: PartitionLoss =
    PartitionLoss { views: 3, batch: 8, prototypes: 100, partition_size: 32 };

/// Calls of the kernels in a module; one slow, large call only on request.
pub fn of_module(module: &str, large: bool) -> Vec<Call> {
    match module {
        // In training and in inference; neighbours in fours, and one by one.
        "batch_norm" => [(true, 40), (false, 40), (true, 39), (false, 39)]
            .into_iter()
            .flat_map(|(training, channels)| batch_norm(training, channels))
            .collect(),
        "conv2d" => [8, 48].into_iter().flat_map(|c| conv2d(c, 2, ConvAlgorithm::Direct)).collect(),
        "conv2d_tensor" if large => pointwise_conv2d(66, 72).into(),
        // Neighbours in fours, one by one, and whole slabs; few channels to many.
        "conv2d_tensor" => {
            let windows = [8, 6].into_iter().flat_map(|c| conv2d(c, 2, ConvAlgorithm::Direct));
            let whole = [64, 72].into_iter().flat_map(|o| pointwise_conv2d(1, o));
            windows.chain(whole).chain(stem()).collect()
        }
        "gather" => gather(),
        // Many large tiles.
        "gemm" if large => vec![gemm(Gemm { m: 11 * 128, n: 12 * 128, k: 16, ..PRODUCT })],
        // A square tile, narrow ones, one with a split inner size.
        "gemm" => [(100, 70, 50), (100, 10, 50), (10, 100, 50), (40, 40, 1100)]
            .map(|(m, n, k)| gemm(Gemm { m, n, k, ..PRODUCT }))
            .into(),
        "normalize" => normalize(),
        "optimizer" => optimizer(),
        "partition_loss" => vec![partition_loss()],
        "pointwise" => pointwise(),
        "pool" => pool(),
        "reduce" => reduce(),
        "softmax" => softmax(),
        "streaming_loss" | "streaming_tensor" => vec![streaming_loss()],
        "transpose" => vec![call(Kernel::Transpose { rows: 40, columns: 70 }, &[2800], &[2800])],
        "winograd" => [ConvAlgorithm::Winograd2, ConvAlgorithm::Winograd4]
            .into_iter()
            .flat_map(|algorithm| conv2d(24, 1, algorithm))
            .collect(),
        _ => Vec::new(),
    }
}

/// A call whose inputs are all random.
fn call(kernel: Kernel, inputs: &[usize], outputs: &[usize]) -> Call {
    Call(kernel, inputs.iter().copied().map(Random).collect(), outputs.to_vec())
}

fn batch_norm(training: bool, channels: usize) -> [Call; 4] {
    let (rows, eps, momentum) = (300, 1e-5, 0.1);
    let norm = BatchNorm { rows, channels, eps, momentum, training, residual: true, relu: true };
    let (x, c) = (rows * channels, channels);
    [
        call(Kernel::BatchNorm(norm), &[x, c, c, x], &[x, c, c, c, c]),
        call(Kernel::BatchNormApply(norm), &[x, c, c, c, c, x], &[x]),
        call(Kernel::BatchNormBackward(norm), &[x, x, x, c, c, c], &[x, c, c, x]),
        call(
            Kernel::BatchNormBackwardFromSums(norm),
            &[x, x, c, c, c, group_sums(rows, channels).elements()],
            &[x, c, c],
        ),
    ]
}

fn conv2d(channels: usize, stride: usize, algorithm: ConvAlgorithm) -> [Call; 3] {
    let (c, o) = (channels, channels);
    convolutions(Conv2d { n: 2, h: 9, w: 11, c, o, r: 3, s: 3, stride, padding: 1, algorithm })
}

/// Slabs of whole taps, with batch norm's sums on tensor cores, of results and of gradients; with 66 images
/// many large tiles.
fn pointwise_conv2d(n: usize, o: usize) -> [Call; 3] {
    let (c, algorithm) = (64, ConvAlgorithm::Direct);
    let conv = Conv2d { n, h: 32, w: 16, c, o, r: 1, s: 1, stride: 1, padding: 0, algorithm };
    let mut calls = convolutions(conv);
    calls[0].0 = Kernel::Conv2dSums(conv);
    calls[0].2.push(launch::sums(conv, Numerics::Tf32).elements());
    let x = calls[1].2[0];
    calls[1].0 = Kernel::Conv2dGradInputSums { conv, relu: true, added: true };
    calls[1].1.extend([x, x, c, x].map(Random));
    calls[1].2.push(launch::gradient_sums(conv, Numerics::Tf32).elements());
    calls
}

fn stem() -> [Call; 3] {
    let (c, o, algorithm) = (3, 16, ConvAlgorithm::Direct);
    convolutions(Conv2d { n: 2, h: 9, w: 11, c, o, r: 3, s: 3, stride: 2, padding: 1, algorithm })
}

fn convolutions(conv: Conv2d) -> [Call; 3] {
    let Conv2d { c, o, .. } = conv;
    let (x, w, y) = (conv.input_rows() * c, o * conv.patch(), conv.rows() * o);
    [
        call(Kernel::Conv2d(conv), &[x, w], &[y]),
        call(Kernel::Conv2dGradInput(conv), &[y, w], &[x]),
        call(Kernel::Conv2dGradWeight(conv), &[x, y], &[w]),
    ]
}

fn gather() -> Vec<Call> {
    let (rows, columns, used) = (40, 33, 20);
    let (x, some_rows, some_columns) = (rows * columns, used * columns, rows * used);
    let call = |kernel, x, of, y| Call(kernel, vec![Random(x), Order { of, len: used }], vec![y]);
    vec![
        call(Kernel::GatherRows { columns }, x, rows, some_rows),
        call(Kernel::ScatterAddRows { columns }, some_rows, rows, x),
        call(Kernel::GatherColumns { columns }, x, columns, some_columns),
        call(Kernel::GatherColumnsBackward { columns }, some_columns, columns, x),
    ]
}

fn gemm(gemm: Gemm) -> Call {
    let Gemm { m, n, k, .. } = gemm;
    call(Kernel::GemmBias(gemm), &[m * k, n * k, n], &[m * n])
}

fn normalize() -> Vec<Call> {
    let (rows, columns, eps) = (20, 130, 1e-12);
    let x = rows * columns;
    vec![
        call(Kernel::L2Normalize { columns, eps }, &[x], &[x, rows]),
        call(Kernel::L2NormalizeBackward { columns, eps }, &[x, rows, x], &[x]),
    ]
}

fn optimizer() -> Vec<Call> {
    let (n, momentum) = (5000, 0.9);
    let ranges = vec![0, 700, 704, n as u32];
    let lars = Kernel::Lars { momentum, eta: 1e-3, tensors: ranges.len() / 2 };
    let adamw = AdamW { betas: (0.9, 0.999), eps: 1e-8 };
    vec![
        call(Kernel::Ema, &[1, n], &[n]),
        call(Kernel::Sgd { momentum }, &[n, 1, 1], &[n, n]),
        Call(lars, vec![Random(n), Random(1), Random(1), Indices(ranges)], vec![n, n]),
        call(Kernel::AdamW(adamw), &[n, 1, 1, 2], &[n, n, n]),
    ]
}

fn partition_loss() -> Call {
    let PartitionLoss { views, batch, prototypes, .. } = LOSS;
    let (student, teacher) = (views * batch * prototypes, 2 * batch * prototypes);
    let order = Order { of: prototypes, len: prototypes };
    let inputs = vec![Random(student), Random(teacher), order];
    Call(Kernel::PartitionLoss(LOSS), inputs, vec![1, 1, 1, student])
}

fn streaming_loss() -> Call {
    let PartitionLoss { views, batch, prototypes, .. } = LOSS;
    let dim = 24;
    let (student, teacher, w) = (views * batch * dim, 2 * batch * dim, prototypes * dim);
    let order = Order { of: prototypes, len: prototypes };
    let inputs = vec![Random(student), Random(teacher), Random(w), Random(w), order];
    let sizes = StreamingLoss { loss: LOSS, dim, views_at_once: views };
    Call(Kernel::StreamingLoss(sizes), inputs, vec![1, 1, 1, student, w])
}

fn pointwise() -> Vec<Call> {
    let (n, columns, low, high) = (3000, 40, 0.2, 0.8);
    let unary = Unary::ALL.into_iter().flat_map(|function| {
        let backward = call(Kernel::UnaryBackward(function), &[n, n], &[n]);
        [call(Kernel::Unary(function), &[n], &[n]), backward]
    });
    let others = [
        call(Kernel::Fill(1.0), &[], &[n]),
        call(Kernel::Copy, &[n], &[n]),
        call(Kernel::Add, &[n, n], &[n]),
        call(Kernel::Add, &[n - 1, n - 1], &[n - 1]),
        call(Kernel::Mul, &[n, n], &[n]),
        call(Kernel::Clamp { low, high }, &[n], &[n]),
        call(Kernel::ClampBackward { low, high }, &[n, n], &[n]),
        call(Kernel::Scale(2.0), &[n], &[n]),
        call(Kernel::ScaleBy, &[1, n], &[n]),
        call(Kernel::Accumulate, &[1, n], &[n]),
        call(Kernel::AddBias, &[n, columns], &[n]),
        call(Kernel::BiasGelu, &[n, columns], &[n]),
        call(Kernel::BiasGeluBackward, &[n, columns, n], &[n]),
        call(Kernel::BiasRelu { residual: false }, &[n, columns], &[n]),
        call(Kernel::BiasRelu { residual: true }, &[n, columns, n], &[n]),
    ];
    unary.chain(others).collect()
}

fn pool() -> Vec<Call> {
    let pool = Pool2d { n: 2, h: 9, w: 11, c: 24, kernel: 3, stride: 2, padding: 1 };
    let (n, pixels) = (pool.n, pool.h * pool.w);
    let (x, y, mean) = (n * pixels * pool.c, pool.y_shape().elements(), n * pool.c);
    let argmax = Order { of: y, len: y };
    vec![
        call(Kernel::MaxPool2d(pool), &[x], &[y, y]),
        Call(Kernel::MaxPool2dBackward(pool), vec![Random(y), argmax], vec![x]),
        call(Kernel::AvgPool2d(pool), &[x], &[y]),
        call(Kernel::AvgPool2dBackward(pool), &[y], &[x]),
        call(Kernel::GlobalAvgPool { n, pixels }, &[x], &[mean]),
        call(Kernel::GlobalAvgPoolBackward { n, pixels }, &[mean], &[x]),
    ]
}

fn reduce() -> Vec<Call> {
    let (rows, columns) = (200, 33);
    let x = rows * columns;
    vec![
        call(Kernel::SumRows { rows, columns }, &[x], &[columns]),
        call(Kernel::SumColumns { columns }, &[x], &[rows]),
        call(Kernel::SumColumnsBackward { columns }, &[rows], &[x]),
        call(Kernel::Sum(0.5), &[x], &[1]),
        check(),
    ]
}

/// Of tensors with gaps between them, over several blocks, and of a plain one.
fn check() -> Call {
    let len = 20_000;
    let ranges = vec![0, 30, 32, 9000, 9008, len as u32];
    let inputs = vec![Random(1), Random(1), Random(len), Indices(ranges), Random(300)];
    Call(Kernel::NonFiniteCheck { scalars: 2, flat: 1 }, inputs, vec![3])
}

fn softmax() -> Vec<Call> {
    let (rows, columns) = (20, 130);
    let x = rows * columns;
    vec![
        call(Kernel::Softmax { columns }, &[x], &[x]),
        call(Kernel::SoftmaxBackward { columns }, &[x, x], &[x]),
        call(Kernel::LogSoftmax { columns }, &[x], &[x]),
        call(Kernel::LogSoftmaxBackward { columns }, &[x, x], &[x]),
    ]
}
