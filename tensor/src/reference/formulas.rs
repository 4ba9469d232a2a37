//! The formulas too long for the table in [`run`](super::run).

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, PI};

use crate::geometry::{BatchNorm, Conv2d, Gemm, PartitionLoss, Pool2d, StreamingLoss};
use crate::kernel::AdamW;
use crate::order::group_rows;

/// All indices of a shape, the last one fastest.
pub fn grid<const N: usize>(shape: [usize; N]) -> impl Iterator<Item = [usize; N]> {
    (0..shape.iter().product()).map(move |mut at: usize| {
        let mut index = [0; N];
        for axis in (0..N).rev() {
            (index[axis], at) = (at % shape[axis], at / shape[axis]);
        }
        index
    })
}

/// The position of an element in an array of that shape.
pub fn at<const N: usize>(shape: [usize; N], index: [usize; N]) -> usize {
    shape.iter().zip(index).fold(0, |at, (size, i)| at * size + i)
}

/// `f(x[i])` for all i.
pub fn map(x: &[f64], f: impl Fn(f64) -> f64) -> Vec<f64> {
    x.iter().map(|&x| f(x)).collect()
}

/// `f(a[i], b[i])` for all i; a shorter b repeats, like a bias `[C]` in every row.
pub fn map2(a: &[f64], b: &[f64], f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    assert!(a.len().is_multiple_of(b.len()), "{} and {} elements", a.len(), b.len());
    a.iter().zip(b.iter().cycle()).map(|(&a, &b)| f(a, b)).collect()
}

/// `f` of every row.
pub fn each_row(columns: usize, x: &[f64], f: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
    x.chunks(columns).flat_map(f).collect()
}

/// `f` of every row of a and of b.
pub fn each_row2<F: Fn(&[f64], &[f64]) -> Vec<f64>>(
    n: usize,
    a: &[f64],
    b: &[f64],
    f: F,
) -> Vec<f64> {
    a.chunks(n).zip(b.chunks(n)).flat_map(|(a, b)| f(a, b)).collect()
}

/// <a, b>.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// dx = dy where y > 0, else 0.
pub fn relu_backward(y: &[f64], dy: &[f64]) -> Vec<f64> {
    map2(dy, y, |dy, y| if y > 0.0 { dy } else { 0.0 })
}

/// The error function, 2/sqrt(pi) times the integral of exp(-t^2) from 0 to x, to about 1e-15.
///
/// Taylor series where it converges fast; further out 1 minus erfc's continued fraction, from its
/// tail.
pub fn erf(x: f64) -> f64 {
    let t = x.abs();
    let y = if t < 2.5 {
        let (mut term, mut sum) = (t, t);
        for n in 1..80 {
            let n = f64::from(n);
            term *= -t * t / n;
            sum += term / (2.0 * n + 1.0);
        }
        sum * FRAC_2_SQRT_PI
    } else {
        let tail = (1..120).rev().fold(0.0, |tail, k| f64::from(k) / 2.0 / (t + tail));
        1.0 - (-t * t).exp() / ((t + tail) * PI.sqrt())
    };
    if x.is_nan() { x } else { y.copysign(x) }
}

/// Phi(x) = (1 + erf(x / sqrt(2))) / 2, the normal distribution function.
pub fn normal_cdf(x: f64) -> f64 {
    (1.0 + erf(x * FRAC_1_SQRT_2)) / 2.0
}

/// x Phi(x).
pub fn gelu(x: f64) -> f64 {
    x * normal_cdf(x)
}

/// Its derivative Phi(x) + x phi(x), with the density phi(x) = exp(-x^2 / 2) / sqrt(2 pi).
pub fn gelu_slope(x: f64) -> f64 {
    normal_cdf(x) + x * (-x * x / 2.0).exp() / (2.0 * PI).sqrt()
}

/// `c[i,j]` = sum over l of `op(a)[i,l] op(b)[l,j]`.
pub fn gemm(sizes: Gemm, a: &[f64], b: &[f64]) -> Vec<f64> {
    let Gemm { m, n, k, trans_a, trans_b } = sizes;
    let a = |i, l| if trans_a { a[l * m + i] } else { a[i * k + l] };
    let b = |l, j| if trans_b { b[j * k + l] } else { b[l * n + j] };
    grid([m, n]).map(|[i, j]| (0..k).map(|l| a(i, l) * b(l, j)).sum()).collect()
}

/// The products `x[n,h,w,c] w[o,r,s,c]` whose sum over r, s and c is a convolution's `y[n,p,q,o]`,
/// where h = p stride + r - padding and w = q stride + s - padding are inside the image: as
/// positions in x, w and y.
pub fn products(conv: Conv2d) -> impl Iterator<Item = (usize, usize, usize)> {
    let Conv2d { n: ns, h: hs, w: ws, c: cs, o: os, r: rs, s: ss, stride, padding, .. } = conv;
    let (ps, qs) = (conv.out_h(), conv.out_w());
    grid([ns, ps, qs, os, rs, ss, cs]).filter_map(move |[n, p, q, o, r, s, c]| {
        let h = (p * stride + r).checked_sub(padding).filter(|&h| h < hs)?;
        let w = (q * stride + s).checked_sub(padding).filter(|&w| w < ws)?;
        let (x, y) = (at([ns, hs, ws, cs], [n, h, w, c]), at([ns, ps, qs, os], [n, p, q, o]));
        Some((x, at([os, rs, ss, cs], [o, r, s, c]), y))
    })
}

/// The pixels `x[n,h,w,c]` inside the image that the window of `y[n,p,q,c]` covers, with h and w as
/// in a convolution: as positions in x and y, and h W + w.
pub fn windows(pool: Pool2d) -> impl Iterator<Item = (usize, usize, usize)> {
    let Pool2d { n: ns, h: hs, w: ws, c: cs, kernel, stride, padding } = pool;
    let (ps, qs) = (pool.out_h(), pool.out_w());
    grid([ns, ps, qs, kernel, kernel, cs]).filter_map(move |[n, p, q, r, s, c]| {
        let h = (p * stride + r).checked_sub(padding).filter(|&h| h < hs)?;
        let w = (q * stride + s).checked_sub(padding).filter(|&w| w < ws)?;
        let (x, y) = (at([ns, hs, ws, cs], [n, h, w, c]), at([ns, ps, qs, cs], [n, p, q, c]));
        Some((x, y, h * ws + w))
    })
}

/// A channel's mean in x `[rows,C]`, and the sum of squares around it.
pub fn moments(x: &[f64], channels: usize, c: usize) -> [f64; 2] {
    let x = x.iter().skip(c).step_by(channels);
    let mean = x.clone().sum::<f64>() / x.len() as f64;
    [mean, x.map(|x| (x - mean).powi(2)).sum()]
}

/// The same of each group of rows, `[groups,2,C]`.
pub fn group_sums(x: &[f64], channels: usize) -> Vec<f64> {
    let groups = x.chunks(group_rows(channels) * channels);
    let sums = |x| grid([2, channels]).map(move |[i, c]| moments(x, channels, c)[i]);
    groups.flat_map(sums).collect()
}

/// For each group of rows and channel the sums of g and of g (x - mean).
pub fn gradient_group_sums(x: &[f64], g: &[f64], mean: &[f64]) -> Vec<f64> {
    let channels = mean.len();
    let group = group_rows(channels) * channels;
    let sums = |(x, g): (&[f64], &[f64])| {
        let mut sums = vec![0.0; 2 * channels];
        for (i, (x, g)) in x.iter().zip(g).enumerate() {
            let c = i % channels;
            sums[c] += g;
            sums[channels + c] += g * (x - mean[c]);
        }
        sums
    };
    x.chunks(group).zip(g.chunks(group)).flat_map(sums).collect()
}

/// The channel's moments in all rows: n_i rows with mean m_i and squares s_i have the mean
/// m = sum n_i m_i / n, and the squares around it are sum (s_i + n_i (m_i - m)^2).
pub fn moments_of_groups(norm: BatchNorm, sums: &[f64], c: usize) -> [f64; 2] {
    let BatchNorm { rows, channels, .. } = norm;
    let each = group_rows(channels);
    let rows_of = |i| each.min(rows - i * each) as f64;
    let groups = sums.chunks(2 * channels).enumerate();
    let groups = groups.map(|(i, sums)| (rows_of(i), sums[c], sums[channels + c]));
    let mean = groups.clone().map(|(n, mean, _)| n * mean).sum::<f64>() / rows as f64;
    [mean, groups.map(|(n, m, squares)| squares + n * (m - mean).powi(2)).sum()]
}

/// y = xhat gamma + beta with xhat = (x - mean) inv_std and inv_std = 1/sqrt(var + eps), for every
/// channel.
///
/// In training mean and var are the batch's, of which `moments` gives a channel's mean and squares, and
/// the running ones go `momentum` of the way to the mean and to the unbiased variance,
/// var rows / (rows - 1).
pub fn batch_norm(
    norm: BatchNorm,
    [x, gamma, beta]: [&[f64]; 3],
    moments: impl Fn(usize) -> [f64; 2],
    statistics: &mut [Vec<f64>],
) -> Vec<f64> {
    let BatchNorm { channels, training, .. } = norm;
    let (rows, momentum) = (norm.rows as f64, f64::from(norm.momentum));
    let [mean, inv_std, running_mean, running_var] = statistics else { panic!("five outputs") };
    for c in 0..channels {
        let mut var = running_var[c];
        mean[c] = running_mean[c];
        if training {
            let [batch_mean, squares] = moments(c);
            (mean[c], var) = (batch_mean, squares / rows);
            running_mean[c] += momentum * (mean[c] - running_mean[c]);
            running_var[c] += momentum * (var * rows / (rows - 1.0) - running_var[c]);
        }
        inv_std[c] = 1.0 / (var + f64::from(norm.eps)).sqrt();
    }
    batch_norm_apply(x, gamma, beta, mean, inv_std)
}

/// y = (x - mean) inv_std gamma + beta, channel by channel.
pub fn batch_norm_apply(
    x: &[f64],
    gamma: &[f64],
    beta: &[f64],
    mean: &[f64],
    inv_std: &[f64],
) -> Vec<f64> {
    let y = |(x, c): (&f64, usize)| (x - mean[c]) * inv_std[c] * gamma[c] + beta[c];
    x.iter().zip((0..gamma.len()).cycle()).map(y).collect()
}

/// With g the gradient through the ReLU: dbeta = sum g and dgamma = sum g xhat over the rows, and
/// dx = gamma inv_std (g - mean of g - xhat mean of (g xhat)).
///
/// The two means appear because mean and var depend on x; in inference they do not.
pub fn batch_norm_backward(
    norm: BatchNorm,
    x: &[f64],
    g: &[f64],
    rest: &[&[f64]],
) -> [Vec<f64>; 3] {
    let BatchNorm { rows, channels, training, .. } = norm;
    let &[gamma, mean, inv_std] = rest else { panic!("six inputs") };
    let xhat = |r, c| (x[r * channels + c] - mean[c]) * inv_std[c];
    let (mut dgamma, mut dbeta) = (vec![0.0; channels], vec![0.0; channels]);
    for [r, c] in grid([rows, channels]) {
        dbeta[c] += g[r * channels + c];
        dgamma[c] += g[r * channels + c] * xhat(r, c);
    }
    let dx = grid([rows, channels]).map(|[r, c]| {
        let means = (dbeta[c] + xhat(r, c) * dgamma[c]) / rows as f64;
        let through = if training { means } else { 0.0 };
        gamma[c] * inv_std[c] * (g[r * channels + c] - through)
    });
    [dx.collect(), dgamma, dbeta]
}

/// `y[i]` = exp(`x[i]`) / sum over j of exp(`x[j]`).
pub fn softmax(x: &[f64]) -> Vec<f64> {
    map(&log_softmax(x), f64::exp)
}

/// The derivative of `y[j]` by `x[i]` is `y[j] ([i = j] - y[i])`: dx = y (dy - <dy, y>).
pub fn softmax_backward(y: &[f64], dy: &[f64]) -> Vec<f64> {
    let mean = dot(dy, y);
    map2(dy, y, |dy, y| y * (dy - mean))
}

/// `y[i]` = `x[i]` - ln of the sum over j of exp(`x[j]`), with the largest x factored out of the
/// sum.
pub fn log_softmax(x: &[f64]) -> Vec<f64> {
    let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let log_sum = max + x.iter().map(|x| (x - max).exp()).sum::<f64>().ln();
    map(x, |x| x - log_sum)
}

/// The derivative of `y[j]` by `x[i]` is `[i = j]` - exp(`y[i]`): dx = dy - exp(y) sum(dy).
pub fn log_softmax_backward(y: &[f64], dy: &[f64]) -> Vec<f64> {
    let sum: f64 = dy.iter().sum();
    map2(dy, y, |dy, y| dy - y.exp() * sum)
}

/// y = x / norm with norm = max(|x|, eps), row by row. Weight norm, w = v / |v|, has eps = 0.
pub fn l2_normalize(columns: usize, eps: f64, x: &[f64]) -> [Vec<f64>; 2] {
    let norm = each_row(columns, x, |x| vec![dot(x, x).sqrt().max(eps)]);
    let y = (0..x.len()).map(|i| x[i] / norm[i / columns]).collect();
    [y, norm]
}

/// A change of x along y changes only the norm: dx = (dy - y <y, dy>) / norm. Where the norm is
/// eps, a constant, dx = dy / eps.
pub fn l2_normalize_backward(n: usize, eps: f64, y: &[f64], norm: &[f64], dy: &[f64]) -> Vec<f64> {
    let rows = y.chunks(n).zip(dy.chunks(n)).zip(norm);
    rows.flat_map(|((y, dy), &norm)| {
        let along = if norm > eps { dot(y, dy) } else { 0.0 };
        map2(dy, y, |dy, y| (dy - y * along) / norm)
    })
    .collect()
}

/// CARP's loss from logits: C, H and the gradient of C + H by the student's logits.
///
/// Each N_B consecutive prototypes of the permutation are a block. Softmax inside block k gives
/// distributions p_i of student view i and q_j of teacher view j, for every image n. With eps =
/// 2^-23 and clamp to [eps, 1 - eps]:
///
/// - consistency C: the mean of -ln clamp(d), d = <p_i, q_j>, over k, n and all i != j, j < 2
/// - entropy H: the mean over k of `ln N_B + sum over c of m[c] ln clamp(m[c])`, where m is the mean of
///   all p and q of the block: the divergence of m from the uniform distribution
///
/// The gradient by p_i is -q_j / d from each term of C and ln clamp(m) + 1 from H, over the numbers
/// of terms; an active clamp makes the logarithm a constant. Then it goes through the softmax.
pub fn partition_loss(
    sizes: PartitionLoss,
    student: &[f64],
    teacher: &[f64],
    permutation: &[f64],
) -> (f64, f64, Vec<f64>) {
    let PartitionLoss { views, batch, prototypes, partition_size } = sizes;
    let (blocks, rows) = (sizes.blocks() as f64, sizes.rows() as f64);
    let terms = (sizes.pairs() * batch) as f64 * blocks;
    let eps = f64::from(f32::EPSILON);
    let clamp = |x: f64| x.clamp(eps, 1.0 - eps);
    let inside = |x: f64| (eps..=1.0 - eps).contains(&x);

    let (mut c, mut h, mut grad) = (0.0, 0.0, vec![0.0; student.len()]);
    for block in permutation.chunks_exact(partition_size) {
        let row = |x: &[f64]| softmax(&map(block, |prototype| x[prototype as usize]));
        let p: Vec<Vec<f64>> = student.chunks(prototypes).map(row).collect();
        let q: Vec<Vec<f64>> = teacher.chunks(prototypes).map(row).collect();

        let mut m = vec![0.0; partition_size];
        p.iter().chain(&q).for_each(|row| m = map2(&m, row, |m, p| m + p / rows));
        let log_m = map(&m, |m| clamp(m).ln());
        h += ((partition_size as f64).ln() + dot(&m, &log_m)) / blocks;
        let dm = map2(&log_m, &m, |log_m, m| log_m + if inside(m) { 1.0 } else { 0.0 });

        for [i, n] in grid([views, batch]) {
            let p = &p[i * batch + n];
            let mut dp = map(&dm, |dm| dm / (rows * blocks));
            for j in (0..2).filter(|&j| j != i) {
                let q = &q[j * batch + n];
                let d = dot(p, q);
                c -= clamp(d).ln() / terms;
                if inside(d) {
                    dp = map2(&dp, q, |dp, q| dp - q / (d * terms));
                }
            }
            for (&prototype, ds) in block.iter().zip(softmax_backward(p, &dp)) {
                grad[(i * batch + n) * prototypes + prototype as usize] = ds;
            }
        }
    }
    (c, h, grad)
}

/// CARP's loss from embeddings z and prototypes v: C, H and the gradients by the student's z and v.
///
/// Logits are s = z w^T with w = v / |v|. Backward dz = ds w, dw = ds^T z, and the weight norm's dv.
pub fn streaming_loss(sizes: StreamingLoss, inputs: &[&[f64]]) -> (f64, f64, Vec<f64>, Vec<f64>) {
    let &[z, z_teacher, v, v_teacher, permutation] = inputs else { panic!("five inputs") };
    let StreamingLoss { loss, dim, .. } = sizes;
    let PartitionLoss { batch, prototypes, .. } = loss;
    let rows = loss.views * batch;
    let product = |m, n, k, trans_a, trans_b| Gemm { m, n, k, trans_a, trans_b };

    let [w, norm] = l2_normalize(dim, 0.0, v);
    let [w_teacher, _] = l2_normalize(dim, 0.0, v_teacher);
    let s = gemm(product(rows, prototypes, dim, false, true), z, &w);
    let s_teacher = gemm(product(2 * batch, prototypes, dim, false, true), z_teacher, &w_teacher);
    let (c, h, ds) = partition_loss(loss, &s, &s_teacher, permutation);
    let dz = gemm(product(rows, dim, prototypes, false, false), &ds, &w);
    let dw = gemm(product(prototypes, dim, rows, true, false), &ds, z);
    (c, h, dz, l2_normalize_backward(dim, 0.0, &w, &norm, &dw))
}

/// buffer = momentum buffer + trust (grad + wd w); w = w - lr buffer.
pub fn momentum_step(
    momentum: f64,
    lr: f64,
    wd: f64,
    trust: f64,
    grad: &[f64],
    w: &mut [f64],
    buffer: &mut [f64],
) {
    for i in 0..w.len() {
        buffer[i] = momentum * buffer[i] + trust * (grad[i] + wd * w[i]);
        w[i] -= lr * buffer[i];
    }
}

/// LARS's eta |w| / |u| with u = grad + wd w; 1 where a norm is 0.
pub fn trust_ratio(eta: f64, w: &[f64], grad: &[f64], wd: f64) -> f64 {
    let u = map2(grad, w, |grad, w| grad + wd * w);
    let (w_norm, u_norm) = (dot(w, w).sqrt(), dot(&u, &u).sqrt());
    if w_norm > 0.0 && u_norm > 0.0 { eta * w_norm / u_norm } else { 1.0 }
}

/// Moments first = beta1 first + (1 - beta1) g and second = beta2 second + (1 - beta2) g^2, each
/// divided by its correction 1 - beta^t; w = w (1 - lr wd) - lr first / (sqrt(second) + eps).
pub fn adamw(
    AdamW { betas: (beta1, beta2), eps }: AdamW,
    lr: f64,
    wd: f64,
    correction: &[f64],
    grad: &[f64],
    [w, first, second]: [&mut [f64]; 3],
) {
    for (i, g) in grad.iter().enumerate() {
        first[i] = beta1 * first[i] + (1.0 - beta1) * g;
        second[i] = beta2 * second[i] + (1.0 - beta2) * g * g;
        let root = (second[i] / correction[1]).sqrt();
        w[i] = w[i] * (1.0 - lr * wd) - lr * (first[i] / correction[0]) / (root + f64::from(eps));
    }
}
