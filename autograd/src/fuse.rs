//! Fusion as a rewrite of the list of kernels.
//!
//! Layers append plain kernels; each pass here looks for its pattern, consecutive nodes whose inner
//! results are not used elsewhere, and replaces them by one kernel. The new kernel writes the same
//! value as the last of the old ones, so handles stay valid. A pass ignores what it does not
//! recognise, so passes can be run in any number and combination; `docs/fusion.md` has a section on
//! each. Run them on the forward list before [`Graph::backward`]: fused kernels have their own
//! gradients. [`Pass::FlatUpdate`] rewrites the updates after it.

use std::fmt;
use std::str::FromStr;

use tensor::Kernel;
use tensor::geometry::{Gemm, PartitionLoss, StreamingLoss};
use tensor::kernel::Unary;

use crate::graph::{DType, Graph, Kind, Node, Phase, Value};
use crate::ops::carp_loss;

/// A rewrite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pass {
    /// `batch_norm, add` becomes a batch norm that adds the residual.
    BatchNormAdd,
    /// `batch_norm, relu` becomes a batch norm that ends with ReLU.
    BatchNormRelu,
    /// `add_bias, gelu` becomes one sweep.
    BiasGelu,
    /// `gemm, add_bias` becomes a product that adds the bias while a tile is in cache.
    LinearBias,
    /// The loss over logits, op by op, becomes one kernel that also computes its gradient.
    PartitionLoss,
    /// Weight norms, logits and [`Pass::PartitionLoss`]'s kernel become one that works block by
    /// block.
    StreamingLoss,
    /// The streaming loss goes view by view inside a block.
    TiledLoss,
    /// Updates of single tensors become one update of all tensors, which are then laid out
    /// contiguously.
    FlatUpdate,
}

impl Pass {
    /// All passes, in execution order: those of the loss build on each other.
    pub const ALL: [Pass; 8] = [
        Pass::BatchNormAdd,
        Pass::BatchNormRelu,
        Pass::BiasGelu,
        Pass::LinearBias,
        Pass::PartitionLoss,
        Pass::StreamingLoss,
        Pass::TiledLoss,
        Pass::FlatUpdate,
    ];

    /// Name in settings and tables.
    pub fn name(self) -> &'static str {
        match self {
            Pass::BatchNormAdd => "batch-norm-add",
            Pass::BatchNormRelu => "batch-norm-relu",
            Pass::BiasGelu => "bias-gelu",
            Pass::LinearBias => "linear-bias",
            Pass::PartitionLoss => "partition-loss",
            Pass::StreamingLoss => "streaming-loss",
            Pass::TiledLoss => "tiled-loss",
            Pass::FlatUpdate => "flat-update",
        }
    }

    /// The pass whose result is this one's pattern.
    fn builds_on(self) -> Option<Pass> {
        match self {
            Pass::StreamingLoss => Some(Pass::PartitionLoss),
            Pass::TiledLoss => Some(Pass::StreamingLoss),
            _ => None,
        }
    }

    /// How many nodes from `at` on match, and their replacement.
    fn rewrite(self, g: &mut Graph, at: usize) -> Option<(usize, Node)> {
        match self {
            Pass::BatchNormAdd => batch_norm_add(g, at),
            Pass::BatchNormRelu => batch_norm_relu(g, at),
            Pass::BiasGelu => bias_gelu(g, at),
            Pass::LinearBias => linear_bias(g, at),
            Pass::PartitionLoss => partition_loss(g, at),
            Pass::StreamingLoss => streaming_loss(g, at),
            Pass::TiledLoss => tiled_loss(g, at),
            Pass::FlatUpdate => flat_update(g, at),
        }
    }
}

/// The enabled passes: `none`, `all`, or a comma-separated list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passes(Vec<Pass>);

impl Passes {
    /// These passes and those they build on.
    pub fn new(passes: impl IntoIterator<Item = Pass>) -> Passes {
        let mut on: Vec<Pass> = Vec::new();
        for pass in passes {
            on.extend(std::iter::successors(Some(pass), |pass| pass.builds_on()));
        }
        on.sort_unstable();
        on.dedup();
        Passes(on)
    }

    /// All.
    pub fn all() -> Passes {
        Passes::new(Pass::ALL)
    }

    /// None.
    pub fn none() -> Passes {
        Passes(Vec::new())
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = Pass> + '_ {
        self.0.iter().copied()
    }
}

impl FromStr for Passes {
    type Err = String;

    fn from_str(names: &str) -> Result<Passes, String> {
        match names {
            "all" => return Ok(Passes::all()),
            "none" => return Ok(Passes::none()),
            _ => {}
        }
        let pass = |name: &str| {
            Pass::ALL.into_iter().find(|pass| pass.name() == name).ok_or_else(|| {
                let known = Pass::ALL.map(Pass::name).join(", ");
                format!("unknown fusion pass {name:?}; use none, all, or some of {known}")
            })
        };
        Ok(Passes::new(
            names.split(',').map(|name| pass(name.trim())).collect::<Result<Vec<_>, _>>()?,
        ))
    }
}

impl fmt::Display for Passes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|pass| pass.name()).collect();
        match names.len() {
            0 => f.write_str("none"),
            n if n == Pass::ALL.len() => f.write_str("all"),
            _ => f.write_str(&names.join(",")),
        }
    }
}

impl Graph {
    /// Runs these passes over the list.
    pub fn fuse(&mut self, passes: &Passes) {
        for pass in &passes.0 {
            let mut at = 0;
            while at < self.nodes.len() {
                if let Some((len, node)) = pass.rewrite(self, at) {
                    self.nodes.splice(at..at + len, [node]);
                }
                at += 1;
            }
        }
    }

    /// The `N` nodes of the forward list from `at` on, if there are that many.
    fn window<const N: usize>(&self, at: usize) -> Option<[&Node; N]> {
        let nodes: [&Node; N] =
            self.nodes.get(at..at + N)?.iter().collect::<Vec<_>>().try_into().ok()?;
        nodes.iter().all(|node| node.phase == Phase::Forward).then_some(nodes)
    }

    /// True if only the nodes `inside` use the value.
    fn is_inner(&self, value: Value, inside: std::ops::Range<usize>) -> bool {
        let outside = self.nodes[..inside.start].iter().chain(&self.nodes[inside.end..]);
        let used = outside.flat_map(|node| &node.inputs).any(|&input| input == value);
        !used && !self.info(value).kept && self.info(value).kind == Kind::Temp
    }
}

/// `first` with a different kernel, inputs and first output.
fn merged(first: &Node, kernel: Kernel, inputs: &[Value], y: Value) -> Node {
    let outputs = [&[y], &first.outputs[1..]].concat();
    Node { kernel, inputs: inputs.to_vec(), outputs, ..first.clone() }
}

/// The two nodes at `at`, if the first one's y is used only as input 0 of the second.
fn pair(g: &Graph, at: usize) -> Option<[&Node; 2]> {
    let [first, second] = g.window(at)?;
    let y = first.outputs[0];
    let uses = second.inputs.iter().filter(|&&input| input == y).count();
    (second.inputs.first() == Some(&y) && uses == 1 && g.is_inner(y, at..at + 2))
        .then_some([first, second])
}

fn batch_norm_add(g: &mut Graph, at: usize) -> Option<(usize, Node)> {
    let [norm, add] = pair(g, at)?;
    let (Kernel::BatchNorm(mut sizes), Kernel::Add) = (norm.kernel, add.kernel) else {
        return None;
    };
    if sizes.residual || sizes.relu {
        return None;
    }
    sizes.residual = true;
    let inputs = [&norm.inputs[..], &[add.inputs[1]]].concat();
    Some((2, merged(norm, Kernel::BatchNorm(sizes), &inputs, add.outputs[0])))
}

fn batch_norm_relu(g: &mut Graph, at: usize) -> Option<(usize, Node)> {
    let [norm, relu] = pair(g, at)?;
    let (Kernel::BatchNorm(mut sizes), Kernel::Unary(Unary::Relu)) = (norm.kernel, relu.kernel)
    else {
        return None;
    };
    if sizes.relu {
        return None;
    }
    sizes.relu = true;
    Some((2, merged(norm, Kernel::BatchNorm(sizes), &norm.inputs, relu.outputs[0])))
}

fn bias_gelu(g: &mut Graph, at: usize) -> Option<(usize, Node)> {
    let [bias, gelu] = pair(g, at)?;
    let (Kernel::AddBias, Kernel::Unary(Unary::Gelu)) = (bias.kernel, gelu.kernel) else {
        return None;
    };
    Some((2, merged(bias, Kernel::BiasGelu, &bias.inputs, gelu.outputs[0])))
}

fn linear_bias(g: &mut Graph, at: usize) -> Option<(usize, Node)> {
    let [product, bias] = pair(g, at)?;
    let (Kernel::Gemm(sizes), Kernel::AddBias) = (product.kernel, bias.kernel) else {
        return None;
    };
    let inputs = [&product.inputs[..], &[bias.inputs[1]]].concat();
    Some((2, merged(product, Kernel::GemmBias(sizes), &inputs, bias.outputs[0])))
}

/// The pattern is the list that [`carp_loss::op_by_op`] appends for these sizes.
fn partition_loss(g: &mut Graph, at: usize) -> Option<(usize, Node)> {
    let [gather, reshape, _, teacher] = g.window(at)?;
    let (Kernel::GatherColumns { columns }, Kernel::GatherColumns { .. }) =
        (gather.kernel, teacher.kernel)
    else {
        return None;
    };
    let inputs = [gather.inputs[0], teacher.inputs[0], gather.inputs[1]];
    let [rows, teacher_rows] = [inputs[0], inputs[1]].map(|logits| g.shape(logits)[0]);
    let batch = (teacher_rows / 2).max(1);
    let size = *g.shape(reshape.outputs[0]).get(1)?;
    let sizes = PartitionLoss::new(rows / batch, batch, columns, size).ok()?;

    let mut pattern = Graph::new();
    let [s, t] = [rows, teacher_rows].map(|rows| pattern.input("", [rows, columns]));
    let order = pattern.input_u32("", [columns]);
    let terms = carp_loss::op_by_op(&mut pattern, sizes, [s, t, order]).ok()?;
    let terms = [terms.loss, terms.consistency, terms.entropy];
    let (len, terms) = matches(g, at, &pattern, &[s, t, order], &inputs, terms)?;

    let first = g.nodes[at].clone();
    let grad = g.temp(g.shape(inputs[0]), DType::F32);
    let outputs = [&terms[..], &[grad]].concat();
    let kernel = Kernel::PartitionLoss(sizes);
    Some((len, Node { kernel, inputs: inputs.to_vec(), outputs, ..first }))
}

/// If the nodes from `at` on match `pattern`, with `inputs` for its `from`: how many they are, and
/// the values for the pattern's `outputs`.
fn matches<const N: usize>(
    g: &Graph,
    at: usize,
    pattern: &Graph,
    from: &[Value],
    inputs: &[Value],
    outputs: [Value; N],
) -> Option<(usize, [Value; N])> {
    let nodes = g.nodes.get(at..at + pattern.nodes.len())?;
    let mut stands_for: Vec<Option<Value>> = vec![None; pattern.values.len()];
    for (from, input) in from.iter().zip(inputs) {
        stands_for[from.index()] = Some(*input);
    }
    for (node, wanted) in nodes.iter().zip(&pattern.nodes) {
        let reads = |(input, wanted): (&Value, &Value)| stands_for[wanted.index()] == Some(*input);
        let same = node.kernel == wanted.kernel
            && node.phase == Phase::Forward
            && node.inputs.len() == wanted.inputs.len()
            && node.inputs.iter().zip(&wanted.inputs).all(reads);
        if !same {
            return None;
        }
        for (output, wanted) in node.outputs.iter().zip(&wanted.outputs) {
            stands_for[wanted.index()] = Some(*output);
        }
    }
    let outputs = outputs.map(|output| stands_for[output.index()].expect("a node wrote it"));
    let mut inner = nodes.iter().flat_map(|node| &node.outputs).filter(|v| !outputs.contains(v));
    inner.all(|&v| g.is_inner(v, at..at + nodes.len())).then_some((nodes.len(), outputs))
}

fn streaming_loss(g: &mut Graph, at: usize) -> Option<(usize, Node)> {
    let [teacher_norm, teacher, norm, student, loss] = g.window(at)?;
    let (
        Kernel::L2Normalize { eps: 0.0, .. },
        Kernel::Gemm(teacher_product),
        Kernel::L2Normalize { eps: 0.0, .. },
        Kernel::Gemm(product),
        Kernel::PartitionLoss(sizes),
    ) = (teacher_norm.kernel, teacher.kernel, norm.kernel, student.kernel, loss.kernel)
    else {
        return None;
    };
    let is_logits = |gemm: Gemm| !gemm.trans_a && gemm.trans_b;
    let flows = is_logits(teacher_product)
        && is_logits(product)
        && teacher.inputs[1] == teacher_norm.outputs[0]
        && student.inputs[1] == norm.outputs[0]
        && loss.inputs[..2] == [student.outputs[0], teacher.outputs[0]];
    let inner = [teacher_norm, teacher, norm, student].into_iter().flat_map(|node| &node.outputs);
    if !flows || !inner.into_iter().all(|&value| g.is_inner(value, at..at + 5)) {
        return None;
    }
    let dim = product.k;
    let [v, vt] = [norm.inputs[0], teacher_norm.inputs[0]];
    let inputs = vec![student.inputs[0], teacher.inputs[0], v, vt, loss.inputs[2]];
    let (terms, node) = (loss.outputs[..3].to_vec(), loss.clone());
    let grads = [inputs[0], v].map(|value| g.temp(g.shape(value), DType::F32));
    let sizes = StreamingLoss { loss: sizes, dim, views_at_once: sizes.views };
    let outputs = [&terms[..], &grads].concat();
    Some((5, Node { kernel: Kernel::StreamingLoss(sizes), inputs, outputs, ..node }))
}

fn tiled_loss(g: &mut Graph, at: usize) -> Option<(usize, Node)> {
    let [loss] = g.window(at)?;
    let Kernel::StreamingLoss(sizes) = loss.kernel else { return None };
    let kernel = Kernel::StreamingLoss(StreamingLoss { views_at_once: 1, ..sizes });
    (sizes.views_at_once > 1).then(|| (1, Node { kernel, ..loss.clone() }))
}

/// Consecutive nodes of one kernel with the same scalar inputs and different tensors: the tensors
/// of each operand are laid out contiguously.
fn flat_update(g: &mut Graph, at: usize) -> Option<(usize, Node)> {
    let first = g.nodes[at].clone();
    // The tensor input, and the scalars that all share.
    let (tensor, scalars) = match first.kernel {
        Kernel::Ema | Kernel::Accumulate => (1, 0..1),
        Kernel::Sgd { .. } | Kernel::Lars { tensors: 1, .. } => (0, 1..3),
        Kernel::AdamW(_) => (0, 1..4),
        _ => return None,
    };
    let joins = |node: &&Node| {
        node.kernel == first.kernel
            && node.phase == first.phase
            && node.inputs[scalars.clone()] == first.inputs[scalars.clone()]
    };
    let run: Vec<Node> = g.nodes[at..].iter().take_while(joins).cloned().collect();
    let mut places: Vec<Vec<Value>> = vec![run.iter().map(|node| node.inputs[tensor]).collect()];
    for output in 0..first.outputs.len() {
        places.push(run.iter().map(|node| node.outputs[output]).collect());
    }
    if run.len() < 2 || !places.iter().all(|members| can_lie_flat(g, members)) {
        return None;
    }
    let ranges = g.ranges(&places[0]);
    // They are indices.
    u32::try_from(ranges.last()?.1).ok()?;
    let flat: Vec<Value> = places.into_iter().map(|members| g.span("", members)).collect();
    let mut inputs = first.inputs.clone();
    inputs[tensor] = flat[0];
    let mut kernel = first.kernel;
    if let Kernel::Lars { tensors, .. } = &mut kernel {
        *tensors = ranges.len();
        let ranges = ranges.iter().flat_map(|&(start, end)| [start as u32, end as u32]);
        inputs[3] = g.constant_u32("ranges", ranges.collect());
    }
    Some((run.len(), Node { kernel, inputs, outputs: flat[1..].to_vec(), ..first }))
}

/// Values of one kind, each once, whose order agrees with that of the spans there are.
fn can_lie_flat(g: &Graph, members: &[Value]) -> bool {
    let kind = g.info(members[0]).kind;
    let mut sorted = members.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let is_run = |long: &[Value], short: &[Value]| long.windows(short.len()).any(|w| w == short);
    let agrees = |span: &[Value]| {
        let apart = !span.iter().any(|value| members.contains(value));
        apart || kind != Kind::Temp && (is_run(span, members) || is_run(members, span))
    };
    sorted.len() == members.len()
        && members.iter().all(|&value| g.info(value).kind == kind)
        && g.spans.iter().all(|span| agrees(&span.members))
}
