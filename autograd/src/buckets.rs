//! Gradients travel in buckets while the backward pass goes on.
//!
//! Most sums over shards are read by the next op, such as those of batch norm. A weight's gradient is
//! not read before the phase's last sum: it can wait. Such sums are gathered in buckets, in the order of
//! the list; a bucket that is full is exchanged while later ops run, and its sums are back before the
//! first op that reads one of them, or at the end of the phase. All this is known before the step runs,
//! and the same for all ranks.

use tensor::Kernel;

use crate::graph::{Graph, Node};

/// Elements from which on a bucket is full. 1 MiB takes many times as long as a message's latency, so
/// larger ones would hardly save time, and they would start later.
const FULL: usize = 1 << 18;

/// Sums over shards that ranks exchange together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bucket {
    /// Places of the ops in the list: the exchange starts after the last one.
    pub sums: Vec<usize>,
    /// Elements of all sums.
    pub elements: usize,
    /// Place of the op before which the sums must be there, or where the next phase starts.
    pub wait: usize,
}

impl Bucket {
    /// The buckets of a step, in the order in which they start.
    pub fn all(graph: &Graph) -> Vec<Bucket> {
        let nodes = &graph.nodes;
        let readers = readers(graph);
        let mut buckets: Vec<Bucket> = Vec::new();
        let mut start = 0;
        for phase in nodes.chunk_by(|a, b| a.phase == b.phase) {
            let end = start + phase.len();
            let sums = (start..end).filter_map(|at| Some((at, summed(&nodes[at])?)));
            let last_sum = sums.clone().next_back().map_or(start, |(at, _)| at);
            let empty = Bucket { wait: end, ..Bucket::default() };
            let mut bucket = empty.clone();
            for (at, elements) in sums {
                let can_wait = |&reader: &usize| reader > last_sum.max(at + 1);
                let reader = readers[nodes[at].outputs[0].index()];
                let Some(reader) = reader.filter(can_wait) else { continue };
                bucket.sums.push(at);
                bucket.elements += elements;
                bucket.wait = bucket.wait.min(reader);
                if bucket.elements >= FULL {
                    buckets.push(std::mem::replace(&mut bucket, empty.clone()));
                }
            }
            buckets.extend((!bucket.sums.is_empty()).then_some(bucket));
            start = end;
        }
        buckets
    }
}

/// Elements of a sum over shards.
pub(crate) fn summed(node: &Node) -> Option<usize> {
    match node.kernel {
        Kernel::SumShards { elements, .. } => Some(elements),
        _ => None,
    }
}

/// For each value, the place of the first node that reads it, or a span that it is in.
fn readers(graph: &Graph) -> Vec<Option<usize>> {
    let mut readers = graph.first_readers();
    for span in &graph.spans {
        let whole = readers[span.whole.index()];
        for member in span.members.iter().map(|v| v.index()) {
            readers[member] = readers[member].into_iter().chain(whole).min();
        }
    }
    readers
}
