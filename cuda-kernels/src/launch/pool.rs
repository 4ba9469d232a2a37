//! Pools: one thread per element of what is written.

use tensor::Slot;
use tensor::geometry::Pool2d;

use super::reduce::{tile, tile_grid};
use crate::Gpu;
use crate::driver::{Arg, Launch};
use crate::gpu::BLOCK;

const MODULE: &str = "pool";

/// Launches `kernel(slots.., n, sizes..)` with one thread for each of the n elements of `written`.
fn each_element(gpu: &mut Gpu, kernel: &'static str, pool: Pool2d, slots: &[Slot], written: Slot) {
    let Pool2d { h, w, c, kernel: side, stride, padding, .. } = pool;
    let sizes = [written.len, h, w, c, pool.out_h(), pool.out_w(), side, stride, padding];
    let mut args: Vec<Arg> = slots.iter().map(|&slot| gpu.pointer(slot)).collect();
    args.extend(sizes.map(Arg::Count));
    gpu.launch_elements(MODULE, kernel, written.len, &args);
}

/// See [`Backend::max_pool2d`](tensor::Backend::max_pool2d).
pub fn max_pool2d(gpu: &mut Gpu, pool: Pool2d, x: Slot, y: Slot, argmax: Slot) {
    each_element(gpu, "max_pool", pool, &[x, y, argmax], y);
}

/// See [`Backend::max_pool2d_backward`](tensor::Backend::max_pool2d_backward).
pub fn max_pool2d_backward(gpu: &mut Gpu, pool: Pool2d, dy: Slot, argmax: Slot, dx: Slot) {
    each_element(gpu, "max_pool_backward", pool, &[dy, argmax, dx], dx);
}

/// See [`Backend::avg_pool2d`](tensor::Backend::avg_pool2d).
pub fn avg_pool2d(gpu: &mut Gpu, pool: Pool2d, x: Slot, y: Slot) {
    each_element(gpu, "avg_pool", pool, &[x, y], y);
}

/// See [`Backend::avg_pool2d_backward`](tensor::Backend::avg_pool2d_backward).
pub fn avg_pool2d_backward(gpu: &mut Gpu, pool: Pool2d, dy: Slot, dx: Slot) {
    each_element(gpu, "avg_pool_backward", pool, &[dy, dx], dx);
}

/// See [`Backend::global_avg_pool`](tensor::Backend::global_avg_pool).
pub fn global_avg_pool(gpu: &mut Gpu, n: usize, pixels: usize, x: Slot, y: Slot) {
    let channels = y.len / n;
    let args = [gpu.pointer(x), gpu.pointer(y), Arg::Count(pixels), Arg::Count(channels)];
    gpu.launch(Launch {
        module: MODULE,
        kernel: "global_avg_pool",
        grid: tile_grid(n, channels),
        block: tile(channels, BLOCK),
        shared_bytes: 0,
        args: &args,
    });
}

/// See [`Backend::global_avg_pool_backward`](tensor::Backend::global_avg_pool_backward).
pub fn global_avg_pool_backward(gpu: &mut Gpu, n: usize, pixels: usize, dy: Slot, dx: Slot) {
    let [elements, pixels, channels] = [dx.len, pixels, dy.len / n].map(Arg::Count);
    let args = [gpu.pointer(dy), gpu.pointer(dx), elements, pixels, channels];
    gpu.launch_elements(MODULE, "global_avg_pool_backward", dx.len, &args);
}
