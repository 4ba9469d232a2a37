//! What the search may do in one step.

use std::collections::BTreeSet;

use super::list::{Choice, Copies};
use crate::graph::{Graph, Node, Phase};

/// A change of choices.
pub struct Change(Vec<(usize, Choice)>);

impl Change {
    /// All changes to try: of single nodes, and of whole segments that are dropped between borders that
    /// are kept. In a residual network a block's output leads to all blocks before it, so no single node
    /// may be worth dropping there.
    pub fn all(copies: &Copies) -> Vec<Change> {
        // Only nodes whose results the gradient needs, directly or through others.
        let all = copies.list(&vec![Choice::Once; copies.of_node.len()]);
        let again = all.ops.iter().filter(|op| op.again);
        let nodes: BTreeSet<usize> = again.map(|op| op.node).collect();
        let single = |&node: &usize| {
            [Choice::Once, Choice::Always, Choice::Keep].map(|choice| Change(vec![(node, choice)]))
        };
        let mut changes: Vec<Change> = nodes.iter().flat_map(single).collect();
        let borders = borders(copies.graph);
        for (i, &first) in borders.iter().enumerate() {
            for &last in &borders[i + 1..] {
                let inside = nodes.range(first + 1..last);
                let mut change: Vec<_> = inside.map(|&node| (node, Choice::Once)).collect();
                if !change.is_empty() {
                    change.extend([(first, Choice::Keep), (last, Choice::Keep)]);
                    changes.push(Change(change));
                }
            }
        }
        changes
    }

    /// It would change nothing.
    pub fn is_made(&self, choices: &[Choice]) -> bool {
        self.0.iter().all(|&(node, choice)| choices[node] == choice)
    }

    pub fn made(&self, choices: &[Choice]) -> Vec<Choice> {
        let mut choices = choices.to_vec();
        self.0.iter().for_each(|&(node, choice)| choices[node] = choice);
        choices
    }
}

/// Nodes of the forward pass whose result is all that leads from the nodes since the last border, it
/// included, to those after it.
fn borders(graph: &Graph) -> Vec<usize> {
    let forward = graph.nodes.iter().take_while(|node| node.phase == Phase::Forward);
    let mut last_read = vec![0; graph.values.len()];
    for (at, node) in forward.clone().enumerate() {
        node.inputs.iter().for_each(|v| last_read[v.index()] = at);
    }
    let last_read = |node: &Node| node.outputs.iter().map(|v| last_read[v.index()]).max();
    let mut borders = Vec::new();
    // Where the results of the nodes since the last border are read last.
    let mut open = 0;
    for (at, node) in forward.enumerate() {
        let read = last_read(node).unwrap_or(0);
        if open <= at {
            borders.push(at);
            open = read;
        } else {
            open = open.max(read);
        }
    }
    borders
}
