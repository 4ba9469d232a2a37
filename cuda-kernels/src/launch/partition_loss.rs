//! CARP's loss over logits.

use tensor::Slot;
use tensor::backend::LossSlots;
use tensor::geometry::PartitionLoss;

use crate::Gpu;
use crate::driver::Arg;
use crate::gpu::{BLOCK, blocks};

const MODULE: &str = "partition_loss";
const WARP: usize = 32;

/// Where the parts of the workspace lie.
struct Layout {
    /// Probabilities `[R, P N_B]`.
    probabilities: usize,
    /// g `[P N_B]`.
    g: usize,
    /// Sums of -ln d, one for each thread block of the rows.
    rows: usize,
    /// Divergences, one for each thread block of the columns.
    columns: usize,
}

impl Layout {
    fn of(sizes: PartitionLoss) -> Layout {
        let used = sizes.blocks() * sizes.partition_size;
        let warps = sizes.views * sizes.batch * sizes.blocks();
        Layout {
            probabilities: sizes.rows() * used,
            g: used,
            rows: blocks(warps * WARP, BLOCK as usize) as usize,
            columns: blocks(used, BLOCK as usize) as usize,
        }
    }
}

/// See [`Backend::partition_loss_workspace`](tensor::Backend::partition_loss_workspace).
pub fn partition_loss_workspace(sizes: PartitionLoss) -> usize {
    let Layout { probabilities, g, rows, columns } = Layout::of(sizes);
    probabilities + g + rows + columns
}

/// See [`Backend::partition_loss`](tensor::Backend::partition_loss).
#[allow(clippy::too_many_arguments)]
pub fn partition_loss(
    gpu: &mut Gpu,
    sizes: PartitionLoss,
    student: Slot,
    teacher: Slot,
    permutation: Slot,
    terms: LossSlots,
    grad_student: Slot,
    workspace: Slot,
) {
    let layout = Layout::of(sizes);
    let probabilities = workspace.part(0, layout.probabilities);
    let g = workspace.part(layout.probabilities, layout.g);
    let sums = layout.probabilities + layout.g;
    let negative_logs = workspace.part(sums, layout.rows);
    let divergences = workspace.part(sums + layout.rows, layout.columns);

    let (rows, student_rows) = (sizes.rows(), sizes.views * sizes.batch);
    let used = sizes.blocks() * sizes.partition_size;
    let partition = [
        Arg::Count(sizes.prototypes),
        Arg::Count(sizes.blocks()),
        Arg::Count(sizes.partition_size),
    ];
    let pointers = [student, teacher, permutation, probabilities].map(|slot| gpu.pointer(slot));
    let args = [&[Arg::Count(rows), Arg::Count(student_rows)], &partition[..], &pointers].concat();
    gpu.launch_elements(MODULE, "partition_softmax", rows * sizes.blocks() * WARP, &args);

    let counts = [Arg::Count(rows), Arg::Count(used), Arg::Count(sizes.partition_size)];
    let pointers = [probabilities, g, divergences].map(|slot| gpu.pointer(slot));
    let args = [&counts[..], &pointers].concat();
    gpu.launch_elements(MODULE, "partition_divergence", used, &args);

    let views = [Arg::Count(sizes.views), Arg::Count(sizes.batch)];
    let slots = [probabilities, g, permutation, grad_student, negative_logs];
    let pointers = slots.map(|slot| gpu.pointer(slot));
    let args = [&views[..], &partition, &weights(sizes), &pointers].concat();
    let threads = student_rows * sizes.blocks() * WARP;
    gpu.launch_elements(MODULE, "partition_gradient", threads, &args);

    loss_terms(gpu, sizes, negative_logs, divergences, terms);
}

/// |S| P B and 1 / (P R).
pub fn weights(sizes: PartitionLoss) -> [Arg; 2] {
    let terms = (sizes.pairs() * sizes.blocks() * sizes.batch) as f32;
    [Arg::F32(terms), Arg::F32(1.0 / (sizes.blocks() * sizes.rows()) as f32)]
}

/// C, H and C + H from sums of -ln d and of divergences.
pub fn loss_terms(
    gpu: &mut Gpu,
    sizes: PartitionLoss,
    negative_logs: Slot,
    divergences: Slot,
    terms: LossSlots,
) {
    let counts = [
        Arg::Count(negative_logs.len),
        Arg::Count(divergences.len),
        Arg::Count(sizes.pairs() * sizes.blocks() * sizes.batch),
        Arg::Count(sizes.blocks()),
    ];
    let LossSlots { loss, consistency, entropy } = terms;
    let slots = [negative_logs, divergences, loss, consistency, entropy];
    let pointers = slots.map(|slot| gpu.pointer(slot));
    gpu.launch_rows(MODULE, "loss_terms", 1, BLOCK, &[&counts[..], &pointers].concat());
}
