//! CARP's loss over logits.

use tensor::Slot;
use tensor::geometry::PartitionLoss;

use super::reduce;
use crate::Gpu;
use crate::gpu::BLOCK;

const MODULE: &str = "partition_loss";

/// Layout of the workspace.
struct Layout {
    /// Sums of -ln d of each student row and block, and of each block's divergences: in f64, two
    /// elements each.
    negative_logs: usize,
    block_sums: usize,
    /// Probabilities `[R, P N_B]`.
    probabilities: usize,
    /// Their sums over the rows, g, and the columns' parts of the divergence, `[P N_B]` each.
    used: usize,
    /// Scratch memory of the sum over rows.
    scratch: usize,
}

impl Layout {
    fn of(sizes: PartitionLoss) -> Layout {
        let used = sizes.blocks() * sizes.partition_size;
        Layout {
            negative_logs: 2 * sizes.views * sizes.batch * sizes.blocks(),
            block_sums: 2 * sizes.blocks(),
            probabilities: sizes.rows() * used,
            used,
            scratch: reduce::sum_rows_workspace(sizes.rows(), used),
        }
    }
}

/// Elements of scratch memory for [`partition_loss`].
pub fn workspace(sizes: PartitionLoss) -> usize {
    let Layout { negative_logs, block_sums, probabilities, used, scratch } = Layout::of(sizes);
    negative_logs + block_sums + probabilities + 3 * used + scratch
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
    let mut end = 0;
    let mut take = |len: usize| {
        end += len;
        workspace.part(end - len, len)
    };
    let [negative_logs, block_sums] = [layout.negative_logs, layout.block_sums].map(&mut take);
    let probabilities = take(layout.probabilities);
    let [sums, g, divergences] = [layout.used; 3].map(&mut take);
    let scratch = take(layout.scratch);

    let PartitionLoss { views, batch, prototypes, partition_size } = sizes;
    let (rows, student_rows, blocks) = (sizes.rows(), views * batch, sizes.blocks());
    let partition = [prototypes, blocks, partition_size];
    let call = gpu.kernel(MODULE, "partition_softmax").counts(&[rows, student_rows]);
    let call = call.counts(&partition).slots(&[student, teacher, permutation, probabilities]);
    call.each_warp(rows * blocks);

    reduce::sum_rows(gpu, probabilities, sums, scratch);
    let counts = [rows, layout.used, partition_size];
    let call = gpu.kernel(MODULE, "partition_divergence").counts(&counts);
    call.slots(&[sums, g, divergences]).each_element(layout.used);

    let call = gpu.kernel(MODULE, "partition_gradient").counts(&[views, batch]);
    let call = call.counts(&partition).floats(&weights(sizes));
    let call = call.slots(&[probabilities, g, permutation, grad_student, negative_logs]);
    call.each_warp(student_rows * blocks);

    let counts = [student_rows, blocks, partition_size, sizes.terms()];
    let call = gpu.kernel(MODULE, "loss_terms").counts(&counts);
    let call = call.slots(&[negative_logs, divergences, block_sums]);
    call.slots(&[loss, consistency, entropy]).each_row(1, BLOCK);
}

/// |S| P B and 1 / (P R).
pub fn weights(sizes: PartitionLoss) -> [f32; 2] {
    [sizes.terms() as f32, 1.0 / (sizes.blocks() * sizes.rows()) as f32]
}
