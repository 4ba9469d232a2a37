//! Convolution and its gradients, against the CPU.

mod common;

use common::{Case, uniform};
use cuda_kernels::launch;
use tensor::Shape;
use tensor::geometry::Conv2d;

/// [N,H,W,C], [O,R,S], stride, padding.
fn conv(x: [usize; 4], [o, r, s]: [usize; 3], stride: usize, padding: usize) -> Conv2d {
    Conv2d::new(Shape::from(x), Shape::from([o, r, s, x[3]]), stride, padding).unwrap()
}

fn check(conv: Conv2d, shift: usize) {
    let x_len = conv.n * conv.h * conv.w * conv.c;
    let (w_len, y_len) = (conv.o * conv.patch(), conv.rows() * conv.o);
    let mut case = Case::shifted(format!("{conv:?}"), shift);
    let x = case.input(&uniform(1, x_len));
    let w = case.input(&uniform(2, w_len));
    let dy = case.input(&uniform(3, y_len));
    let (y, dx, dw) = (case.output("y", y_len), case.output("dx", x_len), case.output("dw", w_len));
    case.run_with(
        |backend| {
            let forward = backend.conv2d_workspace(conv);
            let input = backend.conv2d_grad_input_workspace(conv);
            forward.max(input).max(backend.conv2d_grad_weight_workspace(conv))
        },
        |backend, all| {
            let ws = |len| all.part(0, len);
            let (forward, input, weight) = (
                backend.conv2d_workspace(conv),
                backend.conv2d_grad_input_workspace(conv),
                backend.conv2d_grad_weight_workspace(conv),
            );
            backend.conv2d(conv, x, w, y, ws(forward));
            backend.conv2d_grad_input(conv, dy, w, dx, ws(input));
            backend.conv2d_grad_weight(conv, x, dy, dw, ws(weight));
        },
    );
}

#[test]
fn kernels_strides_and_paddings() {
    check(conv([1, 1, 1, 1], [1, 1, 1], 1, 0), 0);
    check(conv([2, 5, 7, 3], [4, 3, 3], 1, 1), 1);
    check(conv([1, 6, 5, 4], [3, 3, 2], 1, 0), 1);
    check(conv([2, 9, 8, 3], [5, 3, 3], 2, 1), 0);
    check(conv([1, 8, 9, 2], [3, 2, 3], 3, 2), 1);
    // The stem's 7 x 7, a strided 1 x 1 that never sees some pixels, a window as large as the image.
    check(conv([1, 11, 13, 3], [8, 7, 7], 2, 3), 0);
    check(conv([2, 7, 6, 5], [9, 1, 1], 2, 0), 0);
    check(conv([3, 4, 4, 2], [2, 4, 4], 1, 0), 0);
    check(conv([1, 2, 2, 1], [1, 1, 1], 5, 0), 0);
}

#[test]
fn more_channels_than_a_tile() {
    check(conv([1, 6, 6, 33], [65, 3, 3], 1, 1), 0);
    check(conv([1, 5, 5, 17], [31, 3, 3], 2, 1), 1);
    check(conv([1, 9, 9, 64], [20, 1, 1], 1, 0), 0);
}

#[test]
fn many_pixels_are_cut() {
    let conv = conv([2, 24, 23, 3], [8, 3, 3], 1, 1);
    assert!(launch::conv2d::conv2d_grad_weight_workspace(conv) > 0);
    check(conv, 1);
}
