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

/// Single numbers at the ends of tensors, blocks and gaps.
#[test]
fn non_finite_check() {
    // Gaps, tensors that end with a block of 8192 and in the next but one, many in one, an empty one.
    let mut ranges = vec![3, 10, 16, 8192, 8200, 24_577];
    ranges.extend((24_592..24_900).step_by(16).flat_map(|start| [start, start + 9]));
    ranges.extend([25_000, 25_000, 25_008, 30_000]);
    let len = 30_003;
    let bad = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY].into_iter().cycle();
    let places = [0, 2, 3, 9, 10, 15, 16, 8191, 8192, 8199, 8200, 16_384, 24_576, 24_577, 24_600];
    let places = places.into_iter().chain([24_601, 25_000, 25_008, 29_999, 30_000, 30_002]);
    for (place, bad) in places.map(Some).chain([None]).zip(bad) {
        let mut case = Case::new(format!("{bad} at {place:?}"));
        let mut flat = uniform(1, len);
        place.into_iter().for_each(|place| flat[place as usize] = bad);
        let scalars = [case.input(&[0.5]), case.input(&[f32::MAX])];
        let (x, ranges) = (case.input(&flat), case.indices(&ranges));
        let report = case.exact("report", 3);
        let kernel = Kernel::NonFiniteCheck { scalars: 2, flat: 1 };
        case.call(kernel, &[scalars[0], scalars[1], x, ranges], &[report]);
        case.run();
    }
    // A scalar, a plain input, and the second of two with ranges.
    for bad in 0..4 {
        let at = |place| if bad == place { f32::NAN } else { 1.0 };
        let mut case = Case::new(format!("bad input {bad}"));
        let mut inputs = vec![case.input(&[at(0)]), case.input(&[0.0, 1.0])];
        inputs.push(case.input(&[at(1), 1.0]));
        inputs.extend([case.indices(&[0, 2]), case.indices(&[0, 1, 1, 2])]);
        inputs.push(case.input(&[[2.0; 300], [at(2); 300]].concat()));
        let report = case.exact("report", 2);
        case.call(Kernel::NonFiniteCheck { scalars: 1, flat: 2 }, &inputs, &[report]);
        case.run();
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
