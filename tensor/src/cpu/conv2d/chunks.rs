//! How the work on patches is divided.

use crate::geometry::Conv2d;

/// Half a megabyte, half of a core's L2.
pub const CHUNK: usize = 128 * 1024;
/// Number of tasks that share the chunks.
pub const TASKS: usize = 16;

/// Images of a task.
pub fn images_per_task(conv: Conv2d) -> usize {
    conv.n.div_ceil(TASKS).max(1)
}
