//! Pools, against the CPU.

mod common;

use common::{Case, uniform};
use tensor::Shape;
use tensor::geometry::Pool2d;

/// N,H,W,C, kernel, stride, padding: overlapping windows, gaps between them, padding on all sides,
/// windows that reach over an edge, one pixel.
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

/// Whole numbers, so that many pixels of a window tie.
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
        case.run(|backend| {
            backend.max_pool2d(pool, x, y, argmax);
            backend.max_pool2d_backward(pool, dy, argmax, dx);
        });
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
    case.run(|backend| backend.max_pool2d(pool, x, y, argmax));
}

#[test]
fn average_and_its_gradient() {
    for pool in pools() {
        let (x_len, y_len) = lens(pool);
        let mut case = Case::shifted(format!("average {pool:?}"), x_len % 2);
        let x = case.input(&uniform(1, x_len));
        let dy = case.input(&uniform(2, y_len));
        let (y, dx) = (case.output("y", y_len), case.output("dx", x_len));
        case.run(|backend| {
            backend.avg_pool2d(pool, x, y);
            backend.avg_pool2d_backward(pool, dy, dx);
        });
    }
}

#[test]
fn global_average_and_its_gradient() {
    for (n, pixels, channels) in [(1, 1, 1), (3, 49, 33), (2, 7, 5), (5, 100, 8), (2, 3, 100)] {
        let mut case = Case::new(format!("global average [{n},{pixels},{channels}]"));
        let x = case.input(&uniform(1, n * pixels * channels));
        let dy = case.input(&uniform(2, n * channels));
        let y = case.output("y", n * channels);
        let dx = case.output("dx", n * pixels * channels);
        case.run(|backend| {
            backend.global_avg_pool(n, pixels, x, y);
            backend.global_avg_pool_backward(n, pixels, dy, dx);
        });
    }
}
