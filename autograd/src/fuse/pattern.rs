//! Finding a pattern in the list, and what replaces it.

use tensor::Kernel;

use crate::graph::{Graph, Kind, Node, Phase, Value};

impl Graph {
    /// The `N` nodes of the forward list from `at` on, if there are that many.
    pub(super) fn window<const N: usize>(&self, at: usize) -> Option<[&Node; N]> {
        let nodes: [&Node; N] =
            self.nodes.get(at..at + N)?.iter().collect::<Vec<_>>().try_into().ok()?;
        nodes.iter().all(|node| node.phase == Phase::Forward).then_some(nodes)
    }

    /// True if a node other than those `inside` reads the value.
    pub(super) fn is_read(&self, value: Value, inside: std::ops::Range<usize>) -> bool {
        let outside = self.nodes[..inside.start].iter().chain(&self.nodes[inside.end..]);
        outside.flat_map(|node| &node.inputs).any(|&input| input == value)
    }

    /// True if only the nodes `inside` need the value.
    pub(super) fn is_inner(&self, value: Value, inside: std::ops::Range<usize>) -> bool {
        let info = self.info(value);
        !self.is_read(value, inside) && !info.kept && info.kind == Kind::Temp
    }
}

/// `first` with a different kernel, inputs and first output.
pub(super) fn merged(first: &Node, kernel: Kernel, inputs: &[Value], y: Value) -> Node {
    let outputs = [&[y], &first.outputs[1..]].concat();
    Node { kernel, inputs: inputs.to_vec(), outputs, ..first.clone() }
}

/// The two nodes at `at`, if the first one's y is used only as input 0 of the second.
pub(super) fn pair(g: &Graph, at: usize) -> Option<[&Node; 2]> {
    let [first, second] = g.window(at)?;
    let y = first.outputs[0];
    let uses = second.inputs.iter().filter(|&&input| input == y).count();
    (second.inputs.first() == Some(&y) && uses == 1 && g.is_inner(y, at..at + 2))
        .then_some([first, second])
}

/// If the nodes from `at` on match `pattern`, with `inputs` for its `from`: how many they are, and
/// the values for the pattern's `outputs`.
pub(super) fn matches<const N: usize>(
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
