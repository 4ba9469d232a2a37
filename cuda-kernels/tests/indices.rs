//! Kernels index with 32 bits. What they would wrap on is refused before it is launched, in one line;
//! what is just below is launched, with all numbers as they are.

#[path = "common/onlooker.rs"]
mod onlooker;

use std::sync::{Arc, Mutex};

use cuda_kernels::driver::{Arg, Launch};
use cuda_kernels::{Gpu, launch};
use onlooker::Onlooker;
use tensor::geometry::{BatchNorm, Conv2d, ConvAlgorithm, Gemm, PartitionLoss, Pool2d};
use tensor::kernel::Unary;
use tensor::{Backend, Io, Kernel, Numerics, Slot};

/// The launches of a kernel with slots of these lengths, or the line that refuses it.
fn run(
    kernel: &Kernel,
    numerics: Numerics,
    inputs: &[usize],
    outputs: &[usize],
) -> std::result::Result<Vec<Vec<Arg>>, String> {
    let mut end = 0;
    let mut place = |&len: &usize| {
        end += len;
        Slot::new(end - len, len)
    };
    let inputs: Vec<Slot> = inputs.iter().map(&mut place).collect();
    let outputs: Vec<Slot> = outputs.iter().map(&mut place).collect();
    let workspace = place(&launch::workspace(kernel, numerics));
    let launches: Arc<Mutex<Vec<Vec<Arg>>>> = Arc::default();
    let seen = Arc::clone(&launches);
    let look = move |launch: &Launch| {
        seen.lock().unwrap().push(launch.args.to_vec());
        Ok(())
    };
    let mut gpu = Gpu::new(Box::new(Onlooker(look)), end, numerics).unwrap();
    gpu.run(kernel, &Io { inputs: &inputs, outputs: &outputs, workspace });
    gpu.finish().map_err(|error| error.to_string())?;
    let launches = launches.lock().unwrap();
    Ok(launches.clone())
}

/// A kernel and the lengths of its slots, by the size that grows: the first refused, and one that is not.
type Case = (fn(usize) -> (Kernel, Vec<usize>, Vec<usize>), usize, usize);

fn convolution(n: usize, algorithm: ConvAlgorithm) -> (Conv2d, [usize; 3]) {
    let (c, o) = (8, 4);
    let conv = Conv2d { n, h: 64, w: 64, c, o, r: 3, s: 3, stride: 1, padding: 1, algorithm };
    (conv, [n * 64 * 64 * c, o * conv.patch(), conv.rows() * o])
}

const CASES: [Case; 10] = [
    (|n| (Kernel::Unary(Unary::Relu), vec![n], vec![n]), 1 << 32, 4_290_000_000),
    (|n| (Kernel::Add, vec![n, n], vec![n]), 1 << 32, 4_290_000_000),
    (|n| (Kernel::Sum(1.0), vec![n], vec![1]), (1 << 32) - 1, 4_290_000_000),
    // A warp for each row.
    (|n| (Kernel::Softmax { columns: 2 }, vec![2 * n], vec![2 * n]), 1 << 27, 134_000_000),
    (
        |n| {
            let (rows, channels) = (n, 1 << 11);
            let (eps, momentum) = (1e-5, 0.1);
            let (training, residual, relu) = (true, false, true);
            let norm = BatchNorm { rows, channels, eps, momentum, training, residual, relu };
            let (x, c) = (rows * channels, channels);
            (Kernel::BatchNorm(norm), vec![x, c, c], vec![x, c, c, c, c])
        },
        1 << 21,
        2_096_000,
    ),
    (
        |m| {
            let gemm = Gemm { m, n: 1 << 10, k: 1 << 10, trans_a: false, trans_b: true };
            (Kernel::Gemm(gemm), vec![m << 10, 1 << 20], vec![m << 10])
        },
        1 << 22,
        4_190_000,
    ),
    (
        |n| {
            let (conv, [x, w, y]) = convolution(n, ConvAlgorithm::Direct);
            (Kernel::Conv2d(conv), vec![x, w], vec![y])
        },
        1 << 17,
        130_000,
    ),
    (
        |n| {
            let (conv, [x, w, y]) = convolution(n, ConvAlgorithm::Direct);
            (Kernel::Conv2dGradWeight(conv), vec![x, y], vec![w])
        },
        1 << 17,
        130_000,
    ),
    (
        |n| {
            let (h, w, c) = (64, 64, 8);
            let pool = Pool2d { n, h, w, c, kernel: 3, stride: 1, padding: 1 };
            let x = n * h * w * c;
            (Kernel::MaxPool2d(pool), vec![x], vec![x, x])
        },
        1 << 17,
        130_000,
    ),
    (
        |batch| {
            let (views, prototypes, partition_size) = (2, 1 << 12, 1 << 9);
            let sizes = PartitionLoss { views, batch, prototypes, partition_size };
            let x = views * batch * prototypes;
            (Kernel::PartitionLoss(sizes), vec![x, x, prototypes], vec![1, 1, 1, x])
        },
        1 << 19,
        260_000,
    ),
];

#[test]
fn more_elements_than_indices_reach_are_refused_in_one_line() {
    for (case, refused, fits) in CASES {
        for numerics in [Numerics::Exact, Numerics::Tf32, Numerics::Bf16] {
            let (kernel, inputs, outputs) = case(refused);
            let line = run(&kernel, numerics, &inputs, &outputs).unwrap_err();
            assert!(line.contains("32-bit indices take at most"), "{kernel:?}: {line}");
            assert_eq!(line.lines().count(), 1);
            let (kernel, inputs, outputs) = case(fits);
            let launches = run(&kernel, numerics, &inputs, &outputs).unwrap();
            assert!(!launches.is_empty(), "{kernel:?}");
        }
    }
}

/// Pixels are divided by multiplication, which holds for fewer.
#[test]
fn pixels_are_refused_earlier() {
    let conv = |n| Conv2d {
        n,
        h: 1 << 10,
        w: 1 << 10,
        c: 1,
        o: 1,
        r: 1,
        s: 1,
        stride: 1,
        padding: 0,
        algorithm: ConvAlgorithm::Direct,
    };
    let run = |n: usize| {
        let pixels = n << 20;
        run(&Kernel::Conv2d(conv(n)), Numerics::Tf32, &[pixels, 1], &[pixels])
    };
    let line = run(513).unwrap_err();
    assert!(
        line.contains("537919488 elements; its 32-bit indices take at most 536870912"),
        "{line}"
    );
    let launches = run(512).unwrap();
    assert!(launches.iter().any(|args| args.contains(&Arg::U32(512 << 20))), "{launches:?}");
}
