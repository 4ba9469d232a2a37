//! Every kernel on the CPU against the reference, at sizes split into several tasks and at awkward
//! ones, with the same bits from any number of threads; and the reference itself against central
//! differences and PyTorch.

mod case;
mod cases;
mod gradients;
mod pytorch;
mod variants;

use std::collections::HashSet;

use case::{Case, uniform};
use isa::Isa;
use tensor::geometry::{BatchNorm, Conv2d, ConvAlgorithm, Gemm, PartitionLoss, Pool2d};
use tensor::kernel::{AdamW, Unary};
use tensor::order::group_sums;
use tensor::{Cpu, Device, Error, Kernel, Shape, Slot};
use variants::{VARIANTS, variant};

/// One test per family of kernels, and one that every variant has a case.
macro_rules! families {
    ($($test:ident: $cases:ident,)*) => {
        $(#[test]
        fn $test() {
            cases::$cases().iter().for_each(Case::check);
        })*

        fn all_cases() -> Vec<Case> {
            [$(cases::$cases()),*].into_iter().flatten().collect()
        }

        #[test]
        fn every_variant_has_a_case() {
            let cases = all_cases();
            let seen: HashSet<_> = cases.iter().map(|case| variant(&case.kernel)).collect();
            let missing: Vec<_> = VARIANTS.iter().filter(|name| !seen.contains(*name)).collect();
            assert!(missing.is_empty(), "no case of {missing:?}");
        }
    };
}

families! {
    elementwise_kernels: elementwise,
    matrix_products_in_all_transposes: products,
    convolution_and_its_gradients: convolutions,
    batch_norm_keeps_its_digits_behind_a_large_mean: large_means,
    batch_norm_in_all_combinations: batch_norms,
    pools_and_their_gradients: pools,
    reductions_at_odd_lengths: reductions,
    softmax_and_normalisation_of_rows: rows,
    gathers_and_slices: gathers,
    losses_from_start_to_collapse: losses,
    optimizers_over_several_tensors: optimizers,
}

#[test]
fn a_bias_in_the_product_gives_the_bits_of_one_behind_it() {
    // Split by rows, and by the inner size.
    for (m, n, k, is_inner) in [(700, 40, 90, false), (40, 24, 3001, true)] {
        let gemm = Gemm { m, n, k, trans_a: false, trans_b: true };
        let holds_parts = Cpu.workspace(&Kernel::GemmBias(gemm)) >= 2 * m * n;
        assert_eq!(holds_parts, is_inner);
        let bias = uniform(3, n);
        let case = |kernel| Case::new(kernel).reads(uniform(1, m * k)).reads(uniform(2, k * n));
        let product = case(Kernel::Gemm(gemm)).writes(m * n, 0.0).run(None).remove(0);
        let product: Vec<f32> = product.into_iter().map(f32::from_bits).collect();
        let apart = Case::new(Kernel::AddBias).reads(product).reads(bias.clone());
        let together = case(Kernel::GemmBias(gemm)).reads(bias).writes(m * n, 0.0);
        assert!(together.run(None) == apart.writes(m * n, 0.0).run(None), "{gemm:?}");
    }
}

#[test]
fn sums_from_the_convolution_give_the_bits_of_batch_norms_own() {
    // N,H,W,C, O,R,S, stride, padding. A group of rows is smaller than a task, a slab, a block of tiles
    // or a part of a product, or larger, or shared by two; the last one is short.
    let shapes: [([usize; 4], [usize; 3], usize, usize); 10] = [
        ([20, 9, 7, 3], [5, 3, 3], 1, 1),
        ([33, 9, 9, 16], [8, 3, 3], 1, 1),
        ([2, 71, 70, 16], [16, 3, 3], 1, 1),
        ([5, 41, 40, 3], [64, 7, 7], 2, 3),
        ([17, 8, 8, 20], [520, 3, 3], 2, 1),
        ([9, 12, 10, 32], [64, 3, 3], 1, 1),
        ([40, 6, 6, 70], [24, 1, 1], 1, 0),
        ([6, 18, 8, 300], [130, 1, 1], 1, 0),
        ([1, 6, 6, 1100], [16, 1, 1], 1, 0),
        ([1, 2, 1, 3], [1, 1, 1], 1, 0),
    ];
    for (x, [o, r, s], stride, padding) in shapes {
        let weight = Shape::from([o, r, s, x[3]]);
        let conv = Conv2d::new(Shape::from(x), weight, stride, padding).unwrap();
        let by_all = ConvAlgorithm::ALL.map(|algorithm| (algorithm, conv.by(algorithm)));
        let possible = by_all.iter().filter(|(algorithm, conv)| conv.algorithm == *algorithm);
        possible.for_each(|&(_, conv)| check_sums(conv));
    }
}

/// Batch norm of the convolution's result, from its own sums and from the convolution's.
fn check_sums(conv: Conv2d) {
    let (rows, channels) = (conv.rows(), conv.o);
    let (training, residual, relu) = (true, false, true);
    let sizes = BatchNorm { rows, channels, eps: 1e-5, momentum: 0.1, training, residual, relu };
    let len = rows * channels;
    let x = uniform(1, conv.input_rows() * conv.c);
    let w = uniform(2, conv.o * conv.patch());
    let case = |kernel| Case::new(kernel).reads(x.clone()).reads(w.clone()).writes(len, 0.0);
    let floats = |bits: &Vec<u32>| bits.iter().copied().map(f32::from_bits).collect::<Vec<_>>();
    let norm = |kernel, y: &Vec<u32>| {
        let case = Case::new(kernel).reads(floats(y)).reads(uniform(3, channels));
        case.reads(uniform(4, channels))
    };
    let run = |case: Case, isa| {
        let case = case.writes(len, 0.0).writes(channels, 0.0).writes(channels, 0.0);
        case.updates(uniform(5, channels), 0.0).updates(vec![1.0; channels], 0.0).run_on(isa, None)
    };
    for isa in Isa::available() {
        for threads in [1, 2, 3, 8] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let apart = case(Kernel::Conv2d(conv)).run_on(isa, None);
                let together = case(Kernel::Conv2dSums(conv))
                    .writes(group_sums(rows, channels).elements(), 0.0)
                    .run_on(isa, None);
                assert!(apart[0] == together[0], "{conv:?} on {threads} threads by {isa:?}");
                let own = run(norm(Kernel::BatchNorm(sizes), &apart[0]), isa);
                let from_sums = norm(Kernel::BatchNormFromSums(sizes), &together[0]);
                let from_sums = run(from_sums.reads(floats(&together[1])), isa);
                assert!(own == from_sums, "{conv:?} on {threads} threads by {isa:?}");
            });
        }
    }
}

#[test]
fn gradient_sums_from_the_convolution_give_the_bits_of_batch_norms_own() {
    for (x, [o, r, s], stride, padding) in
        [([5, 9, 7, 3], [4, 3, 3], 2, 1), ([2, 9, 17, 64], [8, 1, 1], 1, 0)]
    {
        let weight = Shape::from([o, r, s, x[3]]);
        let conv = Conv2d::new(Shape::from(x), weight, stride, padding).unwrap();
        for kind in 0..8 {
            let [residual, relu, added] = [1, 2, 4].map(|bit| kind & bit > 0);
            check_gradient_sums(conv, [residual, relu, added]);
        }
    }
}

/// Batch norm's gradient of the convolution's, and another one, from its own sums and from the convolution's.
fn check_gradient_sums(conv: Conv2d, [residual, relu, added]: [bool; 3]) {
    let (rows, channels) = (conv.input_rows(), conv.c);
    let len = rows * channels;
    let norm =
        BatchNorm { rows, channels, eps: 1e-5, momentum: 0.1, training: true, residual, relu };
    let [x, y, other] = [1, 2, 3].map(|i| uniform(i, len));
    let [weight, mean, inv_std] = [4, 5, 6].map(|i| uniform(i, channels));
    let floats = |bits: &Vec<u32>| bits.iter().copied().map(f32::from_bits).collect::<Vec<_>>();
    let case = |kernel| {
        let dy = uniform(7, conv.rows() * conv.o);
        Case::new(kernel).reads(dy).reads(uniform(8, conv.o * conv.patch()))
    };
    let isa = Isa::chosen().unwrap();
    let mut dy = floats(&case(Kernel::Conv2dGradInput(conv)).writes(len, 0.0).run_on(isa, None)[0]);
    if added {
        dy.iter_mut().zip(&other).for_each(|(dy, other)| *dy += other);
    }
    let apart = Case::new(Kernel::BatchNormBackward(norm)).reads(x.clone()).reads(y.clone());
    let apart = apart.reads(dy).reads(weight.clone()).reads(mean.clone()).reads(inv_std.clone());
    let mut apart = apart.writes(len, 0.0).writes(channels, 0.0).writes(channels, 0.0);
    if residual && relu {
        apart = apart.writes(len, 0.0);
    }
    let apart = apart.run_on(isa, None);

    let case = case(Kernel::Conv2dGradInputSums { conv, relu, added });
    let case = case.reads(x.clone()).reads(y).reads(mean.clone());
    let case = if added { case.reads(other) } else { case };
    let sums = group_sums(rows, channels).elements();
    let together = case.writes(len, 0.0).writes(sums, 0.0).run_on(isa, None);
    let [g, sums] = [0, 1].map(|i| floats(&together[i]));
    let from_sums = Case::new(Kernel::BatchNormBackwardFromSums(norm)).reads(x).reads(g);
    let from_sums = from_sums.reads(weight).reads(mean).reads(inv_std).reads(sums);
    let from_sums = from_sums.writes(len, 0.0).writes(channels, 0.0).writes(channels, 0.0);
    let mut from_sums = from_sums.run_on(isa, None);
    if residual && relu {
        from_sums.push(together[0].clone());
    }
    assert!(apart == from_sums, "{conv:?}, residual {residual}, ReLU {relu}, added {added}");
}

#[test]
fn all_instruction_sets_give_the_same_bits() {
    all_cases().iter().for_each(agrees);
}

/// The same bits with every instruction set.
fn agrees(case: &Case) {
    let got = case.run_on(Isa::Portable, None);
    for isa in Isa::available() {
        assert!(case.run_on(isa, None) == got, "{:?}: other bits with {isa:?}", case.kernel);
    }
}

/// Small enough for Miri, which looks at every access (tools/memcheck.sh).
#[test]
fn a_small_product_and_convolution_on_all_instruction_sets() {
    let gemm = Gemm { m: 3, n: 17, k: 2, trans_a: false, trans_b: true };
    let case = Case::new(Kernel::Gemm(gemm)).reads(uniform(1, 3 * 2)).reads(uniform(2, 2 * 17));
    agrees(&case.writes(3 * 17, 1e-5));
    let conv = Conv2d::new(Shape::from([1, 3, 4, 1]), Shape::from([2, 3, 3, 1]), 2, 1).unwrap();
    let (x, w, dy) = (uniform(3, 3 * 4), uniform(4, 2 * 9), uniform(5, conv.rows() * 2));
    let forward = Case::new(Kernel::Conv2d(conv)).reads(x.clone()).reads(w);
    agrees(&forward.writes(dy.len(), 1e-5));
    let grad_weight = Case::new(Kernel::Conv2dGradWeight(conv)).reads(x).reads(dy);
    agrees(&grad_weight.writes(2 * 9, 1e-5));
}

#[test]
fn wrong_convolutions_name_both_shapes() {
    let new = |x: [usize; 4], w: [usize; 4], stride, padding| {
        Conv2d::new(Shape::from(x), Shape::from(w), stride, padding).unwrap_err().to_string()
    };
    let channels = new([1, 5, 5, 3], [4, 3, 3, 2], 1, 0);
    assert!(channels.contains("[1, 5, 5, 3]") && channels.contains("[4, 3, 3, 2]"), "{channels}");
    assert!(new([1, 5, 5, 3], [4, 3, 3, 3], 0, 0).contains("stride 0"));
    assert!(new([1, 2, 2, 3], [4, 3, 3, 3], 1, 0).contains("larger than input [1, 2, 2, 3]"));
    for padding in [usize::MAX / 2, usize::MAX] {
        assert!(new([1, 2, 2, 3], [4, 3, 3, 3], 1, padding).contains("is too large"));
    }
    let pool = Pool2d::new("max_pool2d", Shape::from([1, 4, 4, 1]), 2, 2, 2);
    assert!(matches!(pool, Err(Error::Setting { origin: "max_pool2d", .. })));
}

#[test]
fn pools_prefer_the_first_maximum_and_hand_on_nan() {
    let pool = Pool2d::new("max_pool2d", Shape::from([1, 2, 4, 1]), 2, 2, 0).unwrap();
    let x = vec![3.0, 3.0, f32::NAN, 9.0, 3.0, 1.0, 2.0, 3.0];
    let case = Case::new(Kernel::MaxPool2d(pool)).reads(x).writes(2, 0.0).writes_indices(2);
    let [y, argmax] = case.run(None).try_into().unwrap();
    assert_eq!((f32::from_bits(y[0]), argmax), (3.0, vec![0, 2]));
    assert!(f32::from_bits(y[1]).is_nan());
}

#[test]
fn a_nan_stays_visible() {
    let (rows, channels, training, residual, relu) = (1, 3, false, false, true);
    let norm = BatchNorm { rows, channels, eps: 0.0, momentum: 0.1, training, residual, relu };
    let case = |kernel| Case::new(kernel).reads(vec![1.0, f32::NAN, 2.0]);
    let norm = case(Kernel::BatchNorm(norm)).reads(vec![1.0; 3]).reads(vec![0.0; 3]);
    let norm = norm.writes(3, 0.0).writes(3, 0.0).writes(3, 0.0);
    let mut cases = vec![norm.updates(vec![0.0; 3], 0.0).updates(vec![1.0; 3], 0.0)];
    let kernels = [
        Kernel::Clamp { low: -1.0, high: 1.0 },
        Kernel::Unary(Unary::Ln),
        Kernel::Unary(Unary::Relu),
        Kernel::Unary(Unary::Gelu),
        Kernel::Softmax { columns: 3 },
        Kernel::LogSoftmax { columns: 3 },
    ];
    cases.extend(kernels.map(|kernel| case(kernel).writes(3, 0.0)));
    for case in cases {
        assert!(f32::from_bits(case.run(None)[0][1]).is_nan(), "{:?}", case.kernel);
    }
}

/// Its distance from the mean is 0 to the bit: 1 / sqrt(eps) would magnify anything else 300 times.
#[test]
fn batch_norm_makes_a_constant_channel_its_bias() {
    let [training, residual, relu] = [true, false, false];
    for (rows, channels) in [(3, 1), (9, 1), (1000, 5), (700, 64), (2000, 70)] {
        let norm = BatchNorm { rows, channels, eps: 1e-5, momentum: 0.1, training, residual, relu };
        let bias = uniform(70, channels);
        for constant in [0.1, 3.3, -1e6] {
            let case = Case::new(Kernel::BatchNorm(norm))
                .reads(vec![constant; rows * channels])
                .reads(vec![1.0; channels])
                .reads(bias.clone())
                .writes(rows * channels, 0.0)
                .writes(channels, 0.0)
                .writes(channels, 1e-6)
                .updates(vec![0.0; channels], 1e-6)
                .updates(vec![1.0; channels], 1e-6);
            let y = case.run(None).swap_remove(0);
            let wants = bias.iter().map(|bias| bias.to_bits()).cycle();
            assert!(y.into_iter().zip(wants).all(|(y, bias)| y == bias), "{rows} {constant}");
        }
    }
}

#[test]
fn all_finite_sees_a_single_bad_number() {
    let x = uniform(60, 100_003);
    let slot = Slot::new(0, x.len());
    let mut backend = Cpu.open(slot.len).unwrap();
    backend.write(slot, &x);
    assert!(backend.all_finite(slot));
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        backend.write(slot.part(77_777, 1), &[bad]);
        assert!(!backend.all_finite(slot));
    }
}

/// The scalars are reported as they are.
#[test]
fn a_check_sees_a_bad_scalar() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let case = Case::new(Kernel::NonFiniteCheck { scalars: 3, flat: 0 });
        let case = case.reads(vec![0.5]).reads(vec![bad]).reads(vec![-0.0]).reads(vec![1.0]);
        let want = [1.0f32, 0.5, bad, -0.0].map(f32::to_bits);
        assert_eq!(case.writes(4, 0.0).run(None), [want]);
    }
}

#[test]
fn the_bias_correction_is_a_power() {
    let correction = |betas, t| AdamW { betas, eps: 0.0 }.correction(t);
    for t in [1, 2, 3, 10, 23] {
        let want = [0.5f32, 0.25].map(|beta| 1.0 - (0..t).map(|_| beta).product::<f32>());
        assert_eq!(correction((0.5, 0.25), t), want, "{t}");
    }
    for t in [1, 7, 1000, 123_456] {
        let want = [0.9f64, 0.9999].map(|beta| 1.0 - (t as f64 * beta.ln()).exp());
        let got = correction((0.9, 0.9999), t);
        assert!(
            got.iter().zip(want).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-7),
            "{t}: {got:?}"
        );
    }
}

/// A kernel from a file is refused with operands of other sizes, and with indices beyond them.
#[test]
fn kernels_fit_their_operands_and_no_others() {
    let cases = all_cases();
    for case in &cases {
        let (inputs, outputs) = case.sizes();
        let kernel = case.kernel;
        assert!(kernel.fits(&inputs, &outputs), "{kernel:?} {inputs:?} {outputs:?}");
        // One more element anywhere; an operand more, or less.
        let is_free = matches!(
            kernel,
            Kernel::Fill(_)
                | Kernel::Sum(_)
                | Kernel::SliceRows { .. }
                | Kernel::SliceRowsBackward { .. }
                | Kernel::GatherRows { columns: 1 }
                | Kernel::ScatterAddRows { columns: 1 }
                | Kernel::NonFiniteCheck { .. }
        );
        for at in 0..inputs.len() + outputs.len() {
            let (mut inputs, mut outputs) = (inputs.clone(), outputs.clone());
            let left = inputs.len();
            *inputs.iter_mut().chain(&mut outputs).nth(at).unwrap() += 1;
            let is_index = kernel.index_inputs().contains(&at) && at < left;
            let refused = !kernel.fits(&inputs, &outputs);
            let is_free = is_free || kernel.own_inputs() == Some(at) && at < left;
            assert!(refused || is_free || is_index, "{kernel:?} {inputs:?} {outputs:?}");
        }
        // What updates in place takes a guard, but no second one.
        let takes_more = matches!(kernel, Kernel::ConcatRows | Kernel::NonFiniteCheck { .. });
        let more = [&inputs[..], &[1]].concat();
        let is_free = takes_more || kernel.own_inputs() == Some(inputs.len());
        assert!(!kernel.fits(&more, &outputs) || is_free, "{kernel:?}");
        assert!(!kernel.fits(&[&more[..], &[1]].concat(), &outputs) || takes_more, "{kernel:?}");
        assert!(!kernel.fits(&inputs, &outputs[1..]), "{kernel:?}");
        for (at, indices) in case.indices() {
            assert!(kernel.allows(at, &indices, &inputs, &outputs), "{kernel:?}");
            let beyond = vec![u32::MAX; indices.len()];
            let is_refused = !kernel.allows(at, &beyond, &inputs, &outputs);
            assert!(indices.is_empty() || is_refused, "{kernel:?}");
        }
    }
}

/// Settings and indices of a kernel from a file that would take its code out of bounds or around no end.
#[test]
fn senseless_kernels_are_refused() {
    for (low, high) in [(1.0, 0.0), (f32::NAN, 1.0), (0.0, f32::NAN)] {
        assert!(!Kernel::Clamp { low, high }.fits(&[3], &[3]));
        assert!(!Kernel::ClampBackward { low, high }.fits(&[3, 3], &[3]));
    }
    let lars = Kernel::Lars { momentum: 0.9, eta: 0.001, tensors: 2 };
    let allows = |ranges: [u32; 4]| lars.allows(3, &ranges, &[20, 1, 1, 4], &[20, 20]);
    assert!(allows([0, 10, 10, 20]) && allows([0, 5, 8, 8]));
    for ranges in [[10, 20, 0, 10], [0, 12, 10, 20], [0, 10, 20, 10], [0, 10, 10, 21]] {
        assert!(!allows(ranges), "{ranges:?}");
    }
    let check = Kernel::NonFiniteCheck { scalars: 1, flat: 1 };
    let allows = |ranges: [u32; 4]| check.allows(2, &ranges, &[1, 20, 4, 7], &[2]);
    assert!(check.fits(&[1, 20, 4, 7], &[2]) && allows([0, 5, 8, 20]));
    assert!(!allows([0, 5, 8, 21]) && !allows([5, 0, 8, 20]));
    for inputs in [&[1, 20, 3][..], &[2, 20, 4], &[1, 20], &[]] {
        assert!(!check.fits(inputs, &[2]), "{inputs:?}");
    }
    assert!(!Kernel::NonFiniteCheck { scalars: 4, flat: 0 }.fits(&[1; 4], &[5]));
    assert!(!Kernel::NonFiniteCheck { scalars: usize::MAX, flat: 2 }.fits(&[1], &[2]));
    let columns = Kernel::GatherColumnsBackward { columns: 4 };
    assert!(columns.allows(1, &[3, 1, 1], &[4, 3], &[8]));
    assert!(!columns.allows(1, &[1, 1, 3], &[4, 3], &[8]));
    let loss = Kernel::PartitionLoss(PartitionLoss::new(2, 1, 3, 3).unwrap());
    assert!(!loss.allows(2, &[0, 2, 2], &[6, 6, 3], &[1, 1, 1, 6]));

    let (n, h, w, c, o, r, s) = (1, 2, 2, 1, 1, 1, 1);
    let algorithm = ConvAlgorithm::Direct;
    for (stride, padding, side, fits) in [
        (1, 2, 6, true),
        (100_000, 0, 1, true),
        (1 << 31, 0, 1, false),
        (1 << 30, 1 << 30, 3, false),
        (1 << 62, 1 << 62, 3, false),
    ] {
        let conv = Conv2d { n, h, w, c, o, r, s, stride, padding, algorithm };
        let got = Kernel::Conv2dGradInput(conv).fits(&[side * side, 1], &[4]);
        assert_eq!(got, fits, "stride {stride}, padding {padding}");
    }
    let pool = Pool2d { n, h, w, c, kernel: 1 << 40, stride: 1, padding: 1 << 39 };
    assert!(!Kernel::AvgPool2d(pool).fits(&[4], &[9]));
}
