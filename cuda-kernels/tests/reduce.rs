//! Sums in fixed trees, against the CPU.

mod common;

use common::{Case, gpu, uniform};
use tensor::{Backend, Slot};

/// Rows and columns: one of each, beside a warp and a tile, one part and several.
const SIZES: [(usize, usize); 11] = [
    (1, 1),
    (1, 100),
    (100, 1),
    (31, 33),
    (33, 31),
    (64, 8),
    (65, 3),
    (130, 32),
    (700, 5),
    (257, 40),
    (2, 2100),
];

/// Numbers around 1, so that their sum grows and an addition lost would show.
fn around_1(index: u64, len: usize) -> Vec<f32> {
    uniform(index, len).iter().map(|x| 1.0 + x).collect()
}

#[test]
fn sum_rows() {
    for (rows, columns) in SIZES {
        let mut case = Case::shifted(format!("sum_rows {rows}x{columns}"), rows % 2);
        let x = case.input(&around_1(1, rows * columns));
        let y = case.output("y", columns);
        let workspace = |backend: &dyn Backend| backend.sum_rows_workspace(rows, columns);
        case.run_with(workspace, |backend, workspace| backend.sum_rows(x, y, workspace));
    }
}

#[test]
fn sum_columns_and_its_gradient() {
    for (rows, columns) in SIZES {
        let mut case = Case::new(format!("sum_columns {rows}x{columns}"));
        let x = case.input(&around_1(1, rows * columns));
        let y = case.output("y", rows);
        let dx = case.exact("dx", rows * columns);
        let dy = case.input(&uniform(2, rows));
        case.run(|backend| {
            backend.sum_columns(columns, x, y);
            backend.sum_columns_backward(columns, dy, dx);
        });
    }
}

#[test]
fn sum_of_all() {
    for len in [1, 31, 33, 255, 257, 2049, 40_001] {
        let mut case = Case::shifted(format!("sum of {len}"), len % 3);
        let x = case.input(&around_1(1, len));
        let y = case.output("y", 1);
        case.run(|backend| backend.sum(-0.25, x, y));
    }
}

#[test]
fn finds_what_is_not_finite() {
    let len = 5000;
    let mut backend = gpu(len);
    let x = Slot { offset: 0, len };
    for (at, value) in [(0, f32::NAN), (4999, f32::INFINITY), (2500, f32::NEG_INFINITY)] {
        let mut data = uniform(1, len);
        data[1] = f32::MAX;
        backend.write(x, &data);
        assert!(backend.all_finite(x), "all are finite");
        data[at] = value;
        backend.write(x, &data);
        assert!(!backend.all_finite(x), "{value} at {at}");
    }
    backend.finish().unwrap();
}
