//! Pools, against the CPU.

mod common;

use common::{Case, check, uniform};
use tensor::geometry::Pool2d;
use tensor::{Kernel, Shape};

/// N,H,W,C, kernel, stride, padding: overlapping windows, gaps between them, padding on all sides,
/// windows that extend over an edge, one pixel.
const CASES: [([usize; 4], usize, usize, usize); 8] = [
    ([1, 1, 1, 1], 1, 1, 0),
    ([2, 7, 5, 33], 3, 2, 1),
    ([1, 9, 9, 3], 3, 1, 1),
    ([3, 6, 6, 1], 2, 2, 0),
    ([1, 8, 5, 31], 2, 3, 1),
    ([2, 4, 4, 2], 4, 4, 0),
    ([1, 1, 3, 5], 2, 1, 1),
    ([1, 10, 3, 4], 3, 4, 1),
];

fn pools() -> impl Iterator<Item = Pool2d> {
    CASES.into_iter().map(|(shape, kernel, stride, padding)| {
        Pool2d::new("pool", Shape::from(shape), kernel, stride, padding).unwrap()
    })
}

fn lens(pool: Pool2d) -> (usize, usize) {
    (pool.n * pool.h * pool.w * pool.c, pool.y_shape().elements())
}

/// Whole numbers, to produce many ties within windows.
fn with_ties(index: u64, len: usize) -> Vec<f32> {
    uniform(index, len).iter().map(|x| (2.0 * x).round()).collect()
}

#[test]
fn max_and_its_gradient() {
    for pool in pools() {
        let (x_len, y_len) = lens(pool);
        let mut case = Case::shifted(format!("max {pool:?}"), x_len % 2);
        let x = case.input(&with_ties(1, x_len));
        let dy = case.input(&uniform(2, y_len));
        let y = case.exact("y", y_len);
        let argmax = case.exact("argmax", y_len);
        let dx = case.output("dx", x_len);
        case.call(Kernel::MaxPool2d(pool), &[x], &[y, argmax]);
        case.call(Kernel::MaxPool2dBackward(pool), &[dy, argmax], &[dx]);
        case.run();
    }
}

#[test]
fn max_of_nan_and_infinities() {
    let pool = Pool2d::new("pool", Shape::from([1, 2, 6, 1]), 2, 2, 0).unwrap();
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    let mut case = Case::new("max of edges");
    // Three windows: all -inf, a NaN among numbers, two NaN.
    let x = case.input(&[-inf, -inf, nan, 1.0, 2.0, nan, -inf, -inf, inf, 0.0, nan, 3.0]);
    let y = case.output("y", 3);
    let argmax = case.exact("argmax", 3);
    case.call(Kernel::MaxPool2d(pool), &[x], &[y, argmax]);
    case.run();
}

#[test]
fn average_and_its_gradient() {
    for pool in pools() {
        let (x_len, y_len) = lens(pool);
        let shift = x_len % 2;
        check(Kernel::AvgPool2d(pool), shift, &[&uniform(1, x_len)], &[y_len]);
        check(Kernel::AvgPool2dBackward(pool), shift, &[&uniform(2, y_len)], &[x_len]);
    }
}

#[test]
fn global_average_and_its_gradient() {
    for (n, pixels, channels) in [(1, 1, 1), (3, 49, 33), (2, 7, 5), (5, 100, 8), (2, 3, 100)] {
        let (x_len, y_len) = (n * pixels * channels, n * channels);
        check(Kernel::GlobalAvgPool { n, pixels }, 0, &[&uniform(1, x_len)], &[y_len]);
        check(Kernel::GlobalAvgPoolBackward { n, pixels }, 0, &[&uniform(2, y_len)], &[x_len]);
    }
}
