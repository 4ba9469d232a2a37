//! The ops, one file per family: the formulas, the shape rules (the `Graph` methods that append a
//! kernel) and the gradients as further kernels.

pub mod batch_norm;
pub mod carp_loss;
pub mod conv2d;
pub mod cross_entropy;
pub mod gather;
pub mod gemm;
pub mod largest;
pub mod normalize;
pub mod optimizer;
pub mod pointwise;
pub mod pool;
pub mod reduce;
pub mod rows;
pub mod softmax;
pub mod transpose;

use tensor::{Error, Kernel};

use crate::graph::{Gradients, Graph, Node, Value};

/// The vector-Jacobian product: appends kernels that turn `dy`, the gradient of a node's first
/// output, into gradients of its inputs. `wanted` says which inputs need one.
///
/// # Errors
/// A kernel without a gradient.
pub(crate) fn vjp(g: &mut Graph, node: &Node, dy: Value, wanted: &[bool]) -> Gradients {
    let x = node.inputs.first().copied();
    let y = node.outputs[0];
    let by_x = |g: &mut Graph, kernel| pointwise::by_kernel(g, kernel, x.expect("an input"), dy);
    let by_y = |g: &mut Graph, kernel| pointwise::by_kernel(g, kernel, y, dy);
    match node.kernel {
        Kernel::Copy => pointwise::reshape_vjp(g, node, dy),
        Kernel::Add => Ok(vec![Some(dy); 2]),
        Kernel::Mul => pointwise::mul_vjp(g, node, dy, wanted),
        Kernel::Scale(alpha) => Ok(vec![Some(g.scale(dy, alpha))]),
        Kernel::AddBias => pointwise::add_bias_vjp(g, dy, wanted),
        Kernel::BiasGelu => pointwise::bias_gelu_vjp(g, node, dy, wanted),
        Kernel::Unary(f) if f.by_output() => by_y(g, Kernel::UnaryBackward(f)),
        Kernel::Unary(f) => by_x(g, Kernel::UnaryBackward(f)),
        Kernel::Clamp { low, high } => by_x(g, Kernel::ClampBackward { low, high }),
        Kernel::Softmax { columns } => by_y(g, Kernel::SoftmaxBackward { columns }),
        Kernel::LogSoftmax { columns } => by_y(g, Kernel::LogSoftmaxBackward { columns }),
        Kernel::L2Normalize { columns, eps } => normalize::vjp(g, node, dy, columns, eps),
        Kernel::Gemm(sizes) => gemm::vjp(g, node, sizes, dy, wanted),
        Kernel::GemmBias(sizes) => gemm::bias_vjp(g, node, sizes, dy, wanted),
        Kernel::Conv2d(conv) | Kernel::Conv2dSums(conv) => conv2d::vjp(g, node, conv, dy, wanted),
        Kernel::BatchNorm(norm) => batch_norm::vjp(g, node, norm, dy),
        Kernel::BatchNormFromSums(norm) => batch_norm::from_sums_vjp(g, node, norm, dy),
        Kernel::MaxPool2d(pool) => pool::max_vjp(g, node, pool, dy),
        Kernel::AvgPool2d(pool) => to_input(g, node, Kernel::AvgPool2dBackward(pool), dy),
        Kernel::GlobalAvgPool { n, pixels } => {
            to_input(g, node, Kernel::GlobalAvgPoolBackward { n, pixels }, dy)
        }
        Kernel::Sum(alpha) => reduce::sum_vjp(g, node, alpha, dy),
        Kernel::SumRows { .. } => reduce::sum_rows_vjp(g, node, dy),
        Kernel::SumColumns { columns } => {
            to_input(g, node, Kernel::SumColumnsBackward { columns }, dy)
        }
        Kernel::GatherRows { columns } => {
            gather::vjp(g, node, Kernel::ScatterAddRows { columns }, dy)
        }
        Kernel::GatherColumns { columns } => {
            gather::vjp(g, node, Kernel::GatherColumnsBackward { columns }, dy)
        }
        Kernel::Transpose { .. } => transpose::vjp(g, dy),
        Kernel::ConcatRows => rows::concat_vjp(g, node, dy, wanted),
        // The gradient of a sum over shards is each shard's: see `shards`.
        Kernel::SumShards { .. } => Ok(vec![Some(dy)]),
        Kernel::SliceRows { start } => to_input(g, node, Kernel::SliceRowsBackward { start }, dy),
        Kernel::PartitionLoss(_) | Kernel::StreamingLoss(_) => carp_loss::vjp(g, node, dy, wanted),
        _ => Err(Error::setting(node.kernel.name(), "this op has no gradient")),
    }
}

/// dx with the shape of input 0, from dy alone.
fn to_input(g: &mut Graph, node: &Node, backward: Kernel, dy: Value) -> Gradients {
    let shape = g.shape(node.inputs[0]);
    Ok(vec![Some(g.apply(backward, &[dy], shape))])
}
