//! How each method of the backend calls its kernels: one file per family, named as in `kernels/`.

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
