//! CARP's loss from embeddings, block by block.

use tensor::Slot;
use tensor::geometry::{PartitionLoss, StreamingLoss};
use tensor::order::{PRODUCT_CHAIN, streaming_tasks};

use super::gemm::{self, Tile};
use super::partition_loss;
use crate::Gpu;
use crate::gpu::Call;

const MODULE: &str = "streaming_loss";

/// Layout of the workspace: what each task has, one task after the other in each part.
struct Layout {
    /// Sums of -ln d of each student row, and of the task's blocks: in f64, two elements each.
    negative_logs: usize,
    sums: usize,
    /// Gradient by the embeddings, `[V*B,D]`.
    grad_student: usize,
    /// Probabilities of all rows, `[R,N_B]`.
    rows: usize,
    /// Prototypes, or their gradients, `[N_B,D]`.
    prototypes: usize,
}

impl Layout {
    fn of(sizes: StreamingLoss) -> Layout {
        let PartitionLoss { views, batch, partition_size, .. } = sizes.loss;
        Layout {
            negative_logs: 2 * views * batch,
            sums: 4,
            grad_student: views * batch * sizes.dim,
            rows: sizes.loss.rows() * partition_size,
            prototypes: partition_size * sizes.dim,
        }
    }
}

/// Elements of scratch memory for [`streaming_loss`], whatever K is.
pub fn workspace(sizes: StreamingLoss) -> usize {
    let Layout { negative_logs, sums, grad_student, rows, prototypes } = Layout::of(sizes);
    let columns = 3 * sizes.loss.partition_size;
    streaming_tasks(sizes) * (negative_logs + sums + grad_student + rows + 2 * prototypes + columns)
}

/// Loss, consistency, entropy, and the gradients by the student's embeddings and prototypes.
pub fn streaming_loss(
    gpu: &mut Gpu,
    sizes: StreamingLoss,
    [student, teacher, student_prototypes, teacher_prototypes, permutation]: [Slot; 5],
    [loss, consistency, entropy, grad_student, grad_prototypes]: [Slot; 5],
    workspace: Slot,
) {
    let PartitionLoss { views, batch, partition_size: size, .. } = sizes.loss;
    let (tasks, blocks, dim) = (streaming_tasks(sizes), sizes.loss.blocks(), sizes.dim);
    let (rows, students, teachers) = (sizes.loss.rows(), views * batch, 2 * batch);
    let at_once = sizes.views_at_once * batch;
    let layout = Layout::of(sizes);
    let mut end = 0;
    let mut take = |len: usize| {
        end += tasks * len;
        workspace.part(end - tasks * len, tasks * len)
    };
    let [negative_logs, sums] = [layout.negative_logs, layout.sums].map(&mut take);
    let partials = take(layout.grad_student);
    let x = take(layout.rows);
    let [w, grad_w] = [layout.prototypes; 2].map(&mut take);
    let [lengths, g, divergences] = [size; 3].map(&mut take);
    // The teacher's rows of the first task.
    let q = x.part(students * size, x.len - students * size);

    surplus(gpu, sizes, permutation, grad_prototypes);
    let w_by_row = Factor { slot: w, steps: [layout.prototypes, dim, 1] };
    let w_by_column = Factor { slot: w, steps: [layout.prototypes, 1, dim] };
    let of_all = |slot| Factor { slot, steps: [0, dim, 1] };
    let gradients = Factor { slot: x, steps: [layout.rows, size, 1] };
    let gradients_by_column = Factor { slot: x, steps: [layout.rows, 1, size] };
    for step in 0..blocks.div_ceil(tasks) {
        let mut turn = Turn { gpu, tasks, blocks, step };
        let normalise = |turn: &mut Turn, v| {
            let call = turn.kernel("streaming_prototypes").counts(&[size, dim]);
            call.slots(&[v, permutation, w, lengths]).each_warp(tasks * size);
        };
        normalise(&mut turn, teacher_prototypes);
        turn.product(
            [teachers, size, dim],
            [of_all(teacher), w_by_column],
            (q, layout.rows),
            false,
        );
        normalise(&mut turn, student_prototypes);
        turn.product(
            [students, size, dim],
            [of_all(student), w_by_column],
            (x, layout.rows),
            false,
        );
        let call = turn.kernel("streaming_softmax").counts(&[rows, size]);
        call.slots(&[x]).each_warp(tasks * rows);
        let call = turn.kernel("streaming_divergence").counts(&[rows, size]);
        call.slots(&[x, g, divergences]).each_element(tasks * size);
        let call = turn.kernel("streaming_gradient").counts(&[views, batch, size]);
        let call = call.floats(&partition_loss::weights(sizes.loss));
        call.slots(&[x, g, negative_logs]).each_warp(tasks * students);
        let factors = [gradients, w_by_row];
        let c = (partials, layout.grad_student);
        turn.product([students, dim, size], factors, c, step > 0);
        for first in (0..students).step_by(at_once) {
            let rows = at_once.min(students - first);
            let factors =
                [gradients_by_column.from(first * size), of_all(student).from(first * dim)];
            let c = (grad_w, layout.prototypes);
            turn.product([size, dim, rows], factors, c, first > 0);
        }
        let call = turn.kernel("streaming_prototypes_backward").counts(&[size, dim]);
        let call = call.slots(&[w, lengths, grad_w, permutation, grad_prototypes]);
        call.each_warp(tasks * size);
        let call = turn.kernel("streaming_sums").counts(&[students, size]);
        call.slots(&[negative_logs, divergences, sums]).each_element(tasks);
    }
    gemm::sum_parts(gpu, tasks, partials, None, grad_student);
    terms(gpu, sizes, (sums, tasks), [loss, consistency, entropy]);
}

/// 0 in the gradient of the prototypes that sit out this step.
pub fn surplus(gpu: &mut Gpu, sizes: StreamingLoss, permutation: Slot, grad_prototypes: Slot) {
    let used = sizes.loss.blocks() * sizes.loss.partition_size;
    let surplus = sizes.loss.prototypes - used;
    let call = gpu.kernel(MODULE, "streaming_surplus").counts(&[used, surplus, sizes.dim]);
    call.slots(&[permutation, grad_prototypes]).each_element(surplus * sizes.dim);
}

/// Loss, consistency and entropy from so many pairs of sums.
pub fn terms(
    gpu: &mut Gpu,
    sizes: StreamingLoss,
    (sums, pairs): (Slot, usize),
    [loss, consistency, entropy]: [Slot; 3],
) {
    let counts = [pairs, sizes.loss.blocks(), sizes.loss.terms()];
    let call = gpu.kernel(MODULE, "streaming_terms").counts(&counts);
    call.slots(&[sums, loss, consistency, entropy]).each_row(1, 1);
}

/// A step, in which every task has a block of the partition.
struct Turn<'a> {
    gpu: &'a mut Gpu,
    tasks: usize,
    blocks: usize,
    step: usize,
}

/// A factor of the tasks' products.
#[derive(Clone, Copy)]
struct Factor {
    slot: Slot,
    /// Elements from a task to the next, 0 if all have the same; from a row; from a column.
    steps: [usize; 3],
}

impl Turn<'_> {
    fn kernel(&mut self, name: &'static str) -> Call<'_> {
        self.gpu.kernel(MODULE, name).counts(&[self.tasks, self.blocks, self.step])
    }

    /// C = A B, or C += A B if it `adds`, `[m,n]` from `[m,k]` and `[k,n]`, in each task; with C its
    /// elements from a task to the next.
    fn product(
        &mut self,
        [m, n, k]: [usize; 3],
        [a, b]: [Factor; 2],
        (c, c_task): (Slot, usize),
        adds: bool,
    ) {
        let tasks = self.tasks;
        let call = self.kernel("streaming_product").counts(&[m, n, k, PRODUCT_CHAIN]);
        let call = call.counts(&a.steps).counts(&b.steps).counts(&[c_task]).words(&[adds.into()]);
        let grid = Tile::Square.grid(m, n, tasks);
        call.slots(&[a.slot, b.slot, c]).launch(grid, [Tile::Square.threads(), 1, 1]);
    }
}

impl Factor {
    /// The same from an element on.
    fn from(self, first: usize) -> Factor {
        Factor { slot: self.slot.part(first, self.slot.len - first), ..self }
    }
}
