//! How each kernel is launched. Kernels with one thread per element or one block per row are all
//! alike and launched from here; the others have a file per family, named as in `kernels/`.

pub mod batch_norm;
pub mod conv2d;
pub mod conv2d_tensor;
pub mod gemm;
mod gemm_tensor;
mod halves;
pub mod lars;
pub mod partition_loss;
pub mod reduce;
pub mod streaming_loss;
mod streaming_tensor;
mod transpose;
mod windows;
pub mod winograd;

use tensor::arena::DType;
use tensor::geometry::{Conv2d, Pool2d};
use tensor::order::group_sums;
use tensor::{Io, Kernel, Numerics, Shape, Slot, shards};

use self::conv2d_tensor::Behind;
pub use self::halves::halves;
use crate::Gpu;
use crate::gpu::{BLOCK, Call, in_fours};

/// Elements of scratch memory that a kernel needs on a GPU.
pub fn workspace(kernel: &Kernel, numerics: Numerics) -> usize {
    match *kernel {
        Kernel::Gemm(gemm) | Kernel::GemmBias(gemm) => gemm_tensor::workspace(gemm, numerics),
        Kernel::SumRows { rows, columns } => reduce::sum_rows_workspace(rows, columns),
        Kernel::Conv2d(conv) | Kernel::Conv2dSums(conv) => {
            conv2d::forward_workspace(conv, numerics)
        }
        Kernel::Conv2dGradInput(conv) | Kernel::Conv2dGradInputSums { conv, .. } => {
            conv2d::grad_input_workspace(conv, numerics)
        }
        Kernel::Conv2dGradWeight(conv) => conv2d::grad_weight_workspace(conv, numerics),
        Kernel::BatchNorm(norm) | Kernel::BatchNormBackward(norm) => batch_norm::workspace(norm),
        Kernel::PartitionLoss(sizes) => partition_loss::workspace(sizes),
        Kernel::StreamingLoss(sizes) => streaming_tensor::workspace(sizes, numerics),
        Kernel::Lars { tensors, .. } => lars::workspace(tensors),
        Kernel::SumShards { shards, elements } => shards::workspace(shards, elements),
        _ => 0,
    }
}

/// Batch norm's sums of a convolution's result: see [`tensor::Device::sums`].
pub fn sums(conv: Conv2d, numerics: Numerics) -> Shape {
    Shape::from([batch_norm::group_of(conv.rows(), conv.o, numerics)[1], 2, conv.o])
}

/// The sums of batch norm's gradient: see [`tensor::Device::gradient_sums`].
pub fn gradient_sums(conv: Conv2d, numerics: Numerics) -> Shape {
    match numerics {
        Numerics::Exact => group_sums(conv.input_rows(), conv.c),
        _ => Shape::from([conv2d_tensor::gradient_groups(conv), 2, conv.c]),
    }
}

/// Launches a kernel.
///
/// # Panics
/// If the numbers of inputs or outputs are wrong for the kernel: a caller bug.
pub fn run(gpu: &mut Gpu, kernel: &Kernel, io: &Io) {
    let Io { inputs, outputs, workspace } = *io;
    let (y, in_place) = (outputs[0], inputs.first() == outputs.first());
    let n = y.numbers();
    // Pointwise kernels have a thread for a number, or for 8 of bf16.
    let threads = if y.dtype == DType::Bf16 { n / 8 } else { n };
    match *kernel {
        Kernel::Copy | Kernel::Scale(1.0) if in_place => {}
        Kernel::Fill(value) | Kernel::Scale(value) => {
            call(gpu, "pointwise", kernel, io, &[value]).counts(&[n]).each_element(n);
        }
        Kernel::Clamp { low, high } | Kernel::ClampBackward { low, high } => {
            call(gpu, "pointwise", kernel, io, &[low, high]).counts(&[n]).each_element(n);
        }
        Kernel::AddBias | Kernel::BiasGelu | Kernel::BiasGeluBackward | Kernel::BiasRelu { .. } => {
            let call = call(gpu, "pointwise", kernel, io, &[]);
            call.counts(&[threads, inputs[1].len]).each_element(threads);
        }
        Kernel::Add if threads == n && in_fours(&[n], &[inputs[0], inputs[1], y]) => {
            let call = gpu.kernel("pointwise", "add_by_4").slots(inputs).slots(outputs);
            call.counts(&[n / 4]).each_element(n / 4);
        }
        Kernel::Copy
        | Kernel::Add
        | Kernel::Mul
        | Kernel::ScaleBy
        | Kernel::Unary(_)
        | Kernel::UnaryBackward(_) => {
            call(gpu, "pointwise", kernel, io, &[]).counts(&[threads]).each_element(threads)
        }
        Kernel::Accumulate => update(gpu, "pointwise", kernel, io, &[]),

        Kernel::Gemm(gemm) | Kernel::GemmBias(gemm) => {
            let (factors, bias) = first(inputs);
            gemm_tensor::gemm(gpu, gemm, factors, bias, y, workspace);
        }
        Kernel::SumRows { .. } => reduce::sum_rows(gpu, inputs[0], y, workspace),
        Kernel::SumColumns { columns } => {
            call(gpu, "reduce", kernel, io, &[]).counts(&[n, columns]).each_warp(n);
        }
        Kernel::SumColumnsBackward { columns } => {
            call(gpu, "reduce", kernel, io, &[]).counts(&[n, columns]).each_element(n);
        }
        Kernel::Sum(alpha) => reduce::sum(gpu, alpha, inputs[0], y),

        Kernel::Conv2d(conv) => conv2d::forward(gpu, conv, all(inputs), y, None, workspace),
        Kernel::Conv2dSums(conv) => {
            conv2d::forward(gpu, conv, all(inputs), y, Some(outputs[1]), workspace);
        }
        Kernel::Conv2dGradInput(conv) => {
            conv2d::grad_input(gpu, conv, all(inputs), y, workspace);
        }
        Kernel::Conv2dGradInputSums { conv, relu, .. } => {
            let ([dy, weight, x, y, mean], added) = first(inputs);
            let (y, [g, sums]) = (relu.then_some(y), all(outputs));
            let behind = Behind { x, y, mean, added, sums };
            grad_input_sums(gpu, conv, [dy, weight], g, behind, workspace);
        }
        Kernel::Conv2dGradWeight(conv) => {
            conv2d::grad_weight(gpu, conv, all(inputs), y, workspace);
        }
        Kernel::BatchNorm(norm) => {
            let (inputs, residual) = first(inputs);
            batch_norm::forward(gpu, norm, inputs, residual, all(outputs), workspace);
        }
        Kernel::BatchNormFromSums(norm) => {
            let (inputs, residual) = first(inputs);
            batch_norm::forward_from_sums(gpu, norm, inputs, residual, all(outputs));
        }
        Kernel::BatchNormApply(norm) => {
            let (inputs, residual) = first(inputs);
            batch_norm::apply(gpu, norm, inputs, residual, y);
        }
        Kernel::BatchNormBackward(norm) => {
            let (outputs, dresidual) = first(outputs);
            batch_norm::backward(gpu, norm, all(inputs), outputs, dresidual, workspace);
        }
        Kernel::BatchNormBackwardFromSums(norm) => {
            batch_norm::backward_from_sums(gpu, norm, all(inputs), all(outputs));
        }

        Kernel::MaxPool2d(pool)
        | Kernel::MaxPool2dBackward(pool)
        | Kernel::AvgPool2d(pool)
        | Kernel::AvgPool2dBackward(pool) => {
            let Pool2d { h, w, c, kernel: side, stride, padding, .. } = pool;
            let sizes = [h, w, c, pool.out_h(), pool.out_w(), side, stride, padding];
            call(gpu, "pool", kernel, io, &[]).counts(&[n]).counts(&sizes).each_element(n);
        }
        Kernel::GlobalAvgPool { n: images, pixels } => {
            let counts = [n, pixels, n / images];
            call(gpu, "pool", kernel, io, &[]).counts(&counts).each_element(n);
        }
        Kernel::GlobalAvgPoolBackward { n: images, pixels } => {
            let channels = inputs[0].len / images;
            call(gpu, "pool", kernel, io, &[]).counts(&[n, pixels, channels]).each_element(n);
        }

        Kernel::Softmax { columns }
        | Kernel::SoftmaxBackward { columns }
        | Kernel::LogSoftmax { columns }
        | Kernel::LogSoftmaxBackward { columns } => {
            let rows = n / columns;
            call(gpu, "softmax", kernel, io, &[]).counts(&[rows, columns]).each_warp(rows);
        }
        Kernel::L2Normalize { columns, eps } | Kernel::L2NormalizeBackward { columns, eps } => {
            let rows = n / columns;
            call(gpu, "normalize", kernel, io, &[eps]).counts(&[rows, columns]).each_warp(rows);
        }

        Kernel::GatherRows { columns } => {
            call(gpu, "gather", kernel, io, &[]).counts(&[n, columns]).each_element(n);
        }
        Kernel::ScatterAddRows { columns } => {
            let rows = n / columns;
            let call = call(gpu, "gather", kernel, io, &[]);
            call.counts(&[rows, columns, inputs[1].len]).each_warp(rows);
        }
        Kernel::GatherColumns { columns } => {
            let used = n / (inputs[0].len / columns);
            call(gpu, "gather", kernel, io, &[]).counts(&[n, columns, used]).each_element(n);
        }
        Kernel::GatherColumnsBackward { columns } => {
            let rows = n / columns;
            let call = call(gpu, "gather", kernel, io, &[]);
            let call = call.counts(&[columns, inputs[0].len / rows]);
            call.each_row(rows, BLOCK);
        }
        Kernel::Transpose { rows, columns } => {
            transpose::transpose(gpu, [rows, columns], inputs[0], y);
        }
        Kernel::ConcatRows => {
            let mut start = 0;
            for &x in inputs {
                copy(gpu, x, y.part(start, x.len));
                start += x.len;
            }
        }
        Kernel::SumShards { .. } => shards::sum(io, &mut |kernel, io| run(gpu, kernel, io)),
        Kernel::SliceRows { start } => copy(gpu, inputs[0].part(start, n), y),
        Kernel::SliceRowsBackward { start } => {
            run(gpu, &Kernel::Fill(0.0), &Io { inputs: &[], ..*io });
            copy(gpu, inputs[0], y.part(start, inputs[0].len));
        }

        Kernel::PartitionLoss(sizes) => {
            partition_loss::partition_loss(gpu, sizes, all(inputs), all(outputs), workspace);
        }
        Kernel::StreamingLoss(sizes) => {
            streaming_tensor::streaming_loss(gpu, sizes, all(inputs), all(outputs), workspace);
        }

        Kernel::NonFiniteCheck { scalars, flat } => {
            let (scalars, rest) = inputs.split_at(scalars);
            let (x, rest) = rest.split_at(flat);
            let (ranges, plain) = rest.split_at(flat);
            let flat = x.iter().copied().zip(ranges.iter().copied());
            reduce::non_finite_check(gpu, scalars, flat, plain, y);
        }
        Kernel::Ema => update(gpu, "optimizer", kernel, io, &[]),
        Kernel::Sgd { momentum } => update(gpu, "optimizer", kernel, io, &[momentum]),
        Kernel::Lars { momentum, eta, .. } => {
            let (inputs, guard) = first(inputs);
            lars::lars(gpu, [momentum, eta], inputs, guard, all(outputs), workspace);
        }
        Kernel::AdamW(adamw) => {
            let [beta1, new1, beta2, new2] = adamw.shares();
            let constants = [beta1, new1, beta2, new2, adamw.eps];
            update(gpu, "optimizer", kernel, io, &constants);
        }
    }
}

/// The gradient by a convolution's input behind a batch norm, and its sums.
fn grad_input_sums(
    gpu: &mut Gpu,
    conv: Conv2d,
    [dy, weight]: [Slot; 2],
    g: Slot,
    behind: Behind,
    workspace: Slot,
) {
    if gpu.numerics() != Numerics::Exact {
        return conv2d_tensor::grad_input(gpu, conv, [dy, weight], g, Some(behind), workspace);
    }
    conv2d::grad_input(gpu, conv, [dy, weight], g, workspace);
    if let Some(added) = behind.added {
        run(gpu, &Kernel::Add, &Io { inputs: &[g, added], outputs: &[g], workspace });
    }
    let Behind { x, y, mean, sums, .. } = behind;
    let rows = conv.input_rows();
    batch_norm::sum_gradients(gpu, [rows, conv.c], [x, g, mean], y, y.map(|_| g), sums);
}

/// Begins a launch of the kernel's namesake, of that for bf16 if an operand is, with arguments `scalars.., inputs.., outputs..`; counts
/// follow.
fn call<'a>(
    gpu: &'a mut Gpu,
    module: &'static str,
    kernel: &Kernel,
    io: &Io,
    scalars: &[f32],
) -> Call<'a> {
    let in_bf16 = io.inputs.iter().chain(io.outputs).any(|slot| slot.dtype == DType::Bf16);
    let name = if in_bf16 { halves::name(kernel) } else { kernel.name() };
    let call = gpu.kernel(module, name).floats(scalars);
    call.slots(io.inputs).slots(io.outputs)
}

/// Launches the kernel's namesake with arguments `scalars.., inputs.., guard, outputs.., n`: one thread per
/// element.
fn update(gpu: &mut Gpu, module: &'static str, kernel: &Kernel, io: &Io, scalars: &[f32]) {
    let (inputs, guard) = kernel.split_guard(io.inputs);
    let n = io.outputs[0].len;
    let call = gpu.kernel(module, kernel.name()).floats(scalars).slots(inputs);
    call.optional(guard.copied()).slots(io.outputs).counts(&[n]).each_element(n);
}

fn copy(gpu: &mut Gpu, x: Slot, y: Slot) {
    run(gpu, &Kernel::Copy, &Io { inputs: &[x], outputs: &[y], workspace: Slot::default() });
}

/// All slots of a call.
fn all<const N: usize>(slots: &[Slot]) -> [Slot; N] {
    slots.try_into().expect("as many slots as the kernel has")
}

/// The first slots of a call, and an optional one.
fn first<const N: usize>(slots: &[Slot]) -> ([Slot; N], Option<Slot>) {
    let (first, rest) = slots.split_first_chunk().expect("as many slots as the kernel has");
    (*first, rest.first().copied())
}
