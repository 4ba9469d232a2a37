//! Softmax and log-softmax of rows, against the CPU.

mod common;

use common::{Case, uniform};
use tensor::Kernel;

/// Rows and columns: one of each, around a warp, and rows of several warps.
const SIZES: [(usize, usize); 7] =
    [(1, 1), (3, 31), (31, 3), (33, 33), (2, 129), (1, 700), (2, 2500)];

fn logits(index: u64, len: usize) -> Vec<f32> {
    uniform(index, len).iter().map(|x| 20.0 * x).collect()
}

fn with_gradient(forward: fn(usize) -> Kernel, backward: fn(usize) -> Kernel) {
    for (rows, columns) in SIZES {
        let len = rows * columns;
        let (forward, backward) = (forward(columns), backward(columns));
        let mut case = Case::shifted(format!("{forward:?} of {rows} rows"), columns % 2);
        let x = case.input(&logits(1, len));
        let dy = case.input(&uniform(2, len));
        let (y, dx) = (case.output("y", len), case.output("dx", len));
        case.call(forward, &[x], &[y]);
        case.call(backward, &[y, dy], &[dx]);
        case.run();
    }
}

#[test]
fn softmax_and_its_gradient() {
    with_gradient(
        |columns| Kernel::Softmax { columns },
        |columns| Kernel::SoftmaxBackward { columns },
    );
}

#[test]
fn log_softmax_and_its_gradient() {
    with_gradient(
        |columns| Kernel::LogSoftmax { columns },
        |columns| Kernel::LogSoftmaxBackward { columns },
    );
}

#[test]
fn large_logits_do_not_overflow_and_faults_show() {
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    let rows = [
        [1e30, 1e30, -1e30],
        [500.0, 0.0, -500.0],
        [-inf, 0.0, 1.0],
        [-inf, -inf, -inf],
        [inf, 0.0, 1.0],
        [0.0, nan, 1.0],
        [nan, nan, nan],
    ];
    let mut case = Case::new("rows with edges");
    let x = case.input(&rows.concat());
    let (y, log_y) = (case.output("y", 21), case.output("log y", 21));
    case.call(Kernel::Softmax { columns: 3 }, &[x], &[y]);
    case.call(Kernel::LogSoftmax { columns: 3 }, &[x], &[log_y]);
    case.run();
}
