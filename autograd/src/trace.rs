//! The step as a table, before it runs.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::time::Duration;

use crate::buckets::Bucket;
use crate::graph::{Graph, Node, Phase};
use crate::plan::Plan;

/// 1234567 as "1.2 M".
pub fn human(number: f64, unit: &str, thousand: f64) -> String {
    let infix = if thousand == 1024.0 { "i" } else { "" };
    let mut scaled = number;
    for prefix in ["", "k", "M", "G", "T"] {
        if scaled < thousand || prefix == "T" {
            let prefix = if prefix == "k" && thousand == 1024.0 { "K" } else { prefix };
            let infix = if prefix.is_empty() { "" } else { infix };
            let digits = usize::from(!prefix.is_empty());
            return format!("{scaled:.digits$} {prefix}{infix}{unit}");
        }
        scaled /= thousand;
    }
    unreachable!("the last prefix takes all")
}

/// Bytes as "1.2 MiB".
pub fn bytes(number: usize) -> String {
    human(number as f64, "B", 1024.0)
}

fn flops(number: u64) -> String {
    human(number as f64, "FLOP", 1000.0)
}

/// Operations of a node: see [`tensor::Kernel::flops`].
pub fn node_flops(graph: &Graph, node: &Node) -> u64 {
    let [inputs, outputs] = graph.elements(node);
    node.kernel.flops(&inputs, &outputs)
}

/// Bytes that a node moves: see [`tensor::Kernel::bytes`].
pub fn node_bytes(graph: &Graph, node: &Node) -> usize {
    let [inputs, outputs] = graph.words(node);
    node.kernel.bytes(&inputs, &outputs) as usize
}

/// What a memory budget costs: see [`Graph::recompute`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recomputed {
    /// Ops that run twice.
    pub ops: usize,
    /// Their floating-point operations.
    pub flops: u64,
    /// The same as a fraction of the step's without them.
    pub share: f64,
}

impl Recomputed {
    /// That of a step; `None` if nothing runs twice.
    pub fn of(graph: &Graph) -> Option<Recomputed> {
        let (again, once): (Vec<&Node>, Vec<&Node>) =
            graph.nodes().iter().partition(|node| node.again);
        let flops = |nodes: &[&Node]| nodes.iter().map(|node| node_flops(graph, node)).sum();
        let (more, all): (u64, u64) = (flops(&again), flops(&once));
        let share = more as f64 / all.max(1) as f64;
        (!again.is_empty()).then_some(Recomputed { ops: again.len(), flops: more, share })
    }
}

impl fmt::Display for Recomputed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Recomputed { ops, share, .. } = self;
        write!(f, "{ops} ops run twice: {} more, {:.1} %", flops(self.flops), 100.0 * share)
    }
}

/// One line per op: number, phase, op, layer, shape of the result, FLOPs, bytes read and written,
/// offset of the result in the arena (in bytes). Totals at the end, and what ranks exchange in buckets.
pub fn table(graph: &Graph, plan: &Plan) -> String {
    let layers = graph.nodes().iter().map(|node| node.layer.len()).max().unwrap_or(5).max(5);
    let mut text = String::new();
    let mut line = |cells: [&str; 8]| {
        let [number, phase, op, layer, shape, flops, bytes, offset] = cells;
        let _ = writeln!(
            text,
            "{number:>5}  {phase:<8}  {op:<24}  {layer:<layers$}  {shape:<20}  {flops:>12}  \
             {bytes:>11}  {offset:>12}"
        );
    };
    line(["#", "phase", "op", "layer", "shape", "FLOPs", "bytes", "offset"]);
    for (number, node) in graph.nodes().iter().enumerate() {
        let result = node.outputs.first();
        let shape = result.map_or_else(String::new, |&v| graph.shape(v).to_string());
        let offset = result.map_or(0, |v| 4 * plan.slots[v.index()].offset);
        line([
            &number.to_string(),
            &format!("{:?}", node.phase).to_lowercase(),
            node.kernel.name(),
            &node.layer,
            &shape,
            &flops(node_flops(graph, node)),
            &bytes(node_bytes(graph, node)),
            &offset.to_string(),
        ]);
    }
    text + &totals(graph) + &buckets(graph)
}

/// The sums over shards that ranks exchange together; nothing without any.
fn buckets(graph: &Graph) -> String {
    let mut text = String::new();
    for (number, bucket) in Bucket::all(graph).into_iter().enumerate() {
        let (sums, wait) = (bucket.sums.len(), bucket.wait);
        let (first, last) = (bucket.sums[0], bucket.sums[sums - 1]);
        let _ = writeln!(
            text,
            "bucket {number:>3}  {sums:>3} sums  {:>11}  of ops {first} to {last}; ranks exchange it \
             before op {wait}",
            bytes(4 * bucket.elements)
        );
    }
    text
}

/// FLOPs and bytes of each phase and of the whole step.
fn totals(graph: &Graph) -> String {
    let mut text = String::new();
    for phase in Phase::ALL.map(Some).into_iter().chain([None]) {
        let nodes = || graph.nodes().iter().filter(|node| phase.is_none_or(|p| p == node.phase));
        let name = phase.map_or("step".to_owned(), |p| format!("{p:?}").to_lowercase());
        let _ = writeln!(
            text,
            "{name:<8}  {:>5} ops  {:>12}  {:>11}",
            nodes().count(),
            flops(nodes().map(|node| node_flops(graph, node)).sum()),
            bytes(nodes().map(|node| node_bytes(graph, node)).sum())
        );
    }
    text
}

/// All ops of one kind together.
#[derive(Clone, Copy, Debug, Default)]
pub struct KindTotals {
    /// Name of the kernel.
    pub name: &'static str,
    /// Number of ops.
    pub count: usize,
    /// Floating-point operations.
    pub flops: u64,
    /// Bytes read and written.
    pub bytes: usize,
    /// Time; zero if it is not known.
    pub time: Duration,
}

/// The kinds of ops, most FLOPs first; or, given the time of each op, slowest first.
pub fn kinds(graph: &Graph, times: Option<&[Duration]>) -> Vec<KindTotals> {
    let mut kinds: BTreeMap<&str, KindTotals> = BTreeMap::new();
    for (at, node) in graph.nodes().iter().enumerate() {
        let name = node.kernel.name();
        let kind = kinds.entry(name).or_insert(KindTotals { name, ..KindTotals::default() });
        kind.count += 1;
        kind.flops += node_flops(graph, node);
        kind.bytes += node_bytes(graph, node);
        kind.time += times.map_or(Duration::ZERO, |times| times[at]);
    }
    let mut kinds: Vec<KindTotals> = kinds.into_values().collect();
    kinds.sort_by_key(|kind| std::cmp::Reverse((kind.time, kind.flops)));
    kinds
}

/// One line per kind of op, in the order of [`kinds`].
pub fn summary(graph: &Graph, times: Option<&[Duration]>) -> String {
    let kinds = kinds(graph, times);
    let all_flops: u64 = kinds.iter().map(|kind| kind.flops).sum();
    let all_time: Duration = kinds.iter().map(|kind| kind.time).sum();
    let mut text = String::new();
    for KindTotals { name, count, flops: ops, bytes: touched, time } in kinds {
        let share = 100.0 * ops as f64 / all_flops.max(1) as f64;
        let _ = write!(
            text,
            "{name:<24}  {count:>4} times  {:>12}  {share:>5.1} %  {:>11}",
            flops(ops),
            bytes(touched)
        );
        if times.is_some() {
            let seconds = time.as_secs_f64();
            let _ = write!(
                text,
                "  {:>8.2} ms  {:>5.1} %  {:>6.1} GFLOP/s  {:>6.1} GB/s",
                1e3 * seconds,
                100.0 * seconds / all_time.as_secs_f64(),
                ops as f64 / seconds / 1e9,
                touched as f64 / seconds / 1e9
            );
        }
        text.push('\n');
    }
    text + &totals(graph)
}
