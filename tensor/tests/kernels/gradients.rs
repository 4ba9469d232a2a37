//! The reference's gradients against central differences of its forward formulas, in f64.

use std::collections::HashSet;

use tensor::Kernel;
use tensor::geometry::{BatchNorm, Conv2d, Gemm, PartitionLoss, Pool2d, StreamingLoss};
use tensor::kernel::Unary;
use tensor::reference::run;

use crate::case::{indices, permutation, uniform};
use crate::variants::{VARIANTS, variant};
use Source::{Dy, Input, Output};

/// Step of the differences: their error is of the order of its square.
const STEP: f64 = 1e-5;

/// Inputs of a backward kernel.
#[derive(Clone, Copy)]
enum Source {
    /// The forward kernel's input.
    Input(usize),
    /// Its output.
    Output(usize),
    /// The gradient of its output 0.
    Dy,
}

fn numbers(index: u64, len: usize) -> Vec<f64> {
    uniform(index, len).into_iter().map(f64::from).collect()
}

fn widened(indices: Vec<u32>) -> Vec<f64> {
    indices.into_iter().map(f64::from).collect()
}

fn outputs(kernel: &Kernel, inputs: &[Vec<f64>], before: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let inputs: Vec<&[f64]> = inputs.iter().map(Vec::as_slice).collect();
    let mut outputs = before.to_vec();
    run(kernel, &inputs, &mut outputs);
    outputs
}

fn zeros(lens: &[usize]) -> Vec<Vec<f64>> {
    lens.iter().map(|&len| vec![0.0; len]).collect()
}

/// Asserts that `gradient` is that of <dy, output 0> by the input `by`.
fn assert_gradient(
    kernel: &Kernel,
    inputs: &[Vec<f64>],
    before: &[Vec<f64>],
    dy: &[f64],
    by: usize,
    gradient: &[f64],
    tolerance: f64,
) {
    assert_eq!(gradient.len(), inputs[by].len(), "{kernel:?}");
    assert!(gradient.iter().any(|g| *g != 0.0), "{kernel:?} by input {by}: no gradient at all");
    let scale = gradient.iter().fold(0.0f64, |most, g| most.max(g.abs()));
    for (i, got) in gradient.iter().enumerate() {
        let at = |step: f64| -> f64 {
            let mut inputs = inputs.to_vec();
            inputs[by][i] += step;
            outputs(kernel, &inputs, before)[0].iter().zip(dy).map(|(y, dy)| y * dy).sum()
        };
        let want = (at(STEP) - at(-STEP)) / (2.0 * STEP);
        assert!(
            (got - want).abs() <= tolerance * (scale + 1.0),
            "{kernel:?} by {by}: {got}, {want}"
        );
    }
}

/// A kernel and one of its gradient kernels.
struct Pair {
    forward: Kernel,
    inputs: Vec<Vec<f64>>,
    /// The initial outputs.
    before: Vec<Vec<f64>>,
    backward: Kernel,
    reads: Vec<Source>,
    /// The inputs whose gradients it computes.
    by: Vec<usize>,
}

impl Pair {
    fn check(&self) {
        let y = outputs(&self.forward, &self.inputs, &self.before);
        let dy = numbers(99, y[0].len());
        let reads = self.reads.iter().map(|from| match *from {
            Source::Input(i) => self.inputs[i].clone(),
            Source::Output(i) => y[i].clone(),
            Source::Dy => dy.clone(),
        });
        let reads: Vec<Vec<f64>> = reads.collect();
        let lens: Vec<usize> = self.by.iter().map(|&by| self.inputs[by].len()).collect();
        let gradients = outputs(&self.backward, &reads, &zeros(&lens));
        for (&by, gradient) in self.by.iter().zip(&gradients) {
            assert_gradient(&self.forward, &self.inputs, &self.before, &dy, by, gradient, 1e-7);
        }
    }
}

/// A forward kernel with one output of `len`, and the gradient by one of its inputs.
fn pair(
    (forward, backward): (Kernel, Kernel),
    inputs: &[&Vec<f64>],
    len: usize,
    reads: &[Source],
    by: usize,
) -> Pair {
    let inputs = inputs.iter().copied().cloned().collect();
    Pair { forward, inputs, before: zeros(&[len]), backward, reads: reads.to_vec(), by: vec![by] }
}

fn pairs() -> Vec<Pair> {
    let (rows, columns) = (4, 6);
    let (n, pixels, start) = (2, 4, 5);
    let (low, high) = (-0.25, 0.5);
    let len = rows * columns;
    let (x, bias) = (&numbers(1, len), &numbers(2, columns));
    let wide = &x.iter().map(|x| 6.0 * x).collect();
    let positive = &x.iter().map(|x| x + 1.5).collect();
    let index = &widened(indices(3, 7, rows));
    let order = &widened(permutation(4, columns));

    let clamp = (Kernel::Clamp { low, high }, Kernel::ClampBackward { low, high });
    let bias_gelu = (Kernel::BiasGelu, Kernel::BiasGeluBackward);
    let add_bias = (Kernel::AddBias, Kernel::SumRows { rows, columns });
    let sum = (Kernel::SumColumns { columns }, Kernel::SumColumnsBackward { columns });
    let mean = (Kernel::GlobalAvgPool { n, pixels }, Kernel::GlobalAvgPoolBackward { n, pixels });
    let softmax = (Kernel::Softmax { columns }, Kernel::SoftmaxBackward { columns });
    let log_softmax = (Kernel::LogSoftmax { columns }, Kernel::LogSoftmaxBackward { columns });
    let gather = (Kernel::GatherRows { columns }, Kernel::ScatterAddRows { columns });
    let gather_columns =
        (Kernel::GatherColumns { columns }, Kernel::GatherColumnsBackward { columns });
    let transpose =
        (Kernel::Transpose { rows, columns }, Kernel::Transpose { rows: columns, columns: rows });
    let slice = (Kernel::SliceRows { start }, Kernel::SliceRowsBackward { start });
    let mut pairs = vec![
        pair(clamp, &[x], len, &[Input(0), Dy], 0),
        pair(bias_gelu, &[wide, bias], len, &[Input(0), Input(1), Dy], 0),
        pair(add_bias, &[x, bias], len, &[Dy], 1),
        pair(sum, &[x], rows, &[Dy], 0),
        pair(mean, &[x], len / pixels, &[Dy], 0),
        pair(softmax, &[x], len, &[Output(0), Dy], 0),
        pair(log_softmax, &[x], len, &[Output(0), Dy], 0),
        pair(gather, &[x, index], 7 * columns, &[Dy, Input(1)], 0),
        pair(gather_columns, &[x, order], rows * 4, &[Dy, Input(1)], 0),
        pair(transpose, &[x], len, &[Dy], 0),
        pair(slice, &[x], 9, &[Dy], 0),
    ];
    for function in Unary::ALL {
        let x = if matches!(function, Unary::Ln | Unary::Sqrt) { positive } else { wide };
        let saved = if function.by_output() { Output(0) } else { Input(0) };
        let kernels = (Kernel::Unary(function), Kernel::UnaryBackward(function));
        pairs.push(pair(kernels, &[x], len, &[saved, Dy], 0));
    }
    // Without a minimum norm, and with one above some rows' norms.
    for eps in [0.0, 1.4] {
        pairs.push(Pair {
            forward: Kernel::L2Normalize { columns, eps },
            inputs: vec![x.clone()],
            before: zeros(&[len, rows]),
            backward: Kernel::L2NormalizeBackward { columns, eps },
            reads: vec![Output(0), Output(1), Dy],
            by: vec![0],
        });
    }
    pairs.extend(matrix_products());
    pairs.extend(images());
    pairs.extend((0..8).map(batch_norm));
    pairs
}

/// The gradient by b is op(a)^T dy, or its transpose; that by a likewise.
fn matrix_products() -> Vec<Pair> {
    let (m, n, k) = (3, 4, 5);
    let (a, b, bias) = (&numbers(1, m * k), &numbers(2, k * n), &numbers(3, n));
    let gemm = |m, n, k, trans_a, trans_b| Gemm { m, n, k, trans_a, trans_b };
    let plain = Kernel::GemmBias(gemm(m, n, k, false, false));
    let transposed = Kernel::GemmBias(gemm(m, n, k, true, true));
    let by_a = (plain, Kernel::Gemm(gemm(m, k, n, false, true)));
    let by_b = (plain, Kernel::Gemm(gemm(k, n, m, true, false)));
    let by_transposed_b = (transposed, Kernel::Gemm(gemm(n, k, m, true, true)));
    vec![
        pair(by_a, &[a, b, bias], m * n, &[Dy, Input(1)], 0),
        pair(by_b, &[a, b, bias], m * n, &[Input(0), Dy], 1),
        pair(by_transposed_b, &[a, b, bias], m * n, &[Dy, Input(0)], 1),
    ]
}

fn images() -> Vec<Pair> {
    let mut pairs = Vec::new();
    let (x, weight) = (&numbers(1, 2 * 5 * 4 * 3), &numbers(2, 2 * 3 * 2 * 3));
    for (stride, padding) in [(1, 0), (2, 1), (3, 2), (1, 4)] {
        let conv = Conv2d::new([2, 5, 4, 3].into(), [2, 3, 2, 3].into(), stride, padding).unwrap();
        let len = conv.y_shape().elements();
        let by_x = (Kernel::Conv2d(conv), Kernel::Conv2dGradInput(conv));
        let by_weight = (Kernel::Conv2d(conv), Kernel::Conv2dGradWeight(conv));
        pairs.push(pair(by_x, &[x, weight], len, &[Dy, Input(1)], 0));
        pairs.push(pair(by_weight, &[x, weight], len, &[Input(0), Dy], 1));
    }
    for (kernel, stride, padding) in [(2, 2, 0), (3, 2, 1), (3, 1, 1)] {
        let pool = Pool2d::new("pool2d", [2, 5, 4, 3].into(), kernel, stride, padding).unwrap();
        let len = pool.y_shape().elements();
        pairs.push(Pair {
            forward: Kernel::MaxPool2d(pool),
            inputs: vec![x.clone()],
            before: zeros(&[len, len]),
            backward: Kernel::MaxPool2dBackward(pool),
            reads: vec![Dy, Output(1)],
            by: vec![0],
        });
        let mean = (Kernel::AvgPool2d(pool), Kernel::AvgPool2dBackward(pool));
        pairs.push(pair(mean, &[x], len, &[Dy], 0));
    }
    pairs
}

/// With training, residual and ReLU according to the flags.
fn batch_norm(flags: u32) -> Pair {
    let [training, residual, relu] = [1, 2, 4].map(|flag| flags & flag != 0);
    let (rows, channels) = (7, 3);
    let norm = BatchNorm { rows, channels, eps: 1e-3, momentum: 0.3, training, residual, relu };
    let len = rows * channels;
    let mut inputs = vec![numbers(1, len), numbers(2, channels), numbers(3, channels)];
    let mut by = vec![0, 1, 2];
    if residual {
        inputs.push(numbers(4, len));
        if relu {
            by.push(3);
        }
    }
    let mut before = zeros(&[len, channels, channels]);
    before.extend([numbers(5, channels), vec![0.8; channels]]);
    Pair {
        forward: Kernel::BatchNorm(norm),
        inputs,
        before,
        backward: Kernel::BatchNormBackward(norm),
        reads: vec![Input(0), Output(0), Dy, Input(1), Output(1), Output(2)],
        by,
    }
}

#[test]
fn gradients_are_those_of_the_forward_formulas() {
    let pairs = pairs();
    pairs.iter().for_each(Pair::check);
    let seen: HashSet<_> = pairs.iter().map(|pair| variant(&pair.backward)).collect();
    // Those with sums are others in two parts.
    let is_gradient = |name: &&&str| {
        (name.contains("Backward") || name.contains("Grad")) && !name.ends_with("Sums")
    };
    for name in VARIANTS.iter().filter(is_gradient) {
        assert!(seen.contains(name), "{name} has no forward formula here");
    }
}

#[test]
fn gradients_of_the_loss_are_those_of_its_value() {
    for (views, batch, prototypes, partition_size) in [(2, 2, 9, 4), (4, 3, 12, 6), (3, 1, 5, 2)] {
        let loss = PartitionLoss::new(views, batch, prototypes, partition_size).unwrap();
        // At the larger scale products of probabilities are clamped.
        for scale in [2.0, 40.0] {
            let scaled = |index, len| numbers(index, len).iter().map(|x| scale * x).collect();
            let order = widened(permutation(1, prototypes));
            let student = scaled(2, views * batch * prototypes);
            let inputs = [student, scaled(3, 2 * batch * prototypes), order.clone()];
            check_loss(Kernel::PartitionLoss(loss), &inputs, &[(3, 0)], 1e-7);

            let dim = 3;
            let [z, z_teacher] = [(4, views), (5, 2)].map(|(i, n)| scaled(i, n * batch * dim));
            let [v, v_teacher] = [6, 7].map(|index| numbers(index, prototypes * dim));
            let streaming = StreamingLoss { loss, dim, views_at_once: 1 };
            let inputs = [z, z_teacher, v, v_teacher, order];
            check_loss(Kernel::StreamingLoss(streaming), &inputs, &[(3, 0), (4, 2)], 1e-7);
        }
    }
}

#[test]
fn a_mean_below_its_clamp_has_the_gradient_of_a_constant_logarithm() {
    // The last prototype has a probability of 1e-7 in every row; the clamp is at 1.2e-7.
    let rows = [0.0, 0.0, -15.42].repeat(2);
    let loss = PartitionLoss::new(2, 1, 3, 3).unwrap();
    let inputs = [rows.clone(), rows, vec![0.0, 1.0, 2.0]];
    check_loss(Kernel::PartitionLoss(loss), &inputs, &[(3, 0)], 1e-9);
}

/// Asserts that each output is the gradient of output 0 by the paired input.
fn check_loss(kernel: Kernel, inputs: &[Vec<f64>], gradients: &[(usize, usize)], tolerance: f64) {
    let mut before = zeros(&[1, 1, 1]);
    before.extend(gradients.iter().map(|&(_, by)| vec![0.0; inputs[by].len()]));
    let got = outputs(&kernel, inputs, &before);
    for &(output, by) in gradients {
        assert_gradient(&kernel, inputs, &before, &[1.0], by, &got[output], tolerance);
    }
}
