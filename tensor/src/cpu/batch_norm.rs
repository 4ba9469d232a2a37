//! Batch norm of x `[rows, C]`, fused with the residual add and the ReLU that follow.
//!
//! Forward: `y = relu((x - mean) inv_std gamma + beta + residual)`, `inv_std = 1/sqrt(var + eps)`;
//! training uses mean and (biased) variance of the batch and updates the running statistics with
//! the unbiased one; inference uses the running ones. Backward, with `g = dy where y > 0` and `xhat
//! = (x - mean) inv_std`: `dbeta = sum g`, `dgamma = sum g xhat`, `dresidual = g`, `dx = gamma
//! inv_std (g - dbeta/rows - xhat dgamma/rows)`, in inference `dx = gamma inv_std g`.
//!
//! Groups of rows give partial sums, which are added in f64. A group's mean is its first row plus the
//! mean distance from it, its squares are taken around that mean, and the group's mean around that of all
//! rows: all that is added up is small where x varies little, so a mean far from 0 costs no digits, as
//! `sum(x^2) - sum(x)^2 / n` would, and a constant channel has variance 0.

use isa::{Isa, multiversion};
use rayon::prelude::*;

use crate::geometry::BatchNorm;
use crate::order::{GROUP_CHAINS, WIDE, group_rows, group_sums, rows_at_once};

/// `[C]` repeated for the rows processed together: narrow rows are, so that loops over channels stay
/// long.
#[inline(always)]
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
#[inline(always)]
fn narrow(wide: &[f32], sums: &mut [f32]) {
    sums.fill(0.0);
    for part in wide.chunks_exact(sums.len()) {
        sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    }
}

/// Elements of scratch memory: two sums `[C]` per group of rows and three coefficients `[C]`.
pub fn workspace(norm: BatchNorm) -> usize {
    group_sums(norm.rows, norm.channels).elements() + 3 * norm.channels
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

/// Channels whose groups are added side by side.
const SIDE: usize = 8;

/// Sums over the groups, in f64, for the channels from `first` on: of f, given a group's number, the
/// channel's place among them and its pair of sums.
#[inline(always)]
fn sum_groups(
    channels: usize,
    sums: &[f32],
    first: usize,
    f: impl Fn(usize, usize, [f32; 2]) -> f64,
) -> [f64; SIDE] {
    let mut chains = [[0.0; SIDE]; GROUP_CHAINS];
    for (i, sums) in sums.chunks_exact(2 * channels).enumerate() {
        let (a, b) = sums.split_at(channels);
        let pairs = a[first..].iter().zip(&b[first..]);
        let chains = &mut chains[i % GROUP_CHAINS];
        for (lane, (chain, (&a, &b))) in chains.iter_mut().zip(pairs).enumerate() {
            *chain += f(i, lane, [a, b]);
        }
    }
    let mut total = [0.0; SIDE];
    for chain in chains {
        total.iter_mut().zip(chain).for_each(|(total, chain)| *total += chain);
    }
    total
}

/// Sum over the rows of `f(x, parameter)` per channel.
#[inline(always)]
fn sum_channels(x: &[f32], parameter: &[f32], sums: &mut [f32], f: impl Fn(f32, f32) -> f32) {
    let mut buffer = [0.0; WIDE];
    let parameter = widened(parameter, &mut buffer);
    let width = parameter.len();
    if width == sums.len() {
        sums.fill(0.0);
        add_rows(x, parameter, sums, f);
    } else {
        let mut wide = [0.0; WIDE];
        add_rows(x, parameter, &mut wide[..width], f);
        narrow(&wide[..width], sums);
    }
}

/// Adds `f(x, parameter)` of rows as wide as `sums`, the last of which may be shorter. Four rows at a
/// time, or it would wait for the sums to be stored and loaded again.
#[inline(always)]
fn add_rows(x: &[f32], parameter: &[f32], sums: &mut [f32], f: impl Fn(f32, f32) -> f32) {
    let width = sums.len();
    let mut fours = x.chunks_exact(4 * width);
    for rows in &mut fours {
        let (first, last) = rows.split_at(2 * width);
        let ((a, b), (c, d)) = (first.split_at(width), last.split_at(width));
        let rows = a.iter().zip(b).zip(c.iter().zip(d));
        for ((sum, &p), ((&a, &b), (&c, &d))) in sums.iter_mut().zip(parameter).zip(rows) {
            *sum = (((*sum + f(a, p)) + f(b, p)) + f(c, p)) + f(d, p);
        }
    }
    for row in fours.remainder().chunks(width) {
        for ((sum, &x), &p) in sums.iter_mut().zip(row).zip(parameter) {
            *sum += f(x, p);
        }
    }
}

/// Each channel's mean in the rows x `[R,C]` of a group, and the squares around it.
#[multiversion(isa)]
pub fn sum_group(isa: Isa, x: &[f32], mean: &mut [f32], squares: &mut [f32]) {
    let first = &x[..mean.len()];
    sum_channels(x, first, mean, |x, first| x - first);
    let share = 1.0 / (x.len() / mean.len()) as f32;
    mean.iter_mut().zip(first).for_each(|(mean, first)| *mean = *mean * share + first);
    sum_channels(x, mean, squares, |x, mean| (x - mean) * (x - mean));
}

/// See the module. Outputs are y, the mean and inv_std used, and the running statistics.
pub fn forward(
    isa: Isa,
    norm: BatchNorm,
    x: &[f32],
    residual: Option<&[f32]>,
    [weight, bias]: [&[f32]; 2],
    [y, mean, inv_std, running_mean, running_var]: [&mut [f32]; 5],
    workspace: &mut [f32],
) {
    let (sums, coefficients) = workspace.split_at_mut(workspace.len() - 3 * norm.channels);
    if norm.training {
        each_group(norm, x, sums, |_, x, mean, squares| sum_group(isa, x, mean, squares));
        statistics(isa, norm, sums, [mean, inv_std, running_mean, running_var]);
    } else {
        mean.copy_from_slice(running_mean);
        for (inv_std, &var) in inv_std.iter_mut().zip(&*running_var) {
            *inv_std = (1.0 / (f64::from(var) + f64::from(norm.eps)).sqrt()) as f32;
        }
    }
    let scale = &mut coefficients[..norm.channels];
    apply(isa, norm, x, residual, [weight, bias, mean, inv_std], y, scale);
}

/// The same in training, with the sums of x's groups among the inputs; `scale` `[C]` is scratch memory.
pub fn forward_from_sums(
    isa: Isa,
    norm: BatchNorm,
    x: &[f32],
    residual: Option<&[f32]>,
    [weight, bias, sums]: [&[f32]; 3],
    [y, mean, inv_std, running_mean, running_var]: [&mut [f32]; 5],
    scale: &mut [f32],
) {
    statistics(isa, norm, sums, [mean, inv_std, running_mean, running_var]);
    apply(isa, norm, x, residual, [weight, bias, mean, inv_std], y, scale);
}

/// y from the statistics to use; `scale` `[C]` is scratch memory.
pub fn apply(
    isa: Isa,
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
    normalise(isa, norm, x, residual, [mean, scale, bias], y);
}

/// The batch's mean and inv_std from the groups' sums; updates the running statistics.
#[multiversion(isa)]
fn statistics(
    isa: Isa,
    norm: BatchNorm,
    sums: &[f32],
    [mean, inv_std, running_mean, running_var]: [&mut [f32]; 4],
) {
    let BatchNorm { rows, channels, eps, momentum, .. } = norm;
    let (group, n) = (group_rows(channels), rows as f64);
    let count = |i: usize| group.min(rows - i * group) as f64;
    let outputs = mean.par_chunks_mut(SIDE).zip(inv_std.par_chunks_mut(SIDE));
    let running = running_mean.par_chunks_mut(SIDE).zip(running_var.par_chunks_mut(SIDE));
    outputs.zip(running).enumerate().with_min_len(8).for_each(|(i, (outputs, running))| {
        // n_i rows with mean m_i and squares s_i around it: m = sum n_i m_i / n, and the squares
        // around m are sum (s_i + n_i (m_i - m)^2).
        let first = i * SIDE;
        let means = sum_groups(channels, sums, first, |i, _, [mean, _]| count(i) * f64::from(mean))
            .map(|sum| sum / n);
        let squares = sum_groups(channels, sums, first, |i, lane, [mean, squares]| {
            let distance = f64::from(mean) - means[lane];
            f64::from(squares) + count(i) * (distance * distance)
        });
        let (mean, inv_std) = outputs;
        for (lane, (mean, inv_std)) in mean.iter_mut().zip(inv_std).enumerate() {
            *mean = means[lane] as f32;
            *inv_std = (1.0 / (squares[lane] / n + f64::from(eps)).sqrt()) as f32;
            let unbiased = (squares[lane] / (n - 1.0)) as f32;
            let [running_mean, running_var] = [&mut running.0[lane], &mut running.1[lane]];
            *running_mean += momentum * (*mean - *running_mean);
            *running_var += momentum * (unbiased - *running_var);
        }
    });
}

/// y = (x - mean) scale + bias (+ residual), then ReLU if asked.
#[multiversion(isa)]
fn normalise(
    isa: Isa,
    norm: BatchNorm,
    x: &[f32],
    residual: Option<&[f32]>,
    [mean, scale, bias]: [&[f32]; 3],
    y: &mut [f32],
) {
    let len = group_rows(norm.channels) * norm.channels;
    y.par_chunks_mut(len).zip(x.par_chunks(len)).enumerate().for_each(|(i, (y, x))| {
        // A copy: loops that read it from memory, which y could share, would not become vectors.
        let is_relu = norm.relu;
        // NaN compares false and so propagates.
        let relu = |y: f32| if is_relu && y < 0.0 { 0.0 } else { y };
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

/// See the module. Inputs are x, y, gamma, mean and inv_std, y being read only with ReLU; dx holds dy
/// beforehand unless that is given. Outputs are dx, dgamma and dbeta.
pub fn backward(
    isa: Isa,
    norm: BatchNorm,
    [x, y, weight, mean, inv_std]: [&[f32]; 5],
    dy: Option<&[f32]>,
    [dx, dweight, dbias]: [&mut [f32]; 3],
    dresidual: Option<&mut [f32]>,
    workspace: &mut [f32],
) {
    let channels = norm.channels;
    let (sums, coefficients) = workspace.split_at_mut(workspace.len() - 3 * channels);
    let inputs = [x, y, dy.unwrap_or(dx), mean];
    sum_gradients(isa, norm, inputs, sums);
    finish_gradients(isa, sums, inv_std, [dweight, dbias]);
    let coefficients = [coefficients, dweight, dbias];
    gradient_of_sums(isa, norm, [x, y, weight, mean, inv_std], dy, dx, dresidual, coefficients);
}

/// The same from g, the gradient through the ReLU, and its sums, which are the last input.
pub fn backward_from_sums(
    isa: Isa,
    norm: BatchNorm,
    [x, weight, mean, inv_std, sums]: [&[f32]; 5],
    g: Option<&[f32]>,
    [dx, dweight, dbias]: [&mut [f32]; 3],
    coefficients: &mut [f32],
) {
    finish_gradients(isa, sums, inv_std, [dweight, dbias]);
    let norm = BatchNorm { relu: false, ..norm };
    let coefficients = [coefficients, dweight, dbias];
    gradient_of_sums(isa, norm, [x, x, weight, mean, inv_std], g, dx, None, coefficients);
}

/// dx, and dresidual if asked, from dgamma and dbeta, which follow three coefficients `[C]` of scratch
/// memory.
fn gradient_of_sums(
    isa: Isa,
    norm: BatchNorm,
    [x, y, weight, mean, inv_std]: [&[f32]; 5],
    dy: Option<&[f32]>,
    dx: &mut [f32],
    dresidual: Option<&mut [f32]>,
    [coefficients, dweight, dbias]: [&mut [f32]; 3],
) {
    let channels = norm.channels;
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
    gradient(isa, norm, (x, y, dy), mean, (scale, shift, slope), dx, dresidual);
}

/// The groups' sums of g and of g (x - mean).
#[multiversion(isa)]
fn sum_gradients(isa: Isa, norm: BatchNorm, [x, y, dy, mean]: [&[f32]; 4], sums: &mut [f32]) {
    each_group(norm, x, sums, |first, x, sum_g, sum_gx| {
        let (y, dy) = (&y[first..first + x.len()], &dy[first..first + x.len()]);
        sum_gradient_group(norm.relu, [x, y, dy, mean], sum_g, sum_gx);
    });
}

/// The same of what `added` adds to dy, which g holds beforehand, and the ReLU, if there is one, lets
/// through; that is g afterwards.
#[multiversion(isa)]
pub fn gradient_sums(
    isa: Isa,
    [x, y, mean]: [&[f32]; 3],
    relu: bool,
    added: Option<&[f32]>,
    g: &mut [f32],
    sums: &mut [f32],
) {
    let channels = mean.len();
    let len = group_rows(channels) * channels;
    let groups = sums.par_chunks_mut(2 * channels).zip(g.par_chunks_mut(len)).enumerate();
    groups.for_each(|(i, (sums, g))| {
        let rows = i * len..i * len + g.len();
        let (x, y) = (&x[rows.clone()], &y[rows.clone()]);
        if let Some(added) = added {
            g.iter_mut().zip(&added[rows]).for_each(|(g, added)| *g += added);
        }
        if relu {
            g.iter_mut().zip(y).for_each(|(g, &y)| *g = if y <= 0.0 { 0.0 } else { *g });
        }
        let (sum_g, sum_gx) = sums.split_at_mut(channels);
        sum_gradient_group(false, [x, y, g, mean], sum_g, sum_gx);
    });
}

/// A group's sums.
#[inline(always)]
fn sum_gradient_group(
    is_relu: bool,
    [x, y, dy, mean]: [&[f32]; 4],
    sum_g: &mut [f32],
    sum_gx: &mut [f32],
) {
    let channels = mean.len();
    let mut buffer = [0.0; WIDE];
    let mean = widened(mean, &mut buffer);
    let width = mean.len();
    let add = |sum_g: &mut [f32], sum_gx: &mut [f32]| {
        let rows = x.chunks(width).zip(y.chunks(width)).zip(dy.chunks(width));
        for ((x, y), dy) in rows {
            let sums = sum_g.iter_mut().zip(sum_gx.iter_mut()).zip(mean);
            for (((x, y), dy), ((sum_g, sum_gx), mean)) in x.iter().zip(y).zip(dy).zip(sums) {
                let g = if is_relu && *y <= 0.0 { 0.0 } else { *dy };
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
}

/// dbias = sum of g and dweight = sum of g xhat, of all groups.
#[multiversion(isa)]
fn finish_gradients(isa: Isa, sums: &[f32], inv_std: &[f32], [dweight, dbias]: [&mut [f32]; 2]) {
    let channels = inv_std.len();
    let outputs = dweight.par_chunks_mut(SIDE).zip(dbias.par_chunks_mut(SIDE));
    outputs.zip(inv_std.par_chunks(SIDE)).enumerate().with_min_len(8).for_each(
        |(i, ((dweight, dbias), inv_std))| {
            let g = sum_groups(channels, sums, i * SIDE, |_, _, [g, _]| f64::from(g));
            let gx = sum_groups(channels, sums, i * SIDE, |_, _, [_, gx]| f64::from(gx));
            let lanes = dbias.iter_mut().zip(dweight).zip(inv_std);
            for (((dbias, dweight), inv_std), (g, gx)) in lanes.zip(g.into_iter().zip(gx)) {
                *dbias = g as f32;
                *dweight = (gx * f64::from(*inv_std)) as f32;
            }
        },
    );
}

/// dx = scale g + shift + slope (x - mean), and dresidual = g.
#[multiversion(isa)]
fn gradient(
    isa: Isa,
    norm: BatchNorm,
    (x, y, dy): (&[f32], &[f32], Option<&[f32]>),
    mean: &[f32],
    (scale, shift, slope): (&[f32], &[f32], &[f32]),
    dx: &mut [f32],
    dresidual: Option<&mut [f32]>,
) {
    let len = group_rows(norm.channels) * norm.channels;
    let group = |first: usize, dx: &mut [f32], mut dresidual: Option<&mut [f32]>| {
        let is_relu = norm.relu;
        let inputs = first..first + dx.len();
        let (x, y) = (&x[inputs.clone()], &y[inputs.clone()]);
        let dy = dy.map(|dy| &dy[inputs]);
        let mut buffers = [[0.0; WIDE]; 4];
        let [a, b, c, d] = &mut buffers;
        let (mean, scale) = (widened(mean, a), widened(scale, b));
        let (shift, slope) = (widened(shift, c), widened(slope, d));
        let width = mean.len();
        let rows = x.chunks(width).zip(y.chunks(width));
        for (row, (dx, (x, y))) in dx.chunks_mut(width).zip(rows).enumerate() {
            let row = row * width..row * width + dx.len();
            if let Some(dy) = dy {
                dx.copy_from_slice(&dy[row.clone()]);
            }
            if let Some(dresidual) = &mut dresidual {
                for ((dresidual, y), dy) in dresidual[row].iter_mut().zip(y).zip(&*dx) {
                    *dresidual = if is_relu && *y <= 0.0 { 0.0 } else { *dy };
                }
            }
            let channels = mean.iter().zip(scale).zip(shift.iter().zip(slope));
            for ((dx, (x, y)), ((mean, scale), (shift, slope))) in
                dx.iter_mut().zip(x.iter().zip(y)).zip(channels)
            {
                let g = if is_relu && *y <= 0.0 { 0.0 } else { *dx };
                *dx = slope.mul_add(x - mean, scale.mul_add(g, *shift));
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
