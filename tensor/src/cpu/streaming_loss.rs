//! CARP's loss from embeddings and prototypes, block by block: logits of all K prototypes never
//! exist (docs/method.md, 1.6).
//!
//! With z the student's embeddings, v its prototypes before weight norm, w = v / |v|, and the
//! teacher's likewise, each block of N_B prototypes is processed from start to end:
//!
//! 1. gather and normalise the block's teacher prototypes; teacher logits `q = z_t w_t^T`
//! 2. the same for the student: `s = z w^T`
//! 3. softmax of both; m; C, H and `ds` as in `partition_loss`, in place of s
//! 4. `dz += ds w`, `dw = ds^T z`
//! 5. weight norm backward, `dv = (dw - w <w, dw>) / |v|`, into the block's own rows
//!
//! One pass suffices: the loss is a mean over blocks, so the factor of a block's gradient does not
//! depend on the others.
//!
//! A fixed number of tasks share the blocks; each accumulates its own dz, and these are added in
//! order.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use isa::{Isa, multiversion};
use rayon::prelude::*;

use super::gemm::{Strides, sgemm};
use super::partition_loss::{divergence, gradient_row, softmax_rows};
use super::reduce::{dot, sum_parts};
use crate::arena::shared;
use crate::geometry::StreamingLoss;
use crate::order::{STREAMING_TASKS, streaming_tasks};

/// Elements of a task's scratch memory, without its dz.
fn block_len(sizes: StreamingLoss) -> usize {
    let size = sizes.loss.partition_size;
    size * (sizes.loss.rows() + 2 * sizes.dim + 3)
}

fn student_len(sizes: StreamingLoss) -> usize {
    sizes.loss.views * sizes.loss.batch * sizes.dim
}

/// Elements of scratch memory for [`streaming_loss`], independent of K.
pub fn workspace(sizes: StreamingLoss) -> usize {
    streaming_tasks(sizes) * (block_len(sizes) + student_len(sizes))
}

/// From embeddings z of student `[V*B,D]` and teacher `[2*B,D]`, view by view, and their prototypes
/// v `[K,D]` before weight norm, in the random order `permutation` `[K]`: returns (C, H) and writes
/// the gradients of C + H by the student's embeddings and prototypes.
///
/// # Panics
/// If an index of the permutation is not below K.
pub fn streaming_loss(
    isa: Isa,
    sizes: StreamingLoss,
    inputs: [&[f32]; 4],
    permutation: &[u32],
    [grad_student, grad_prototypes]: [&mut [f32]; 2],
    workspace: &mut [f32],
) -> (f64, f64) {
    let size = sizes.loss.partition_size;
    let (tasks, blocks, dim) = (streaming_tasks(sizes), sizes.loss.blocks(), sizes.dim);
    for &surplus in &permutation[blocks * size..] {
        grad_prototypes[surplus as usize * dim..][..dim].fill(0.0);
    }
    let grad_prototypes = shared(grad_prototypes);
    let (partials, scratch) = workspace.split_at_mut(tasks * student_len(sizes));
    let mut sums = [(0.0, 0.0); STREAMING_TASKS];
    partials
        .par_chunks_mut(student_len(sizes))
        .zip(scratch.par_chunks_mut(block_len(sizes)))
        .zip(&mut sums[..tasks])
        .enumerate()
        .for_each(|(task, ((grad_student, scratch), sums))| {
            grad_student.fill(0.0);
            for block in task * blocks / tasks..(task + 1) * blocks / tasks {
                let index = &permutation[block * size..][..size];
                let (negative_log, divergence) =
                    finish_block(isa, sizes, inputs, index, grad_student, grad_prototypes, scratch);
                sums.0 += negative_log;
                sums.1 += divergence;
            }
        });
    sum_parts(isa, partials, grad_student);
    let (c, h) = sums.iter().fold((0.0, 0.0), |(c, h), sum| (c + sum.0, h + sum.1));
    (c / sizes.loss.terms() as f64, h / blocks as f64)
}

/// Adds a block's gradient to `grad_student`, writes that of its prototypes, and returns its sum of
/// -ln d and its divergence.
#[multiversion(isa)]
fn finish_block(
    isa: Isa,
    sizes: StreamingLoss,
    [student, teacher, student_prototypes, teacher_prototypes]: [&[f32]; 4],
    index: &[u32],
    grad_student: &mut [f32],
    grad_prototypes: &[AtomicU32],
    scratch: &mut [f32],
) -> (f64, f64) {
    let StreamingLoss { loss, dim, views_at_once } = sizes;
    let size = loss.partition_size;
    let rows = views_at_once * loss.batch;
    let (p, rest) = scratch.split_at_mut(loss.views * loss.batch * size);
    let (q, rest) = rest.split_at_mut(2 * loss.batch * size);
    let (w, rest) = rest.split_at_mut(size * dim);
    let (grad_w, rest) = rest.split_at_mut(size * dim);
    let (norms, rest) = rest.split_at_mut(size);
    let (mean, g) = rest.split_at_mut(size);
    let by_row = Strides::new(dim, false);
    let by_column = Strides::new(dim, true);

    mean.fill(0.0);
    gather_normalised(teacher_prototypes, index, w, norms);
    let shape = (2 * loss.batch, dim, size);
    sgemm(isa, shape, (teacher, by_row), (w, by_column), false, q);
    gather_normalised(student_prototypes, index, w, norms);
    for (p, z) in p.chunks_mut(rows * size).zip(student.chunks(rows * dim)) {
        sgemm(isa, (p.len() / size, dim, size), (z, by_row), (w, by_column), false, p);
        softmax_rows(p, mean);
    }
    softmax_rows(q, mean);
    let divergence = divergence(loss, mean, g);

    let mut negative_log = 0.0;
    let mut first = 0;
    let parts = p.chunks_mut(rows * size).zip(student.chunks(rows * dim));
    for ((p, z), grad_z) in parts.zip(grad_student.chunks_mut(rows * dim)) {
        for (row, p) in (first..).zip(p.chunks_exact_mut(size)) {
            let (view, image) = (row / loss.batch, row % loss.batch);
            let q = [image, loss.batch + image].map(|row| &q[row * size..][..size]);
            negative_log += gradient_row(loss, view, p, q, g);
        }
        let rows = p.len() / size;
        sgemm(isa, (rows, size, dim), (p, Strides::new(size, false)), (w, by_row), true, grad_z);
        sgemm(
            isa,
            (size, rows, dim),
            (p, Strides::new(size, true)),
            (z, by_row),
            first > 0,
            grad_w,
        );
        first += rows;
    }

    let gradients = w.chunks_exact(dim).zip(grad_w.chunks_exact_mut(dim)).zip(&*norms);
    for (&row, ((w, grad), norm)) in index.iter().zip(gradients) {
        let along = dot(w, grad);
        for (grad, w) in grad.iter_mut().zip(w) {
            *grad = (*grad - w * along) / norm;
        }
        let out = &grad_prototypes[row as usize * dim..][..dim];
        for (out, grad) in out.iter().zip(grad) {
            out.store(grad.to_bits(), Relaxed);
        }
    }
    (negative_log, divergence)
}

/// `w[i] = v[index[i]] / |v[index[i]]|`, and the lengths.
///
/// The rows are scattered in memory, so they are copied first: copies do not depend on each other,
/// sums of squares would.
#[inline(always)]
fn gather_normalised(v: &[f32], index: &[u32], w: &mut [f32], norms: &mut [f32]) {
    let dim = w.len() / index.len();
    for (&row, w) in index.iter().zip(w.chunks_exact_mut(dim)) {
        w.copy_from_slice(&v[row as usize * dim..][..dim]);
    }
    for (w, norm) in w.chunks_exact_mut(dim).zip(norms) {
        *norm = dot(w, w).sqrt();
        w.iter_mut().for_each(|w| *w /= *norm);
    }
}
