//! The teacher's moving average and the optimizers (spec 1.7 and 1.8), elementwise but for LARS's
//! two norms.

use rayon::prelude::*;

use super::reduce::{CHUNK, sum_of_squares, tree};
use crate::backend::AdamW;

/// teacher = m teacher + (1 - m) student.
pub fn ema(m: f32, student: &[f32], teacher: &mut [f32]) {
    let rest = 1.0 - m;
    teacher.par_chunks_mut(CHUNK).zip(student.par_chunks(CHUNK)).for_each(|(teacher, student)| {
        for (teacher, student) in teacher.iter_mut().zip(student) {
            *teacher = m * *teacher + rest * student;
        }
    });
}

/// buffer = momentum buffer + g + wd w; w = w - lr buffer.
pub fn sgd(momentum: f32, lr: f32, wd: f32, grad: &[f32], w: &mut [f32], buffer: &mut [f32]) {
    momentum_step(momentum, lr, wd, 1.0, grad, w, buffer);
}

/// As [`sgd`] with u = g + wd w scaled by eta |w| / |u|, where both norms are above 0.
pub fn lars(
    momentum: f32,
    eta: f32,
    lr: f32,
    wd: f32,
    grad: &[f32],
    w: &mut [f32],
    buffer: &mut [f32],
) {
    let w_norm = sum_of_squares(w).sqrt();
    let u_norm = tree(0..w.len(), &|range| {
        let pairs = grad[range.clone()].iter().zip(&w[range]);
        let mut lanes = [0.0f64; 8];
        for (i, (g, w)) in pairs.enumerate() {
            let u = f64::from(g + wd * w);
            lanes[i % 8] += u * u;
        }
        lanes.iter().sum()
    })
    .sqrt();
    let trust =
        if w_norm > 0.0 && u_norm > 0.0 { (f64::from(eta) * w_norm / u_norm) as f32 } else { 1.0 };
    momentum_step(momentum, lr, wd, trust, grad, w, buffer);
}

/// A tensor that an optimizer moves.
pub struct Updated<'a> {
    /// Its gradient.
    pub grad: &'a [f32],
    /// Its elements w.
    pub w: &'a mut [f32],
    /// Its momentum buffer.
    pub buffer: &'a mut [f32],
}

/// [`lars`] over all tensors in one sweep: a thread that has no chunk left of one tensor goes on
/// with the next, instead of waiting at the end of each. The same bits as one call a tensor.
pub fn lars_sweep(momentum: f32, eta: f32, lr: f32, wd: f32, tensors: &mut [Updated]) {
    tensors.par_iter_mut().for_each(|Updated { grad, w, buffer }| {
        lars(momentum, eta, lr, wd, grad, w, buffer);
    });
}

fn momentum_step(
    momentum: f32,
    lr: f32,
    wd: f32,
    trust: f32,
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
pub fn adamw(
    adamw: AdamW,
    lr: f32,
    wd: f32,
    correction: (f32, f32),
    grad: &[f32],
    w: &mut [f32],
    first: &mut [f32],
    second: &mut [f32],
) {
    let AdamW { betas: (beta1, beta2), eps } = adamw;
    w.par_chunks_mut(CHUNK)
        .zip(first.par_chunks_mut(CHUNK))
        .zip(second.par_chunks_mut(CHUNK))
        .zip(grad.par_chunks(CHUNK))
        .for_each(|(((w, first), second), grad)| {
            for (((w, first), second), grad) in w.iter_mut().zip(first).zip(second).zip(grad) {
                *first = beta1 * *first + (1.0 - beta1) * grad;
                *second = beta2 * *second + (1.0 - beta2) * grad * grad;
                let root = (*second / correction.1).sqrt() + eps;
                *w = *w * (1.0 - lr * wd) - lr * (*first / correction.0) / root;
            }
        });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Stream};

    #[test]
    fn a_sweep_gives_the_bits_of_one_call_a_tensor() {
        let mut stream = Stream::new(0, Purpose::Test, 0, 0);
        let mut normals = |n: usize| -> Vec<f32> { (0..n).map(|_| stream.normal()).collect() };
        let mut tensors: Vec<[Vec<f32>; 3]> =
            [1, 40, 3 * CHUNK + 5, 700].map(|n| [n, n, n].map(&mut normals)).into();
        let mut apart = tensors.clone();
        for [grad, w, buffer] in &mut apart {
            lars(0.9, 1e-3, 0.5, 1e-4, grad, w, buffer);
        }
        let mut updated: Vec<Updated> =
            tensors.iter_mut().map(|[grad, w, buffer]| Updated { grad, w, buffer }).collect();
        lars_sweep(0.9, 1e-3, 0.5, 1e-4, &mut updated);
        assert_eq!(tensors, apart);
    }
}
