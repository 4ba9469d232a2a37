//! How the work on patches is divided.

use crate::geometry::Conv2d;

/// Half a megabyte, half of a core's L2.
pub const CHUNK: usize = 128 * 1024;
/// Number of tasks that share the chunks.
pub const TASKS: usize = 16;

/// Elements of all partial gradients by the weight together, unless two parts need more: 8 MiB.
const PARTIALS: usize = 2 * 1024 * 1024;

/// Most parts of a gradient by the weight, each with that many elements of its own.
pub fn most_parts(elements: usize) -> usize {
    (PARTIALS / elements.max(1)).clamp(2, TASKS)
}

/// A 1x1 convolution that reads every pixel: its patches are the input itself.
pub fn is_plain_gemm(conv: Conv2d) -> bool {
    conv.r == 1 && conv.s == 1 && conv.stride == 1 && conv.padding == 0
}

/// Images of a task.
pub fn images_per_task(conv: Conv2d) -> usize {
    conv.n.div_ceil(TASKS).max(1)
}
