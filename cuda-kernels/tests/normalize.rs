//! Rows of length 1, against the CPU.

mod common;

use common::{Case, uniform};
use tensor::Kernel;

fn check(name: String, columns: usize, eps: f32, x: &[f32]) {
    let mut case = Case::shifted(name, columns % 2);
    let dy = case.input(&uniform(2, x.len()));
    let x = case.input(x);
    let y = case.output("y", x.len);
    let norm = case.output("norm", x.len / columns);
    let dx = case.output("dx", x.len);
    case.call(Kernel::L2Normalize { columns, eps }, &[x], &[y, norm]);
    case.call(Kernel::L2NormalizeBackward { columns, eps }, &[y, norm, dy], &[dx]);
    case.run();
}

#[test]
fn rows_and_their_gradients() {
    for (rows, columns) in [(1, 1), (3, 31), (31, 3), (33, 33), (2, 129), (1, 700), (2, 2500)] {
        for eps in [0.0, 1e-12] {
            let x = uniform(1, rows * columns);
            check(format!("{rows}x{columns}, eps {eps}"), columns, eps, &x);
        }
    }
}

#[test]
fn rows_shorter_than_eps() {
    // Shorter than eps, exactly as long, longer, and all zeros.
    let rows = [[0.03, 0.04, 0.0], [0.06, 0.08, 0.0], [3.0, 4.0, 0.0], [0.0; 3]];
    check("eps 0.1".to_owned(), 3, 0.1, &rows.concat());
}

#[test]
fn a_row_of_zeros_without_eps_is_nan() {
    check("zeros".to_owned(), 3, 0.0, &[[0.0; 3], [1.0; 3]].concat());
}
