//! The embedded PTX of every kernel file.

/// Pairs of a file's name without `.cu` and its PTX.
pub const MODULES: &[(&str, &str)] = &[
    ("batch_norm", include_str!("../kernels/batch_norm.ptx")),
    ("conv2d", include_str!("../kernels/conv2d.ptx")),
    ("conv2d_tensor", include_str!("../kernels/conv2d_tensor.ptx")),
    ("gather", include_str!("../kernels/gather.ptx")),
    ("gemm", include_str!("../kernels/gemm.ptx")),
    ("normalize", include_str!("../kernels/normalize.ptx")),
    ("optimizer", include_str!("../kernels/optimizer.ptx")),
    ("partition_loss", include_str!("../kernels/partition_loss.ptx")),
    ("pointwise", include_str!("../kernels/pointwise.ptx")),
    ("pool", include_str!("../kernels/pool.ptx")),
    ("reduce", include_str!("../kernels/reduce.ptx")),
    ("softmax", include_str!("../kernels/softmax.ptx")),
    ("streaming_loss", include_str!("../kernels/streaming_loss.ptx")),
    ("streaming_tensor", include_str!("../kernels/streaming_tensor.ptx")),
    ("transpose", include_str!("../kernels/transpose.ptx")),
    ("winograd", include_str!("../kernels/winograd.ptx")),
];

/// The PTX of the file with this name.
pub fn ptx(module: &str) -> Option<&'static str> {
    MODULES.iter().find(|(name, _)| *name == module).map(|(_, ptx)| *ptx)
}
