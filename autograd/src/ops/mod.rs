//! The ops, one file per family: the formula, the shape rule (the `Graph` method that appends the
//! op), the call of the kernel, and the gradient as further ops.

pub mod add;
pub mod batch_norm;
pub mod bias;
pub mod clamp;
pub mod conv2d;
pub mod cross_entropy;
pub mod fill;
pub mod gather;
pub mod gelu;
pub mod ln;
pub mod matmul;
pub mod mul;
pub mod normalize;
pub mod optimizer;
pub mod partition_loss;
pub mod pool;
pub mod reduce;
pub mod relu;
pub mod reshape;
pub mod rows;
pub mod scale;
pub mod softmax;
pub mod streaming_loss;
