//! Gradients travel in buckets while the backward pass goes on, and change no bit.

#[path = "common/linked.rs"]
mod linked;

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use autograd::buckets::Bucket;
use autograd::exchange::HostMemory;
use autograd::threads::Threads;
use autograd::{
    BatchNormParams, Executor, Graph, Lane, Passes, Phase, Result, Shards, Transport, Value,
};
use linked::LinkedCpu;
use tensor::random::{Purpose, Stream};
use tensor::{Cpu, Device};

/// Rows of a shard, and features: one weight's gradient is a full bucket.
const ROWS: usize = 4;
const WIDTH: usize = 512;

struct Step {
    x: Value,
    dy: Value,
    weights: [Value; 2],
    gamma: Value,
    averages: Vec<Value>,
}

/// Two linear layers with a batch norm between them; then moving averages of the gradients, so that
/// nothing of the backward pass reads them.
fn build(local: usize) -> (Graph, Step) {
    let mut graph = Graph::of_shards(Shards { all: 2, local });
    let g = &mut graph;
    let x = g.shard_input("x", [ROWS, WIDTH]);
    let dy = g.shard_input("dy", [ROWS, WIDTH]);
    let weights = ["first", "second"].map(|name| g.param(name, [WIDTH, WIDTH]));
    let [weight, bias] = ["weight", "bias"].map(|name| g.param(name, [WIDTH]));
    let [running_mean, running_var] = ["mean", "var"].map(|name| g.state(name, [WIDTH]));
    let norm = BatchNormParams { weight, bias, running_mean, running_var };
    let y = g.linear(x, weights[0], None).unwrap();
    let y = g.batch_norm(y, norm, true, 1e-5, 0.1).unwrap();
    let y = g.linear(y, weights[1], None).unwrap();
    g.split_batch_norm().unwrap();
    let grads = g.backward(&[(y, dy)], &weights).unwrap();
    let averages = g.in_phase(Phase::Update, |g| {
        let half = g.fill([1], 0.5);
        let average = |grad: Option<Value>| {
            let average = g.state("average", [WIDTH, WIDTH]);
            g.ema(half, grad.unwrap(), average).unwrap();
            average
        };
        grads.into_iter().map(average).collect()
    });
    g.fuse(&Passes::all());
    (graph, Step { x, dy, weights, gamma: weight, averages })
}

/// Bits of the averages after two steps, as one rank.
fn averages(device: &dyn Device, transport: Arc<dyn Transport>) -> Vec<Vec<u32>> {
    let (rank, local) = (transport.rank(), 2 / transport.size());
    let (graph, step) = build(local);
    let mut executor = Executor::among(graph, device, transport).unwrap();
    executor.link().unwrap();
    let drawn = |key: usize, len| {
        let mut stream = Stream::new(7, Purpose::Test, key as u64, 0);
        (0..len).map(|_| stream.range(-1.0, 1.0)).collect::<Vec<f32>>()
    };
    for (key, weight) in step.weights.into_iter().enumerate() {
        executor.write(weight, &drawn(key, WIDTH * WIDTH));
    }
    executor.write(step.gamma, &[1.0; WIDTH]);
    for time in 0..2 {
        for shard in 0..local {
            let key = 10 * time + 2 + 2 * (local * rank + shard);
            executor.write_shard(step.x, shard, 0, &drawn(key, ROWS * WIDTH));
            executor.write_shard(step.dy, shard, 0, &drawn(key + 1, ROWS * WIDTH));
        }
        executor.run_all().unwrap();
    }
    executor.finish().unwrap();
    let bits = |x: Vec<f32>| x.into_iter().map(f32::to_bits).collect();
    step.averages.iter().map(|&value| bits(executor.read(value))).collect()
}

/// What one rank's exchange waits for.
#[derive(Clone, Copy, PartialEq)]
enum Wait {
    Nothing,
    /// The first bucket, until the ops have exchanged this often.
    BucketForOps(usize),
    /// This exchange of the ops, until a bucket has been exchanged.
    OpsForBucket(usize),
}

/// Ranks as threads that count what they have exchanged, per lane, and wait as they are told.
struct Watched {
    ranks: Threads,
    wait: Wait,
    exchanged: Mutex<[usize; 2]>,
    changed: Condvar,
    has_two_lanes: bool,
}

impl Watched {
    fn new(ranks: Threads, wait: Wait, has_two_lanes: bool) -> Watched {
        Watched { ranks, wait, exchanged: Mutex::default(), changed: Condvar::new(), has_two_lanes }
    }

    /// Fails after some seconds: the exchange that it waits for never comes.
    fn wait_for(&self, lane: Lane, times: usize) {
        let exchanged = self.exchanged.lock().unwrap();
        let waits = |exchanged: &mut [usize; 2]| exchanged[lane as usize] < times;
        let limit = Duration::from_secs(20);
        let waited = self.changed.wait_timeout_while(exchanged, limit, waits).unwrap();
        assert!(!waited.1.timed_out(), "no exchange {times} of {lane:?} meanwhile");
    }
}

impl Transport for Watched {
    fn rank(&self) -> usize {
        self.ranks.rank()
    }

    fn size(&self) -> usize {
        self.ranks.size()
    }

    fn local_rank(&self) -> usize {
        self.ranks.local_rank()
    }

    fn has_two_lanes(&self) -> bool {
        self.has_two_lanes
    }

    fn exchange(&self, lane: Lane, with: usize, mine: &[f32], theirs: &mut [f32]) -> Result<()> {
        let before = self.exchanged.lock().unwrap()[lane as usize];
        match (self.wait, lane) {
            (Wait::BucketForOps(times), Lane::Buckets) if before == 0 => {
                self.wait_for(Lane::Ops, times);
            }
            (Wait::OpsForBucket(times), Lane::Ops) if before + 1 == times => {
                self.wait_for(Lane::Buckets, 1);
            }
            _ => {}
        }
        self.ranks.exchange(lane, with, mine, theirs)?;
        self.exchanged.lock().unwrap()[lane as usize] += 1;
        self.changed.notify_all();
        Ok(())
    }

    fn all_gather(&self, mine: &[f32], all: &mut [f32]) -> Result<()> {
        self.ranks.all_gather(mine, all)
    }

    fn broadcast(&self, from: usize, bytes: &mut [u8]) -> Result<()> {
        self.ranks.broadcast(from, bytes)
    }

    fn abort(&self, exit_code: u8) {
        self.ranks.abort(exit_code);
    }
}

#[test]
fn gradients_that_nothing_reads_yet_are_in_buckets() {
    let (graph, _) = build(1);
    let sums: Vec<usize> = graph
        .nodes()
        .iter()
        .enumerate()
        .filter_map(|(at, node)| (node.kernel.name() == "sum_shards").then_some(at))
        .collect();
    let is_gradient = |&at: &usize| graph.shape(graph.nodes()[at].outputs[0]).len() == 2;
    let gradients: Vec<usize> = sums.iter().copied().filter(is_gradient).collect();
    assert_eq!((sums.len(), gradients.len()), (6, 2), "two of batch norm each way");
    assert!(gradients[0] < sums[4] && sums[4] < gradients[1], "batch norm's are between them");
    let update = graph.places(&[Phase::Update])[0];
    let want = gradients.iter().map(|&at| (vec![at], WIDTH * WIDTH));
    let buckets = Bucket::all(&graph);
    let got = buckets.iter().map(|bucket| (bucket.sums.clone(), bucket.elements));
    assert!(got.eq(want), "{buckets:?}");
    assert!(buckets.iter().all(|bucket| bucket.wait == update), "{buckets:?}, update at {update}");

    let full = WIDTH * WIDTH;
    let memory = HostMemory { at_once: full, buckets: 2 * full, received: full };
    assert_eq!(HostMemory::of(&graph), memory);
    assert_eq!(HostMemory::of(&build(2).0).bytes(), 0, "one process has all shards");
}

#[test]
fn buckets_travel_while_the_backward_pass_goes_on() {
    let want = Threads::run(1, |rank| averages(&Cpu, Arc::new(rank))).remove(0);
    // One message per sum of batch norm: these are short. The last one is in the backward pass of the
    // second step.
    let each_way = 2;
    let (first, both) = (2 * each_way, 4 * each_way);
    let last_waits = Wait::OpsForBucket(first);
    let bucket_waits = Wait::BucketForOps(first);
    for (wait, has_two_lanes) in
        [(Wait::Nothing, true), (Wait::Nothing, false), (last_waits, true), (bucket_waits, true)]
    {
        let results = Threads::run(2, |rank| {
            let watched = Arc::new(Watched::new(rank, wait, has_two_lanes));
            let transport: Arc<dyn Transport> = Arc::clone(&watched) as _;
            let result = averages(&Cpu, transport);
            (result, *watched.exchanged.lock().unwrap())
        });
        for (result, [ops, buckets]) in results {
            assert!(result == want, "other bits");
            // A gradient is sent by halves: two messages.
            let gradients = 2 * 2 * 2;
            let want = if has_two_lanes { [both, gradients] } else { [both + gradients, 0] };
            assert_eq!([ops, buckets], want);
        }
    }
}

#[test]
fn linked_devices_have_the_same_bits() {
    let want = Threads::run(1, |rank| averages(&Cpu, Arc::new(rank))).remove(0);
    let results = Threads::run(2, |rank| {
        let rank = Arc::new(rank);
        averages(&LinkedCpu(Arc::clone(&rank)), rank)
    });
    assert!(results.into_iter().all(|result| result == want));
}
