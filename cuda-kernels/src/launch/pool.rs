//! Pools.

use tensor::Slot;
use tensor::geometry::Pool2d;

use crate::Gpu;

/// See [`Backend::max_pool2d`](tensor::Backend::max_pool2d).
pub fn max_pool2d(_gpu: &mut Gpu, _pool: Pool2d, _x: Slot, _y: Slot, _argmax: Slot) {
    unimplemented!("max_pool2d")
}

/// See [`Backend::max_pool2d_backward`](tensor::Backend::max_pool2d_backward).
pub fn max_pool2d_backward(_gpu: &mut Gpu, _pool: Pool2d, _dy: Slot, _argmax: Slot, _dx: Slot) {
    unimplemented!("max_pool2d_backward")
}

/// See [`Backend::avg_pool2d`](tensor::Backend::avg_pool2d).
pub fn avg_pool2d(_gpu: &mut Gpu, _pool: Pool2d, _x: Slot, _y: Slot) {
    unimplemented!("avg_pool2d")
}

/// See [`Backend::avg_pool2d_backward`](tensor::Backend::avg_pool2d_backward).
pub fn avg_pool2d_backward(_gpu: &mut Gpu, _pool: Pool2d, _dy: Slot, _dx: Slot) {
    unimplemented!("avg_pool2d_backward")
}

/// See [`Backend::global_avg_pool`](tensor::Backend::global_avg_pool).
pub fn global_avg_pool(_gpu: &mut Gpu, _n: usize, _pixels: usize, _x: Slot, _y: Slot) {
    unimplemented!("global_avg_pool")
}

/// See [`Backend::global_avg_pool_backward`](tensor::Backend::global_avg_pool_backward).
pub fn global_avg_pool_backward(_gpu: &mut Gpu, _n: usize, _pixels: usize, _dy: Slot, _dx: Slot) {
    unimplemented!("global_avg_pool_backward")
}
