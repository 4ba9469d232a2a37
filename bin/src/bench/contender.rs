//! A variant in a benchmark.

use autograd::graph::{DType, Kind};
use autograd::{Executor, Graph, Value, trace};
use carp::error::Result;
use carp::learner::Device;
use tensor::random::{Purpose, Stream};

/// A variant to measure.
pub struct Contender {
    /// Name in the table.
    pub name: String,
    /// Floating-point operations per run.
    pub flops: u64,
    /// Bytes of all values a run computes: what an eager framework would allocate.
    pub made: usize,
    /// Bytes that its kernels read and write; 0 if not counted.
    pub moved: usize,
    /// Peak bytes besides inputs and results.
    pub peak: usize,
    /// Runs it once.
    pub run: Box<dyn FnMut() -> Result<()> + Send>,
}

impl Contender {
    /// A graph with inputs filled with numbers from -1 to 1; `results` are its outputs.
    pub fn graph(
        name: impl Into<String>,
        graph: Graph,
        results: &[Value],
        device: Device,
    ) -> Result<Contender> {
        let nodes = graph.nodes().iter();
        let flops = nodes.clone().map(|node| trace::node_flops(&graph, node)).sum();
        let moved = nodes.map(|node| trace::node_bytes(&graph, node)).sum();
        let result_bytes = bytes(&graph, results);
        let (mut executor, peak) = prepared(graph, results, device)?;
        let blocks = executor.plan().blocks.iter();
        let made = blocks.map(|block| 4 * block.slot.len).sum::<usize>();
        Ok(Contender {
            name: name.into(),
            flops,
            made: made - result_bytes,
            moved,
            peak,
            run: Box::new(move || {
                executor.run_all()?;
                Ok(executor.finish()?)
            }),
        })
    }
}

/// A graph ready to run on numbers, and its peak bytes besides inputs and results.
pub fn prepared(mut graph: Graph, results: &[Value], device: Device) -> Result<(Executor, usize)> {
    results.iter().for_each(|&value| graph.keep(value));
    let result_bytes = bytes(&graph, results);
    let mut executor = Executor::new(graph, device)?;
    let plan = executor.plan();
    let peak = (plan.bytes() - 4 * plan.persistent).saturating_sub(result_bytes);
    fill_inputs(&mut executor);
    Ok((executor, peak))
}

fn bytes(graph: &Graph, values: &[Value]) -> usize {
    values.iter().map(|&value| 4 * graph.shape(value).elements()).sum()
}

/// Fills every persistent f32 value; indices are shuffled. Settings and second moments are positive, or AdamW
/// would make NaN, and the step, which is guarded, leave out its update.
fn fill_inputs(executor: &mut Executor) {
    let mut random = Stream::new(0, Purpose::Test, 0, 0);
    let values: Vec<_> = executor
        .graph()
        .values()
        .filter(|(_, info)| !matches!(info.kind, Kind::Temp | Kind::Constant | Kind::Span))
        .map(|(value, info)| (value, info.clone()))
        .collect();
    for (value, info) in values {
        let (dtype, elements) = (info.dtype, info.shape.elements());
        if dtype == DType::U32 {
            let mut order: Vec<u32> = (0..elements as u32).collect();
            random.shuffle(&mut order);
            executor.write_u32(value, &order);
        } else {
            let is_positive = elements <= 2 || info.name.starts_with("optimizer.second.");
            let least = if is_positive { 0.0 } else { -1.0 };
            let data: Vec<f32> = (0..elements).map(|_| random.range(least, 1.0)).collect();
            executor.write(value, &data);
        }
    }
}
