//! How the work on images is divided.

use crate::geometry::Conv2d;

/// Elements of a slab of whole images, unless one has more: 256 KiB, a part of a core's L2.
pub const SLAB: usize = 64 * 1024;
/// Number of tasks.
const TASKS: usize = 16;
/// Output pixels of a task: with fewer, it reads all weights for too little work.
const PIXELS: usize = 32;

/// Images of a task.
pub fn images_per_task(conv: Conv2d) -> usize {
    let pixels = (conv.out_h() * conv.out_w()).max(1);
    conv.n.div_ceil(TASKS).max(PIXELS.div_ceil(pixels))
}
