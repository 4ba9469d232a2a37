//! The CPU backend: every kernel is a function over slices, in the file named after it; here they
//! only get their slices from the arena.
//!
//! Work is cut into chunks whose size depends on the shape alone and rayon runs the chunks; partial
//! results are combined in index order. So any number of threads gives the same bits.

pub mod batch_norm;
pub mod conv2d;
pub mod gather;
pub mod gemm;
pub mod normalize;
pub mod optimizer;
pub mod partition_loss;
pub mod pointwise;
pub mod pool;
pub mod reduce;
pub mod softmax;
pub mod streaming_loss;

use crate::arena::{Arena, Slot, bits, bits_mut};
use crate::backend::{AdamW, Backend, BatchNorm, BatchNormSlots, LossSlots, StreamingLossInputs};
use crate::error::Result;
use crate::geometry::{Conv2d, Gemm, PartitionLoss, Pool2d, StreamingLoss};

/// This machine's processor and an arena in its memory.
pub struct Cpu {
    arena: Arena,
}

impl Cpu {
    /// A CPU backend with an arena of `len` elements, all zero.
    ///
    /// # Errors
    /// If the system has not that much memory to give.
    pub fn new(len: usize) -> Result<Cpu> {
        Ok(Cpu { arena: Arena::new(len)? })
    }

    /// Runs `kernel` from `x` to `y`, or in place where they are the same slot.
    fn map(
        &mut self,
        x: Slot,
        y: Slot,
        kernel: impl FnOnce(&[f32], &mut [f32]),
        in_place: impl FnOnce(&mut [f32]),
    ) {
        if x == y {
            in_place(self.arena.write(y));
        } else {
            let ([x], [y]) = self.arena.split([x], [y]);
            kernel(x, y);
        }
    }
}

/// An absent slot is an empty one for the arena and `None` for the kernel.
fn present(slot: Option<Slot>, slice: &[f32]) -> Option<&[f32]> {
    slot.map(|_| slice)
}

fn present_mut(slot: Option<Slot>, slice: &mut [f32]) -> Option<&mut [f32]> {
    slot.map(|_| slice)
}

impl Backend for Cpu {
    fn write(&mut self, to: Slot, data: &[f32]) {
        self.arena.write(to).copy_from_slice(data);
    }

    fn write_u32(&mut self, to: Slot, data: &[u32]) {
        bits_mut(self.arena.write(to)).copy_from_slice(data);
    }

    fn read(&mut self, from: Slot, data: &mut [f32]) {
        data.copy_from_slice(self.arena.read(from));
    }

    fn all_finite(&mut self, x: Slot) -> bool {
        reduce::all_finite(self.arena.read(x))
    }

    fn fill(&mut self, y: Slot, value: f32) {
        self.arena.write(y).fill(value);
    }

    fn copy(&mut self, x: Slot, y: Slot) {
        let ([x], [y]) = self.arena.split([x], [y]);
        pointwise::copy(x, y);
    }

    fn add(&mut self, a: Slot, b: Slot, y: Slot) {
        if a == y {
            let ([b], [y]) = self.arena.split([b], [y]);
            pointwise::add_assign(b, y);
        } else {
            let ([a, b], [y]) = self.arena.split([a, b], [y]);
            pointwise::add(a, b, y);
        }
    }

    fn mul(&mut self, a: Slot, b: Slot, y: Slot) {
        let ([a, b], [y]) = self.arena.split([a, b], [y]);
        pointwise::mul(a, b, y);
    }

    fn clamp(&mut self, low: f32, high: f32, x: Slot, y: Slot) {
        let ([x], [y]) = self.arena.split([x], [y]);
        pointwise::clamp(low, high, x, y);
    }

    fn clamp_backward(&mut self, low: f32, high: f32, x: Slot, dy: Slot, dx: Slot) {
        let ([x, dy], [dx]) = self.arena.split([x, dy], [dx]);
        pointwise::clamp_backward(low, high, x, dy, dx);
    }

    fn ln(&mut self, x: Slot, y: Slot) {
        let ([x], [y]) = self.arena.split([x], [y]);
        pointwise::ln(x, y);
    }

    fn ln_backward(&mut self, x: Slot, dy: Slot, dx: Slot) {
        let ([x, dy], [dx]) = self.arena.split([x, dy], [dx]);
        pointwise::ln_backward(x, dy, dx);
    }

    fn scale(&mut self, alpha: f32, x: Slot, y: Slot) {
        if x == y && alpha == 1.0 {
            return;
        }
        self.map(x, y, |x, y| pointwise::scale(alpha, x, y), |y| pointwise::scale_assign(alpha, y));
    }

    fn scale_by(&mut self, s: Slot, x: Slot, y: Slot) {
        let alpha = self.arena.read(s)[0];
        self.scale(alpha, x, y);
    }

    fn accumulate(&mut self, keep: Slot, x: Slot, acc: Slot) {
        let ([keep, x], [acc]) = self.arena.split([keep, x], [acc]);
        pointwise::accumulate(keep[0], x, acc);
    }

    fn relu(&mut self, x: Slot, y: Slot) {
        let ([x], [y]) = self.arena.split([x], [y]);
        pointwise::relu(x, y);
    }

    fn relu_backward(&mut self, y: Slot, dy: Slot, dx: Slot) {
        let ([y, dy], [dx]) = self.arena.split([y, dy], [dx]);
        pointwise::relu_backward(y, dy, dx);
    }

    fn gelu(&mut self, x: Slot, y: Slot) {
        let ([x], [y]) = self.arena.split([x], [y]);
        pointwise::gelu(x, y);
    }

    fn gelu_backward(&mut self, x: Slot, dy: Slot, dx: Slot) {
        let ([x, dy], [dx]) = self.arena.split([x, dy], [dx]);
        pointwise::gelu_backward(x, dy, dx);
    }

    fn gemm(&mut self, gemm: Gemm, a: Slot, b: Slot, c: Slot, workspace: Slot) {
        let ([a, b], [c, workspace]) = self.arena.split([a, b], [c, workspace]);
        gemm::gemm(gemm, a, b, c, workspace);
    }

    fn gemm_workspace(&self, gemm: Gemm) -> usize {
        gemm::workspace(gemm)
    }

    fn add_bias(&mut self, x: Slot, bias: Slot, y: Slot) {
        if x == y {
            let ([bias], [y]) = self.arena.split([bias], [y]);
            pointwise::add_bias_assign(bias, y);
        } else {
            let ([x, bias], [y]) = self.arena.split([x, bias], [y]);
            pointwise::add_bias(x, bias, y);
        }
    }

    fn sum_rows(&mut self, x: Slot, y: Slot, workspace: Slot) {
        let ([x], [y, workspace]) = self.arena.split([x], [y, workspace]);
        reduce::sum_rows(x, y, workspace);
    }

    fn sum_rows_workspace(&self, rows: usize, columns: usize) -> usize {
        reduce::sum_rows_workspace(rows, columns)
    }

    fn sum_columns(&mut self, columns: usize, x: Slot, y: Slot) {
        let ([x], [y]) = self.arena.split([x], [y]);
        reduce::sum_columns(columns, x, y);
    }

    fn sum_columns_backward(&mut self, columns: usize, dy: Slot, dx: Slot) {
        let ([dy], [dx]) = self.arena.split([dy], [dx]);
        reduce::sum_columns_backward(columns, dy, dx);
    }

    fn sum(&mut self, alpha: f32, x: Slot, y: Slot) {
        let ([x], [y]) = self.arena.split([x], [y]);
        y[0] = (f64::from(alpha) * reduce::sum(x)) as f32;
    }

    fn conv2d(&mut self, conv: Conv2d, x: Slot, weight: Slot, y: Slot, workspace: Slot) {
        let ([x, weight], [y, workspace]) = self.arena.split([x, weight], [y, workspace]);
        conv2d::forward(conv, x, weight, y, workspace);
    }

    fn conv2d_workspace(&self, conv: Conv2d) -> usize {
        conv2d::forward_workspace(conv)
    }

    fn conv2d_grad_input(&mut self, conv: Conv2d, dy: Slot, weight: Slot, dx: Slot, ws: Slot) {
        let ([dy, weight], [dx, ws]) = self.arena.split([dy, weight], [dx, ws]);
        conv2d::grad_input(conv, dy, weight, dx, ws);
    }

    fn conv2d_grad_input_workspace(&self, conv: Conv2d) -> usize {
        conv2d::grad_input_workspace(conv)
    }

    fn conv2d_grad_weight(&mut self, conv: Conv2d, x: Slot, dy: Slot, dweight: Slot, ws: Slot) {
        let ([x, dy], [dweight, ws]) = self.arena.split([x, dy], [dweight, ws]);
        conv2d::grad_weight(conv, x, dy, dweight, ws);
    }

    fn conv2d_grad_weight_workspace(&self, conv: Conv2d) -> usize {
        conv2d::grad_weight_workspace(conv)
    }

    fn batch_norm(
        &mut self,
        norm: BatchNorm,
        x: Slot,
        residual: Option<Slot>,
        slots: BatchNormSlots,
        y: Slot,
        mean: Slot,
        inv_std: Slot,
        workspace: Slot,
    ) {
        let ([x, added, weight, bias], [running_mean, running_var, y, mean, inv_std, workspace]) =
            self.arena.split(
                [x, residual.unwrap_or_default(), slots.weight, slots.bias],
                [slots.running_mean, slots.running_var, y, mean, inv_std, workspace],
            );
        batch_norm::forward(
            norm,
            x,
            present(residual, added),
            weight,
            bias,
            running_mean,
            running_var,
            y,
            mean,
            inv_std,
            workspace,
        );
    }

    fn batch_norm_backward(
        &mut self,
        norm: BatchNorm,
        x: Slot,
        y: Slot,
        dy: Slot,
        weight: Slot,
        mean: Slot,
        inv_std: Slot,
        dx: Slot,
        dweight: Slot,
        dbias: Slot,
        dresidual: Option<Slot>,
        workspace: Slot,
    ) {
        let ([x, y, dy, weight, mean, inv_std], [dx, dweight, dbias, added, workspace]) =
            self.arena.split(
                [x, y, dy, weight, mean, inv_std],
                [dx, dweight, dbias, dresidual.unwrap_or_default(), workspace],
            );
        let dresidual = present_mut(dresidual, added);
        batch_norm::backward(
            norm, x, y, dy, weight, mean, inv_std, dx, dweight, dbias, dresidual, workspace,
        );
    }

    fn batch_norm_workspace(&self, norm: BatchNorm) -> usize {
        batch_norm::workspace(norm)
    }

    fn batch_norm_inference(
        &mut self,
        norm: BatchNorm,
        x: Slot,
        residual: Option<Slot>,
        slots: BatchNormSlots,
        y: Slot,
        inv_std: Slot,
    ) {
        let ([x, added, weight, bias, running_mean, running_var], [y, inv_std]) = self.arena.split(
            [
                x,
                residual.unwrap_or_default(),
                slots.weight,
                slots.bias,
                slots.running_mean,
                slots.running_var,
            ],
            [y, inv_std],
        );
        let residual = present(residual, added);
        batch_norm::inference(
            norm,
            x,
            residual,
            weight,
            bias,
            running_mean,
            running_var,
            y,
            inv_std,
        );
    }

    fn batch_norm_inference_backward(
        &mut self,
        norm: BatchNorm,
        x: Slot,
        y: Slot,
        dy: Slot,
        weight: Slot,
        running_mean: Slot,
        inv_std: Slot,
        dx: Slot,
        dweight: Slot,
        dbias: Slot,
        dresidual: Option<Slot>,
        workspace: Slot,
    ) {
        let ([x, y, dy, weight, running_mean, inv_std], [dx, dweight, dbias, added, workspace]) =
            self.arena.split(
                [x, y, dy, weight, running_mean, inv_std],
                [dx, dweight, dbias, dresidual.unwrap_or_default(), workspace],
            );
        let dresidual = present_mut(dresidual, added);
        batch_norm::inference_backward(
            norm,
            x,
            y,
            dy,
            weight,
            running_mean,
            inv_std,
            dx,
            dweight,
            dbias,
            dresidual,
            workspace,
        );
    }

    fn max_pool2d(&mut self, pool: Pool2d, x: Slot, y: Slot, argmax: Slot) {
        let ([x], [y, argmax]) = self.arena.split([x], [y, argmax]);
        pool::max_forward(pool, x, y, bits_mut(argmax));
    }

    fn max_pool2d_backward(&mut self, pool: Pool2d, dy: Slot, argmax: Slot, dx: Slot) {
        let ([dy, argmax], [dx]) = self.arena.split([dy, argmax], [dx]);
        pool::max_backward(pool, dy, bits(argmax), dx);
    }

    fn avg_pool2d(&mut self, pool: Pool2d, x: Slot, y: Slot) {
        let ([x], [y]) = self.arena.split([x], [y]);
        pool::avg_forward(pool, x, y);
    }

    fn avg_pool2d_backward(&mut self, pool: Pool2d, dy: Slot, dx: Slot) {
        let ([dy], [dx]) = self.arena.split([dy], [dx]);
        pool::avg_backward(pool, dy, dx);
    }

    fn global_avg_pool(&mut self, n: usize, pixels: usize, x: Slot, y: Slot) {
        let ([x], [y]) = self.arena.split([x], [y]);
        pool::global_avg_forward(n, pixels, x, y);
    }

    fn global_avg_pool_backward(&mut self, n: usize, pixels: usize, dy: Slot, dx: Slot) {
        let ([dy], [dx]) = self.arena.split([dy], [dx]);
        pool::global_avg_backward(n, pixels, dy, dx);
    }

    fn softmax(&mut self, columns: usize, x: Slot, y: Slot) {
        let ([x], [y]) = self.arena.split([x], [y]);
        softmax::softmax(columns, x, y);
    }

    fn softmax_backward(&mut self, columns: usize, y: Slot, dy: Slot, dx: Slot) {
        let ([y, dy], [dx]) = self.arena.split([y, dy], [dx]);
        softmax::softmax_backward(columns, y, dy, dx);
    }

    fn log_softmax(&mut self, columns: usize, x: Slot, y: Slot) {
        let ([x], [y]) = self.arena.split([x], [y]);
        softmax::log_softmax(columns, x, y);
    }

    fn log_softmax_backward(&mut self, columns: usize, y: Slot, dy: Slot, dx: Slot) {
        let ([y, dy], [dx]) = self.arena.split([y, dy], [dx]);
        softmax::log_softmax_backward(columns, y, dy, dx);
    }

    fn l2_normalize(&mut self, columns: usize, eps: f32, x: Slot, y: Slot, norm: Slot) {
        let ([x], [y, norm]) = self.arena.split([x], [y, norm]);
        normalize::l2_normalize(columns, eps, x, y, norm);
    }

    fn l2_normalize_backward(
        &mut self,
        columns: usize,
        eps: f32,
        y: Slot,
        norm: Slot,
        dy: Slot,
        dx: Slot,
    ) {
        let ([y, norm, dy], [dx]) = self.arena.split([y, norm, dy], [dx]);
        normalize::l2_normalize_backward(columns, eps, y, norm, dy, dx);
    }

    fn gather_rows(&mut self, columns: usize, x: Slot, index: Slot, y: Slot) {
        let ([x, index], [y]) = self.arena.split([x, index], [y]);
        gather::gather_rows(columns, x, bits(index), y);
    }

    fn scatter_add_rows(&mut self, columns: usize, dy: Slot, index: Slot, dx: Slot) {
        let ([dy, index], [dx]) = self.arena.split([dy, index], [dx]);
        gather::scatter_add_rows(columns, dy, bits(index), dx);
    }

    fn gather_columns(&mut self, columns: usize, x: Slot, index: Slot, y: Slot) {
        let ([x, index], [y]) = self.arena.split([x, index], [y]);
        gather::gather_columns(columns, x, bits(index), y);
    }

    fn gather_columns_backward(&mut self, columns: usize, dy: Slot, index: Slot, dx: Slot) {
        let ([dy, index], [dx]) = self.arena.split([dy, index], [dx]);
        gather::gather_columns_backward(columns, dy, bits(index), dx);
    }

    fn partition_loss(
        &mut self,
        sizes: PartitionLoss,
        student: Slot,
        teacher: Slot,
        permutation: Slot,
        terms: LossSlots,
        grad_student: Slot,
        workspace: Slot,
    ) {
        let LossSlots { loss, consistency, entropy } = terms;
        let ([student, teacher, permutation], [loss, consistency, entropy, grad_student, ws]) =
            self.arena.split(
                [student, teacher, permutation],
                [loss, consistency, entropy, grad_student, workspace],
            );
        let (c, h) = partition_loss::partition_loss(
            sizes,
            student,
            teacher,
            bits(permutation),
            grad_student,
            ws,
        );
        (consistency[0], entropy[0], loss[0]) = (c as f32, h as f32, (c + h) as f32);
    }

    fn partition_loss_workspace(&self, sizes: PartitionLoss) -> usize {
        partition_loss::workspace(sizes)
    }

    fn streaming_loss(
        &mut self,
        sizes: StreamingLoss,
        inputs: StreamingLossInputs,
        terms: LossSlots,
        grad_student: Slot,
        grad_prototypes: Slot,
        workspace: Slot,
    ) {
        let StreamingLossInputs {
            student,
            teacher,
            student_prototypes,
            teacher_prototypes,
            permutation,
        } = inputs;
        let LossSlots { loss, consistency, entropy } = terms;
        let (
            [student, teacher, student_prototypes, teacher_prototypes, permutation],
            [loss, consistency, entropy, grad_student, grad_prototypes, workspace],
        ) = self.arena.split(
            [student, teacher, student_prototypes, teacher_prototypes, permutation],
            [loss, consistency, entropy, grad_student, grad_prototypes, workspace],
        );
        let inputs = streaming_loss::Inputs {
            student,
            teacher,
            student_prototypes,
            teacher_prototypes,
            permutation: bits(permutation),
        };
        let (c, h) =
            streaming_loss::streaming_loss(sizes, inputs, grad_student, grad_prototypes, workspace);
        (consistency[0], entropy[0], loss[0]) = (c as f32, h as f32, (c + h) as f32);
    }

    fn streaming_loss_workspace(&self, sizes: StreamingLoss) -> usize {
        streaming_loss::workspace(sizes)
    }

    fn ema(&mut self, m: Slot, student: Slot, teacher: Slot) {
        let ([m, student], [teacher]) = self.arena.split([m, student], [teacher]);
        optimizer::ema(m[0], student, teacher);
    }

    fn sgd(&mut self, momentum: f32, lr: Slot, wd: Slot, grad: Slot, w: Slot, buffer: Slot) {
        let ([lr, wd, grad], [w, buffer]) = self.arena.split([lr, wd, grad], [w, buffer]);
        optimizer::sgd(momentum, lr[0], wd[0], grad, w, buffer);
    }

    fn lars(
        &mut self,
        momentum: f32,
        eta: f32,
        lr: Slot,
        wd: Slot,
        grad: Slot,
        w: Slot,
        buffer: Slot,
    ) {
        let ([lr, wd, grad], [w, buffer]) = self.arena.split([lr, wd, grad], [w, buffer]);
        optimizer::lars(momentum, eta, lr[0], wd[0], grad, w, buffer);
    }

    fn adamw(
        &mut self,
        adamw: AdamW,
        lr: Slot,
        wd: Slot,
        correction: Slot,
        grad: Slot,
        w: Slot,
        first: Slot,
        second: Slot,
    ) {
        let ([lr, wd, correction, grad], [w, first, second]) =
            self.arena.split([lr, wd, correction, grad], [w, first, second]);
        let correction = (correction[0], correction[1]);
        optimizer::adamw(adamw, lr[0], wd[0], correction, grad, w, first, second);
    }
}
