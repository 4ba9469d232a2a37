//! The pass over updates: those of one tensor each become one of all.

use tensor::Kernel;

use crate::graph::{Graph, Kind, Node, Value};

/// Consecutive nodes of one kernel with the same scalar inputs and different tensors: the tensors
/// of each operand are laid out contiguously.
pub(super) fn flat_update(g: &mut Graph, at: usize) -> Option<(usize, Node)> {
    // The tensor input, and the scalars that all share.
    let (tensor, scalars) = match g.nodes[at].kernel {
        Kernel::Ema | Kernel::Accumulate => (1, 0..1),
        Kernel::Sgd { .. } | Kernel::Lars { tensors: 1, .. } => (0, 1..3),
        Kernel::AdamW(_) => (0, 1..4),
        _ => return None,
    };
    let first = g.nodes[at].clone();
    let joins = |node: &&Node| {
        node.kernel == first.kernel
            && node.phase == first.phase
            && node.inputs[scalars.clone()] == first.inputs[scalars.clone()]
    };
    let run: Vec<Node> = g.nodes[at..].iter().take_while(joins).cloned().collect();
    let mut operands: Vec<Vec<Value>> = vec![run.iter().map(|node| node.inputs[tensor]).collect()];
    for output in 0..first.outputs.len() {
        operands.push(run.iter().map(|node| node.outputs[output]).collect());
    }
    // One tensor as two operands is an update that depends on another.
    let is_distinct = is_distinct(&operands.concat());
    if run.len() < 2 || !is_distinct || !operands.iter().all(|members| can_lie_flat(g, members)) {
        return None;
    }
    let ranges = g.ranges(&operands[0]);
    let mut kernel = first.kernel;
    let mut inputs = first.inputs.clone();
    if let Kernel::Lars { tensors, .. } = &mut kernel {
        // Ranges are u32.
        u32::try_from(ranges.last()?.1).ok()?;
        *tensors = ranges.len();
        let ranges = ranges.iter().flat_map(|&(start, end)| [start as u32, end as u32]);
        inputs[3] = g.constant_u32("ranges", ranges.collect());
    }
    let flat: Vec<Value> = operands.into_iter().map(|members| g.span("", members)).collect();
    inputs[tensor] = flat[0];
    Some((run.len(), Node { kernel, inputs, outputs: flat[1..].to_vec(), ..first }))
}

fn is_distinct(values: &[Value]) -> bool {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.windows(2).all(|pair| pair[0] != pair[1])
}

/// Values of one kind, in an order that agrees with the existing spans.
fn can_lie_flat(g: &Graph, members: &[Value]) -> bool {
    let kind = g.info(members[0]).kind;
    let is_run = |long: &[Value], short: &[Value]| long.windows(short.len()).any(|w| w == short);
    let agrees = |span: &[Value]| {
        let apart = !span.iter().any(|value| members.contains(value));
        apart || kind != Kind::Temp && (is_run(span, members) || is_run(members, span))
    };
    members.iter().all(|&value| g.info(value).kind == kind)
        && g.spans.iter().all(|span| agrees(&span.members))
}
