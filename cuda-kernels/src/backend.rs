//! The methods of the backend, each in the file of its family.

use tensor::backend::{AdamW, BatchNorm, BatchNormSlots, LossSlots, StreamingLossInputs};
use tensor::geometry::{Conv2d, Gemm, PartitionLoss, Pool2d, StreamingLoss};
use tensor::{Backend, Result, Slot};

use crate::Gpu;
use crate::launch::{
    batch_norm, conv2d, gather, gemm, normalize, optimizer, partition_loss, pointwise, pool,
    reduce, softmax, streaming_loss,
};

impl Backend for Gpu {
    fn write(&mut self, to: Slot, data: &[f32]) {
        self.write_bytes(to, bytemuck::cast_slice(data));
    }

    fn write_u32(&mut self, to: Slot, data: &[u32]) {
        self.write_bytes(to, bytemuck::cast_slice(data));
    }

    fn read(&mut self, from: Slot, data: &mut [f32]) {
        self.read_bytes(from, bytemuck::cast_slice_mut(data));
    }

    fn check(&mut self) -> Result<()> {
        self.fault()
    }

    fn finish(&mut self) -> Result<()> {
        if self.fault().is_ok() {
            let result = self.driver().synchronize();
            self.keep(result);
        }
        self.fault()
    }

    fn all_finite(&mut self, x: Slot) -> bool {
        reduce::all_finite(self, x)
    }

    fn begin_sequence(&mut self, id: usize) -> bool {
        self.begin(id)
    }

    fn end_sequence(&mut self) {
        self.end();
    }

    fn fill(&mut self, y: Slot, value: f32) {
        pointwise::fill(self, y, value)
    }

    fn copy(&mut self, x: Slot, y: Slot) {
        pointwise::copy(self, x, y)
    }

    fn add(&mut self, a: Slot, b: Slot, y: Slot) {
        pointwise::add(self, a, b, y)
    }

    fn mul(&mut self, a: Slot, b: Slot, y: Slot) {
        pointwise::mul(self, a, b, y)
    }

    fn clamp(&mut self, low: f32, high: f32, x: Slot, y: Slot) {
        pointwise::clamp(self, low, high, x, y)
    }

    fn clamp_backward(&mut self, low: f32, high: f32, x: Slot, dy: Slot, dx: Slot) {
        pointwise::clamp_backward(self, low, high, x, dy, dx)
    }

    fn ln(&mut self, x: Slot, y: Slot) {
        pointwise::ln(self, x, y)
    }

    fn ln_backward(&mut self, x: Slot, dy: Slot, dx: Slot) {
        pointwise::ln_backward(self, x, dy, dx)
    }

    fn scale(&mut self, alpha: f32, x: Slot, y: Slot) {
        pointwise::scale(self, alpha, x, y)
    }

    fn scale_by(&mut self, s: Slot, x: Slot, y: Slot) {
        pointwise::scale_by(self, s, x, y)
    }

    fn accumulate(&mut self, keep: Slot, x: Slot, acc: Slot) {
        pointwise::accumulate(self, keep, x, acc)
    }

    fn relu(&mut self, x: Slot, y: Slot) {
        pointwise::relu(self, x, y)
    }

    fn relu_backward(&mut self, y: Slot, dy: Slot, dx: Slot) {
        pointwise::relu_backward(self, y, dy, dx)
    }

    fn gelu(&mut self, x: Slot, y: Slot) {
        pointwise::gelu(self, x, y)
    }

    fn gelu_backward(&mut self, x: Slot, dy: Slot, dx: Slot) {
        pointwise::gelu_backward(self, x, dy, dx)
    }

    fn gemm(&mut self, gemm: Gemm, a: Slot, b: Slot, c: Slot, workspace: Slot) {
        gemm::gemm(self, gemm, a, b, c, workspace)
    }

    fn gemm_workspace(&self, gemm: Gemm) -> usize {
        gemm::gemm_workspace(gemm)
    }

    fn add_bias(&mut self, x: Slot, bias: Slot, y: Slot) {
        pointwise::add_bias(self, x, bias, y)
    }

    fn sum_rows(&mut self, x: Slot, y: Slot, workspace: Slot) {
        reduce::sum_rows(self, x, y, workspace)
    }

    fn sum_rows_workspace(&self, rows: usize, columns: usize) -> usize {
        reduce::sum_rows_workspace(rows, columns)
    }

    fn sum_columns(&mut self, columns: usize, x: Slot, y: Slot) {
        reduce::sum_columns(self, columns, x, y)
    }

    fn sum_columns_backward(&mut self, columns: usize, dy: Slot, dx: Slot) {
        reduce::sum_columns_backward(self, columns, dy, dx)
    }

    fn sum(&mut self, alpha: f32, x: Slot, y: Slot) {
        reduce::sum(self, alpha, x, y)
    }

    fn conv2d(&mut self, conv: Conv2d, x: Slot, weight: Slot, y: Slot, workspace: Slot) {
        conv2d::conv2d(self, conv, x, weight, y, workspace)
    }

    fn conv2d_workspace(&self, conv: Conv2d) -> usize {
        conv2d::conv2d_workspace(conv)
    }

    fn conv2d_grad_input(&mut self, conv: Conv2d, dy: Slot, weight: Slot, dx: Slot, ws: Slot) {
        conv2d::conv2d_grad_input(self, conv, dy, weight, dx, ws)
    }

    fn conv2d_grad_input_workspace(&self, conv: Conv2d) -> usize {
        conv2d::conv2d_grad_input_workspace(conv)
    }

    fn conv2d_grad_weight(&mut self, conv: Conv2d, x: Slot, dy: Slot, dweight: Slot, ws: Slot) {
        conv2d::conv2d_grad_weight(self, conv, x, dy, dweight, ws)
    }

    fn conv2d_grad_weight_workspace(&self, conv: Conv2d) -> usize {
        conv2d::conv2d_grad_weight_workspace(conv)
    }

    fn batch_norm_workspace(&self, norm: BatchNorm) -> usize {
        batch_norm::batch_norm_workspace(norm)
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
        batch_norm::batch_norm_inference(self, norm, x, residual, slots, y, inv_std)
    }

    fn max_pool2d(&mut self, pool: Pool2d, x: Slot, y: Slot, argmax: Slot) {
        pool::max_pool2d(self, pool, x, y, argmax)
    }

    fn max_pool2d_backward(&mut self, pool: Pool2d, dy: Slot, argmax: Slot, dx: Slot) {
        pool::max_pool2d_backward(self, pool, dy, argmax, dx)
    }

    fn avg_pool2d(&mut self, pool: Pool2d, x: Slot, y: Slot) {
        pool::avg_pool2d(self, pool, x, y)
    }

    fn avg_pool2d_backward(&mut self, pool: Pool2d, dy: Slot, dx: Slot) {
        pool::avg_pool2d_backward(self, pool, dy, dx)
    }

    fn global_avg_pool(&mut self, n: usize, pixels: usize, x: Slot, y: Slot) {
        pool::global_avg_pool(self, n, pixels, x, y)
    }

    fn global_avg_pool_backward(&mut self, n: usize, pixels: usize, dy: Slot, dx: Slot) {
        pool::global_avg_pool_backward(self, n, pixels, dy, dx)
    }

    fn softmax(&mut self, columns: usize, x: Slot, y: Slot) {
        softmax::softmax(self, columns, x, y)
    }

    fn softmax_backward(&mut self, columns: usize, y: Slot, dy: Slot, dx: Slot) {
        softmax::softmax_backward(self, columns, y, dy, dx)
    }

    fn log_softmax(&mut self, columns: usize, x: Slot, y: Slot) {
        softmax::log_softmax(self, columns, x, y)
    }

    fn log_softmax_backward(&mut self, columns: usize, y: Slot, dy: Slot, dx: Slot) {
        softmax::log_softmax_backward(self, columns, y, dy, dx)
    }

    fn l2_normalize(&mut self, columns: usize, eps: f32, x: Slot, y: Slot, norm: Slot) {
        normalize::l2_normalize(self, columns, eps, x, y, norm)
    }

    fn gather_rows(&mut self, columns: usize, x: Slot, index: Slot, y: Slot) {
        gather::gather_rows(self, columns, x, index, y)
    }

    fn scatter_add_rows(&mut self, columns: usize, dy: Slot, index: Slot, dx: Slot) {
        gather::scatter_add_rows(self, columns, dy, index, dx)
    }

    fn gather_columns(&mut self, columns: usize, x: Slot, index: Slot, y: Slot) {
        gather::gather_columns(self, columns, x, index, y)
    }

    fn gather_columns_backward(&mut self, columns: usize, dy: Slot, index: Slot, dx: Slot) {
        gather::gather_columns_backward(self, columns, dy, index, dx)
    }

    fn partition_loss_workspace(&self, sizes: PartitionLoss) -> usize {
        partition_loss::partition_loss_workspace(sizes)
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
        streaming_loss::streaming_loss(
            self,
            sizes,
            inputs,
            terms,
            grad_student,
            grad_prototypes,
            workspace,
        )
    }

    fn streaming_loss_workspace(&self, sizes: StreamingLoss) -> usize {
        streaming_loss::streaming_loss_workspace(sizes)
    }

    fn ema(&mut self, m: Slot, student: Slot, teacher: Slot) {
        optimizer::ema(self, m, student, teacher)
    }

    fn sgd(&mut self, momentum: f32, lr: Slot, wd: Slot, grad: Slot, w: Slot, buffer: Slot) {
        optimizer::sgd(self, momentum, lr, wd, grad, w, buffer)
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
        optimizer::adamw(self, adamw, lr, wd, correction, grad, w, first, second)
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
        optimizer::lars(self, momentum, eta, lr, wd, grad, w, buffer)
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
        partition_loss::partition_loss(
            self,
            sizes,
            student,
            teacher,
            permutation,
            terms,
            grad_student,
            workspace,
        )
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
        batch_norm::batch_norm(self, norm, x, residual, slots, y, mean, inv_std, workspace)
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
        batch_norm::batch_norm_backward(
            self, norm, x, y, dy, weight, mean, inv_std, dx, dweight, dbias, dresidual, workspace,
        )
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
        batch_norm::batch_norm_inference_backward(
            self,
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
        )
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
        normalize::l2_normalize_backward(self, columns, eps, y, norm, dy, dx)
    }
}
