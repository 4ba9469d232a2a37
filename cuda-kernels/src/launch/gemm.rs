//! Matrix products.

use tensor::Slot;
use tensor::geometry::Gemm;

use crate::Gpu;

/// See [`Backend::gemm`](tensor::Backend::gemm).
pub fn gemm(_gpu: &mut Gpu, _gemm: Gemm, _a: Slot, _b: Slot, _c: Slot, _workspace: Slot) {
    unimplemented!("gemm")
}

/// See [`Backend::gemm_workspace`](tensor::Backend::gemm_workspace).
pub fn gemm_workspace(_gemm: Gemm) -> usize {
    unimplemented!("gemm_workspace")
}
