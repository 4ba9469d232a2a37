//! CARP's loss from embeddings, block by block.

use tensor::Slot;
use tensor::geometry::{Gemm, PartitionLoss, StreamingLoss};

use super::reduce::row_threads;
use super::{gemm, partition_loss};
use crate::Gpu;
use crate::gpu::{BLOCK, blocks};

const MODULE: &str = "streaming_loss";
/// Maximum thread blocks, each with its own dz.
const SLOTS: usize = 128;
/// Maximum rows of a tile: of one teacher view, and of the student views.
const ROWS: usize = 32;
/// Shared memory per thread block on every GPU since Ampere, minus what the kernel declares itself
/// (panels, list of rows, sums), in elements.
const SHARED: usize = (99 * 1024 - 22 * 1024) / 4;

/// The rows processed together within a block of the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Images T.
    pub images: usize,
    /// Student views G at a time.
    pub views_at_once: usize,
}

/// Row stride of probabilities, in elements: rows start in different banks, 8 apart.
fn pitch(size: usize) -> usize {
    size.next_multiple_of(32) + 8
}

/// Elements of shared memory that the kernel uses: G T rows of p, 2 T of q, g, two lengths, and the
/// list of the prototypes.
fn shared(sizes: StreamingLoss, tile: Tile) -> usize {
    pitch(sizes.loss.partition_size) * ((tile.views_at_once + 2) * tile.images + 4)
}

/// The tile with the fewest products over all rows: one for the teacher and one for each group of
/// student views, per tile of images. `None` if the partition size leaves no room.
pub fn tile(sizes: StreamingLoss) -> Option<Tile> {
    let PartitionLoss { views, batch, .. } = sizes.loss;
    let tiles = (1..=ROWS / 2).flat_map(|images| {
        (1..=views.min(sizes.views_at_once))
            .map(move |views_at_once| Tile { images, views_at_once })
    });
    tiles
        .filter(|tile| tile.images * tile.views_at_once <= ROWS && shared(sizes, *tile) <= SHARED)
        .min_by_key(|tile| {
            (batch.div_ceil(tile.images) * (1 + views.div_ceil(tile.views_at_once)), tile.images)
        })
}

fn slots(sizes: StreamingLoss) -> usize {
    sizes.loss.blocks().min(SLOTS)
}

/// Elements of scratch memory for [`streaming_loss`]: a dz and two sums per thread block, whatever
/// K is. Partition sizes too large for shared memory use logits in memory instead.
pub fn workspace(sizes: StreamingLoss) -> usize {
    match tile(sizes) {
        Some(_) => slots(sizes) * (sizes.loss.views * sizes.loss.batch * sizes.dim + 2),
        None => Logits::of(sizes).all(),
    }
}

/// Loss, consistency, entropy, and the gradients by the student's embeddings and prototypes.
pub fn streaming_loss(
    gpu: &mut Gpu,
    sizes: StreamingLoss,
    inputs: [Slot; 5],
    outputs: [Slot; 5],
    workspace: Slot,
) {
    let Some(tile) = tile(sizes) else {
        return through_logits(gpu, sizes, inputs, outputs, workspace);
    };
    let [loss, consistency, entropy, grad_student, grad_prototypes] = outputs;
    let PartitionLoss { views, batch, prototypes, partition_size } = sizes.loss;
    let slots = slots(sizes);
    let partials = workspace.part(0, slots * grad_student.len);
    let sums = workspace.part(partials.len, 2 * slots);
    let call = gpu.kernel(MODULE, "streaming_loss").counts(&[views, batch, prototypes]);
    let call = call.counts(&[sizes.loss.blocks(), partition_size, sizes.dim]);
    let call = call.counts(&[tile.images, tile.views_at_once, pitch(partition_size)]);
    let call = call.floats(&partition_loss::weights(sizes.loss));
    let call = call.slots(&inputs).slots(&[partials, grad_prototypes, sums]);
    let call = call.shared(4 * shared(sizes, tile) as u32);
    call.launch([blocks(slots, 1), 1, 1], [BLOCK, 1, 1]);
    gemm::sum_parts(gpu, slots, partials, None, grad_student);
    let sums = [sums.part(0, slots), sums.part(slots, slots)];
    partition_loss::loss_terms(gpu, sizes.loss, sums, [loss, consistency, entropy]);
}

/// Layout of the workspace with logits in memory.
struct Logits {
    /// A normalised matrix of prototypes, `[K,D]`, its lengths `[K]`, and its gradient `[K,D]`.
    prototypes: usize,
    lengths: usize,
    /// Logits of student and teacher, and their gradient: `[(V + 2 + V) B, K]`.
    rows: usize,
    /// Workspace of the products, then of the loss.
    scratch: usize,
}

impl Logits {
    fn of(sizes: StreamingLoss) -> Logits {
        let PartitionLoss { views, batch, prototypes, .. } = sizes.loss;
        let products = products(sizes).map(gemm::workspace);
        Logits {
            prototypes: prototypes * sizes.dim,
            lengths: prototypes,
            rows: (2 * views + 2) * batch * prototypes,
            scratch: products.into_iter().fold(partition_loss::workspace(sizes.loss), usize::max),
        }
    }

    fn all(&self) -> usize {
        2 * self.prototypes + self.lengths + self.rows + self.scratch
    }
}

/// Logits of student and teacher, dz and dw.
fn products(sizes: StreamingLoss) -> [Gemm; 4] {
    let PartitionLoss { views, batch, prototypes, .. } = sizes.loss;
    let (rows, dim) = (views * batch, sizes.dim);
    let logits = Gemm { m: rows, n: prototypes, k: dim, trans_a: false, trans_b: true };
    [
        logits,
        Gemm { m: 2 * batch, ..logits },
        Gemm { m: rows, n: dim, k: prototypes, trans_a: false, trans_b: false },
        Gemm { m: prototypes, n: dim, k: rows, trans_a: true, trans_b: false },
    ]
}

/// The same loss by whole matrices: prototypes normalised, logits, loss over logits, products back.
fn through_logits(
    gpu: &mut Gpu,
    sizes: StreamingLoss,
    [student, teacher, student_prototypes, teacher_prototypes, permutation]: [Slot; 5],
    [loss, consistency, entropy, grad_student, grad_prototypes]: [Slot; 5],
    workspace: Slot,
) {
    let layout = Logits::of(sizes);
    let PartitionLoss { views, batch, prototypes, .. } = sizes.loss;
    let mut used = 0;
    let mut take = |len: usize| {
        used += len;
        workspace.part(used - len, len)
    };
    let [w, grad_w] = [(); 2].map(|()| take(layout.prototypes));
    let lengths = take(layout.lengths);
    let [logits, grad] = [(); 2].map(|()| take(views * batch * prototypes));
    let teacher_logits = take(2 * batch * prototypes);
    let scratch = take(layout.scratch);
    let [by_student, by_teacher, to_student, to_prototypes] = products(sizes);

    normalize(gpu, sizes, teacher_prototypes, w, lengths);
    gemm::gemm(gpu, by_teacher, [teacher, w], None, teacher_logits, scratch);
    normalize(gpu, sizes, student_prototypes, w, lengths);
    gemm::gemm(gpu, by_student, [student, w], None, logits, scratch);
    let inputs = [logits, teacher_logits, permutation];
    let outputs = [loss, consistency, entropy, grad];
    partition_loss::partition_loss(gpu, sizes.loss, inputs, outputs, scratch);
    gemm::gemm(gpu, to_student, [grad, w], None, grad_student, scratch);
    gemm::gemm(gpu, to_prototypes, [grad, student], None, grad_w, scratch);
    let call = gpu.kernel("normalize", "l2_normalize_backward").floats(&[0.0]);
    let call = call.slots(&[w, lengths, grad_w, grad_prototypes]).counts(&[sizes.dim]);
    call.each_row(prototypes, row_threads(sizes.dim));
}

/// Weight norm of gain 1.
fn normalize(gpu: &mut Gpu, sizes: StreamingLoss, prototypes: Slot, w: Slot, lengths: Slot) {
    let call = gpu.kernel("normalize", "l2_normalize").floats(&[0.0]);
    let call = call.slots(&[prototypes, w, lengths]).counts(&[sizes.dim]);
    call.each_row(sizes.loss.prototypes, row_threads(sizes.dim));
}
