//! CARP's loss over logits.

use tensor::Slot;
use tensor::geometry::PartitionLoss;

use crate::Gpu;
use crate::gpu::{BLOCK, WARP, blocks};

const MODULE: &str = "partition_loss";

/// Layout of the workspace.
struct Layout {
    /// Probabilities `[R, P N_B]`.
    probabilities: usize,
    /// g `[P N_B]`.
    g: usize,
    /// Sums of -ln d, one per thread block over rows.
    rows: usize,
    /// Divergences, one per thread block over columns.
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

/// Elements of scratch memory for [`partition_loss`].
pub fn workspace(sizes: PartitionLoss) -> usize {
    let Layout { probabilities, g, rows, columns } = Layout::of(sizes);
    probabilities + g + rows + columns
}

/// Loss, consistency, entropy and the gradient by the student's logits.
pub fn partition_loss(
    gpu: &mut Gpu,
    sizes: PartitionLoss,
    [student, teacher, permutation]: [Slot; 3],
    [loss, consistency, entropy, grad_student]: [Slot; 4],
    workspace: Slot,
) {
    let layout = Layout::of(sizes);
    let probabilities = workspace.part(0, layout.probabilities);
    let g = workspace.part(layout.probabilities, layout.g);
    let sums = layout.probabilities + layout.g;
    let negative_logs = workspace.part(sums, layout.rows);
    let divergences = workspace.part(sums + layout.rows, layout.columns);

    let PartitionLoss { views, batch, prototypes, partition_size } = sizes;
    let (rows, student_rows, blocks) = (sizes.rows(), views * batch, sizes.blocks());
    let partition = [prototypes, blocks, partition_size];
    let call = gpu.kernel(MODULE, "partition_softmax").counts(&[rows, student_rows]);
    let call = call.counts(&partition).slots(&[student, teacher, permutation, probabilities]);
    call.each_element(rows * blocks * WARP);

    let used = blocks * partition_size;
    let call = gpu.kernel(MODULE, "partition_divergence").counts(&[rows, used, partition_size]);
    call.slots(&[probabilities, g, divergences]).each_element(used);

    let call = gpu.kernel(MODULE, "partition_gradient").counts(&[views, batch]);
    let call = call.counts(&partition).floats(&weights(sizes));
    let call = call.slots(&[probabilities, g, permutation, grad_student, negative_logs]);
    call.each_element(student_rows * blocks * WARP);

    loss_terms(gpu, sizes, [negative_logs, divergences], [loss, consistency, entropy]);
}

/// |S| P B and 1 / (P R).
pub fn weights(sizes: PartitionLoss) -> [f32; 2] {
    let terms = (sizes.pairs() * sizes.blocks() * sizes.batch) as f32;
    [terms, 1.0 / (sizes.blocks() * sizes.rows()) as f32]
}

/// Loss C + H, C and H from sums of -ln d and of divergences.
pub fn loss_terms(gpu: &mut Gpu, sizes: PartitionLoss, sums: [Slot; 2], terms: [Slot; 3]) {
    let blocks = sizes.blocks();
    let pairs = sizes.pairs() * blocks * sizes.batch;
    let call = gpu.kernel(MODULE, "loss_terms").counts(&[sums[0].len, sums[1].len, pairs, blocks]);
    call.slots(&sums).slots(&terms).each_row(1, BLOCK);
}
