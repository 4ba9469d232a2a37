//! CARP's loss from embeddings on tensor cores, group by group of the partition's blocks: see
//! `kernels/streaming_tensor.cu`. Products are 1x1 convolutions of the group's prototypes.

use tensor::arena::{ALIGN, DType};
use tensor::geometry::{PartitionLoss, StreamingLoss};
use tensor::{Numerics, Slot};

use super::gemm_tensor::convolution;
use super::transpose::transpose;
use super::{conv2d_tensor, gemm, partition_loss, streaming_loss};
use crate::Gpu;
use crate::gpu::{WARP, blocks};

const MODULE: &str = "streaming_tensor";
/// Elements that a group may take: 16 MiB, which stay in a card's L2 cache.
const BUDGET: usize = 4 * 1024 * 1024;
/// Most blocks of a group: far more than the budget has room for, unless they are tiny.
const MOST: usize = 256;

/// The kernels by what prototypes and logits are in memory.
struct Names {
    prototypes: &'static str,
    softmax: &'static str,
    divergence: &'static str,
    gradient: &'static str,
}

const F32: Names = Names {
    prototypes: "group_prototypes_f32",
    softmax: "group_softmax_f32",
    divergence: "group_divergence_f32",
    gradient: "group_gradient_f32",
};

const BF16: Names = Names {
    prototypes: "group_prototypes_bf16",
    softmax: "group_softmax_bf16",
    divergence: "group_divergence_bf16",
    gradient: "group_gradient_bf16",
};

/// Rows of the student and the teacher.
fn rows(loss: PartitionLoss) -> [usize; 2] {
    [loss.views * loss.batch, 2 * loss.batch]
}

/// What prototypes and the student's logits are in memory: bf16 where rows of both are whole groups of 16
/// bytes.
fn stored(sizes: StreamingLoss, numerics: Numerics) -> DType {
    let [students, _] = rows(sizes.loss);
    let in_eights = students.is_multiple_of(8) && sizes.dim.is_multiple_of(8);
    if numerics == Numerics::Bf16 && in_eights { DType::Bf16 } else { DType::F32 }
}

/// Lengths of what is in the workspace, in elements.
struct Layout {
    /// Sums of -ln d of each student row, and of a place's blocks: in f64, two elements each.
    negative_logs: usize,
    sums: usize,
    /// Prototypes, logits of student and teacher, and gradients of prototypes.
    prototypes: usize,
    student: usize,
    teacher: usize,
    grad_prototypes: usize,
    /// Maxima, or factors, of the student's softmax.
    scales: usize,
    /// Numbers of each prototype.
    column: usize,
    /// Embeddings packed: of student and teacher for the logits, of the student for gradients; and the
    /// student's, transposed.
    packed: [usize; 3],
    transposed: usize,
    /// The sum of the gradients by the embeddings, and a group's terms of it.
    grad_student: usize,
}

impl Layout {
    /// For groups of at most so many blocks.
    fn of(sizes: StreamingLoss, numerics: Numerics, blocks: usize) -> Layout {
        let ([students, teachers], dim) = (rows(sizes.loss), sizes.dim);
        let count = blocks * sizes.loss.partition_size;
        let stored = stored(sizes, numerics);
        let packed = |conv| conv2d_tensor::forward_workspace(conv, numerics);
        // Of all groups, or of the last one, which is smaller.
        let last = sizes.loss.blocks() % blocks * sizes.loss.partition_size;
        let terms = [count, last]
            .map(|count| conv2d_tensor::grad_weight_workspace(convolution(count, dim, students)));
        Layout {
            negative_logs: 2 * blocks * students,
            sums: 4 * blocks,
            prototypes: stored.words(count * dim),
            student: stored.words(count * students),
            teacher: count * teachers,
            grad_prototypes: count * dim,
            scales: blocks * students,
            column: count,
            packed: [
                packed(convolution(count, dim, students)),
                packed(convolution(count, dim, teachers)),
                packed(convolution(count, students, dim)),
            ],
            transposed: students * dim,
            grad_student: students * dim + terms[0].max(terms[1]),
        }
    }

    /// All of it, each part from a multiple of 64 bytes on.
    fn elements(&self) -> usize {
        let Layout { negative_logs, sums, prototypes, student, teacher, .. } = *self;
        let Layout { grad_prototypes, scales, column, packed, transposed, grad_student, .. } =
            *self;
        let of_group = [negative_logs, sums, prototypes, student, teacher, grad_prototypes];
        let others = [scales, scales, column, column, column, transposed, grad_student];
        let parts = of_group.into_iter().chain(others).chain(packed);
        parts.map(|len| len.next_multiple_of(ALIGN)).sum()
    }
}

/// Blocks of a group: as many as fit the budget, in groups of equal size but for the last.
fn group_blocks(sizes: StreamingLoss, numerics: Numerics) -> usize {
    let all = sizes.loss.blocks();
    let fits = |&blocks: &usize| Layout::of(sizes, numerics, blocks).elements() <= BUDGET;
    let most = (1..=all.min(MOST)).rev().find(fits).unwrap_or(1);
    all.div_ceil(all.div_ceil(most))
}

/// Elements of scratch memory for [`streaming_loss`], whatever K is.
pub fn workspace(sizes: StreamingLoss, numerics: Numerics) -> usize {
    if numerics == Numerics::Exact {
        return streaming_loss::workspace(sizes);
    }
    Layout::of(sizes, numerics, group_blocks(sizes, numerics)).elements()
}

/// Loss, consistency, entropy, and the gradients by the student's embeddings and prototypes: on tensor cores
/// where the device's numerics allow, else exactly.
pub fn streaming_loss(
    gpu: &mut Gpu,
    sizes: StreamingLoss,
    inputs: [Slot; 5],
    outputs: [Slot; 5],
    workspace: Slot,
) {
    if gpu.numerics() == Numerics::Exact {
        return streaming_loss::streaming_loss(gpu, sizes, inputs, outputs, workspace);
    }
    let [student, teacher, student_prototypes, teacher_prototypes, permutation] = inputs;
    let [loss, consistency, entropy, grad_student, grad_prototypes] = outputs;
    let PartitionLoss { views, batch, partition_size: size, .. } = sizes.loss;
    let ([students, teachers], dim, all) = (rows(sizes.loss), sizes.dim, sizes.loss.blocks());
    let dtype = stored(sizes, gpu.numerics());
    let names = if dtype == DType::Bf16 { BF16 } else { F32 };
    let at_once = group_blocks(sizes, gpu.numerics());
    let layout = Layout::of(sizes, gpu.numerics(), at_once);
    let mut end = 0;
    let mut take = |len: usize| {
        let part = workspace.part(end, len);
        end += len.next_multiple_of(ALIGN);
        part
    };
    let [negative_logs, sums] = [layout.negative_logs, layout.sums].map(&mut take);
    let [w, x] = [layout.prototypes, layout.student].map(&mut take);
    let [q, grad_w] = [layout.teacher, layout.grad_prototypes].map(&mut take);
    let [maxima, factors] = [layout.scales; 2].map(&mut take);
    let [lengths, g, divergences] = [layout.column; 3].map(&mut take);
    let [packed_student, packed_teacher, packed_turned] = layout.packed.map(&mut take);
    let [transposed, sum_and_terms] = [layout.transposed, layout.grad_student].map(&mut take);
    let (sum, terms) = (
        sum_and_terms.part(0, students * dim),
        sum_and_terms.part(students * dim, sum_and_terms.len - students * dim),
    );

    transpose(gpu, [students, dim], student, transposed);
    conv2d_tensor::pack(gpu, convolution(0, dim, students), dtype, student, packed_student);
    conv2d_tensor::pack(gpu, convolution(0, dim, teachers), dtype, teacher, packed_teacher);
    conv2d_tensor::pack(gpu, convolution(0, students, dim), dtype, transposed, packed_turned);
    for first in (0..all).step_by(at_once) {
        let group = at_once.min(all - first);
        let count = group * size;
        let order = permutation.part(first * size, count);
        let of_group =
            |slot: Slot, numbers: usize| Slot { dtype, ..slot.part(0, dtype.words(numbers)) };
        let (w, x) = (of_group(w, count * dim), of_group(x, count * students));
        let (q, grad_w) = (q.part(0, count * teachers), grad_w.part(0, count * dim));
        let normalise = |gpu: &mut Gpu, v: Slot| {
            let call = gpu.kernel(MODULE, names.prototypes).counts(&[count, dim]);
            call.slots(&[v, order, w, lengths]).each_warp(count);
        };
        normalise(gpu, teacher_prototypes);
        let logits = convolution(count, dim, teachers);
        conv2d_tensor::forward_packed(gpu, logits, [w, packed_teacher], q, None);
        normalise(gpu, student_prototypes);
        let logits = convolution(count, dim, students);
        conv2d_tensor::forward_packed(gpu, logits, [w, packed_student], x, None);

        let call = gpu.kernel(MODULE, names.softmax).counts(&[students, teachers, size]);
        let call = call.slots(&[x, q, maxima, factors]);
        call.launch([blocks(students + teachers, WARP), blocks(group, 1), 1], [256, 1, 1]);
        let counts = [count, students, teachers, size];
        let call = gpu.kernel(MODULE, names.divergence).counts(&counts);
        call.slots(&[x, q, maxima, factors, g, divergences]).each_warp(count);
        let call = gpu.kernel(MODULE, names.gradient).counts(&[views, batch, size]);
        let call = call.floats(&partition_loss::weights(sizes.loss));
        let call = call.slots(&[x, q, maxima, factors, g, negative_logs]);
        call.launch([blocks(students, WARP), blocks(group, 1), 1], [256, 1, 1]);

        let products = convolution(count, students, dim);
        conv2d_tensor::forward_packed(gpu, products, [x, packed_turned], grad_w, None);
        let call = gpu.kernel(MODULE, "group_prototypes_backward").counts(&[count, dim]);
        let call = call.slots(&[student_prototypes, lengths, grad_w, order, grad_prototypes]);
        call.each_warp(count);

        let parts = conv2d_tensor::grad_weight_parts(gpu, logits, [w, x], terms);
        let to = if first + group < all { sum } else { grad_student };
        // The sum so far lies before the first term.
        let (before, parts) = if first > 0 { (sum_and_terms, parts + 1) } else { (terms, parts) };
        gemm::sum_parts(gpu, parts, before, None, to);

        let counts = [group, students, size];
        let call = gpu.kernel(MODULE, "group_sums").counts(&counts).words(&[u32::from(first > 0)]);
        call.slots(&[negative_logs, divergences, sums]).each_warp(group);
    }
    streaming_loss::surplus(gpu, sizes, permutation, grad_prototypes);
    streaming_loss::terms(gpu, sizes, (sums, at_once), [loss, consistency, entropy]);
}
