//! Every kernel as its formula: plain loops in f64, against which the devices' kernels are tested.
//!
//! Read this for what is computed; [`cpu`](crate::cpu) is how to compute it fast. [`run`] is the
//! table of kernels with the short formulas; `formulas` holds the longer ones, in the same order.
//! Letters are as in [`geometry`](crate::geometry).
//!
//! A gradient is a vector-Jacobian product: `dy` is the loss's derivative by y, given as an input,
//! and `dx[i]` is the sum over j of `dy[j]` times the derivative of `y[j]` by `x[i]`.

mod formulas;

pub use formulas::erf;
use formulas::*;

use crate::geometry::BatchNorm;
use crate::kernel::{Kernel, Unary};

/// Runs a kernel. Inputs and outputs come in the order of the variant's comment; indices are whole
/// numbers. Outputs come with their lengths, and with values if updated in place. The formulas are
/// for finite numbers and do not define NaN handling.
///
/// # Panics
/// If numbers of inputs and outputs, or lengths, do not match the kernel.
pub fn run(kernel: &Kernel, inputs: &[&[f64]], outputs: &mut [Vec<f64>]) {
    let lens: Vec<usize> = outputs.iter().map(Vec::len).collect();
    let (inputs, guard) = kernel.split_guard(inputs);
    if guard.is_some_and(|guard| guard[0] != 0.0) {
        return;
    }
    match (*kernel, inputs, &mut *outputs) {
        (Kernel::Fill(value), [], [y]) => y.fill(value.into()),
        (Kernel::Copy, [x], [y]) => *y = x.to_vec(),
        (Kernel::Add, [a, b], [y]) => *y = map2(a, b, |a, b| a + b),
        (Kernel::Mul, [a, b], [y]) => *y = map2(a, b, |a, b| a * b),
        (Kernel::Clamp { low, high }, [x], [y]) => {
            *y = map(x, |x| x.clamp(low.into(), high.into()));
        }
        (Kernel::ClampBackward { low, high }, [x, dy], [dx]) => {
            let inside = f64::from(low)..=f64::from(high);
            *dx = map2(dy, x, |dy, x| if inside.contains(&x) { dy } else { 0.0 });
        }
        (Kernel::Scale(alpha), [x], [y]) => *y = map(x, |x| f64::from(alpha) * x),
        (Kernel::ScaleBy, [s, x], [y]) => *y = map(x, |x| s[0] * x),
        (Kernel::Accumulate, [keep, x], [acc]) => {
            *acc = map2(x, acc, |x, acc| if keep[0] == 0.0 { x } else { x + keep[0] * acc });
        }
        (Kernel::Unary(Unary::Ln), [x], [y]) => *y = map(x, f64::ln),
        (Kernel::UnaryBackward(Unary::Ln), [x, dy], [dx]) => *dx = map2(dy, x, |dy, x| dy / x),
        (Kernel::Unary(Unary::Relu), [x], [y]) => *y = map(x, |x| x.max(0.0)),
        (Kernel::UnaryBackward(Unary::Relu), [y, dy], [dx]) => *dx = relu_backward(y, dy),
        (Kernel::Unary(Unary::Gelu), [x], [y]) => *y = map(x, gelu),
        (Kernel::UnaryBackward(Unary::Gelu), [x, dy], [dx]) => {
            *dx = map2(dy, x, |dy, x| dy * gelu_slope(x));
        }
        (Kernel::Unary(Unary::Silu), [x], [y]) => *y = map(x, |x| x * sigmoid(x)),
        (Kernel::UnaryBackward(Unary::Silu), [x, dy], [dx]) => {
            *dx = map2(dy, x, |dy, x| dy * sigmoid(x) * (1.0 + x * (1.0 - sigmoid(x))));
        }
        (Kernel::Unary(Unary::Sqrt), [x], [y]) => *y = map(x, f64::sqrt),
        (Kernel::UnaryBackward(Unary::Sqrt), [y, dy], [dx]) => {
            *dx = map2(dy, y, |dy, y| dy / (2.0 * y));
        }
        (Kernel::AddBias, [x, bias], [y]) => *y = map2(x, bias, |x, bias| x + bias),
        (Kernel::BiasGelu, [x, bias], [y]) => *y = map2(x, bias, |x, bias| gelu(x + bias)),
        (Kernel::BiasGeluBackward, [x, bias, dy], [dx]) => {
            let slope = map2(x, bias, |x, bias| gelu_slope(x + bias));
            *dx = map2(dy, &slope, |dy, slope| dy * slope);
        }
        (Kernel::BiasRelu { residual }, [x, bias, added @ ..], [y]) => {
            assert_eq!(added.len(), usize::from(residual), "residual");
            *y = map2(x, bias, |x, bias| x + bias);
            added.iter().for_each(|added| *y = map2(y, added, |y, added| y + added));
            *y = map(y, |y| y.max(0.0));
        }

        (Kernel::Gemm(sizes), [a, b], [c]) => *c = gemm(sizes, a, b),
        (Kernel::GemmBias(sizes), [a, b, bias], [c]) => {
            *c = map2(&gemm(sizes, a, b), bias, |c, bias| c + bias);
        }
        (Kernel::SumRows { rows, columns }, [x], [y]) => {
            y.fill(0.0);
            grid([rows, columns]).for_each(|[r, c]| y[c] += x[r * columns + c]);
        }
        (Kernel::SumColumns { columns }, [x], [y]) => {
            *y = x.chunks(columns).map(|row| row.iter().sum()).collect();
        }
        (Kernel::SumColumnsBackward { columns }, [dy], [dx]) => {
            *dx = grid([dy.len(), columns]).map(|[r, _]| dy[r]).collect();
        }
        (Kernel::Sum(alpha), [x], [y]) => y[0] = f64::from(alpha) * x.iter().sum::<f64>(),

        // y is a sum of products x w; each adds dy w to its x's gradient and dy x to its w's.
        (Kernel::Conv2d(conv), [x, w], [y]) => {
            y.fill(0.0);
            products(conv).for_each(|(at_x, at_w, at_y)| y[at_y] += x[at_x] * w[at_w]);
        }
        (Kernel::Conv2dSums(conv), [x, w], [y, sums]) => {
            y.fill(0.0);
            products(conv).for_each(|(at_x, at_w, at_y)| y[at_y] += x[at_x] * w[at_w]);
            *sums = group_sums(y, conv.o);
        }
        (Kernel::Conv2dGradInput(conv), [dy, w], [dx]) => {
            dx.fill(0.0);
            products(conv).for_each(|(at_x, at_w, at_y)| dx[at_x] += dy[at_y] * w[at_w]);
        }
        (
            Kernel::Conv2dGradInputSums { conv, relu, added: _ },
            [dy, w, x, y, mean, added @ ..],
            [g, sums],
        ) => {
            g.fill(0.0);
            products(conv).for_each(|(at_x, at_w, at_y)| g[at_x] += dy[at_y] * w[at_w]);
            added.iter().for_each(|added| *g = map2(g, added, |g, added| g + added));
            if relu {
                *g = relu_backward(y, g);
            }
            *sums = gradient_group_sums(x, g, mean);
        }
        (Kernel::Conv2dGradWeight(conv), [x, dy], [dw]) => {
            dw.fill(0.0);
            products(conv).for_each(|(at_x, at_w, at_y)| dw[at_w] += dy[at_y] * x[at_x]);
        }

        (Kernel::BatchNorm(norm), &[x, gamma, beta, ref residual @ ..], [y, statistics @ ..]) => {
            let moments = |c| moments(x, norm.channels, c);
            *y = batch_norm(norm, [x, gamma, beta], moments, statistics);
            add_residual(norm, y, residual);
        }
        (
            Kernel::BatchNormFromSums(norm),
            &[x, gamma, beta, sums, ref residual @ ..],
            [y, statistics @ ..],
        ) => {
            let moments = |c| moments_of_groups(norm, sums, c);
            *y = batch_norm(norm, [x, gamma, beta], moments, statistics);
            add_residual(norm, y, residual);
        }
        (Kernel::BatchNormApply(norm), [x, gamma, beta, mean, inv_std, residual @ ..], [y]) => {
            *y = batch_norm_apply(x, gamma, beta, mean, inv_std);
            add_residual(norm, y, residual);
        }
        (
            Kernel::BatchNormBackward(norm),
            [x, y, dy, rest @ ..],
            [dx, dgamma, dbeta, more @ ..],
        ) => {
            let g = if norm.relu { relu_backward(y, dy) } else { dy.to_vec() };
            [*dx, *dgamma, *dbeta] = batch_norm_backward(norm, x, &g, rest);
            assert_eq!(more.len(), usize::from(norm.residual && norm.relu), "dresidual");
            more.fill(g);
        }
        // The sums tell nothing that g does not.
        (Kernel::BatchNormBackwardFromSums(norm), [x, g, rest @ .., _], [dx, dgamma, dbeta]) => {
            [*dx, *dgamma, *dbeta] = batch_norm_backward(norm, x, g, rest);
        }

        (Kernel::MaxPool2d(pool), [x], [y, argmax]) => {
            y.fill(f64::NEG_INFINITY);
            for (at_x, at_y, pixel) in windows(pool) {
                if x[at_x] > y[at_y] {
                    (y[at_y], argmax[at_y]) = (x[at_x], pixel as f64);
                }
            }
        }
        (Kernel::MaxPool2dBackward(pool), [dy, argmax], [dx]) => {
            dx.fill(0.0);
            for (at_x, at_y, pixel) in windows(pool) {
                if argmax[at_y] == pixel as f64 {
                    dx[at_x] += dy[at_y];
                }
            }
        }
        (Kernel::AvgPool2d(pool), [x], [y]) => {
            y.fill(0.0);
            let size = pool.kernel.pow(2) as f64;
            windows(pool).for_each(|(at_x, at_y, _)| y[at_y] += x[at_x] / size);
        }
        (Kernel::AvgPool2dBackward(pool), [dy], [dx]) => {
            dx.fill(0.0);
            let size = pool.kernel.pow(2) as f64;
            windows(pool).for_each(|(at_x, at_y, _)| dx[at_x] += dy[at_y] / size);
        }
        (Kernel::GlobalAvgPool { n, pixels }, [x], [y]) => {
            let c = y.len() / n;
            let sum = |[i, j]: [usize; 2]| (0..pixels).map(|p| x[(i * pixels + p) * c + j]).sum();
            *y = map(&grid([n, c]).map(sum).collect::<Vec<f64>>(), |sum| sum / pixels as f64);
        }
        (Kernel::GlobalAvgPoolBackward { n, pixels }, [dy], [dx]) => {
            let c = dy.len() / n;
            *dx = grid([n, pixels, c]).map(|[i, _, j]| dy[i * c + j] / pixels as f64).collect();
        }

        (Kernel::Softmax { columns }, [x], [y]) => *y = each_row(columns, x, softmax),
        (Kernel::SoftmaxBackward { columns }, [y, dy], [dx]) => {
            *dx = each_row2(columns, y, dy, softmax_backward);
        }
        (Kernel::LogSoftmax { columns }, [x], [y]) => *y = each_row(columns, x, log_softmax),
        (Kernel::LogSoftmaxBackward { columns }, [y, dy], [dx]) => {
            *dx = each_row2(columns, y, dy, log_softmax_backward);
        }
        (Kernel::L2Normalize { columns, eps }, [x], [y, norm]) => {
            [*y, *norm] = l2_normalize(columns, eps.into(), x);
        }
        (Kernel::L2NormalizeBackward { columns, eps }, [y, norm, dy], [dx]) => {
            *dx = l2_normalize_backward(columns, eps.into(), y, norm, dy);
        }

        (Kernel::GatherRows { columns }, [x, index], [y]) => {
            let rows = index.iter().map(|&i| &x[i as usize * columns..][..columns]);
            *y = rows.flatten().copied().collect();
        }
        (Kernel::ScatterAddRows { columns }, [dy, index], [dx]) => {
            dx.fill(0.0);
            for [i, c] in grid([index.len(), columns]) {
                dx[index[i] as usize * columns + c] += dy[i * columns + c];
            }
        }
        (Kernel::GatherColumns { columns }, [x, index], [y]) => {
            let used = y.len() * columns / x.len();
            for [r, i] in grid([y.len() / used, used]) {
                y[r * used + i] = x[r * columns + index[i] as usize];
            }
        }
        (Kernel::GatherColumnsBackward { columns }, [dy, index], [dx]) => {
            let used = dy.len() * columns / dx.len();
            dx.fill(0.0);
            for [r, i] in grid([dy.len() / used, used]) {
                dx[r * columns + index[i] as usize] = dy[r * used + i];
            }
        }
        (Kernel::Transpose { rows, columns }, [x], [y]) => {
            for [r, c] in grid([rows, columns]) {
                y[c * rows + r] = x[r * columns + c];
            }
        }
        (Kernel::ConcatRows, parts, [y]) => *y = parts.concat(),
        (Kernel::SumShards { .. }, parts, [y]) => {
            y.fill(0.0);
            for part in parts {
                *y = map2(y, part, |sum, x| sum + x);
            }
        }
        (Kernel::SliceRows { start }, [x], [y]) => *y = x[start..start + y.len()].to_vec(),
        (Kernel::SliceRowsBackward { start }, [dy], [dx]) => {
            dx.fill(0.0);
            dx[start..start + dy.len()].copy_from_slice(dy);
        }

        (Kernel::PartitionLoss(sizes), [student, teacher, permutation], [loss, c, h, grad]) => {
            (c[0], h[0], *grad) = partition_loss(sizes, student, teacher, permutation);
            loss[0] = c[0] + h[0];
        }
        (Kernel::StreamingLoss(sizes), inputs, [loss, c, h, dz, dv]) => {
            (c[0], h[0], *dz, *dv) = streaming_loss(sizes, inputs);
            loss[0] = c[0] + h[0];
        }

        (Kernel::NonFiniteCheck { scalars, flat }, inputs, [report]) => {
            let (s, rest) = inputs.split_at(scalars);
            let (x, rest) = rest.split_at(flat);
            let (ranges, z) = rest.split_at(flat);
            let in_ranges = x.iter().zip(ranges).flat_map(|(x, ranges)| {
                ranges.chunks(2).map(|range| &x[range[0] as usize..range[1] as usize])
            });
            let all = s.iter().chain(z).copied().chain(in_ranges);
            let is_finite = all.flatten().all(|x| x.is_finite());
            let scalars: Vec<f64> = s.iter().map(|s| s[0]).collect();
            *report = [vec![if is_finite { 0.0 } else { 1.0 }], scalars].concat();
        }
        (Kernel::Ema, [m, student], [teacher]) => {
            *teacher = map2(teacher, student, |t, s| m[0] * t + (1.0 - m[0]) * s);
        }
        (Kernel::Sgd { momentum }, [grad, lr, wd], [w, buffer]) => {
            momentum_step(momentum.into(), lr[0], wd[0], 1.0, grad, w, buffer);
        }
        (Kernel::Lars { momentum, eta, tensors }, [grad, lr, wd, ranges], [w, buffer]) => {
            assert_eq!(ranges.len(), 2 * tensors, "ranges");
            for range in ranges.chunks(2) {
                let tensor = range[0] as usize..range[1] as usize;
                let (grad, w) = (&grad[tensor.clone()], &mut w[tensor.clone()]);
                let trust = trust_ratio(eta.into(), w, grad, wd[0]);
                let buffer = &mut buffer[tensor];
                momentum_step(momentum.into(), lr[0], wd[0], trust, grad, w, buffer);
            }
        }
        (Kernel::AdamW(settings), [grad, lr, wd, correction], [w, first, second]) => {
            adamw(settings, lr[0], wd[0], correction, grad, [w, first, second]);
        }
        _ => panic!("{}: {} inputs, {} outputs", kernel.name(), inputs.len(), lens.len()),
    }
    let lens_now = outputs.iter().map(Vec::len);
    assert!(lens_now.eq(lens), "lengths of the outputs of {}", kernel.name());
}

/// What batch norm does to its y: adds the residual, then ReLU.
fn add_residual(norm: BatchNorm, y: &mut Vec<f64>, residual: &[&[f64]]) {
    assert_eq!(residual.len(), usize::from(norm.residual), "residual");
    residual.iter().for_each(|residual| *y = map2(y, residual, |y, added| y + added));
    if norm.relu {
        *y = map(y, |y| y.max(0.0));
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}
