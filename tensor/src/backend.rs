//! What a device can do: one method per kernel.
//!
//! Kernels take [`Slot`]s of the device's one arena, never host memory; only `write` and `read`
//! cross the border. A kernel's scratch memory is planned too: where a method takes `workspace`,
//! the `*_workspace` method beside it says how many elements that must have on this device.
//! Unless a method says otherwise, outputs are overwritten and may not overlap inputs.

use crate::geometry::{Conv2d, Gemm, PartitionLoss, Pool2d, StreamingLoss};
use crate::{Result, Slot};

/// Sizes and settings of a batch norm over `[rows, channels]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNorm {
    /// N*H*W.
    pub rows: usize,
    /// C.
    pub channels: usize,
    /// Added to the variance.
    pub eps: f32,
    /// Share of the new batch in the running statistics (PyTorch's `momentum`).
    pub momentum: f32,
    /// Apply ReLU to the result.
    pub relu: bool,
}

/// Where the parameters and statistics of a batch norm lie, `[C]` each.
#[derive(Clone, Copy, Debug)]
pub struct BatchNormSlots {
    /// Scale gamma.
    pub weight: Slot,
    /// Shift beta.
    pub bias: Slot,
    /// Running mean.
    pub running_mean: Slot,
    /// Running variance (unbiased).
    pub running_var: Slot,
}

/// AdamW's constants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Decay rates of the two moments.
    pub betas: (f32, f32),
    /// Added to the root of the second moment.
    pub eps: f32,
}

/// Where the inputs of [`Backend::streaming_loss`] lie.
#[derive(Clone, Copy, Debug)]
pub struct StreamingLossInputs {
    /// Student embeddings `[V*B,D]`, view by view.
    pub student: Slot,
    /// Teacher embeddings `[2*B,D]`.
    pub teacher: Slot,
    /// Student prototypes `[K,D]` before weight norm.
    pub student_prototypes: Slot,
    /// Teacher prototypes `[K,D]` before weight norm.
    pub teacher_prototypes: Slot,
    /// Random order of the prototypes, `[K]` of u32.
    pub permutation: Slot,
}

/// Where the three scalars of CARP's loss go, `[1]` each.
#[derive(Clone, Copy, Debug)]
pub struct LossSlots {
    /// C + H.
    pub loss: Slot,
    /// C.
    pub consistency: Slot,
    /// H.
    pub entropy: Slot,
}

/// A device with its arena and its kernels.
pub trait Backend: Send {
    /// Copies host data into the device.
    fn write(&mut self, to: Slot, data: &[f32]);
    /// Copies host indices into the device.
    fn write_u32(&mut self, to: Slot, data: &[u32]);
    /// Copies device data to the host.
    fn read(&mut self, from: Slot, data: &mut [f32]);

    /// Reports a fault of the device that has shown by now. After one, kernels do nothing.
    ///
    /// # Errors
    /// The first fault, which names the kernel.
    fn check(&mut self) -> Result<()> {
        Ok(())
    }
    /// Waits until the device is idle, then as `check`.
    ///
    /// # Errors
    /// The first fault, which names the kernel.
    fn finish(&mut self) -> Result<()> {
        self.check()
    }
    /// Begins a sequence of calls that is the same whenever `id` is: same methods, same slots. True
    /// if the device has run it from its memory of an earlier time: then the calls are left out,
    /// `end_sequence` too.
    fn begin_sequence(&mut self, id: usize) -> bool {
        let _ = id;
        false
    }
    /// Ends the sequence.
    fn end_sequence(&mut self) {}

    /// True if no element is infinite or NaN.
    fn all_finite(&mut self, x: Slot) -> bool;

    /// y = value in every element.
    fn fill(&mut self, y: Slot, value: f32);
    /// y = x.
    fn copy(&mut self, x: Slot, y: Slot);
    /// y = a + b. `y` may be `a` itself.
    fn add(&mut self, a: Slot, b: Slot, y: Slot);
    /// y = a b, elementwise.
    fn mul(&mut self, a: Slot, b: Slot, y: Slot);
    /// y = x clamped to `[low, high]`.
    fn clamp(&mut self, low: f32, high: f32, x: Slot, y: Slot);
    /// dx = dy where low <= x <= high, else 0.
    fn clamp_backward(&mut self, low: f32, high: f32, x: Slot, dy: Slot, dx: Slot);
    /// y = ln x.
    fn ln(&mut self, x: Slot, y: Slot);
    /// dx = dy / x.
    fn ln_backward(&mut self, x: Slot, dy: Slot, dx: Slot);
    /// y = alpha x. `y` may be `x` itself.
    fn scale(&mut self, alpha: f32, x: Slot, y: Slot);
    /// y = s x, with the scalar `s` `[1]` on the device. `y` may be `x` itself.
    fn scale_by(&mut self, s: Slot, x: Slot, y: Slot);
    /// acc = x + keep acc, and just x where the scalar `keep` `[1]` is 0.
    fn accumulate(&mut self, keep: Slot, x: Slot, acc: Slot);

    /// y = max(x, 0).
    fn relu(&mut self, x: Slot, y: Slot);
    /// dx = dy where y > 0, else 0.
    fn relu_backward(&mut self, y: Slot, dy: Slot, dx: Slot);
    /// y = x Phi(x), Phi the normal distribution function (exact, by erf).
    fn gelu(&mut self, x: Slot, y: Slot);
    /// dx = dy (Phi(x) + x phi(x)).
    fn gelu_backward(&mut self, x: Slot, dy: Slot, dx: Slot);

    /// C = op(A) op(B).
    fn gemm(&mut self, gemm: Gemm, a: Slot, b: Slot, c: Slot, workspace: Slot);
    /// Elements of scratch memory for `gemm`.
    fn gemm_workspace(&self, gemm: Gemm) -> usize;
    /// `y[r,c]` = `x[r,c]` + `bias[c]`. `y` may be `x` itself.
    fn add_bias(&mut self, x: Slot, bias: Slot, y: Slot);
    /// `y[c]` = sum over rows of `x[r,c]`, in a fixed tree.
    fn sum_rows(&mut self, x: Slot, y: Slot, workspace: Slot);
    /// Elements of scratch memory for `sum_rows` of `[rows, columns]`.
    fn sum_rows_workspace(&self, rows: usize, columns: usize) -> usize;
    /// `y[r]` = sum over columns of `x[r,c]`.
    fn sum_columns(&mut self, columns: usize, x: Slot, y: Slot);
    /// `dx[r,c]` = `dy[r]`.
    fn sum_columns_backward(&mut self, columns: usize, dy: Slot, dx: Slot);
    /// `y[0]` = alpha times the sum of all x, in a fixed tree.
    fn sum(&mut self, alpha: f32, x: Slot, y: Slot);

    /// Convolution forward.
    fn conv2d(&mut self, conv: Conv2d, x: Slot, weight: Slot, y: Slot, workspace: Slot);
    /// Elements of scratch memory for `conv2d`.
    fn conv2d_workspace(&self, conv: Conv2d) -> usize;
    /// Gradient by the input.
    fn conv2d_grad_input(&mut self, conv: Conv2d, dy: Slot, weight: Slot, dx: Slot, ws: Slot);
    /// Elements of scratch memory for `conv2d_grad_input`.
    fn conv2d_grad_input_workspace(&self, conv: Conv2d) -> usize;
    /// Gradient by the weight.
    fn conv2d_grad_weight(&mut self, conv: Conv2d, x: Slot, dy: Slot, dweight: Slot, ws: Slot);
    /// Elements of scratch memory for `conv2d_grad_weight`.
    fn conv2d_grad_weight_workspace(&self, conv: Conv2d) -> usize;

    /// Batch norm with the batch's statistics, then `+ residual`, then ReLU if asked. Keeps the
    /// batch's `mean` and `inv_std` for the backward pass and moves the running statistics.
    #[allow(clippy::too_many_arguments)]
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
    );
    /// Gradients of `batch_norm`; `y` is its output (needed only with ReLU). `dresidual` is the
    /// gradient behind the ReLU, wanted where there was a residual.
    #[allow(clippy::too_many_arguments)]
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
    );
    /// Elements of scratch memory for `batch_norm` and `batch_norm_backward`.
    fn batch_norm_workspace(&self, norm: BatchNorm) -> usize;
    /// Batch norm with the running statistics; writes the `inv_std` that it used.
    fn batch_norm_inference(
        &mut self,
        norm: BatchNorm,
        x: Slot,
        residual: Option<Slot>,
        slots: BatchNormSlots,
        y: Slot,
        inv_std: Slot,
    );
    /// Gradients of `batch_norm_inference`: the statistics are constants.
    #[allow(clippy::too_many_arguments)]
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
    );

    /// Largest value of each window; `argmax` (u32) keeps which pixel h*W+w it was, the first on a
    /// tie.
    fn max_pool2d(&mut self, pool: Pool2d, x: Slot, y: Slot, argmax: Slot);
    /// Gradient of `max_pool2d`.
    fn max_pool2d_backward(&mut self, pool: Pool2d, dy: Slot, argmax: Slot, dx: Slot);
    /// Mean of each window, padding counted as zeros.
    fn avg_pool2d(&mut self, pool: Pool2d, x: Slot, y: Slot);
    /// Gradient of `avg_pool2d`.
    fn avg_pool2d_backward(&mut self, pool: Pool2d, dy: Slot, dx: Slot);
    /// Mean over the pixels of each image: `[n, pixels, channels]` to `[n, channels]`.
    fn global_avg_pool(&mut self, n: usize, pixels: usize, x: Slot, y: Slot);
    /// Gradient of `global_avg_pool`.
    fn global_avg_pool_backward(&mut self, n: usize, pixels: usize, dy: Slot, dx: Slot);

    /// Softmax of each row of `columns` elements.
    fn softmax(&mut self, columns: usize, x: Slot, y: Slot);
    /// dx = y (dy - <dy, y>).
    fn softmax_backward(&mut self, columns: usize, y: Slot, dy: Slot, dx: Slot);
    /// Log-softmax of each row.
    fn log_softmax(&mut self, columns: usize, x: Slot, y: Slot);
    /// dx = dy - exp(y) sum(dy).
    fn log_softmax_backward(&mut self, columns: usize, y: Slot, dy: Slot, dx: Slot);
    /// y = x / max(|x|, eps) for each row; `norm` `[rows]` keeps max(|x|, eps). Weight norm of gain
    /// 1 is this with eps = 0.
    fn l2_normalize(&mut self, columns: usize, eps: f32, x: Slot, y: Slot, norm: Slot);
    /// dx = (dy - y <y, dy>) / norm for each row; dy / eps where the norm was below eps.
    #[allow(clippy::too_many_arguments)]
    fn l2_normalize_backward(
        &mut self,
        columns: usize,
        eps: f32,
        y: Slot,
        norm: Slot,
        dy: Slot,
        dx: Slot,
    );
    /// `y[i]` = `x[index[i]`], row by row.
    fn gather_rows(&mut self, columns: usize, x: Slot, index: Slot, y: Slot);
    /// `dx[index[i]`] += `dy[i]`, row by row in order, over zeros.
    fn scatter_add_rows(&mut self, columns: usize, dy: Slot, index: Slot, dx: Slot);

    /// `y[r,i]` = `x[r, index[i]]`, for as many columns i as y has; x has `columns`.
    fn gather_columns(&mut self, columns: usize, x: Slot, index: Slot, y: Slot);
    /// `dx[r, index[i]]` = `dy[r,i]` over zeros: the indices in use are distinct.
    fn gather_columns_backward(&mut self, columns: usize, dy: Slot, index: Slot, dx: Slot);

    /// CARP's loss over logits: see `cpu/partition_loss.rs` for the formulas. `student` is
    /// `[V*B,K]`, `teacher` `[2*B,K]`, view by view; `permutation` is `[K]` of u32. Gives the three
    /// scalars and the gradient of `loss` by `student`.
    #[allow(clippy::too_many_arguments)]
    fn partition_loss(
        &mut self,
        sizes: PartitionLoss,
        student: Slot,
        teacher: Slot,
        permutation: Slot,
        terms: LossSlots,
        grad_student: Slot,
        workspace: Slot,
    );
    /// Elements of scratch memory for `partition_loss`.
    fn partition_loss_workspace(&self, sizes: PartitionLoss) -> usize;
    /// CARP's loss from embeddings and prototypes, block by block: see `cpu/streaming_loss.rs`.
    /// Gives the three scalars and the gradients of `loss` by the student's embeddings `[V*B,D]`
    /// and prototypes `[K,D]`.
    fn streaming_loss(
        &mut self,
        sizes: StreamingLoss,
        inputs: StreamingLossInputs,
        terms: LossSlots,
        grad_student: Slot,
        grad_prototypes: Slot,
        workspace: Slot,
    );
    /// Elements of scratch memory for `streaming_loss`.
    fn streaming_loss_workspace(&self, sizes: StreamingLoss) -> usize;

    /// teacher = m teacher + (1 - m) student, with the scalar m `[1]`.
    fn ema(&mut self, m: Slot, student: Slot, teacher: Slot);
    /// SGD with momentum (heavy ball): buffer = momentum buffer + g + wd w; w -= lr buffer.
    fn sgd(&mut self, momentum: f32, lr: Slot, wd: Slot, grad: Slot, w: Slot, buffer: Slot);
    /// LARS: as SGD, with g + wd w scaled by eta |w| / |g + wd w| where both norms are above 0.
    #[allow(clippy::too_many_arguments)]
    fn lars(
        &mut self,
        momentum: f32,
        eta: f32,
        lr: Slot,
        wd: Slot,
        grad: Slot,
        w: Slot,
        buffer: Slot,
    );
    /// AdamW with decoupled weight decay. `correction` `[2]` holds 1 - beta1^t and 1 - beta2^t.
    #[allow(clippy::too_many_arguments)]
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
    );
}
