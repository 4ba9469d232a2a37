//! One thread per element, against the CPU.

mod common;

use common::{Case, uniform};
use tensor::{Backend, Slot};

/// One element, beside a warp, and beside several blocks.
const LENS: [usize; 5] = [1, 31, 33, 256, 1000];

/// Values where functions change their formula, beside random ones.
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
    // The last ones: short cases keep random values in front.
    for (x, edge) in x.iter_mut().rev().zip(edges) {
        *x = edge;
    }
    x
}

fn unary(name: &str, call: impl Fn(&mut dyn Backend, Slot, Slot)) {
    for len in LENS {
        let mut case = Case::shifted(format!("{name} of {len}"), len % 3);
        let x = case.input(&with_edges(1, len));
        let y = case.output("y", len);
        case.run(|backend| call(backend, x, y));
    }
}

fn binary(name: &str, call: impl Fn(&mut dyn Backend, Slot, Slot, Slot)) {
    for len in LENS {
        let mut case = Case::shifted(format!("{name} of {len}"), len % 3);
        let a = case.input(&with_edges(1, len));
        let b = case.input(&uniform(2, len));
        let y = case.output("y", len);
        case.run(|backend| call(backend, a, b, y));
    }
}

#[test]
fn fill_and_copy() {
    for len in LENS {
        let mut case = Case::new(format!("fill and copy {len}"));
        let x = case.exact("x", len);
        let bits = case.indices(&(0..len as u32).map(|i| 0x7f80_0001 + i).collect::<Vec<_>>());
        let y = case.exact("y", len);
        case.run(|backend| {
            backend.fill(x, -1.5);
            backend.copy(bits, y);
        });
    }
}

#[test]
fn add_and_mul() {
    binary("add", |backend, a, b, y| backend.add(a, b, y));
    binary("mul", |backend, a, b, y| backend.mul(a, b, y));
    let mut case = Case::new("add in place");
    let y = case.in_place("y", &uniform(1, 300));
    let b = case.input(&uniform(2, 300));
    case.run(|backend| backend.add(y, b, y));
}

#[test]
fn clamp() {
    unary("clamp", |backend, x, y| backend.clamp(-0.5, 1.0, x, y));
    binary("clamp_backward", |backend, x, dy, dx| backend.clamp_backward(-0.5, 1.0, x, dy, dx));
}

#[test]
fn ln() {
    unary("ln", |backend, x, y| backend.ln(x, y));
    binary("ln_backward", |backend, x, dy, dx| backend.ln_backward(x, dy, dx));
}

#[test]
fn scale() {
    unary("scale", |backend, x, y| backend.scale(-3.5, x, y));
    for s in [1.0, 0.25] {
        let mut case = Case::new(format!("scale by {s}, in place and not"));
        let factor = case.input(&[s]);
        let x = case.in_place("x", &uniform(1, 77));
        let y = case.output("y", 77);
        case.run(|backend| {
            backend.scale_by(factor, x, y);
            backend.scale_by(factor, x, x);
            backend.scale(s, x, x);
        });
    }
}

#[test]
fn accumulate() {
    for keep in [0.0, 1.0, 0.5] {
        let mut case = Case::new(format!("accumulate, keep {keep}"));
        let factor = case.input(&[keep]);
        let x = case.input(&uniform(1, 33));
        // Where nothing is kept, not even a NaN may come through.
        let before = if keep == 0.0 { vec![f32::NAN; 33] } else { uniform(2, 33) };
        let acc = case.in_place("acc", &before);
        case.run(|backend| backend.accumulate(factor, x, acc));
    }
}

#[test]
fn relu() {
    unary("relu", |backend, x, y| backend.relu(x, y));
    binary("relu_backward", |backend, y, dy, dx| backend.relu_backward(y, dy, dx));
}

#[test]
fn gelu() {
    unary("gelu", |backend, x, y| backend.gelu(x, y));
    binary("gelu_backward", |backend, x, dy, dx| backend.gelu_backward(x, dy, dx));
}

#[test]
fn add_bias() {
    for (rows, columns) in [(1, 1), (1, 33), (31, 1), (33, 31), (5, 300)] {
        let mut case = Case::new(format!("add_bias {rows}x{columns}"));
        let x = case.in_place("x", &uniform(1, rows * columns));
        let bias = case.input(&uniform(2, columns));
        let y = case.output("y", rows * columns);
        case.run(|backend| {
            backend.add_bias(x, bias, y);
            backend.add_bias(x, bias, x);
        });
    }
}
