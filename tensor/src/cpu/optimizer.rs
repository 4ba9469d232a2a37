//! The teacher's moving average and the optimizers (docs/method.md, 1.7 and 1.8), elementwise
//! except for LARS's two norms.

use isa::{Isa, multiversion};
use rayon::prelude::*;

use super::reduce::{chunk_squares, tree};
use crate::kernel::AdamW;
use crate::order::{CHUNK, UPDATE_LANES};

/// teacher = m teacher + (1 - m) student.
#[multiversion(isa)]
pub fn ema(isa: Isa, m: f32, student: &[f32], teacher: &mut [f32]) {
    let rest = 1.0 - m;
    teacher.par_chunks_mut(CHUNK).zip(student.par_chunks(CHUNK)).for_each(|(teacher, student)| {
        for (teacher, student) in teacher.iter_mut().zip(student) {
            *teacher = m * *teacher + rest * student;
        }
    });
}

/// buffer = momentum buffer + g + wd w; w = w - lr buffer.
pub fn sgd(
    isa: Isa,
    momentum: f32,
    lr: f32,
    wd: f32,
    grad: &[f32],
    w: &mut [f32],
    buffer: &mut [f32],
) {
    momentum_step(isa, [momentum, lr, wd, 1.0], grad, w, buffer);
}

/// LARS's constants.
#[derive(Clone, Copy, Debug)]
pub struct Lars {
    /// Momentum.
    pub momentum: f32,
    /// Trust coefficient.
    pub eta: f32,
    /// Learning rate.
    pub lr: f32,
    /// Weight decay.
    pub wd: f32,
}

/// As [`sgd`] with each tensor's u = g + wd w scaled by eta |w| / |u|, if both norms are above 0.
/// Tensor t is the elements `ranges[2t]..ranges[2t + 1]`.
///
/// The two halves of the tensors run in parallel, recursively: a thread that finishes one steals
/// the next. The order of additions depends only on each tensor.
pub fn lars(isa: Isa, lars: Lars, ranges: &[u32], grad: &[f32], w: &mut [f32], buffer: &mut [f32]) {
    lars_from(isa, 0, lars, ranges, grad, w, buffer);
}

/// As [`lars`], with slices that begin at element `start`.
fn lars_from(
    isa: Isa,
    start: usize,
    settings: Lars,
    ranges: &[u32],
    grad: &[f32],
    w: &mut [f32],
    buffer: &mut [f32],
) {
    if let [first, end] = *ranges {
        let tensor = first as usize - start..end as usize - start;
        let (w, buffer) = (&mut w[tensor.clone()], &mut buffer[tensor.clone()]);
        return lars_of_one(isa, settings, &grad[tensor], w, buffer);
    }
    let (left, right) = ranges.split_at(ranges.len() / 4 * 2);
    if left.is_empty() {
        return;
    }
    let middle = right[0] as usize - start;
    let (grad_left, grad_right) = grad.split_at(middle);
    let (w_left, w_right) = w.split_at_mut(middle);
    let (buffer_left, buffer_right) = buffer.split_at_mut(middle);
    rayon::join(
        || lars_from(isa, start, settings, left, grad_left, w_left, buffer_left),
        || lars_from(isa, start + middle, settings, right, grad_right, w_right, buffer_right),
    );
}

#[multiversion(isa)]
fn lars_of_one(isa: Isa, settings: Lars, grad: &[f32], w: &mut [f32], buffer: &mut [f32]) {
    let Lars { momentum, eta, lr, wd } = settings;
    // Both sums of a chunk while it is in the cache.
    let squares = tree(0..w.len(), &|range| {
        let (grad, w) = (&grad[range.clone()], &w[range]);
        let mut lanes = [0.0f64; UPDATE_LANES];
        for (i, (g, w)) in grad.iter().zip(w).enumerate() {
            let u = f64::from(g + wd * w);
            lanes[i % UPDATE_LANES] += u * u;
        }
        [chunk_squares(w), lanes.iter().sum()]
    });
    let [w_norm, u_norm] = squares.map(f64::sqrt);
    let trust =
        if w_norm > 0.0 && u_norm > 0.0 { (f64::from(eta) * w_norm / u_norm) as f32 } else { 1.0 };
    momentum_step(isa, [momentum, lr, wd, trust], grad, w, buffer);
}

#[multiversion(isa)]
fn momentum_step(
    isa: Isa,
    [momentum, lr, wd, trust]: [f32; 4],
    grad: &[f32],
    w: &mut [f32],
    buffer: &mut [f32],
) {
    w.par_chunks_mut(CHUNK).zip(buffer.par_chunks_mut(CHUNK)).zip(grad.par_chunks(CHUNK)).for_each(
        |((w, buffer), grad)| {
            for ((w, buffer), grad) in w.iter_mut().zip(buffer).zip(grad) {
                *buffer = momentum * *buffer + trust * (grad + wd * *w);
                *w -= lr * *buffer;
            }
        },
    );
}

/// Adam with decoupled weight decay; `correction` is (1 - beta1^t, 1 - beta2^t).
#[allow(clippy::too_many_arguments)]
#[multiversion(isa)]
pub fn adamw(
    isa: Isa,
    adamw: AdamW,
    lr: f32,
    wd: f32,
    correction: (f32, f32),
    grad: &[f32],
    w: &mut [f32],
    first: &mut [f32],
    second: &mut [f32],
) {
    let [beta1, new1, beta2, new2] = adamw.shares();
    let root_correction = correction.1.sqrt();
    w.par_chunks_mut(CHUNK)
        .zip(first.par_chunks_mut(CHUNK))
        .zip(second.par_chunks_mut(CHUNK))
        .zip(grad.par_chunks(CHUNK))
        .for_each(|(((w, first), second), grad)| {
            for (((w, first), second), grad) in w.iter_mut().zip(first).zip(second).zip(grad) {
                *first = beta1 * *first + new1 * grad;
                *second = beta2 * *second + new2 * grad * grad;
                let root = second.sqrt() / root_correction + adamw.eps;
                *w = *w * (1.0 - lr * wd) - lr * (*first / correction.0) / root;
            }
        });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Stream};

    /// Adam's first step is lr in size, whatever the gradient (Kingma and Ba 2015, section 2.1).
    #[test]
    fn the_first_step_of_adamw_is_the_rate() {
        for beta2 in [0.99, 0.9999, 0.99999] {
            for gradient in [1e-6f32, -0.5, 1e19] {
                let settings = AdamW { betas: (0.9, beta2), eps: 0.0 };
                let correction = (0.1, (1.0 - beta2) as f32);
                let [mut w, mut first, mut second] = [[0.0]; 3];
                let moments = (&mut first, &mut second);
                let isa = Isa::widest();
                let (lr, wd) = (0.01, 0.0);
                adamw(isa, settings, lr, wd, correction, &[gradient], &mut w, moments.0, moments.1);
                let size = w[0] * -gradient.signum() / lr;
                assert!((size - 1.0).abs() < 1e-6, "{beta2}, {gradient}: {size}");
            }
        }
    }

    #[test]
    fn a_sweep_gives_the_bits_of_one_call_a_tensor() {
        let isa = Isa::widest();
        let lens = [1, 40, 3 * CHUNK + 5, 700, 9];
        let settings = Lars { momentum: 0.9, eta: 1e-3, lr: 0.5, wd: 1e-4 };
        let mut stream = Stream::new(0, Purpose::Test, 0, 0);
        let mut starts = Vec::new();
        let mut len = 0;
        for tensor in lens {
            starts.push(len);
            len += tensor.next_multiple_of(16);
        }
        let mut normals = || -> Vec<f32> { (0..len).map(|_| stream.normal()).collect() };
        let [grad, mut w, mut buffer] = [(); 3].map(|()| normals());
        let (mut w_apart, mut buffer_apart) = (w.clone(), buffer.clone());
        let mut ranges = Vec::new();
        for (start, len) in starts.into_iter().zip(lens) {
            ranges.extend([start as u32, (start + len) as u32]);
            let (w, buffer) = (&mut w_apart[start..], &mut buffer_apart[start..]);
            lars(isa, settings, &[0, len as u32], &grad[start..], w, buffer);
        }
        lars(isa, settings, &ranges, &grad, &mut w, &mut buffer);
        assert_eq!((w, buffer), (w_apart, buffer_apart));
    }
}
