//! How the work on patches is divided.

use crate::geometry::Conv2d;

/// Elements of a chunk of patches: half a megabyte, half of a core's L2.
pub const CHUNK: usize = 128 * 1024;
/// Number of tasks that share the chunks.
pub const TASKS: usize = 16;

/// A 1x1 convolution that reads every pixel: its patches are the input itself.
pub fn is_plain_gemm(conv: Conv2d) -> bool {
    conv.r == 1 && conv.s == 1 && conv.stride == 1 && conv.padding == 0
}

/// Images of a task.
pub fn images_per_task(conv: Conv2d) -> usize {
    conv.n.div_ceil(TASKS).max(1)
}
