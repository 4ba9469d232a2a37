//! Batch norm of x `[rows, C]`, fused with the residual add and the ReLU that follow.
//!
//! Forward: `y = relu((x - mean) inv_std gamma + beta + residual)`, `inv_std = 1/sqrt(var + eps)`;
//! training uses mean and (biased) variance of the batch and updates the running statistics with
//! the unbiased one; inference uses the running ones. Backward, with `g = dy where y > 0` and `xhat
//! = (x - mean) inv_std`: `dbeta = sum g`, `dgamma = sum g xhat`, `dresidual = g`, `dx = gamma
//! inv_std (g - dbeta/rows - xhat dgamma/rows)`, in inference `dx = gamma inv_std g`.
//!
//! Groups of rows give partial sums, which are added in f64. The squares of a group are taken around
//! the group's own mean, and the group's mean around that of all rows: nothing large is subtracted from
//! anything large, so a mean far from 0 costs no digits, as `sum(x^2) - sum(x)^2 / n` would.

use rayon::prelude::*;

use crate::geometry::BatchNorm;
use crate::order::{GROUP_CHAINS, WIDE, group_rows, rows_at_once};

/// `[C]` repeated for the rows processed together: narrow rows are, so that loops over channels stay
/// long.
fn widened<'a>(x: &'a [f32], buffer: &'a mut [f32; WIDE]) -> &'a [f32] {
    let times = rows_at_once(x.len());
    if times == 1 {
        return x;
    }
    for part in buffer.chunks_exact_mut(x.len()).take(times) {
        part.copy_from_slice(x);
    }
    &buffer[..times * x.len()]
}

/// Reduces widened sums to `[C]`.
fn narrow(wide: &[f32], sums: &mut [f32]) {
    sums.fill(0.0);
    for part in wide.chunks_exact(sums.len()) {
        sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    }
}

/// Elements of scratch memory: two sums `[C]` per group of rows and three coefficients `[C]`.
pub fn workspace(norm: BatchNorm) -> usize {
    (2 * norm.rows.div_ceil(group_rows(norm.channels)) + 3) * norm.channels
}

/// Runs `body` on groups of rows of x with each group's pair of sums.
fn each_group(
    norm: BatchNorm,
    x: &[f32],
    sums: &mut [f32],
    body: impl Fn(usize, &[f32], &mut [f32], &mut [f32]) + Sync,
) {
    let c = norm.channels;
    let len = group_rows(c) * c;
    sums.par_chunks_mut(2 * c).zip(x.par_chunks(len)).enumerate().for_each(|(i, (sums, x))| {
        let (a, b) = sums.split_at_mut(c);
        body(i * len, x, a, b);
    });
}

/// Sum over the groups, given their numbers and pairs of sums, in f64.
fn sum_groups(norm: BatchNorm, sums: &[f32], f: impl Fn(usize, &[f32]) -> f64) -> f64 {
    let mut chains = [0.0; GROUP_CHAINS];
    for (i, sums) in sums.chunks_exact(2 * norm.channels).enumerate() {
        chains[i % GROUP_CHAINS] += f(i, sums);
    }
    chains.iter().sum()
}

/// Sum over the rows of `f(x, parameter)` per channel.
fn sum_channels(x: &[f32], parameter: &[f32], sums: &mut [f32], f: impl Fn(f32, f32) -> f32) {
    let mut buffer = [0.0; WIDE];
    let parameter = widened(parameter, &mut buffer);
    let width = parameter.len();
    if width == sums.len() {
        sums.fill(0.0);
        for x in x.chunks_exact(width) {
            for ((sum, &x), &p) in sums.iter_mut().zip(x).zip(parameter) {
                *sum += f(x, p);
            }
        }
    } else {
        let mut wide = [0.0; WIDE];
        for x in x.chunks(width) {
            for ((sum, &x), &p) in wide.iter_mut().zip(x).zip(parameter) {
                *sum += f(x, p);
            }
        }
        narrow(&wide[..width], sums);
    }
}

/// See the module. Outputs are y, the mean and inv_std used, and the running statistics.
pub fn forward(
    norm: BatchNorm,
    x: &[f32],
    residual: Option<&[f32]>,
    [weight, bias]: [&[f32]; 2],
    [y, mean, inv_std, running_mean, running_var]: [&mut [f32]; 5],
    workspace: &mut [f32],
) {
    let (sums, coefficients) = workspace.split_at_mut(workspace.len() - 3 * norm.channels);
    if norm.training {
        statistics(norm, x, [mean, inv_std, running_mean, running_var], sums);
    } else {
        mean.copy_from_slice(running_mean);
        for (inv_std, &var) in inv_std.iter_mut().zip(&*running_var) {
            *inv_std = (1.0 / (f64::from(var) + f64::from(norm.eps)).sqrt()) as f32;
        }
    }
    let scale = &mut coefficients[..norm.channels];
    apply(norm, x, residual, [weight, bias, mean, inv_std], y, scale);
}

/// y from the statistics to use; `scale` `[C]` is scratch memory.
pub fn apply(
    norm: BatchNorm,
    x: &[f32],
    residual: Option<&[f32]>,
    [weight, bias, mean, inv_std]: [&[f32]; 4],
    y: &mut [f32],
    scale: &mut [f32],
) {
    for (scale, (weight, inv_std)) in scale.iter_mut().zip(weight.iter().zip(inv_std)) {
        *scale = weight * inv_std;
    }
    normalise(norm, x, residual, mean, scale, bias, y);
}

/// The batch's mean and inv_std; updates the running statistics.
fn statistics(
    norm: BatchNorm,
    x: &[f32],
    [mean, inv_std, running_mean, running_var]: [&mut [f32]; 4],
    sums: &mut [f32],
) {
    let BatchNorm { rows, channels, eps, momentum, .. } = norm;
    each_group(norm, x, sums, |_, x, group_mean, squares| {
        // `squares` serves as the unused parameter of the first sum.
        squares.fill(0.0);
        sum_channels(x, squares, group_mean, |x, _| x);
        let share = 1.0 / (x.len() / channels) as f32;
        group_mean.iter_mut().for_each(|mean| *mean *= share);
        sum_channels(x, group_mean, squares, |x, mean| (x - mean) * (x - mean));
    });

    let group = group_rows(channels);
    let count = |i: usize| group.min(rows - i * group) as f64;
    for c in 0..channels {
        // n_i rows with mean m_i and squares s_i around it: m = sum n_i m_i / n, and the squares
        // around m are sum (s_i + n_i (m_i - m)^2).
        let group_mean = |sums: &[f32]| f64::from(sums[c]);
        let all_mean = sum_groups(norm, sums, |i, sums| count(i) * group_mean(sums)) / rows as f64;
        let squares = sum_groups(norm, sums, |i, sums| {
            let distance = group_mean(sums) - all_mean;
            f64::from(sums[channels + c]) + count(i) * (distance * distance)
        });
        mean[c] = all_mean as f32;
        inv_std[c] = (1.0 / (squares / rows as f64 + f64::from(eps)).sqrt()) as f32;
        let unbiased = (squares / (rows as f64 - 1.0)) as f32;
        running_mean[c] += momentum * (mean[c] - running_mean[c]);
        running_var[c] += momentum * (unbiased - running_var[c]);
    }
}

/// y = (x - mean) scale + bias (+ residual), then ReLU if asked.
fn normalise(
    norm: BatchNorm,
    x: &[f32],
    residual: Option<&[f32]>,
    mean: &[f32],
    scale: &[f32],
    bias: &[f32],
    y: &mut [f32],
) {
    // NaN compares false and so propagates.
    let relu = |y: f32| if norm.relu && y < 0.0 { 0.0 } else { y };
    let len = group_rows(norm.channels) * norm.channels;
    y.par_chunks_mut(len).zip(x.par_chunks(len)).enumerate().for_each(|(i, (y, x))| {
        let mut buffers = [[0.0; WIDE]; 3];
        let [a, b, c] = &mut buffers;
        let (mean, scale, bias) = (widened(mean, a), widened(scale, b), widened(bias, c));
        let width = mean.len();
        match residual {
            None => {
                for (y, x) in y.chunks_mut(width).zip(x.chunks(width)) {
                    let channels = mean.iter().zip(scale).zip(bias);
                    for ((y, x), ((mean, scale), &bias)) in y.iter_mut().zip(x).zip(channels) {
                        *y = relu((x - mean).mul_add(*scale, bias));
                    }
                }
            }
            Some(residual) => {
                let residual = residual[i * len..].chunks(width);
                for ((y, x), added) in y.chunks_mut(width).zip(x.chunks(width)).zip(residual) {
                    let inputs = x.iter().zip(added);
                    let channels = mean.iter().zip(scale).zip(bias);
                    for ((y, (x, added)), ((mean, scale), &bias)) in
                        y.iter_mut().zip(inputs).zip(channels)
                    {
                        *y = relu((x - mean).mul_add(*scale, bias) + added);
                    }
                }
            }
        }
    });
}

/// See the module. Inputs are x, y, dy, gamma, mean and inv_std, y being read only with ReLU;
/// outputs are dx, dgamma and dbeta.
pub fn backward(
    norm: BatchNorm,
    [x, y, dy, weight, mean, inv_std]: [&[f32]; 6],
    [dx, dweight, dbias]: [&mut [f32]; 3],
    dresidual: Option<&mut [f32]>,
    workspace: &mut [f32],
) {
    let channels = norm.channels;
    let (sums, coefficients) = workspace.split_at_mut(workspace.len() - 3 * channels);
    sum_gradients(norm, [x, y, dy, mean, inv_std], [dweight, dbias], sums);
    let (scale, rest) = coefficients.split_at_mut(channels);
    let (shift, slope) = rest.split_at_mut(channels);
    let share = 1.0 / norm.rows as f32;
    for c in 0..channels {
        scale[c] = weight[c] * inv_std[c];
        // Running statistics are constants: no gradient flows through them.
        let through = if norm.training { -scale[c] } else { 0.0 };
        shift[c] = through * dbias[c] * share;
        slope[c] = through * inv_std[c] * dweight[c] * share;
    }
    gradient(norm, (x, y, dy), mean, (scale, shift, slope), dx, dresidual);
}

/// dbias = sum of g and dweight = sum of g xhat.
fn sum_gradients(
    norm: BatchNorm,
    [x, y, dy, mean, inv_std]: [&[f32]; 5],
    [dweight, dbias]: [&mut [f32]; 2],
    sums: &mut [f32],
) {
    let channels = norm.channels;
    each_group(norm, x, sums, |first, x, sum_g, sum_gx| {
        let (y, dy) = (&y[first..first + x.len()], &dy[first..first + x.len()]);
        let mut buffer = [0.0; WIDE];
        let mean = widened(mean, &mut buffer);
        let width = mean.len();
        let add = |sum_g: &mut [f32], sum_gx: &mut [f32]| {
            let rows = x.chunks(width).zip(y.chunks(width)).zip(dy.chunks(width));
            for ((x, y), dy) in rows {
                let sums = sum_g.iter_mut().zip(sum_gx.iter_mut()).zip(mean);
                for (((x, y), dy), ((sum_g, sum_gx), mean)) in x.iter().zip(y).zip(dy).zip(sums) {
                    let g = if norm.relu && *y <= 0.0 { 0.0 } else { *dy };
                    *sum_g += g;
                    *sum_gx = g.mul_add(x - mean, *sum_gx);
                }
            }
        };
        if width == channels {
            sum_g.fill(0.0);
            sum_gx.fill(0.0);
            add(sum_g, sum_gx);
        } else {
            let mut wide = [[0.0; WIDE]; 2];
            let [wide_g, wide_gx] = &mut wide;
            add(wide_g, wide_gx);
            narrow(&wide_g[..width], sum_g);
            narrow(&wide_gx[..width], sum_gx);
        }
    });
    for c in 0..channels {
        let g = sum_groups(norm, sums, |_, sums| f64::from(sums[c]));
        let gx = sum_groups(norm, sums, |_, sums| f64::from(sums[channels + c]));
        dbias[c] = g as f32;
        dweight[c] = (gx * f64::from(inv_std[c])) as f32;
    }
}

/// dx = scale g + shift + slope (x - mean), and dresidual = g.
fn gradient(
    norm: BatchNorm,
    (x, y, dy): (&[f32], &[f32], &[f32]),
    mean: &[f32],
    (scale, shift, slope): (&[f32], &[f32], &[f32]),
    dx: &mut [f32],
    dresidual: Option<&mut [f32]>,
) {
    let len = group_rows(norm.channels) * norm.channels;
    let group = |first: usize, dx: &mut [f32], mut dresidual: Option<&mut [f32]>| {
        let inputs = first..first + dx.len();
        let (x, y, dy) = (&x[inputs.clone()], &y[inputs.clone()], &dy[inputs]);
        let mut buffers = [[0.0; WIDE]; 4];
        let [a, b, c, d] = &mut buffers;
        let (mean, scale) = (widened(mean, a), widened(scale, b));
        let (shift, slope) = (widened(shift, c), widened(slope, d));
        let width = mean.len();
        let rows = x.chunks(width).zip(y.chunks(width)).zip(dy.chunks(width));
        for (row, (dx, ((x, y), dy))) in dx.chunks_mut(width).zip(rows).enumerate() {
            let inputs = x.iter().zip(y).zip(dy);
            let channels = mean.iter().zip(scale).zip(shift.iter().zip(slope));
            for ((dx, ((x, y), dy)), ((mean, scale), (shift, slope))) in
                dx.iter_mut().zip(inputs).zip(channels)
            {
                let g = if norm.relu && *y <= 0.0 { 0.0 } else { *dy };
                *dx = slope.mul_add(x - mean, scale.mul_add(g, *shift));
            }
            if let Some(dresidual) = &mut dresidual {
                let first = row * width;
                let dresidual = &mut dresidual[first..first + dx.len()];
                for ((dresidual, y), dy) in dresidual.iter_mut().zip(y).zip(dy) {
                    *dresidual = if norm.relu && *y <= 0.0 { 0.0 } else { *dy };
                }
            }
        }
    };
    match dresidual {
        None => {
            dx.par_chunks_mut(len).enumerate().for_each(|(i, dx)| group(i * len, dx, None));
        }
        Some(dresidual) => {
            dx.par_chunks_mut(len)
                .zip(dresidual.par_chunks_mut(len))
                .enumerate()
                .for_each(|(i, (dx, dresidual))| group(i * len, dx, Some(dresidual)));
        }
    }
}
