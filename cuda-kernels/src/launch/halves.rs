//! Which operands have kernels for bf16 in memory.

use tensor::kernel::Unary;
use tensor::{Halves, Kernel, Numerics};

const X: Halves = Halves { inputs: &[0], outputs: &[] };
const Y: Halves = Halves { inputs: &[], outputs: &[0] };
const GRADIENT: Halves = Halves { inputs: &[1], outputs: &[] };
/// A gradient by the input with batch norm's operands.
const BEHIND: Halves = Halves { inputs: &[2, 3, 5], outputs: &[0] };

/// What of a kernel's operands may be bf16: see [`tensor::Device::halves`].
pub fn halves(kernel: &Kernel, numerics: Numerics) -> &'static [Halves] {
    let in_eights = |columns: usize| columns.is_multiple_of(8);
    if numerics != Numerics::Bf16 {
        return &[];
    }
    match kernel {
        Kernel::Conv2d(conv) | Kernel::Conv2dSums(conv) => {
            sides(in_eights(conv.c), in_eights(conv.o))
        }
        Kernel::Conv2dGradInput(conv) => sides(in_eights(conv.o), in_eights(conv.c)),
        Kernel::Conv2dGradInputSums { conv, .. } => match [conv.o, conv.c].map(in_eights) {
            [true, true] => &[X, BEHIND],
            [true, false] => &[X],
            [false, true] => &[BEHIND],
            [false, false] => &[],
        },
        // Images of few channels stay f32 beside gradients in bf16, but not the other way round.
        Kernel::Conv2dGradWeight(conv) if !in_eights(conv.o) => &[],
        Kernel::Conv2dGradWeight(conv) if !in_eights(conv.c) => &[GRADIENT],
        Kernel::Conv2dGradWeight(_) => &[Halves { inputs: &[0, 1], outputs: &[] }],
        Kernel::BatchNorm(norm)
        | Kernel::BatchNormFromSums(norm)
        | Kernel::BatchNormApply(norm)
        | Kernel::BatchNormBackward(norm)
        | Kernel::BatchNormBackwardFromSums(norm)
            if !in_eights(norm.channels) =>
        {
            &[]
        }
        Kernel::BatchNorm(_) => &[Halves { inputs: &[0, 3], outputs: &[0] }],
        Kernel::BatchNormFromSums(_) => &[Halves { inputs: &[0, 4], outputs: &[0] }],
        Kernel::BatchNormApply(_) => &[Halves { inputs: &[0, 5], outputs: &[0] }],
        Kernel::BatchNormBackward(_) => &[Halves { inputs: &[0, 1, 2], outputs: &[0, 3] }],
        Kernel::BatchNormBackwardFromSums(_) => &[Halves { inputs: &[0, 1], outputs: &[0] }],
        Kernel::MaxPool2d(_)
        | Kernel::MaxPool2dBackward(_)
        | Kernel::AvgPool2d(_)
        | Kernel::AvgPool2dBackward(_)
        | Kernel::AddBias
        | Kernel::Unary(Unary::Relu) => &[Halves { inputs: &[0], outputs: &[0] }],
        Kernel::GlobalAvgPool { .. } => &[X],
        Kernel::GlobalAvgPoolBackward { .. } => &[Y],
        Kernel::Add | Kernel::UnaryBackward(Unary::Relu) => {
            &[Halves { inputs: &[0, 1], outputs: &[0] }]
        }
        Kernel::BiasRelu { .. } => &[Halves { inputs: &[0, 2], outputs: &[0] }],
        _ => &[],
    }
}

/// A convolution's image and result, each by itself.
fn sides(x: bool, y: bool) -> &'static [Halves] {
    match (x, y) {
        (true, true) => &[X, Y],
        (true, false) => &[X],
        (false, true) => &[Y],
        (false, false) => &[],
    }
}

/// The CUDA kernel of one thread per number, or per 8, for bf16.
///
/// # Panics
/// If it has none: such operands are none of its [`halves`].
pub fn name(kernel: &Kernel) -> &'static str {
    match kernel {
        Kernel::Add => "add_bf16",
        Kernel::Unary(Unary::Relu) => "relu_bf16",
        Kernel::UnaryBackward(Unary::Relu) => "relu_backward_bf16",
        Kernel::AddBias => "add_bias_bf16",
        Kernel::BiasRelu { residual: false } => "bias_relu_bf16",
        Kernel::BiasRelu { residual: true } => "bias_add_relu_bf16",
        Kernel::MaxPool2d(_) => "max_pool2d_bf16",
        Kernel::MaxPool2dBackward(_) => "max_pool2d_backward_bf16",
        Kernel::AvgPool2d(_) => "avg_pool2d_bf16",
        Kernel::AvgPool2dBackward(_) => "avg_pool2d_backward_bf16",
        Kernel::GlobalAvgPool { .. } => "global_avg_pool_bf16",
        Kernel::GlobalAvgPoolBackward { .. } => "global_avg_pool_backward_bf16",
        _ => panic!("{} of bf16", kernel.name()),
    }
}
