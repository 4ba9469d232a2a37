//! One thread per element, against the CPU.

mod common;

use common::{Case, check, uniform};
use tensor::Kernel;
use tensor::kernel::Unary;

/// One element, around a warp, and around several blocks.
const LENS: [usize; 5] = [1, 31, 33, 256, 1000];

/// Values where functions change formula, in addition to random ones.
fn with_edges(index: u64, len: usize) -> Vec<f32> {
    let edges = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.5,
        -0.5,
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        88.0,
        -88.0,
        1e-40,
        -3.9,
        4.1,
        6.5,
        -6.5,
    ];
    let mut x: Vec<f32> = uniform(index, len).iter().map(|x| 5.0 * x).collect();
    // At the end: short cases keep random values in front.
    for (x, edge) in x.iter_mut().rev().zip(edges) {
        *x = edge;
    }
    x
}

fn unary(kernel: Kernel) {
    for len in LENS {
        check(kernel, len % 3, &[&with_edges(1, len)], &[len]);
    }
}

fn binary(kernel: Kernel) {
    for len in LENS {
        check(kernel, len % 3, &[&with_edges(1, len), &uniform(2, len)], &[len]);
    }
}

#[test]
fn fill_and_copy() {
    for len in LENS {
        let mut case = Case::new(format!("fill and copy {len}"));
        let x = case.exact("x", len);
        let bits = case.indices(&(0..len as u32).map(|i| 0x7f80_0001 + i).collect::<Vec<_>>());
        let y = case.exact("y", len);
        case.call(Kernel::Fill(-1.5), &[], &[x]);
        case.call(Kernel::Copy, &[bits], &[y]);
        case.call(Kernel::Copy, &[x], &[x]);
        case.run();
    }
}

#[test]
fn add_and_mul() {
    binary(Kernel::Add);
    binary(Kernel::Mul);
    let mut case = Case::new("add in place");
    let y = case.in_place("y", &uniform(1, 300));
    let b = case.input(&uniform(2, 300));
    case.call(Kernel::Add, &[y, b], &[y]);
    case.run();
}

#[test]
fn clamp() {
    unary(Kernel::Clamp { low: -0.5, high: 1.0 });
    binary(Kernel::ClampBackward { low: -0.5, high: 1.0 });
}

#[test]
fn functions_of_one_number() {
    for function in Unary::ALL {
        unary(Kernel::Unary(function));
        binary(Kernel::UnaryBackward(function));
    }
}

/// Through exp, ln and erf, over all of f32: signs, exponents, subnormals, infinities, NaN.
#[test]
fn functions_of_every_kind_of_number() {
    let x: Vec<f32> = (0..1 << 16).map(|i| f32::from_bits(i * 65_537)).collect();
    let dy = uniform(2, x.len());
    for function in Unary::ALL {
        check(Kernel::Unary(function), 0, &[&x], &[x.len()]);
        check(Kernel::UnaryBackward(function), 0, &[&x, &dy], &[x.len()]);
    }
}

#[test]
fn scale() {
    unary(Kernel::Scale(-3.5));
    for s in [1.0, 0.25] {
        let mut case = Case::new(format!("scale by {s}, in place and not"));
        let factor = case.input(&[s]);
        let x = case.in_place("x", &uniform(1, 77));
        let y = case.output("y", 77);
        case.call(Kernel::ScaleBy, &[factor, x], &[y]);
        case.call(Kernel::ScaleBy, &[factor, x], &[x]);
        case.call(Kernel::Scale(s), &[x], &[x]);
        case.run();
    }
}

#[test]
fn accumulate() {
    for keep in [0.0, 1.0, 0.5] {
        let mut case = Case::new(format!("accumulate, keep {keep}"));
        let factor = case.input(&[keep]);
        let x = case.input(&uniform(1, 33));
        // If nothing is kept, not even a NaN may propagate.
        let before = if keep == 0.0 { vec![f32::NAN; 33] } else { uniform(2, 33) };
        let acc = case.in_place("acc", &before);
        case.call(Kernel::Accumulate, &[factor, x], &[acc]);
        case.run();
    }
}

#[test]
fn a_bias_in_every_row() {
    for (rows, columns) in [(1, 1), (1, 33), (31, 1), (33, 31), (5, 300)] {
        let mut case = Case::new(format!("bias, {rows}x{columns}"));
        let len = rows * columns;
        let x = case.in_place("x", &with_edges(1, len));
        let bias = case.input(&uniform(2, columns));
        let dy = case.input(&uniform(3, len));
        let outputs = ["sum", "y", "dx", "relu", "add_relu"];
        let [sum, y, dx, relu, add_relu] = outputs.map(|name| case.output(name, len));
        case.call(Kernel::AddBias, &[x, bias], &[sum]);
        case.call(Kernel::BiasGelu, &[x, bias], &[y]);
        case.call(Kernel::BiasGeluBackward, &[x, bias, dy], &[dx]);
        case.call(Kernel::BiasRelu { residual: false }, &[x, bias], &[relu]);
        case.call(Kernel::BiasRelu { residual: true }, &[x, bias, dy], &[add_relu]);
        case.call(Kernel::AddBias, &[x, bias], &[x]);
        case.call(Kernel::BiasRelu { residual: true }, &[x, bias, dy], &[x]);
        case.run();
    }
}
