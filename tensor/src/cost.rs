//! What a kernel computes and moves, for the step's table.

use crate::kernel::Kernel;

impl Kernel {
    /// Floating-point operations, given the elements of inputs and outputs.
    pub fn flops(&self, inputs: &[usize], outputs: &[usize]) -> u64 {
        let y = outputs.first().map_or(0, |&y| y as u64);
        let x = inputs.first().map_or(0, |&x| x as u64);
        match self {
            Kernel::Fill(_) | Kernel::Copy | Kernel::Transpose { .. } | Kernel::ConcatRows => 0,
            Kernel::NonFiniteCheck { .. } => 0,
            Kernel::SliceRows { .. } | Kernel::SliceRowsBackward { .. } => 0,
            Kernel::GatherRows { .. } | Kernel::SumColumnsBackward { .. } => 0,
            Kernel::GatherColumns { .. } | Kernel::GatherColumnsBackward { .. } => 0,
            Kernel::ScatterAddRows { .. } => x,
            &Kernel::SumShards { shards, elements } => ((shards - 1) * elements) as u64,
            Kernel::Sum(_) | Kernel::SumRows { .. } | Kernel::SumColumns { .. } => x,
            Kernel::GlobalAvgPool { .. } => x,
            Kernel::BiasGelu | Kernel::BiasGeluBackward => 2 * y,
            Kernel::BiasRelu { residual } => y * (2 + u64::from(*residual)),
            Kernel::Gemm(gemm) => gemm.flops(),
            Kernel::GemmBias(gemm) => gemm.flops() + y,
            Kernel::Conv2d(conv)
            | Kernel::Conv2dGradInput(conv)
            | Kernel::Conv2dGradWeight(conv) => conv.flops(),
            Kernel::Conv2dSums(conv) => conv.flops() + 5 * y,
            Kernel::Conv2dGradInputSums { conv, added, .. } => {
                conv.flops() + y * (4 + u64::from(*added))
            }
            Kernel::BatchNorm(norm)
            | Kernel::BatchNormFromSums(norm)
            | Kernel::BatchNormApply(norm) => {
                let sums = norm.training && matches!(self, Kernel::BatchNorm(_));
                y * (2 + 5 * u64::from(sums) + u64::from(norm.residual) + u64::from(norm.relu))
            }
            Kernel::BatchNormBackward(_) => 9 * y,
            Kernel::BatchNormBackwardFromSums(_) => 5 * y,
            Kernel::MaxPool2d(pool) | Kernel::AvgPool2d(pool) => {
                y * (pool.kernel * pool.kernel) as u64
            }
            Kernel::Softmax { .. } | Kernel::LogSoftmax { .. } => 5 * y,
            Kernel::SoftmaxBackward { .. } | Kernel::LogSoftmaxBackward { .. } => 4 * y,
            Kernel::L2Normalize { .. } => 3 * y,
            Kernel::L2NormalizeBackward { .. } => 5 * y,
            Kernel::PartitionLoss(sizes) => sizes.flops(),
            Kernel::StreamingLoss(sizes) => sizes.gemm_flops() + sizes.loss.flops(),
            Kernel::Ema => 3 * y,
            Kernel::Sgd { .. } => 6 * y,
            Kernel::Lars { .. } => 12 * y,
            Kernel::AdamW(_) => 14 * y,
            Kernel::Add | Kernel::Mul | Kernel::Scale(_) | Kernel::ScaleBy => y,
            Kernel::Accumulate | Kernel::AddBias => y,
            Kernel::Clamp { .. } | Kernel::ClampBackward { .. } => y,
            Kernel::Unary(_) | Kernel::UnaryBackward(_) => y,
            Kernel::MaxPool2dBackward(_) | Kernel::AvgPool2dBackward(_) => y,
            Kernel::GlobalAvgPoolBackward { .. } => y,
        }
    }

    /// Bytes moved to and from memory, given the elements of the arena (of 4 bytes) that inputs and outputs
    /// take, if caches keep nothing between sweeps: each input is read and
    /// each output written once. Batch norm reads its input twice, once for the sums unless it gets
    /// them; values updated in place are read as well. So is the gradient that a convolution takes sums
    /// of: in a sweep behind it, but on tensor cores.
    pub fn bytes(&self, inputs: &[usize], outputs: &[usize]) -> u64 {
        let all: usize = inputs.iter().chain(outputs).sum();
        let again = match self {
            Kernel::BatchNorm(norm) if norm.training => inputs[0],
            Kernel::BatchNormBackward(norm) if norm.relu => inputs[0] + inputs[1] + inputs[2],
            Kernel::BatchNormBackward(_) => inputs[0] + inputs[2],
            Kernel::Conv2dGradInputSums { .. } => 2 * outputs[0],
            Kernel::Accumulate | Kernel::Ema => outputs[0],
            Kernel::Sgd { .. } | Kernel::AdamW(_) => outputs.iter().sum(),
            Kernel::Lars { .. } => inputs[0] + 2 * outputs[0] + outputs[1],
            _ => 0,
        };
        // Without ReLU the backward pass does not read y.
        let unread = match self {
            Kernel::BatchNormBackward(norm) if !norm.relu => inputs[1],
            Kernel::Conv2dGradInputSums { relu: false, .. } => inputs[3],
            _ => 0,
        };
        4 * (all + again - unread) as u64
    }
}
