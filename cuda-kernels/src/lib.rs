//! CUDA kernels for the tensor crate's `Backend` trait. Empty for now: see the README beside it.
