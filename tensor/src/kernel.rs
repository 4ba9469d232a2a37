//! The kernels as data: one variant each, with its sizes and settings.
//!
//! A step is a list of these. All a device needs to run one is the variant and an [`Io`] with the
//! slots of its inputs and outputs, in the order of the variant's comment, `inputs -> outputs`.
//! Scratch memory depends on the device: [`Device::workspace`](crate::Device::workspace). Unless
//! the comment says otherwise, outputs are overwritten and must not overlap inputs; a value updated
//! in place is an output. What updates weights and state takes one input more, a guard: where its first
//! number is not 0, all stays as it is ([`Kernel::own_inputs`]).

use serde::{Deserialize, Serialize};

use crate::Slot;
use crate::geometry::{BatchNorm, Conv2d, Gemm, PartitionLoss, Pool2d, StreamingLoss};

/// The slots of one call in the arena.
#[derive(Clone, Copy, Debug)]
pub struct Io<'a> {
    /// Inputs.
    pub inputs: &'a [Slot],
    /// Outputs, including values updated in place.
    pub outputs: &'a [Slot],
    /// Scratch memory.
    pub workspace: Slot,
}

/// AdamW's constants.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdamW {
    /// Decay rates of the two moments.
    pub betas: (f64, f64),
    /// Added to the root of the second moment.
    pub eps: f32,
}

impl AdamW {
    /// beta1, 1 - beta1, beta2 and 1 - beta2, each rounded by itself: 1 - beta of a rounded beta
    /// is off by 1e-5 of itself where beta is 0.999.
    pub fn shares(&self) -> [f32; 4] {
        let (first, second) = self.betas;
        [first, 1.0 - first, second, 1.0 - second].map(|share| share as f32)
    }

    /// The bias corrections 1 - beta1^t and 1 - beta2^t of step t = 1, 2, ...
    pub fn correction(&self, t: usize) -> [f32; 2] {
        let (first, second) = self.betas;
        [first, second].map(|beta| (1.0 - power(beta, t)) as f32)
    }
}

/// `x^n` by squaring: the precision of [`f64::powi`] depends on platform and compiler.
fn power(mut x: f64, mut n: usize) -> f64 {
    let mut y = 1.0;
    while n > 0 {
        if n % 2 == 1 {
            y *= x;
        }
        x *= x;
        n /= 2;
    }
    y
}

/// Most scalars that a [`Kernel::NonFiniteCheck`] reports.
pub const MOST_SCALARS: usize = 3;

/// A function of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unary {
    /// f(x) = ln x; f'(x) = 1 / x.
    Ln,
    /// f(x) = max(x, 0); f'(x) = 1 where f(x) > 0, else 0.
    Relu,
    /// f(x) = x Phi(x) with the normal distribution function Phi, exact by erf;
    /// f'(x) = Phi(x) + x phi(x).
    Gelu,
    /// f(x) = x s(x) with the sigmoid s(x) = 1 / (1 + exp(-x)); f'(x) = s(x) (1 + x (1 - s(x))).
    Silu,
    /// f(x) = sqrt x; f'(x) = 1 / (2 f(x)).
    Sqrt,
}

impl Unary {
    /// All of them.
    pub const ALL: [Unary; 5] = [Unary::Ln, Unary::Relu, Unary::Gelu, Unary::Silu, Unary::Sqrt];

    /// Names of the kernel and of its gradient.
    pub fn names(self) -> [&'static str; 2] {
        match self {
            Unary::Ln => ["ln", "ln_backward"],
            Unary::Relu => ["relu", "relu_backward"],
            Unary::Gelu => ["gelu", "gelu_backward"],
            Unary::Silu => ["silu", "silu_backward"],
            Unary::Sqrt => ["square_root", "square_root_backward"],
        }
    }

    /// The gradient reads y, so that x may die: f'(x) is known from f(x).
    pub fn by_output(self) -> bool {
        matches!(self, Unary::Relu | Unary::Sqrt)
    }
}

/// A kernel. Scalars that change from step to step are inputs `[1]` on the device.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Kernel {
    /// `-> y`: y = value in every element.
    Fill(f32),
    /// `x -> y`: y = x, possibly with another shape. In place it is free.
    Copy,
    /// `a, b -> y`: y = a + b.
    Add,
    /// `a, b -> y`: y = a b, elementwise.
    Mul,
    /// `x -> y`: y = min(max(x, low), high).
    Clamp {
        /// Least value.
        low: f32,
        /// Largest value.
        high: f32,
    },
    /// `x, dy -> dx`: dx = dy where low <= x <= high, else 0.
    ClampBackward {
        /// As in the forward kernel.
        low: f32,
        /// As in the forward kernel.
        high: f32,
    },
    /// `x -> y`: y = alpha x.
    Scale(f32),
    /// `s, x -> y`: y = s x with the scalar s.
    ScaleBy,
    /// `keep, x -> acc`: acc = x + keep acc; just x if the scalar keep is 0.
    Accumulate,
    /// `x -> y`: y = f(x).
    Unary(Unary),
    /// `x, dy -> dx`: dx = dy f'(x); `y, dy -> dx` where [`Unary::by_output`] says so.
    UnaryBackward(Unary),
    /// `x, bias -> y`: `y[r,c] = x[r,c] + bias[c]`.
    AddBias,
    /// `x, bias -> y`: `y[r,c] = gelu(x[r,c] + bias[c])`.
    BiasGelu,
    /// `x, bias, dy -> dx`: the gradient of [`Kernel::BiasGelu`] by x.
    BiasGeluBackward,
    /// `x, bias (, residual) -> y`: `y[r,c] = max(x[r,c] + bias[c] + residual[r,c], 0)`.
    BiasRelu {
        /// With a residual.
        residual: bool,
    },

    /// `a, b -> c`: c = op(a) op(b).
    Gemm(Gemm),
    /// `a, b, bias [n] -> c`: c = op(a) op(b) + bias in every row.
    GemmBias(Gemm),
    /// `x [rows,columns] -> y [columns]`: sums over the rows, in a fixed tree.
    SumRows {
        /// Rows of x.
        rows: usize,
        /// Columns of x.
        columns: usize,
    },
    /// `x [R,columns] -> y [R]`: sums over the columns.
    SumColumns {
        /// Columns of x.
        columns: usize,
    },
    /// `dy [R] -> dx [R,columns]`: `dx[r,c] = dy[r]`.
    SumColumnsBackward {
        /// Columns of dx.
        columns: usize,
    },
    /// `x -> y [1]`: alpha times the sum of all x, in a fixed tree.
    Sum(f32),

    /// `x, weight -> y`: see [`Conv2d`].
    Conv2d(Conv2d),
    /// `x, weight -> y, sums`: the same, and batch norm's sums of y's rows `[groups,2,O]`: for each group
    /// of rows ([`Device::sums`](crate::Device::sums)) and channel the mean, and the squares around it.
    Conv2dSums(Conv2d),
    /// `dy, weight -> dx`: gradient of the convolution by its input.
    Conv2dGradInput(Conv2d),
    /// `dy, weight, x, y, mean (, added) -> g, sums`: the same plus `added`, behind a batch norm of x with the
    /// result y, and that one's sums of g's rows `[groups,2,C]`: for each group of rows
    /// ([`Device::gradient_sums`](crate::Device::gradient_sums)) and channel of g, and of g (x - mean).
    Conv2dGradInputSums {
        /// The convolution.
        conv: Conv2d,
        /// The batch norm ends with ReLU: g is 0 where y is 0. Only then y is read.
        relu: bool,
        /// With `added`.
        added: bool,
    },
    /// `x, dy -> dweight`: gradient of the convolution by its weight.
    Conv2dGradWeight(Conv2d),

    /// `x, weight, bias (, residual) -> y, mean, inv_std, running_mean, running_var`: see
    /// [`BatchNorm`]. Training uses the batch's statistics and updates the running ones in place;
    /// inference uses the running ones and leaves them as they are. `mean` and `inv_std` `[C]` are those
    /// used.
    BatchNorm(BatchNorm),
    /// `x, weight, bias, sums (, residual) -> y, mean, inv_std, running_mean, running_var`: the same in
    /// training, from the sums of [`Kernel::Conv2dSums`].
    BatchNormFromSums(BatchNorm),
    /// `x, weight, bias, mean, inv_std (, residual) -> y`: y of [`Kernel::BatchNorm`] once more, from
    /// the statistics that it used.
    BatchNormApply(BatchNorm),
    /// `x, y, dy, weight, mean, inv_std -> dx, dweight, dbias (, dresidual)`. y is read only with
    /// ReLU; dresidual, the gradient through the ReLU, is an output with ReLU and residual.
    BatchNormBackward(BatchNorm),
    /// `x, g, weight, mean, inv_std, sums -> dx, dweight, dbias`: the same, from the gradient through the
    /// ReLU and the sums of [`Kernel::Conv2dGradInputSums`].
    BatchNormBackwardFromSums(BatchNorm),

    /// `x -> y, argmax`: largest value of each window; argmax (u32) is its pixel h*W+w, the first
    /// on a tie.
    MaxPool2d(Pool2d),
    /// `dy, argmax -> dx`.
    MaxPool2dBackward(Pool2d),
    /// `x -> y`: mean of each window, padding counted as zeros.
    AvgPool2d(Pool2d),
    /// `dy -> dx`.
    AvgPool2dBackward(Pool2d),
    /// `x [N,pixels,C] -> y [N,C]`: mean over the pixels of each image.
    GlobalAvgPool {
        /// Images N.
        n: usize,
        /// H W.
        pixels: usize,
    },
    /// `dy [N,C] -> dx [N,pixels,C]`.
    GlobalAvgPoolBackward {
        /// Images N.
        n: usize,
        /// H W.
        pixels: usize,
    },

    /// `x -> y`: softmax of each row of `columns` elements.
    Softmax {
        /// Length of a row.
        columns: usize,
    },
    /// `y, dy -> dx`: dx = y (dy - <dy, y>).
    SoftmaxBackward {
        /// Length of a row.
        columns: usize,
    },
    /// `x -> y`: logarithm of the softmax of each row.
    LogSoftmax {
        /// Length of a row.
        columns: usize,
    },
    /// `y, dy -> dx`: dx = dy - exp(y) sum(dy).
    LogSoftmaxBackward {
        /// Length of a row.
        columns: usize,
    },
    /// `x -> y, norm [R]`: y = x / norm with norm = max(|x|, eps), row by row. Weight norm of gain 1
    /// is this with eps = 0.
    L2Normalize {
        /// Length of a row.
        columns: usize,
        /// Least norm.
        eps: f32,
    },
    /// `y, norm, dy -> dx`: dx = (dy - y <y, dy>) / norm; dy / eps where the norm was below eps.
    L2NormalizeBackward {
        /// Length of a row.
        columns: usize,
        /// As in the forward kernel.
        eps: f32,
    },

    /// `x, index [M] -> y [M,columns]`: `y[i] = x[index[i]]`, row by row.
    GatherRows {
        /// Length of a row.
        columns: usize,
    },
    /// `dy, index -> dx`: `dx[index[i]] += dy[i]`, row by row in order, over zeros.
    ScatterAddRows {
        /// Length of a row.
        columns: usize,
    },
    /// `x [R,columns], index -> y [R,M]`: `y[r,i] = x[r,index[i]]`, for the first M indices.
    GatherColumns {
        /// Length of a row of x.
        columns: usize,
    },
    /// `dy, index -> dx [R,columns]`: `dx[r,index[i]] = dy[r,i]` over zeros, for distinct indices.
    GatherColumnsBackward {
        /// Length of a row of dx.
        columns: usize,
    },
    /// `x [rows,columns] -> y [columns,rows]`: `y[c,r] = x[r,c]`.
    Transpose {
        /// Rows of x.
        rows: usize,
        /// Columns of x.
        columns: usize,
    },
    /// `x_1, x_2, .. -> y`: concatenation.
    ConcatRows,
    /// `x_1, x_2, .. -> y`: y = x_1 + x_2 + .., as many as this process has shards, a power of two.
    /// The first half of them, added in the same way, plus the second; the sums of several processes
    /// are the next levels of the same tree.
    SumShards {
        /// Number of inputs.
        shards: usize,
        /// Elements of each.
        elements: usize,
    },
    /// `x -> y`: as many elements as y has, from element `start` on.
    SliceRows {
        /// First element.
        start: usize,
    },
    /// `dy -> dx`: dy in place from element `start` on, zeros elsewhere.
    SliceRowsBackward {
        /// First element.
        start: usize,
    },

    /// `student [V*B,K], teacher [2*B,K], permutation [K] (u32) -> loss, consistency, entropy,
    /// grad_student`: CARP's loss over logits, view by view, and its gradient.
    PartitionLoss(PartitionLoss),
    /// `student [V*B,D], teacher [2*B,D], student_prototypes [K,D], teacher_prototypes [K,D],
    /// permutation [K] (u32) -> loss, consistency, entropy, grad_student, grad_prototypes`: the same
    /// from embeddings and prototypes before weight norm, block by block.
    StreamingLoss(StreamingLoss),

    /// `s_1 .., x_1 .., ranges_1 .. [tensors,2] (u32), z_1 .. -> report`: `report[0]` = 1 if one of their
    /// numbers is infinite or NaN, else 0; behind it the scalars s. Of each x only the elements in its
    /// ranges count, from `ranges[t,0]` up to `ranges[t,1]`.
    NonFiniteCheck {
        /// Number of s, at most [`MOST_SCALARS`].
        scalars: usize,
        /// Number of x.
        flat: usize,
    },
    /// `m, student -> teacher`: teacher = m teacher + (1 - m) student, with the scalar m.
    Ema,
    /// `grad, lr, wd -> w, buffer`: buffer = momentum buffer + g + wd w; w -= lr buffer.
    Sgd {
        /// Momentum.
        momentum: f32,
    },
    /// `grad, lr, wd, ranges [tensors,2] (u32) -> w, buffer`: as SGD, with each tensor's u = g + wd
    /// w scaled by eta |w| / |u| if both norms are above 0. Tensor t is the elements from
    /// `ranges[t,0]` up to `ranges[t,1]`.
    Lars {
        /// Momentum.
        momentum: f32,
        /// Trust coefficient.
        eta: f32,
        /// Number of tensors.
        tensors: usize,
    },
    /// `grad, lr, wd, correction [2] -> w, first, second`: AdamW with decoupled weight decay;
    /// correction holds 1 - beta1^t and 1 - beta2^t.
    AdamW(AdamW),
}

impl Kernel {
    /// Its name in tables; on the GPU, kernels with one thread per element have the same name.
    pub fn name(&self) -> &'static str {
        match self {
            Kernel::Fill(_) => "fill",
            Kernel::Copy => "copy",
            Kernel::Add => "add",
            Kernel::Mul => "mul",
            Kernel::Clamp { .. } => "clamp",
            Kernel::ClampBackward { .. } => "clamp_backward",
            Kernel::Scale(_) => "scale",
            Kernel::ScaleBy => "scale_by",
            Kernel::Accumulate => "accumulate",
            Kernel::Unary(function) => function.names()[0],
            Kernel::UnaryBackward(function) => function.names()[1],
            Kernel::AddBias => "add_bias",
            Kernel::BiasGelu => "bias_gelu",
            Kernel::BiasGeluBackward => "bias_gelu_backward",
            Kernel::BiasRelu { residual: false } => "bias_relu",
            Kernel::BiasRelu { residual: true } => "bias_add_relu",
            Kernel::Gemm(_) => "gemm",
            Kernel::GemmBias(_) => "gemm_bias",
            Kernel::SumRows { .. } => "sum_rows",
            Kernel::SumColumns { .. } => "sum_columns",
            Kernel::SumColumnsBackward { .. } => "sum_columns_backward",
            Kernel::Sum(_) => "sum",
            Kernel::Conv2d(conv) => conv.algorithm.kernels()[0],
            Kernel::Conv2dSums(conv) => conv.algorithm.kernels()[1],
            Kernel::Conv2dGradInput(conv) => conv.algorithm.kernels()[2],
            Kernel::Conv2dGradInputSums { conv, .. } => conv.algorithm.kernels()[3],
            Kernel::Conv2dGradWeight(conv) => conv.algorithm.kernels()[4],
            Kernel::BatchNorm(_) => "batch_norm",
            Kernel::BatchNormFromSums(_) => "batch_norm_from_sums",
            Kernel::BatchNormApply(_) => "batch_norm_apply",
            Kernel::BatchNormBackward(_) => "batch_norm_backward",
            Kernel::BatchNormBackwardFromSums(_) => "batch_norm_backward_from_sums",
            Kernel::MaxPool2d(_) => "max_pool2d",
            Kernel::MaxPool2dBackward(_) => "max_pool2d_backward",
            Kernel::AvgPool2d(_) => "avg_pool2d",
            Kernel::AvgPool2dBackward(_) => "avg_pool2d_backward",
            Kernel::GlobalAvgPool { .. } => "global_avg_pool",
            Kernel::GlobalAvgPoolBackward { .. } => "global_avg_pool_backward",
            Kernel::Softmax { .. } => "softmax",
            Kernel::SoftmaxBackward { .. } => "softmax_backward",
            Kernel::LogSoftmax { .. } => "log_softmax",
            Kernel::LogSoftmaxBackward { .. } => "log_softmax_backward",
            Kernel::L2Normalize { .. } => "l2_normalize",
            Kernel::L2NormalizeBackward { .. } => "l2_normalize_backward",
            Kernel::GatherRows { .. } => "gather_rows",
            Kernel::ScatterAddRows { .. } => "scatter_add_rows",
            Kernel::GatherColumns { .. } => "gather_columns",
            Kernel::GatherColumnsBackward { .. } => "gather_columns_backward",
            Kernel::Transpose { .. } => "transpose",
            Kernel::ConcatRows => "concat_rows",
            Kernel::SumShards { .. } => "sum_shards",
            Kernel::SliceRows { .. } => "slice_rows",
            Kernel::SliceRowsBackward { .. } => "slice_rows_backward",
            Kernel::PartitionLoss(_) => "partition_loss",
            Kernel::StreamingLoss(_) => "streaming_loss",
            Kernel::NonFiniteCheck { .. } => "non_finite_check",
            Kernel::Ema => "ema",
            Kernel::Sgd { .. } => "sgd",
            Kernel::Lars { .. } => "lars",
            Kernel::AdamW(_) => "adamw",
        }
    }

    /// Of a kernel that takes a guard, how many inputs it has without one.
    pub fn own_inputs(&self) -> Option<usize> {
        match self {
            Kernel::Accumulate | Kernel::Ema => Some(2),
            Kernel::Sgd { .. } => Some(3),
            Kernel::Lars { .. } | Kernel::AdamW(_) => Some(4),
            _ => None,
        }
    }

    /// A call's inputs without the guard, and the guard if it has one.
    pub fn split_guard<'a, T>(&self, inputs: &'a [T]) -> (&'a [T], Option<&'a T>) {
        let own = self.own_inputs().filter(|own| inputs.len() == own + 1);
        own.map_or((inputs, None), |own| (&inputs[..own], Some(&inputs[own])))
    }

    /// The input whose memory output 0 may reuse if that input is not needed afterwards.
    pub fn in_place(&self) -> Option<usize> {
        match self {
            Kernel::Copy | Kernel::Add | Kernel::Scale(_) => Some(0),
            Kernel::AddBias | Kernel::BiasRelu { .. } => Some(0),
            Kernel::ScaleBy => Some(1),
            // dx over dy.
            Kernel::BatchNormBackward(_) => Some(2),
            Kernel::BatchNormBackwardFromSums(_) => Some(1),
            _ => None,
        }
    }
}
