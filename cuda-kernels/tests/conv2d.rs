//! Convolution and its gradients, against the CPU.

mod common;

use common::uniform;
use cuda_kernels::launch;
use cuda_kernels::launch::winograd::{self, Winograd};
use tensor::geometry::{Conv2d, ConvAlgorithm};
use tensor::{Backend, Kernel, Numerics, Shape, Slot};

/// [N,H,W,C], [O,R,S], stride, padding.
fn conv(x: [usize; 4], [o, r, s]: [usize; 3], stride: usize, padding: usize) -> Conv2d {
    Conv2d::new(Shape::from(x), Shape::from([o, r, s, x[3]]), stride, padding).unwrap()
}

fn check(conv: Conv2d, shift: usize) {
    let x_len = conv.input_rows() * conv.c;
    let (w_len, y_len) = (conv.o * conv.patch(), conv.rows() * conv.o);
    let (x, w, dy) = (uniform(1, x_len), uniform(2, w_len), uniform(3, y_len));
    common::check(Kernel::Conv2d(conv), shift, &[&x, &w], &[y_len]);
    common::check(Kernel::Conv2dGradInput(conv), shift, &[&dy, &w], &[x_len]);
    common::check(Kernel::Conv2dGradWeight(conv), shift, &[&x, &dy], &[w_len]);
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
    // Padding above the kernel.
    check(conv([1, 1, 1, 1], [1, 1, 1], 1, 2), 0);
    check(conv([2, 5, 5, 3], [2, 7, 1], 1, 3), 1);
    check(conv([1, 3, 2, 2], [2, 2, 2], 2, 5), 0);
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
    assert!(launch::workspace(&Kernel::Conv2dGradWeight(conv), Numerics::Exact) > 0);
    check(conv, 1);
}

#[test]
fn by_winograd() {
    for algorithm in [ConvAlgorithm::Winograd2, ConvAlgorithm::Winograd4] {
        let winograd = |x, outputs, padding| {
            let conv = conv(x, outputs, 1, padding).by(algorithm);
            assert_eq!(conv.algorithm, algorithm);
            conv
        };
        // Odd and even sides, every padding, channels around a tile, one tile and many.
        check(winograd([1, 3, 3, 1], [1, 3, 3], 0), 0);
        check(winograd([2, 5, 8, 3], [5, 3, 3], 1), 1);
        check(winograd([3, 6, 7, 17], [9, 3, 3], 2), 0);
        check(winograd([1, 4, 5, 8], [16, 3, 3], 3), 1);
        check(winograd([2, 9, 9, 66], [65, 3, 3], 1), 0);
        // Several parts of the gradient by the weight.
        check(winograd([13, 12, 11, 4], [6, 3, 3], 1), 0);
    }
}

/// One image at a time, and one chain of a part at a time.
#[test]
fn winograd_in_little_memory() {
    let conv = conv([5, 8, 8, 6], [7, 3, 3], 1, 1);
    let x = uniform(1, conv.input_rows() * conv.c);
    let dy = uniform(2, conv.rows() * conv.o);
    let weight = uniform(3, conv.o * conv.patch());
    let results = [winograd::BUDGET, 1].map(|budget| {
        let winograd = Winograd { conv, names: winograd::F2, budget };
        let work = winograd.workspace().max(winograd.grad_weight_workspace());
        let mut gpu = common::gpu(2 * (x.len() + dy.len() + weight.len()) + work);
        let mut end = 0;
        let mut slot = |len: usize| {
            end += len;
            Slot::new(end - len, len)
        };
        let [x_slot, dy_slot, w_slot] = [&x, &dy, &weight].map(|data| {
            let slot = slot(data.len());
            gpu.write(slot, data);
            slot
        });
        let [y, dw] = [dy.len(), weight.len()].map(&mut slot);
        let workspace = slot(work);
        winograd.convolve(&mut gpu, [x_slot, w_slot], false, y, workspace);
        winograd.grad_weight(&mut gpu, [x_slot, dy_slot], dw, workspace);
        let mut results = [vec![0.0; y.len], vec![0.0; dw.len]];
        gpu.read(y, &mut results[0]);
        gpu.read(dw, &mut results[1]);
        gpu.finish().unwrap();
        (results, work)
    });
    assert!(results[1].1 < results[0].1);
    assert_eq!(results[0].0, results[1].0);
}
