//! Batch norm, against the CPU: training and inference, with and without residual and ReLU.

mod common;

use common::{Case, uniform};
use tensor::geometry::{BatchNorm, Conv2d, ConvAlgorithm};
use tensor::order::group_sums;
use tensor::{Kernel, Shape, Slot};

/// Rows and channels: the fewest, around a warp and a tile, one group of rows and several.
const SIZES: [(usize, usize); 8] =
    [(2, 1), (31, 33), (33, 31), (64, 8), (65, 3), (200, 5), (130, 40), (300, 64)];

fn norm(rows: usize, channels: usize, [training, relu, residual]: [bool; 3]) -> BatchNorm {
    BatchNorm { rows, channels, eps: 1e-5, momentum: 0.1, training, relu, residual }
}

/// Weight and bias, and the running statistics.
fn parameters(case: &mut Case, channels: usize) -> ([Slot; 2], [Slot; 2]) {
    let positive: Vec<f32> = uniform(12, channels).iter().map(|x| 1.5 + x).collect();
    (
        [case.input(&uniform(10, channels)), case.input(&uniform(11, channels))],
        [
            case.in_place("running mean", &uniform(13, channels)),
            case.in_place("running variance", &positive),
        ],
    )
}

/// Forward and backward.
fn check(norm: BatchNorm) {
    let BatchNorm { rows, channels, .. } = norm;
    let len = rows * channels;
    let mut case = Case::shifted(format!("{norm:?}"), rows % 2);
    let x = case.input(&uniform(1, len));
    let dy = case.input(&uniform(2, len));
    let ([weight, bias], [running_mean, running_var]) = parameters(&mut case, channels);
    let y = case.output("y", len);
    let [mean, inv_std] = ["mean", "inv_std"].map(|name| case.output(name, channels));
    let mut inputs = vec![x, weight, bias];
    if norm.residual {
        inputs.push(case.input(&uniform(3, len)));
    }
    case.call(Kernel::BatchNorm(norm), &inputs, &[y, mean, inv_std, running_mean, running_var]);

    // Once more, from the statistics.
    let again = case.output("y again", len);
    inputs.splice(3..3, [mean, inv_std]);
    case.call(Kernel::BatchNormApply(norm), &inputs, &[again]);

    // Apart, and dx over dy.
    let [dx, over_dy] = [case.output("dx", len), case.in_place("dx over dy", &uniform(2, len))];
    for (dy, dx) in [(dy, dx), (over_dy, over_dy)] {
        let mut outputs = vec![dx];
        outputs.extend(["dweight", "dbias"].map(|name| case.output(name, channels)));
        if norm.residual && norm.relu {
            outputs.push(case.output("dresidual", len));
        }
        let inputs = [x, y, dy, weight, mean, inv_std];
        case.call(Kernel::BatchNormBackward(norm), &inputs, &outputs);
    }
    case.run();
}

#[test]
fn with_the_statistics_of_the_batch() {
    for (rows, channels) in SIZES {
        check(norm(rows, channels, [true, false, false]));
        check(norm(rows, channels, [true, true, true]));
    }
    check(norm(70, 9, [true, true, false]));
    check(norm(70, 9, [true, false, true]));
}

#[test]
fn with_running_statistics() {
    for (rows, channels) in SIZES {
        check(norm(rows, channels, [false, false, true]));
        check(norm(rows, channels, [false, true, false]));
    }
    check(norm(70, 9, [false, true, true]));
}

#[test]
fn from_the_sums_of_a_convolution() {
    // Few channels, a short second group, many channels and groups, a matrix product.
    let convolutions = [
        ([2, 9, 8, 3], [5, 3, 3], 1, 1),
        ([2, 12, 12, 4], [64, 3, 3], 1, 1),
        ([3, 9, 9, 3], [600, 2, 3], 2, 1),
        ([2, 12, 13, 20], [70, 1, 1], 1, 0),
    ];
    for (x, [o, r, s], stride, padding) in convolutions {
        let weight = Shape::from([o, r, s, x[3]]);
        let conv = Conv2d::new(Shape::from(x), weight, stride, padding).unwrap();
        let mut by_all = ConvAlgorithm::ALL.map(|algorithm| conv.by(algorithm)).to_vec();
        by_all.dedup();
        by_all.into_iter().for_each(check_from_sums);
    }
}

fn check_from_sums(conv: Conv2d) {
    let (rows, channels) = (conv.rows(), conv.o);
    let mut case = Case::new(format!("{conv:?}"));
    let x = case.input(&uniform(1, conv.input_rows() * conv.c));
    let w = case.input(&uniform(2, channels * conv.patch()));
    let y = case.output("convolution", rows * channels);
    let sums = case.output("sums", group_sums(rows, channels).elements());
    case.call(Kernel::Conv2dSums(conv), &[x, w], &[y, sums]);

    let ([weight, bias], [running_mean, running_var]) = parameters(&mut case, channels);
    let added = case.input(&uniform(3, rows * channels));
    let z = case.output("z", rows * channels);
    let [mean, inv_std] = ["mean", "inv_std"].map(|name| case.output(name, channels));
    let kernel = Kernel::BatchNormFromSums(norm(rows, channels, [true, true, true]));
    let outputs = [z, mean, inv_std, running_mean, running_var];
    case.call(kernel, &[y, weight, bias, sums, added], &outputs);
    case.run();
}

#[test]
fn gradients_from_the_sums_of_a_convolution() {
    // As above, with phases of a stride.
    for (x, [o, r, s], stride, padding) in [
        ([2, 9, 8, 3], [5, 3, 3], 1, 1),
        ([2, 12, 12, 64], [4, 3, 3], 2, 1),
        ([2, 12, 13, 70], [20, 1, 1], 1, 0),
    ] {
        let weight = Shape::from([o, r, s, x[3]]);
        let conv = Conv2d::new(Shape::from(x), weight, stride, padding).unwrap();
        for kind in 0..4 {
            check_gradient_sums(conv, [kind & 1, kind & 2].map(|bit| bit > 0));
        }
    }
}

fn check_gradient_sums(conv: Conv2d, [relu, added]: [bool; 2]) {
    let (rows, channels) = (conv.input_rows(), conv.c);
    let len = rows * channels;
    let mut case = Case::new(format!("{conv:?}, ReLU {relu}, added {added}"));
    let dy = case.input(&uniform(1, conv.rows() * conv.o));
    let w = case.input(&uniform(2, conv.o * conv.patch()));
    let [x, y] = [3, 4].map(|i| case.input(&uniform(i, len)));
    let [mean, weight, inv_std] = [5, 6, 7].map(|i| case.input(&uniform(i, channels)));
    let mut inputs = vec![dy, w, x, y, mean];
    if added {
        inputs.push(case.input(&uniform(8, len)));
    }
    let [g, over_g] = ["g", "dx over g"].map(|name| case.output(name, len));
    let sums = case.output("sums", group_sums(rows, channels).elements());
    let kernel = Kernel::Conv2dGradInputSums { conv, relu, added };
    case.call(kernel, &inputs, &[g, sums]);
    case.call(kernel, &inputs, &[over_g, sums]);
    let kernel = Kernel::BatchNormBackwardFromSums(norm(rows, channels, [true, relu, added]));
    let dx = case.output("dx", len);
    for (g, dx) in [(g, dx), (over_g, over_g)] {
        let [dweight, dbias] = ["dweight", "dbias"].map(|name| case.output(name, channels));
        let inputs = [x, g, weight, mean, inv_std, sums];
        case.call(kernel, &inputs, &[dx, dweight, dbias]);
    }
    case.run();
}

/// The textbook's sum(x^2) - sum(x)^2 / n in f32 would lose this variance entirely.
#[test]
fn a_large_mean_costs_no_digits() {
    let (rows, channels) = (300, 3);
    let norm = norm(rows, channels, [true, false, false]);
    let x: Vec<f32> = uniform(1, rows * channels).iter().map(|x| 4096.0 + x).collect();
    let mut case = Case::new("a large mean");
    let x = case.input(&x);
    let ([weight, bias], [running_mean, running_var]) = parameters(&mut case, channels);
    let y = case.output("y", rows * channels);
    let mean = case.output("mean", channels);
    let inv_std = case.output("inv_std", channels);
    let outputs = [y, mean, inv_std, running_mean, running_var];
    case.call(Kernel::BatchNorm(norm), &[x, weight, bias], &outputs);
    case.run();
}
