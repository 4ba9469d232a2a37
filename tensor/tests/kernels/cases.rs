//! Test calls for every kernel, family by family.

use tensor::geometry::{
    BatchNorm, Conv2d, ConvAlgorithm, Gemm, PartitionLoss, Pool2d, StreamingLoss,
};
use tensor::kernel::{AdamW, Unary};
use tensor::order::group_sums;
use tensor::{Kernel, Shape};

use crate::case::{Case, indices, permutation, scaled, uniform};

/// A few units in the last place of f32.
const ULPS: f64 = 5e-7;

pub fn elementwise() -> Vec<Case> {
    let mut cases = Vec::new();
    // Three chunks and a remainder; rows for the biases.
    for (rows, columns) in [(1, 1), (7, 5), (1639, 30)] {
        let len = rows * columns;
        let (x, dy, bias) = (uniform(1, len), uniform(2, len), uniform(3, columns));
        let wide = scaled(6.0, 1, len);
        let positive: Vec<f32> = x.iter().map(|x| 1.01 + x).collect();
        let one = |kernel, x: &Vec<f32>| Case::new(kernel).reads(x.clone()).writes(len, ULPS);
        let two = |kernel, x: &Vec<f32>, y: &Vec<f32>| {
            Case::new(kernel).reads(x.clone()).reads(y.clone()).writes(len, ULPS)
        };
        let sum = Case::new(Kernel::Accumulate).reads(vec![0.5]).reads(x.clone());
        let (low, high) = (-0.25, 0.5);
        for function in Unary::ALL {
            let x = if matches!(function, Unary::Ln | Unary::Sqrt) { &positive } else { &wide };
            cases.push(one(Kernel::Unary(function), x));
            cases.push(two(Kernel::UnaryBackward(function), x, &dy));
        }
        cases.extend([
            Case::new(Kernel::Fill(-2.5)).writes(len, 0.0),
            one(Kernel::Copy, &x),
            two(Kernel::Add, &x, &dy),
            two(Kernel::Mul, &x, &dy),
            one(Kernel::Clamp { low, high }, &x),
            two(Kernel::ClampBackward { low, high }, &x, &dy),
            one(Kernel::Scale(1.0), &x),
            one(Kernel::Scale(-0.3), &x),
            two(Kernel::ScaleBy, &vec![1.7], &x),
            // If the old value is not used, it may be anything.
            two(Kernel::Accumulate, &vec![0.0], &x),
            sum.updates(dy.clone(), ULPS),
            two(Kernel::AddBias, &x, &bias),
            two(Kernel::BiasRelu { residual: false }, &x, &bias),
            Case::new(Kernel::BiasRelu { residual: true })
                .reads(x.clone())
                .reads(bias.clone())
                .reads(dy.clone())
                .writes(len, ULPS),
            two(Kernel::BiasGelu, &wide, &bias),
            Case::new(Kernel::BiasGeluBackward).reads(wide).reads(bias).reads(dy).writes(len, ULPS),
        ]);
    }
    cases
}

pub fn products() -> Vec<Case> {
    // The larger ones are split, by rows or by the inner size.
    let sizes = [
        (1, 1, 1),
        (3, 5, 7),
        (65, 33, 17),
        (700, 40, 90),
        (8, 9, 5000),
        (40, 24, 3001),
        (300, 1, 1500),
        (1, 300, 2500),
    ];
    let mut cases = Vec::new();
    for (m, n, k) in sizes {
        let (a, b, bias) = (uniform(1, m * k), uniform(2, k * n), uniform(3, n));
        for (trans_a, trans_b) in [(false, false), (false, true), (true, false), (true, true)] {
            let gemm = Gemm { m, n, k, trans_a, trans_b };
            let case = |kernel| Case::new(kernel).reads(a.clone()).reads(b.clone());
            cases.push(case(Kernel::Gemm(gemm)).writes(m * n, 1e-5));
            cases.push(case(Kernel::GemmBias(gemm)).reads(bias.clone()).writes(m * n, 1e-5));
        }
    }
    cases
}

pub fn convolutions() -> Vec<Case> {
    // N,H,W,C, O,R,S, stride, padding: the first ones fill several chunks of several tasks.
    let sizes: [([usize; 4], [usize; 3], usize, usize); 22] = [
        ([33, 9, 9, 16], [8, 3, 3], 1, 1),
        ([20, 12, 10, 40], [6, 3, 3], 2, 1),
        ([3, 31, 33, 3], [16, 7, 7], 2, 3),
        // Several panels of outputs, the last ones narrow.
        ([5, 7, 9, 20], [50, 3, 3], 1, 1),
        ([3, 10, 9, 5], [33, 3, 3], 2, 1),
        // Images of several slabs, and rows and columns of odd length.
        ([2, 71, 70, 16], [16, 3, 3], 1, 1),
        ([3, 5, 4, 33], [17, 3, 3], 1, 2),
        ([40, 6, 6, 70], [24, 1, 1], 1, 0),
        ([17, 8, 8, 20], [12, 1, 1], 2, 0),
        // Maps that are mostly edge.
        ([34, 2, 2, 33], [40, 3, 3], 1, 1),
        ([21, 4, 3, 16], [20, 3, 3], 2, 1),
        ([2, 5, 7, 3], [4, 5, 3], 1, 2),
        ([1, 1, 1, 1], [1, 1, 1], 1, 0),
        ([2, 3, 3, 4], [5, 3, 3], 1, 0),
        ([1, 2, 2, 3], [2, 5, 5], 1, 2),
        ([4, 7, 5, 1], [3, 2, 2], 3, 1),
        ([2, 4, 4, 3], [2, 3, 3], 1, 3),
        ([1, 5, 5, 2], [1, 3, 3], 3, 0),
        // Padding above the kernel: windows wholly beside the image, in all directions.
        ([1, 1, 1, 1], [1, 1, 1], 1, 2),
        ([2, 5, 5, 3], [2, 7, 1], 1, 3),
        ([2, 4, 3, 2], [3, 1, 5], 1, 4),
        ([1, 3, 2, 2], [2, 2, 2], 2, 5),
    ];
    let mut cases = Vec::new();
    for (i, (x_shape, [o, r, s], stride, padding)) in (0..).zip(sizes) {
        let weight_shape = Shape::from([o, r, s, x_shape[3]]);
        let conv = Conv2d::new(Shape::from(x_shape), weight_shape, stride, padding).unwrap();
        let x = uniform(3 * i, x_shape.iter().product());
        let weight = uniform(3 * i + 1, weight_shape.elements());
        let dy = uniform(3 * i + 2, conv.y_shape().elements());
        let lens = (x.len(), weight.len(), dy.len());
        let case = |kernel, a: &Vec<f32>, b: &Vec<f32>, len| {
            Case::new(kernel).reads(a.clone()).reads(b.clone()).writes(len, 1e-5)
        };
        let mut by_all = ConvAlgorithm::ALL.map(|algorithm| conv.by(algorithm)).to_vec();
        by_all.dedup();
        for conv in by_all {
            let sums = group_sums(conv.rows(), conv.o).elements();
            cases.extend([
                case(Kernel::Conv2d(conv), &x, &weight, lens.2),
                case(Kernel::Conv2dSums(conv), &x, &weight, lens.2).writes(sums, 1e-5),
                case(Kernel::Conv2dGradInput(conv), &dy, &weight, lens.0),
                case(Kernel::Conv2dGradWeight(conv), &x, &dy, lens.1),
            ]);
            for (relu, added) in [(false, false), (true, true)] {
                let kernel = Kernel::Conv2dGradInputSums { conv, relu, added };
                let case = Case::new(kernel).reads(dy.clone()).reads(weight.clone());
                let case =
                    case.reads(x.clone()).reads(uniform(4, lens.0)).reads(uniform(5, conv.c));
                let case = if added { case.reads(uniform(6, lens.0)) } else { case };
                let sums = group_sums(lens.0 / conv.c, conv.c).elements();
                cases.push(case.writes(lens.0, 1e-5).writes(sums, 1e-5));
            }
        }
    }
    cases
}

pub fn large_means() -> Vec<Case> {
    // Rows that fill several groups; channels that are widened, that are not, that are many.
    let sizes = [(5000, 3), (4099, 16), (3000, 1), (700, 64), (257, 130), (2, 5)];
    let cases = (0..).zip(sizes).map(|(i, (rows, channels))| {
        let x: Vec<f32> = uniform(i, rows * channels).iter().map(|x| 100.0 + x).collect();
        let (training, residual, relu) = (true, false, false);
        let norm = BatchNorm { rows, channels, eps: 1e-5, momentum: 0.1, training, residual, relu };
        Case::new(Kernel::BatchNorm(norm))
            .reads(x)
            .reads(uniform(40, channels))
            .reads(uniform(41, channels))
            // The mean itself is rounded to f32: 4e-6 of 100, and so are all x.
            .writes(rows * channels, 2e-5)
            // A group's sums are f32: a few units in the last place.
            .writes(channels, 5e-6)
            .writes(channels, 5e-6)
            .updates(vec![0.0; channels], 5e-6)
            .updates(vec![1.0; channels], 5e-6)
    });
    cases.collect()
}

/// Forward and backward with and without training, residual and ReLU.
pub fn batch_norms() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, channels) in [(1, 4), (3, 5), (700, 3), (257, 130), (900, 64)] {
        for flags in 0..8 {
            let [training, residual, relu] = [1, 2, 4].map(|flag| flags & flag != 0);
            if training && rows == 1 {
                continue;
            }
            let norm =
                BatchNorm { rows, channels, eps: 1e-3, momentum: 0.3, training, residual, relu };
            let len = rows * channels;
            let (x, weight, bias) = (uniform(1, len), uniform(2, channels), uniform(3, channels));
            let mut forward = Case::new(Kernel::BatchNorm(norm))
                .reads(x.clone())
                .reads(weight.clone())
                .reads(bias.clone());
            if residual {
                forward = forward.reads(uniform(4, len));
            }
            let running_var = uniform(6, channels).iter().map(|x| 1.5 + x).collect::<Vec<f32>>();
            forward = forward
                .writes(len, 5e-6)
                .writes(channels, 5e-6)
                .writes(channels, 5e-6)
                .updates(uniform(5, channels), 5e-6)
                .updates(running_var, 5e-6);
            let [y, mean, inv_std, ..] = &forward.wanted_data()[..] else { unreachable!() };
            let mut again = Case::new(Kernel::BatchNormApply(norm))
                .reads(x.clone())
                .reads(weight.clone())
                .reads(bias)
                .reads(mean.clone())
                .reads(inv_std.clone());
            if residual {
                again = again.reads(uniform(4, len));
            }
            let again = again.writes(len, 5e-6);
            let mut backward = Case::new(Kernel::BatchNormBackward(norm))
                .reads(x)
                .reads(y.clone())
                .reads(uniform(7, len))
                .reads(weight)
                .reads(mean.clone())
                .reads(inv_std.clone())
                .writes(len, 1e-5)
                .writes(channels, 1e-5)
                .writes(channels, 1e-5);
            if residual && relu {
                backward = backward.writes(len, 0.0);
            }
            cases.extend([forward, again, backward]);
            if training {
                cases.push(batch_norm_from_sums(norm));
                cases.push(batch_norm_backward_from_sums(norm));
            }
        }
    }
    cases
}

/// A convolution that copies its input, and its weight.
fn copying(BatchNorm { rows, channels, .. }: BatchNorm) -> (Conv2d, Vec<f32>) {
    let (x, weight) =
        (Shape::from([rows, 1, 1, channels]), Shape::from([channels, 1, 1, channels]));
    let conv = Conv2d::new(x, weight, 1, 0).unwrap();
    let on_diagonal = |i| if i % (channels + 1) == 0 { 1.0 } else { 0.0 };
    (conv, (0..channels * channels).map(on_diagonal).collect())
}

/// From the sums of a convolution that copies its input's gradient.
fn batch_norm_backward_from_sums(norm: BatchNorm) -> Case {
    let BatchNorm { rows, channels, relu, .. } = norm;
    let (len, (conv, identity)) = (rows * channels, copying(norm));
    let (x, mean) = (uniform(1, len), uniform(2, channels));
    let copy = Case::new(Kernel::Conv2dGradInputSums { conv, relu, added: false });
    let copy = copy.reads(uniform(3, len)).reads(identity).reads(x.clone());
    let copy = copy.reads(uniform(4, len)).reads(mean.clone()).writes(len, 0.0);
    let copy = copy.writes(group_sums(rows, channels).elements(), 0.0);
    let [g, sums] = copy.wanted_data().try_into().unwrap();
    let case = Case::new(Kernel::BatchNormBackwardFromSums(norm)).reads(x).reads(g);
    let inv_std: Vec<f32> = uniform(5, channels).iter().map(|x| 1.5 + x).collect();
    let case = case.reads(uniform(6, channels)).reads(mean).reads(inv_std).reads(sums);
    case.writes(len, 1e-5).writes(channels, 1e-5).writes(channels, 1e-5)
}

/// From the sums of a convolution that copies its input.
fn batch_norm_from_sums(norm: BatchNorm) -> Case {
    let BatchNorm { rows, channels, residual, .. } = norm;
    let (conv, identity) = copying(norm);
    let copy =
        Case::new(Kernel::Conv2dSums(conv)).reads(uniform(1, rows * channels)).reads(identity);
    let copy = copy.writes(rows * channels, 0.0).writes(group_sums(rows, channels).elements(), 0.0);
    let [x, sums] = copy.wanted_data().try_into().unwrap();
    let case = Case::new(Kernel::BatchNormFromSums(norm)).reads(x);
    let mut case = case.reads(uniform(2, channels)).reads(uniform(3, channels)).reads(sums);
    if residual {
        case = case.reads(uniform(4, rows * channels));
    }
    case.writes(rows * channels, 5e-6)
        .writes(channels, 5e-6)
        .writes(channels, 5e-6)
        .updates(uniform(5, channels), 5e-6)
        .updates(uniform(6, channels).iter().map(|x| 1.5 + x).collect::<Vec<f32>>(), 5e-6)
}

pub fn pools() -> Vec<Case> {
    // N,H,W,C, kernel, stride, padding.
    let sizes = [
        ([2, 7, 9, 5], 3, 2, 1),
        ([1, 5, 5, 3], 2, 2, 0),
        ([3, 4, 4, 17], 3, 1, 1),
        ([1, 2, 2, 1], 2, 1, 1),
        ([2, 6, 5, 4], 5, 1, 2),
        ([1, 1, 1, 1], 1, 1, 0),
        ([2, 5, 6, 3], 2, 3, 0),
    ];
    let mut cases = Vec::new();
    for (shape, kernel, stride, padding) in sizes {
        let pool = Pool2d::new("pool2d", Shape::from(shape), kernel, stride, padding).unwrap();
        let (x_len, y_len) = (shape.iter().product(), pool.y_shape().elements());
        let (x, dy) = (uniform(1, x_len), uniform(2, y_len));
        // Coarse enough for ties within windows.
        let coarse: Vec<f32> = x.iter().map(|x| (2.0 * x).round()).collect();
        for x in [&x, &coarse] {
            let max = Case::new(Kernel::MaxPool2d(pool)).reads(x.clone()).writes(y_len, 0.0);
            let max = max.writes_indices(y_len);
            let back = Case::new(Kernel::MaxPool2dBackward(pool)).reads(dy.clone());
            cases.push(back.reads(max.wanted_data()[1].clone()).writes(x_len, ULPS));
            cases.push(max);
        }
        let [n, h, w, c] = shape;
        let (pixels, dy_global) = (h * w, uniform(3, n * c));
        let case = |kernel, x: Vec<f32>, len| Case::new(kernel).reads(x).writes(len, ULPS);
        cases.extend([
            case(Kernel::AvgPool2d(pool), x.clone(), y_len),
            case(Kernel::AvgPool2dBackward(pool), dy, x_len),
            case(Kernel::GlobalAvgPool { n, pixels }, x, n * c),
            case(Kernel::GlobalAvgPoolBackward { n, pixels }, dy_global, x_len),
        ]);
    }
    cases
}

pub fn reductions() -> Vec<Case> {
    let x = uniform(60, 100_003);
    let mut cases = vec![
        Case::new(Kernel::Sum(1.0)).reads(x.clone()).writes(1, 5e-6),
        Case::new(Kernel::Sum(-0.25)).reads(x.clone()).writes(1, 5e-6),
        Case::new(Kernel::Sum(1.0)).reads(uniform(61, 1)).writes(1, 0.0),
    ];
    for columns in [1, 7, 513] {
        let rows = x.len() / columns;
        let (x, dy) = (x[..rows * columns].to_vec(), uniform(62, rows));
        cases.extend([
            Case::new(Kernel::SumColumnsBackward { columns }).reads(dy).writes(rows * columns, 0.0),
            Case::new(Kernel::SumRows { rows, columns }).reads(x.clone()).writes(columns, 1e-5),
            Case::new(Kernel::SumColumns { columns }).reads(x).writes(rows, 1e-6),
        ]);
    }
    cases
}

pub fn rows() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, columns) in [(1, 1), (3, 7), (130, 33), (40, 512), (2, 3001), (500, 64)] {
        let len = rows * columns;
        let dy = uniform(2, len);
        // Rows of almost one-hot probabilities have gradients of almost 0.
        for (scale, by_logits) in [(1.0, 1e-5), (40.0, 1e-4)] {
            let x = scaled(scale, 1, len);
            for (forward, backward) in [
                (Kernel::Softmax { columns }, Kernel::SoftmaxBackward { columns }),
                (Kernel::LogSoftmax { columns }, Kernel::LogSoftmaxBackward { columns }),
            ] {
                let forward = Case::new(forward).reads(x.clone()).writes(len, 1e-5);
                let y = forward.wanted_data().remove(0);
                let backward = Case::new(backward).reads(y).reads(dy.clone());
                cases.extend([forward, backward.writes(len, by_logits)]);
            }
        }
        // Alternating rows shorter and longer than the largest eps.
        let scales = (0..len).map(|i| if i / columns % 2 == 0 { 3.0 } else { 0.3 });
        let x: Vec<f32> = uniform(1, len).iter().zip(scales).map(|(x, scale)| scale * x).collect();
        for eps in [0.0, 1e-12, (columns as f32 / 3.0).sqrt()] {
            let forward = Kernel::L2Normalize { columns, eps };
            let forward = Case::new(forward).reads(x.clone()).writes(len, 1e-6).writes(rows, 1e-6);
            let [y, norm] = forward.wanted_data().try_into().unwrap();
            let backward = Kernel::L2NormalizeBackward { columns, eps };
            let backward = Case::new(backward).reads(y).reads(norm).reads(dy.clone());
            cases.extend([forward, backward.writes(len, 1e-5)]);
        }
    }
    cases
}

pub fn gathers() -> Vec<Case> {
    let mut cases = Vec::new();
    // R rows of `columns`, of which M rows or columns are selected.
    for (rows, columns, m) in [(5, 2, 4), (1, 1, 1), (70, 33, 300), (9, 513, 200)] {
        let x = uniform(1, rows * columns);
        let two = |kernel, x: Vec<f32>, index: &Vec<u32>, len, tolerance| {
            Case::new(kernel).reads(x).reads(index.clone()).writes(len, tolerance)
        };
        // Indices may repeat.
        let (index, dy) = (indices(2, m, rows), uniform(3, m * columns));
        // The last columns of the order are not selected.
        let (order, used) = (permutation(4, columns), m.min(columns.div_ceil(2)));
        let dy_used = uniform(5, rows * used);
        cases.extend([
            two(Kernel::GatherRows { columns }, x.clone(), &index, m * columns, 0.0),
            two(Kernel::ScatterAddRows { columns }, dy, &index, rows * columns, 1e-6),
            two(Kernel::GatherColumns { columns }, x.clone(), &order, rows * used, 0.0),
            two(Kernel::GatherColumnsBackward { columns }, dy_used, &order, rows * columns, 0.0),
        ]);
        cases.push(
            Case::new(Kernel::Transpose { rows, columns }).reads(x.clone()).writes(x.len(), 0.0),
        );
        let start = columns / 2;
        let taken = (rows * columns).div_ceil(2);
        cases.extend([
            Case::new(Kernel::ConcatRows).reads(x.clone()).writes(x.len(), 0.0),
            Case::new(Kernel::ConcatRows)
                .reads(x.clone())
                .reads(uniform(6, columns))
                .reads(uniform(7, 3 * columns))
                .writes(x.len() + 4 * columns, 0.0),
            (1..=8).fold(
                Case::new(Kernel::SumShards { shards: 8, elements: taken }).writes(taken, 1e-6),
                |case, shard| case.reads(uniform(10 + shard, taken)),
            ),
            Case::new(Kernel::SumShards { shards: 1, elements: taken })
                .reads(uniform(8, taken))
                .writes(taken, 0.0),
            Case::new(Kernel::SliceRows { start }).reads(x.clone()).writes(taken, 0.0),
            Case::new(Kernel::SliceRowsBackward { start })
                .reads(uniform(8, taken))
                .writes(start + taken + 3, 0.0),
        ]);
    }
    cases
}

pub fn losses() -> Vec<Case> {
    // V, B, K, N_B: surplus prototypes, one block, blocks of one, one image.
    let sizes = [
        (2, 3, 32, 8),
        (4, 5, 50, 16),
        (8, 3, 64, 64),
        (3, 4, 10, 1),
        (2, 1, 24, 24),
        (3, 8, 600, 37),
    ];
    // The last prototype's mean probability, 1e-7, is just below the clamp.
    let rare = [0.0, 0.0, -15.42].repeat(2);
    let loss = PartitionLoss::new(2, 1, 3, 3).unwrap();
    let case = Case::new(Kernel::PartitionLoss(loss)).reads(rare.clone()).reads(rare);
    let case = case.reads(vec![0, 1, 2]).writes(1, 2e-6).writes(1, 2e-6).writes(1, 2e-6);
    let mut cases = vec![case.writes(6, 1e-5)];
    for (views, batch, prototypes, partition_size) in sizes {
        let loss = PartitionLoss::new(views, batch, prototypes, partition_size).unwrap();
        let order = permutation(1, prototypes);
        // As at the start, as in training, and so certain that most terms are clamped.
        for scale in [0.01, 3.0, 60.0] {
            let views_of = |kernel, width| {
                Case::new(kernel).reads(scaled(scale, 2, views * batch * width)).reads(scaled(
                    scale,
                    3,
                    2 * batch * width,
                ))
            };
            // The divergence from uniform is almost 0 at the start.
            let terms = |case: Case, width| {
                let case = case.writes(1, 2e-6).writes(1, 2e-6).writes(1, 1e-4);
                case.writes(views * batch * width, 1e-5)
            };
            let case = views_of(Kernel::PartitionLoss(loss), prototypes).reads(order.clone());
            cases.push(terms(case, prototypes));
            for (dim, views_at_once) in [(7, 1), (32, 2), (16, views)] {
                let streaming = StreamingLoss { loss, dim, views_at_once };
                let case = views_of(Kernel::StreamingLoss(streaming), dim)
                    .reads(uniform(4, prototypes * dim))
                    .reads(uniform(5, prototypes * dim))
                    .reads(order.clone());
                // With most terms clamped, these are rounding errors times large embeddings.
                let tolerance = 1e-5 * f64::from(scale).max(1.0);
                cases.push(terms(case, dim).writes(prototypes * dim, tolerance));
            }
        }
    }
    cases
}

pub fn optimizers() -> Vec<Case> {
    let mut cases = Vec::new();
    let step =
        |kernel, grad: Vec<f32>, wd| Case::new(kernel).reads(grad).reads(vec![0.5]).reads(vec![wd]);
    // Without a guard, and with one that lets it run or keeps all as it is.
    let guards = [None, Some(vec![0.0, 1.0]), Some(vec![1.0])];
    for (len, guard) in [1, 49_157].into_iter().flat_map(|len| guards.clone().map(|g| (len, g))) {
        let guarded = |case: Case| match &guard {
            Some(guard) => case.reads(guard.clone()),
            None => case,
        };
        let [grad, w, state] = [1, 2, 3].map(|index| uniform(index, len));
        let squares: Vec<f32> = state.iter().map(|x| x * x).collect();
        let ema = Case::new(Kernel::Ema).reads(vec![0.99]).reads(grad.clone());
        let sgd = step(Kernel::Sgd { momentum: 0.9 }, grad.clone(), 0.01);
        let adamw = Kernel::AdamW(AdamW { betas: (0.9, 0.999), eps: 1e-8 });
        let adamw = step(adamw, grad, 0.01).reads(vec![0.271, 0.003]);
        let accumulate = Case::new(Kernel::Accumulate).reads(vec![0.5]).reads(w.clone());
        let lars = Kernel::Lars { momentum: 0.9, eta: 0.02, tensors: 1 };
        let lars = step(lars, state.clone(), 0.01).reads(vec![0, len as u32]);
        cases.extend([
            guarded(ema).updates(w.clone(), ULPS),
            guarded(accumulate).updates(state.clone(), ULPS),
            guarded(lars).updates(w.clone(), ULPS).updates(state.clone(), ULPS),
            guarded(sgd).updates(w.clone(), ULPS).updates(state.clone(), ULPS),
            guarded(adamw).updates(w, 1e-6).updates(state, ULPS).updates(squares, ULPS),
        ]);
    }

    // All numbers finite but those between the ranges, and one in a range or in a plain input that is not.
    for (in_range, in_plain) in
        [(1.0, 1.0), (f32::NAN, 1.0), (f32::NEG_INFINITY, 1.0), (1.0, f32::INFINITY)]
    {
        let [mut flat, mut plain] = [5, 6].map(|index| uniform(index, 40_000));
        (flat[0], flat[20_001]) = (f32::NAN, f32::INFINITY);
        (flat[39_998], plain[7]) = (in_range, in_plain);
        let case = Case::new(Kernel::NonFiniteCheck { scalars: 2, flat: 1 });
        let case = case.reads(vec![0.5]).reads(vec![1.5]).reads(flat);
        let case = case.reads(vec![1, 9, 16, 20_001, 20_016, 40_000]);
        cases.push(case.reads(plain).reads(vec![2.0; 3]).writes(3, 0.0));
    }

    // Tensors at multiples of 16 elements: the gaps keep their values. The last but one has weights
    // of 0 and the last gradients of 0, which without weight decay leaves nothing to scale.
    for (lens, wd) in
        [(vec![1, 40, 49_157_usize, 700, 9], 0.01), (vec![33], 0.0), (vec![3, 5], 0.0)]
    {
        let mut ranges = Vec::new();
        let mut end = 0;
        for len in &lens {
            ranges.extend([end as u32, (end + len) as u32]);
            end += len.next_multiple_of(16);
        }
        let [mut grad, mut w, buffer] = [1, 2, 3].map(|index| uniform(index, end));
        if let [.., start, middle, last, finish] = ranges[..] {
            w[start as usize..middle as usize].fill(0.0);
            grad[last as usize..finish as usize].fill(0.0);
        }
        let lars = Kernel::Lars { momentum: 0.9, eta: 0.02, tensors: lens.len() };
        let case = step(lars, grad, wd).reads(ranges);
        cases.push(case.updates(w, ULPS).updates(buffer, ULPS));
    }
    cases
}
