//! The names of all variants of [`Kernel`].

use tensor::Kernel;

/// A variant that is missing from the list does not compile.
macro_rules! variants {
    ($($name:ident)*) => {
        /// All names.
        pub const VARIANTS: &[&str] = &[$(stringify!($name)),*];

        /// A kernel's.
        pub fn variant(kernel: &Kernel) -> &'static str {
            match kernel {
                $(Kernel::$name { .. } => stringify!($name),)*
            }
        }
    };
}

variants! {
    Fill Copy Add Mul Clamp ClampBackward Scale ScaleBy Accumulate
    Unary UnaryBackward AddBias BiasGelu BiasGeluBackward BiasRelu
    Gemm GemmBias SumRows SumColumns SumColumnsBackward Sum
    Conv2d Conv2dSums Conv2dGradInput Conv2dGradInputSums Conv2dGradWeight
    BatchNorm BatchNormFromSums BatchNormApply BatchNormBackward BatchNormBackwardFromSums
    MaxPool2d MaxPool2dBackward AvgPool2d AvgPool2dBackward GlobalAvgPool GlobalAvgPoolBackward
    Softmax SoftmaxBackward LogSoftmax LogSoftmaxBackward L2Normalize L2NormalizeBackward
    GatherRows ScatterAddRows GatherColumns GatherColumnsBackward
    Transpose ConcatRows SumShards SliceRows SliceRowsBackward
    PartitionLoss StreamingLoss NonFiniteCheck Ema Sgd Lars AdamW
}
