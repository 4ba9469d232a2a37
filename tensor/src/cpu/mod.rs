//! The CPU: every kernel is a function over slices, in its family's file; here they are only given
//! their slices of the arena.
//!
//! Work is split into chunks whose size depends only on the shape, and rayon runs the chunks;
//! partial results are combined in index order. So any number of threads gives the same bits.

pub mod batch_norm;
mod chunks;
pub mod conv2d;
pub mod gather;
pub mod gemm;
mod group_sums;
mod microkernel;
pub mod normalize;
pub mod optimizer;
pub mod partition_loss;
pub mod pointwise;
pub mod pool;
pub mod reduce;
pub mod softmax;
pub mod streaming_loss;
pub mod transpose;

use isa::Isa;

use crate::arena::{Arena, Slot, bits, bits_mut};
use crate::backend::{Backend, Device};
use crate::error::{Error, Result};
use crate::kernel::{Io, Kernel};
use crate::shards;

/// This machine's processor.
#[derive(Clone, Copy, Debug)]
pub struct Cpu;

impl Device for Cpu {
    fn workspace(&self, kernel: &Kernel) -> usize {
        match *kernel {
            Kernel::Gemm(gemm) | Kernel::GemmBias(gemm) => gemm::workspace(gemm),
            Kernel::SumRows { rows, columns } => reduce::sum_rows_workspace(rows, columns),
            Kernel::Conv2d(conv) | Kernel::Conv2dSums(conv) => conv2d::forward_workspace(conv),
            Kernel::Conv2dGradInput(conv) | Kernel::Conv2dGradInputSums { conv, .. } => {
                conv2d::grad_input_workspace(conv)
            }
            Kernel::Conv2dGradWeight(conv) => conv2d::grad_weight_workspace(conv),
            Kernel::BatchNorm(norm) | Kernel::BatchNormBackward(norm) => {
                batch_norm::workspace(norm)
            }
            Kernel::BatchNormFromSums(norm) | Kernel::BatchNormApply(norm) => norm.channels,
            Kernel::BatchNormBackwardFromSums(norm) => 3 * norm.channels,
            Kernel::PartitionLoss(sizes) => partition_loss::workspace(sizes),
            Kernel::StreamingLoss(sizes) => streaming_loss::workspace(sizes),
            Kernel::SumShards { shards, elements } => shards::workspace(shards, elements),
            _ => 0,
        }
    }

    fn open(&self, elements: usize) -> Result<Box<dyn Backend>> {
        let isa = Isa::chosen().map_err(|error| Error::device(error.to_string()))?;
        Cpu.open_with(isa, elements)
    }
}

impl Cpu {
    /// As [`Device::open`], with this instruction set.
    ///
    /// # Errors
    /// Too little memory.
    ///
    /// # Panics
    /// In a kernel that uses instructions which the processor does not have.
    pub fn open_with(&self, isa: Isa, elements: usize) -> Result<Box<dyn Backend>> {
        Ok(Box::new(CpuBackend { arena: Arena::new(elements)?, isa }))
    }
}

/// The kernels and an arena in this machine's memory.
struct CpuBackend {
    arena: Arena,
    isa: Isa,
}

impl Backend for CpuBackend {
    fn write(&mut self, to: Slot, data: &[f32]) {
        self.arena.write(to).copy_from_slice(data);
    }

    fn write_u32(&mut self, to: Slot, data: &[u32]) {
        bits_mut(self.arena.write(to)).copy_from_slice(data);
    }

    fn read(&mut self, from: Slot, data: &mut [f32]) {
        data.copy_from_slice(self.arena.read(from));
    }

    fn all_finite(&mut self, x: Slot) -> bool {
        reduce::all_finite(self.isa, self.arena.read(x))
    }

    fn run(&mut self, kernel: &Kernel, io: &Io) {
        let CpuBackend { arena, isa } = self;
        let isa = *isa;
        let (inputs, guard) = kernel.split_guard(io.inputs);
        if guard.is_some_and(|&guard| arena.read(guard)[0] != 0.0) {
            return;
        }
        let io = &Io { inputs, ..*io };
        let in_place = kernel.in_place().is_some_and(|input| io.inputs[input] == io.outputs[0]);
        if in_place {
            return run_in_place(isa, arena, kernel, io);
        }
        match *kernel {
            Kernel::Fill(value) => on(arena, io, |[], [y], _| pointwise::fill(value, y)),
            Kernel::Copy => on(arena, io, |[x], [y], _| pointwise::copy(x, y)),
            Kernel::Add => on(arena, io, |[a, b], [y], _| pointwise::add(isa, a, b, y)),
            Kernel::Mul => on(arena, io, |[a, b], [y], _| pointwise::mul(isa, a, b, y)),
            Kernel::Clamp { low, high } => {
                on(arena, io, |[x], [y], _| pointwise::clamp(isa, low, high, x, y));
            }
            Kernel::ClampBackward { low, high } => {
                on(arena, io, |[x, dy], [dx], _| {
                    pointwise::clamp_backward(isa, low, high, x, dy, dx)
                });
            }
            Kernel::Scale(alpha) => on(arena, io, |[x], [y], _| pointwise::scale(isa, alpha, x, y)),
            Kernel::ScaleBy => on(arena, io, |[s, x], [y], _| pointwise::scale(isa, s[0], x, y)),
            Kernel::Accumulate => {
                on(arena, io, |[keep, x], [acc], _| pointwise::accumulate(isa, keep[0], x, acc));
            }
            Kernel::Unary(f) => on(arena, io, |[x], [y], _| pointwise::unary(isa, f, x, y)),
            Kernel::UnaryBackward(f) => {
                on(arena, io, |[saved, dy], [dx], _| {
                    pointwise::unary_backward(isa, f, saved, dy, dx)
                });
            }
            Kernel::AddBias => on(arena, io, |[x, b], [y], _| pointwise::add_bias(isa, x, b, y)),
            Kernel::BiasGelu => on(arena, io, |[x, b], [y], _| pointwise::bias_gelu(isa, x, b, y)),
            Kernel::BiasGeluBackward => {
                on(arena, io, |[x, b, dy], [dx], _| {
                    pointwise::bias_gelu_backward(isa, x, b, dy, dx)
                });
            }
            Kernel::BiasRelu { residual: false } => {
                on(arena, io, |[x, b], [y], _| pointwise::bias_relu(isa, x, b, None, y));
            }
            Kernel::BiasRelu { residual: true } => {
                on(arena, io, |[x, b, added], [y], _| {
                    pointwise::bias_relu(isa, x, b, Some(added), y)
                });
            }

            Kernel::Gemm(gemm) => {
                on(arena, io, |[a, b], [c], ws| gemm::gemm(isa, gemm, a, b, c, ws))
            }
            Kernel::GemmBias(gemm) => {
                on(arena, io, |[a, b, bias], [c], ws| {
                    gemm::gemm_bias(isa, gemm, a, b, bias, c, ws)
                });
            }
            Kernel::SumRows { .. } => on(arena, io, |[x], [y], ws| reduce::sum_rows(isa, x, y, ws)),
            Kernel::SumColumns { columns } => {
                on(arena, io, |[x], [y], _| reduce::sum_columns(isa, columns, x, y));
            }
            Kernel::SumColumnsBackward { columns } => {
                on(arena, io, |[dy], [dx], _| reduce::sum_columns_backward(columns, dy, dx));
            }
            Kernel::Sum(alpha) => {
                on(arena, io, |[x], [y], _| y[0] = (f64::from(alpha) * reduce::sum(isa, x)) as f32);
            }

            Kernel::Conv2d(conv) => {
                on(arena, io, |[x, w], [y], ws| conv2d::forward(isa, conv, x, w, [y, &mut []], ws));
            }
            Kernel::Conv2dSums(conv) => {
                on(arena, io, |[x, w], outputs, ws| conv2d::forward(isa, conv, x, w, outputs, ws));
            }
            Kernel::Conv2dGradInput(conv) => {
                on(arena, io, |[dy, w], [dx], ws| conv2d::grad_input(isa, conv, dy, w, dx, ws));
            }
            Kernel::Conv2dGradInputSums { conv, relu, added: true } => {
                on(arena, io, |[dy, w, x, y, mean, added], [g, sums], ws| {
                    conv2d::grad_input(isa, conv, dy, w, g, ws);
                    batch_norm::gradient_sums(isa, [x, y, mean], relu, Some(added), g, sums);
                });
            }
            Kernel::Conv2dGradInputSums { conv, relu, added: false } => {
                on(arena, io, |[dy, w, x, y, mean], [g, sums], ws| {
                    conv2d::grad_input(isa, conv, dy, w, g, ws);
                    batch_norm::gradient_sums(isa, [x, y, mean], relu, None, g, sums);
                });
            }
            Kernel::Conv2dGradWeight(conv) => {
                on(arena, io, |[x, dy], [dw], ws| conv2d::grad_weight(isa, conv, x, dy, dw, ws));
            }

            Kernel::BatchNorm(norm) if norm.residual => {
                on(arena, io, |[x, w, b, added], outputs, ws| {
                    batch_norm::forward(isa, norm, x, Some(added), [w, b], outputs, ws);
                });
            }
            Kernel::BatchNorm(norm) => {
                on(arena, io, |[x, w, b], outputs, ws| {
                    batch_norm::forward(isa, norm, x, None, [w, b], outputs, ws);
                });
            }
            Kernel::BatchNormFromSums(norm) if norm.residual => {
                on(arena, io, |[x, w, b, sums, added], outputs, ws| {
                    let inputs = [w, b, sums];
                    batch_norm::forward_from_sums(isa, norm, x, Some(added), inputs, outputs, ws);
                });
            }
            Kernel::BatchNormFromSums(norm) => {
                on(arena, io, |[x, w, b, sums], outputs, ws| {
                    batch_norm::forward_from_sums(isa, norm, x, None, [w, b, sums], outputs, ws);
                });
            }
            Kernel::BatchNormApply(norm) if norm.residual => {
                on(arena, io, |[x, w, b, mean, inv_std, added], [y], ws| {
                    batch_norm::apply(isa, norm, x, Some(added), [w, b, mean, inv_std], y, ws);
                });
            }
            Kernel::BatchNormApply(norm) => {
                on(arena, io, |[x, w, b, mean, inv_std], [y], ws| {
                    batch_norm::apply(isa, norm, x, None, [w, b, mean, inv_std], y, ws);
                });
            }
            Kernel::BatchNormBackward(norm) if norm.residual && norm.relu => {
                on(arena, io, |[x, y, dy, w, mean, inv_std], [dx, dw, db, dresidual], ws| {
                    let (inputs, outputs) = ([x, y, w, mean, inv_std], [dx, dw, db]);
                    batch_norm::backward(isa, norm, inputs, Some(dy), outputs, Some(dresidual), ws);
                });
            }
            Kernel::BatchNormBackward(norm) => {
                on(arena, io, |[x, y, dy, w, mean, inv_std], outputs, ws| {
                    let inputs = [x, y, w, mean, inv_std];
                    batch_norm::backward(isa, norm, inputs, Some(dy), outputs, None, ws);
                });
            }

            Kernel::BatchNormBackwardFromSums(norm) => {
                on(arena, io, |[x, g, w, mean, inv_std, sums], outputs, ws| {
                    let inputs = [x, w, mean, inv_std, sums];
                    batch_norm::backward_from_sums(isa, norm, inputs, Some(g), outputs, ws);
                });
            }

            Kernel::MaxPool2d(pool) => {
                on(arena, io, |[x], [y, at], _| pool::max_forward(isa, pool, x, y, bits_mut(at)));
            }
            Kernel::MaxPool2dBackward(pool) => {
                on(arena, io, |[dy, at], [dx], _| pool::max_backward(isa, pool, dy, bits(at), dx));
            }
            Kernel::AvgPool2d(pool) => {
                on(arena, io, |[x], [y], _| pool::avg_forward(isa, pool, x, y))
            }
            Kernel::AvgPool2dBackward(pool) => {
                on(arena, io, |[dy], [dx], _| pool::avg_backward(isa, pool, dy, dx));
            }
            Kernel::GlobalAvgPool { n, pixels } => {
                on(arena, io, |[x], [y], _| pool::global_avg_forward(isa, n, pixels, x, y));
            }
            Kernel::GlobalAvgPoolBackward { n, pixels } => {
                on(arena, io, |[dy], [dx], _| pool::global_avg_backward(isa, n, pixels, dy, dx));
            }

            Kernel::Softmax { columns } => {
                on(arena, io, |[x], [y], _| softmax::softmax(isa, columns, x, y));
            }
            Kernel::SoftmaxBackward { columns } => {
                on(arena, io, |[y, dy], [dx], _| {
                    softmax::softmax_backward(isa, columns, y, dy, dx)
                });
            }
            Kernel::LogSoftmax { columns } => {
                on(arena, io, |[x], [y], _| softmax::log_softmax(isa, columns, x, y));
            }
            Kernel::LogSoftmaxBackward { columns } => {
                on(arena, io, |[y, dy], [dx], _| {
                    softmax::log_softmax_backward(isa, columns, y, dy, dx)
                });
            }
            Kernel::L2Normalize { columns, eps } => {
                on(arena, io, |[x], [y, norm], _| {
                    normalize::l2_normalize(isa, columns, eps, x, y, norm);
                });
            }
            Kernel::L2NormalizeBackward { columns, eps } => {
                on(arena, io, |[y, norm, dy], [dx], _| {
                    normalize::l2_normalize_backward(isa, columns, eps, y, norm, dy, dx);
                });
            }

            Kernel::GatherRows { columns } => {
                on(arena, io, |[x, at], [y], _| gather::gather_rows(columns, x, bits(at), y));
            }
            Kernel::ScatterAddRows { columns } => {
                on(arena, io, |[x, at], [y], _| {
                    gather::scatter_add_rows(isa, columns, x, bits(at), y)
                });
            }
            Kernel::GatherColumns { columns } => {
                on(arena, io, |[x, at], [y], _| gather::gather_columns(columns, x, bits(at), y));
            }
            Kernel::GatherColumnsBackward { columns } => {
                on(arena, io, |[dy, at], [dx], _| {
                    gather::gather_columns_backward(columns, dy, bits(at), dx);
                });
            }
            Kernel::Transpose { rows, columns } => {
                on(arena, io, |[x], [y], _| transpose::transpose(rows, columns, x, y));
            }
            Kernel::ConcatRows => {
                let mut start = 0;
                for x in io.inputs {
                    let part = [io.outputs[0].part(start, x.len)];
                    let io = Io { inputs: &[*x], outputs: &part, ..*io };
                    on(arena, &io, |[x], [y], _| pointwise::copy(x, y));
                    start += x.len;
                }
            }
            Kernel::SumShards { .. } => shards::sum(io, &mut |kernel, io| self.run(kernel, io)),
            Kernel::SliceRows { start } => {
                on(arena, io, |[x], [y], _| pointwise::copy(&x[start..start + y.len()], y));
            }
            Kernel::SliceRowsBackward { start } => {
                on(arena, io, |[dy], [dx], _| {
                    let (before, rest) = dx.split_at_mut(start);
                    let (part, after) = rest.split_at_mut(dy.len());
                    pointwise::fill(0.0, before);
                    pointwise::copy(dy, part);
                    pointwise::fill(0.0, after);
                });
            }

            Kernel::PartitionLoss(sizes) => {
                on(arena, io, |[s, t, order], [loss, c, h, ds], ws| {
                    let terms =
                        partition_loss::partition_loss(isa, sizes, s, t, bits(order), ds, ws);
                    write_terms(terms, [loss, c, h]);
                });
            }
            Kernel::StreamingLoss(sizes) => {
                on(arena, io, |[z, zt, v, vt, order], [loss, c, h, dz, dv], ws| {
                    let (inputs, order) = ([z, zt, v, vt], bits(order));
                    let terms =
                        streaming_loss::streaming_loss(isa, sizes, inputs, order, [dz, dv], ws);
                    write_terms(terms, [loss, c, h]);
                });
            }

            Kernel::NonFiniteCheck { scalars, flat } => {
                non_finite_check(isa, arena, [scalars, flat], io)
            }
            Kernel::Ema => {
                on(arena, io, |[m, student], [teacher], _| {
                    optimizer::ema(isa, m[0], student, teacher)
                });
            }
            Kernel::Sgd { momentum } => {
                on(arena, io, |[grad, lr, wd], [w, buffer], _| {
                    optimizer::sgd(isa, momentum, lr[0], wd[0], grad, w, buffer);
                });
            }
            Kernel::Lars { momentum, eta, .. } => {
                on(arena, io, |[grad, lr, wd, ranges], [w, buffer], _| {
                    let lars = optimizer::Lars { momentum, eta, lr: lr[0], wd: wd[0] };
                    optimizer::lars(isa, lars, bits(ranges), grad, w, buffer);
                });
            }
            Kernel::AdamW(adamw) => {
                on(arena, io, |[grad, lr, wd, c], [w, first, second], _| {
                    let c = (c[0], c[1]);
                    optimizer::adamw(isa, adamw, lr[0], wd[0], c, grad, w, first, second);
                });
            }
        }
    }
}

/// The kernels whose output 0 may be one of their inputs.
fn run_in_place(isa: Isa, arena: &mut Arena, kernel: &Kernel, io: &Io) {
    let input = |at: usize| Io { inputs: &io.inputs[at..=at], ..*io };
    match *kernel {
        Kernel::Copy => {}
        Kernel::Add => on(arena, &input(1), |[b], [y], _| pointwise::add_assign(isa, b, y)),
        Kernel::AddBias => {
            on(arena, &input(1), |[b], [y], _| pointwise::add_bias_assign(isa, b, y))
        }
        Kernel::BiasRelu { residual: false } => {
            on(arena, &input(1), |[b], [y], _| pointwise::bias_relu_assign(isa, b, None, y));
        }
        Kernel::BiasRelu { residual: true } => {
            let io = Io { inputs: &io.inputs[1..], ..*io };
            on(arena, &io, |[b, added], [y], _| {
                pointwise::bias_relu_assign(isa, b, Some(added), y)
            });
        }
        Kernel::Scale(alpha) => pointwise::scale_assign(isa, alpha, arena.write(io.outputs[0])),
        Kernel::ScaleBy => {
            on(arena, &input(0), |[s], [y], _| pointwise::scale_assign(isa, s[0], y))
        }
        Kernel::BatchNormBackward(norm) => {
            let [x, y, _, w, mean, inv_std] = *io.inputs else { unreachable!("six inputs") };
            let io = Io { inputs: &[x, y, w, mean, inv_std], ..*io };
            if norm.residual && norm.relu {
                on(arena, &io, |inputs, [dx, dw, db, dresidual], ws| {
                    let outputs = [dx, dw, db];
                    batch_norm::backward(isa, norm, inputs, None, outputs, Some(dresidual), ws);
                });
            } else {
                on(arena, &io, |inputs, outputs, ws| {
                    batch_norm::backward(isa, norm, inputs, None, outputs, None, ws);
                });
            }
        }
        Kernel::BatchNormBackwardFromSums(norm) => {
            let [x, _, w, mean, inv_std, sums] = *io.inputs else { unreachable!("six inputs") };
            let io = Io { inputs: &[x, w, mean, inv_std, sums], ..*io };
            on(arena, &io, |inputs, outputs, ws| {
                batch_norm::backward_from_sums(isa, norm, inputs, None, outputs, ws);
            });
        }
        _ => unreachable!("{} does not run in place", kernel.name()),
    }
}

/// [`Kernel::NonFiniteCheck`], which takes any number of inputs.
fn non_finite_check(isa: Isa, arena: &mut Arena, [scalars, flat]: [usize; 2], io: &Io) {
    let (s, rest) = io.inputs.split_at(scalars);
    let (x, rest) = rest.split_at(flat);
    let (ranges, z) = rest.split_at(flat);
    let report = io.outputs[0];
    for (place, &s) in s.iter().enumerate() {
        let io = Io { inputs: &[s], outputs: &[report.part(1 + place, 1)], ..*io };
        on(arena, &io, |[s], [y], _| y[0] = s[0]);
    }
    let mut is_finite = s.iter().chain(z).all(|&x| reduce::all_finite(isa, arena.read(x)));
    for (&x, &ranges) in x.iter().zip(ranges) {
        on(arena, &Io { inputs: &[x, ranges], outputs: &[], ..*io }, |[x, ranges], [], _| {
            is_finite = is_finite && reduce::all_finite_in(isa, x, bits(ranges));
        });
    }
    arena.write(report)[0] = if is_finite { 0.0 } else { 1.0 };
}

/// Calls `f(inputs, outputs, scratch memory)` with slices of the arena.
///
/// # Panics
/// If the numbers of inputs or outputs are wrong for the kernel: a caller bug.
fn on<const R: usize, const W: usize>(
    arena: &mut Arena,
    io: &Io,
    f: impl FnOnce([&[f32]; R], [&mut [f32]; W], &mut [f32]),
) {
    let reads: [Slot; R] = io.inputs.try_into().expect("as many inputs as the kernel has");
    let writes: [Slot; W] = io.outputs.try_into().expect("as many outputs as the kernel has");
    let (inputs, outputs, workspace) = arena.split(reads, writes, io.workspace);
    f(inputs, outputs, workspace);
}

fn write_terms((c, h): (f64, f64), [loss, consistency, entropy]: [&mut [f32]; 3]) {
    (consistency[0], entropy[0], loss[0]) = (c as f32, h as f32, (c + h) as f32);
}
