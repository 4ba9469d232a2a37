//! Reverse mode as a rewrite: appends the kernels of the gradient to a graph.

use tensor::{Error, Result};

use crate::graph::{Graph, Node, Phase, Value};
use crate::ops;
use crate::shards::PerShard;

impl Graph {
    /// Appends the kernels that compute the gradient of `sum over seeds of <y, dy>` by each of
    /// `wrt`, where `seeds` are pairs (y, dy). `None` for a value that does not reach any y.
    ///
    /// The rule is micrograd's: walk the list backwards; each kernel turns the gradient of its
    /// output into gradients of its inputs; for a value used twice, they add up.
    ///
    /// # Errors
    /// A seed whose shape differs from its value's, or a kernel without a gradient on the way.
    pub fn backward(
        &mut self,
        seeds: &[(Value, Value)],
        wrt: &[Value],
    ) -> Result<Vec<Option<Value>>> {
        let mut grads: Vec<Option<Value>> = vec![None; self.values.len()];
        let ops = self.nodes.len();
        for &(y, dy) in seeds {
            if self.shape(y) != self.shape(dy) {
                let (y, dy) = (self.shape(y), self.shape(dy));
                return Err(Error::shape("backward", format!("gradient {dy} for a value {y}")));
            }
            grads[y.index()] = Some(match grads[y.index()] {
                None => dy,
                Some(earlier) => self.in_phase(Phase::Backward, |graph| graph.add(earlier, dy))?,
            });
        }
        let reached = self.reached_from(wrt);
        let first_readers = self.first_readers();
        let mut per_shard = PerShard::of(self);
        self.in_phase(Phase::Backward, |graph| {
            for at in (0..ops).rev() {
                let node = graph.nodes[at].clone();
                graph.backward_op(&node, &reached, &mut grads, &mut per_shard)?;
                // Now the gradients of what it reads first are complete.
                for &x in node.inputs.iter().filter(|x| first_readers[x.index()] == Some(at)) {
                    if !per_shard.has(x) {
                        grads[x.index()] =
                            grads[x.index()].map(|dx| graph.shared(&node, dx, &mut per_shard));
                    }
                }
            }
            Ok(())
        })?;
        Ok(wrt.iter().map(|v| grads[v.index()]).collect())
    }

    /// Appends a node's vector-Jacobian product, and adds its results to `grads`.
    fn backward_op(
        &mut self,
        node: &Node,
        reached: &[bool],
        grads: &mut [Option<Value>],
        per_shard: &mut PerShard,
    ) -> Result<()> {
        let dy = |v: &Value| grads[v.index()].filter(|_| reached[v.index()]);
        let dys: Vec<_> = node.outputs.iter().map(dy).collect();
        let wanted: Vec<_> = node.inputs.iter().map(|v| reached[v.index()]).collect();
        if dys.iter().all(Option::is_none) || !wanted.contains(&true) {
            return Ok(());
        }
        let Some(dy) = dys[0].filter(|_| dys[1..].iter().all(Option::is_none)) else {
            let detail = "only the gradient of its first output is known";
            return Err(Error::setting(node.kernel.name(), detail));
        };
        let dxs = self.in_layer(&node.layer, |graph| ops::vjp(graph, node, dy, &wanted))?;
        for (&x, dx) in node.inputs.iter().zip(dxs) {
            let Some(dx) = dx.filter(|_| reached[x.index()]) else { continue };
            let sum = match grads[x.index()] {
                None => dx,
                Some(mut earlier) => {
                    let mut dx = dx;
                    per_shard.extend(self);
                    // One of all shards and one of each: only the latter is to be summed.
                    if !per_shard.has(x) && per_shard.has(earlier) != per_shard.has(dx) {
                        earlier = self.shared(node, earlier, per_shard);
                        dx = self.shared(node, dx, per_shard);
                    }
                    self.in_layer(&node.layer, |graph| graph.add(earlier, dx))?
                }
            };
            grads[x.index()] = Some(sum);
        }
        Ok(())
    }

    /// The sum over the shards of a gradient of which each has its own; others as they are.
    fn shared(&mut self, node: &Node, dx: Value, per_shard: &mut PerShard) -> Value {
        per_shard.extend(self);
        if !per_shard.has(dx) {
            return dx;
        }
        let sum = self.in_layer(&node.layer, |graph| graph.sum_shards(dx));
        per_shard.extend(self);
        sum
    }

    /// For each value, the place of the first node that reads it.
    pub(crate) fn first_readers(&self) -> Vec<Option<usize>> {
        let mut first = vec![None; self.values.len()];
        for (at, node) in self.nodes.iter().enumerate().rev() {
            node.inputs.iter().for_each(|v| first[v.index()] = Some(at));
        }
        first
    }

    /// For each value, whether it is, or depends on, one of `sources`, other than through a detached
    /// one.
    fn reached_from(&self, sources: &[Value]) -> Vec<bool> {
        let mut reached = vec![false; self.values.len()];
        for source in sources {
            reached[source.index()] = true;
        }
        for node in &self.nodes {
            if node.inputs.iter().any(|v| reached[v.index()]) {
                for output in node.outputs.iter().filter(|&v| !self.detached.contains(v)) {
                    reached[output.index()] = true;
                }
            }
        }
        reached
    }
}
