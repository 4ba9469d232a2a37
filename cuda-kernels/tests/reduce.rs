//! Sums in fixed trees, against the CPU.

mod common;

use common::{Case, check, gpu, uniform};
use tensor::{Backend, Kernel, Slot};

/// Rows and columns: one of each, around a warp and a tile, one part and several.
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

/// Numbers around 1, so that the sum grows and a lost addition would show.
fn around_1(index: u64, len: usize) -> Vec<f32> {
    uniform(index, len).iter().map(|x| 1.0 + x).collect()
}

#[test]
fn sum_rows() {
    for (rows, columns) in SIZES {
        let x = around_1(1, rows * columns);
        check(Kernel::SumRows { rows, columns }, rows % 2, &[&x], &[columns]);
    }
}

#[test]
fn sum_columns_and_its_gradient() {
    for (rows, columns) in SIZES {
        check(Kernel::SumColumns { columns }, 0, &[&around_1(1, rows * columns)], &[rows]);
        let mut case = Case::new(format!("sum_columns_backward {rows}x{columns}"));
        let dx = case.exact("dx", rows * columns);
        let dy = case.input(&uniform(2, rows));
        case.call(Kernel::SumColumnsBackward { columns }, &[dy], &[dx]);
        case.run();
    }
}

#[test]
fn sum_of_all() {
    for len in [1, 31, 33, 255, 257, 2049, 40_001, 200_000] {
        check(Kernel::Sum(-0.25), len % 3, &[&around_1(1, len)], &[1]);
    }
}

#[test]
fn finds_what_is_not_finite() {
    let len = 5000;
    let mut backend = gpu(len);
    let x = Slot::new(0, len);
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
