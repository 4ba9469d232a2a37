//! One batch in equal shards: a step that several processes compute together, with the bits of one.
//!
//! The list is that of one shard. A process runs each op once for every shard it holds, on memory of
//! the shard's own, and once in all if its result is the same for all of them, such as a weight's
//! update. [`Graph::sum_shards`] is where they meet: the sum of a value over all shards, in the fixed
//! tree of [`tensor::shards`]. So the result depends on the number of shards, and neither on how many
//! processes hold them nor on how many threads these have.
//!
//! What reads the rows of a batch together needs such a sum: batch norm ([`Graph::split_batch_norm`]),
//! CARP's block means, and the gradient of every value that the shards share ([`Graph::backward`]).
//! The rule of the last is that of SPMD programs: the adjoint of handing a value to all shards is the
//! sum over them, and the adjoint of the sum is handing the gradient to all of them.

use tensor::geometry::BatchNorm;
use tensor::shards::Shards;
use tensor::{Kernel, Result};

use crate::graph::{Graph, Kind, Node, Value};

/// For each value, whether every shard has its own: what depends on the shard's images.
#[derive(Default)]
pub(crate) struct PerShard {
    marks: Vec<bool>,
    /// Values that a node has made; later ones update them in place.
    made: Vec<bool>,
    /// Nodes that have been looked at.
    nodes: usize,
}

impl PerShard {
    pub fn of(graph: &Graph) -> PerShard {
        let mut this = PerShard::default();
        this.extend(graph);
        this
    }

    /// Looks at the nodes that were appended since.
    pub fn extend(&mut self, graph: &Graph) {
        let known = self.marks.len();
        self.marks.extend(graph.values().skip(known).map(|(v, _)| graph.sharded.contains(&v)));
        self.made.resize(self.marks.len(), false);
        for node in &graph.nodes[self.nodes..] {
            let is_sum = matches!(node.kernel, Kernel::SumShards { .. });
            let differs = !is_sum && node.inputs.iter().any(|&v| self.has(v));
            for v in node.outputs.iter().map(|v| v.index()) {
                let is_new = !std::mem::replace(&mut self.made[v], true);
                if is_new && graph.values[v].kind == Kind::Temp {
                    self.marks[v] = differs;
                }
            }
        }
        self.nodes = graph.nodes.len();
    }

    pub fn has(&self, value: Value) -> bool {
        self.marks[value.index()]
    }

    /// Whether a node runs once for every shard.
    pub fn runs(&self, node: &Node) -> bool {
        let is_sum = matches!(node.kernel, Kernel::SumShards { .. });
        !is_sum && node.inputs.iter().any(|&v| self.has(v))
    }
}

impl Graph {
    /// An empty graph of a batch in shards.
    ///
    /// # Panics
    /// If they are not powers of two, or more are here than there are.
    pub fn of_shards(shards: Shards) -> Graph {
        let Shards { all, local } = shards;
        let fits = all.is_power_of_two() && local.is_power_of_two() && local <= all;
        assert!(fits, "{local} of {all} shards");
        let mut graph = Graph::new();
        graph.shards = shards;
        graph
    }

    /// The batch's shards.
    pub fn shards(&self) -> Shards {
        self.shards
    }

    /// An input of which every shard has its own; a plain one if there is only one.
    pub fn shard_input(&mut self, name: &str, shape: impl Into<tensor::Shape>) -> Value {
        let value = self.input(name, shape);
        if self.shards.all > 1 {
            self.sharded.push(value);
        }
        value
    }

    /// The sum of x over all shards: x itself if there is only one.
    pub fn sum_shards(&mut self, x: Value) -> Value {
        if self.shards.all == 1 {
            return x;
        }
        let shape = self.shape(x);
        let kernel = Kernel::SumShards { shards: self.shards.local, elements: shape.elements() };
        self.apply(kernel, &[x], shape)
    }

    /// Gives training batch norms the statistics of all shards. Call it after fusion, which knows the
    /// kernel with its residual and ReLU, and before [`Graph::backward`].
    ///
    /// # Errors
    /// None for a list that shape rules made.
    pub fn split_batch_norm(&mut self) -> Result<()> {
        if self.shards.all == 1 {
            return Ok(());
        }
        for node in std::mem::take(&mut self.nodes) {
            match node.kernel {
                Kernel::BatchNorm(norm) if norm.training => {
                    let (layer, phase) = (node.layer.clone(), node.phase);
                    let split = |g: &mut Graph| g.in_phase(phase, |g| g.split_one(node, norm));
                    self.in_layer(&layer, split)?;
                }
                _ => self.nodes.push(node),
            }
        }
        Ok(())
    }

    /// Mean and variance of all shards' rows, the running statistics' update, and the kernel of the
    /// inference with this mean and variance in the place of running ones.
    fn split_one(&mut self, node: Node, norm: BatchNorm) -> Result<()> {
        let (x, running) = (node.inputs[0], &node.outputs[3..]);
        let rows = (norm.rows * self.shards.all) as f32;
        let mean_of = |g: &mut Graph, x| {
            let sum = g.sum_rows(x);
            let sum = g.sum_shards(sum);
            g.scale(sum, 1.0 / rows)
        };
        let mean = mean_of(self, x);
        let minus = self.scale(mean, -1.0);
        let centred = self.add_bias(x, minus)?;
        let squares = self.mul(centred, centred)?;
        let var = mean_of(self, squares);

        let keep = self.fill([1], 1.0 - norm.momentum);
        let unbiased = self.scale(var, rows / (rows - 1.0));
        self.ema(keep, mean, running[0])?;
        self.ema(keep, unbiased, running[1])?;
        let outputs = [&node.outputs[..3], &[mean, var]].concat();
        let norm = BatchNorm { training: false, ..norm };
        self.push_node(Kernel::BatchNorm(norm), &node.inputs, &outputs);
        Ok(())
    }
}
