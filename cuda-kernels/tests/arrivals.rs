//! Inputs that arrive while the step before runs: whether the device copies them as early or as late as
//! it may, each step reads its own.

#[path = "common/device.rs"]
mod device;

use std::collections::VecDeque;

use autograd::{Executor, Graph, Phase, Shards, Value};
use carp::config::Config;
use carp::trainer::Trainer;
use cuda_kernels::Driver;
use cuda_kernels::device::OnDriver;
use cuda_kernels::driver::{Arg, Launch};
use tensor::{Cpu, Device, Numerics, Result};

const LEN: usize = 40;

/// A driver whose kernels lag behind the host, so that writes ahead come as early as they may, or that writes
/// ahead as late as it may.
struct Apart {
    driver: Box<dyn Driver>,
    is_late: bool,
    /// What has not run yet, and how much of it `write_ahead` waits for.
    queue: VecDeque<Request>,
    before_ahead: usize,
    ahead: Vec<(u64, Vec<u8>)>,
}

enum Request {
    Write(u64, Vec<u8>),
    Launch(Launch<'static>, Vec<Arg>),
}

impl Apart {
    fn run(&mut self, requests: usize) -> Result<()> {
        self.before_ahead = self.before_ahead.saturating_sub(requests);
        self.queue.drain(..requests).try_for_each(|request| match request {
            Request::Write(at, data) => self.driver.write(at, &data),
            Request::Launch(launch, args) => self.driver.launch(&Launch { args: &args, ..launch }),
        })
    }
}

impl Driver for Apart {
    fn name(&self) -> String {
        self.driver.name()
    }

    fn allocate(&mut self, bytes: usize) -> Result<u64> {
        self.driver.allocate(bytes)
    }

    fn write(&mut self, at: u64, data: &[u8]) -> Result<()> {
        self.queue.push_back(Request::Write(at, data.to_vec()));
        Ok(())
    }

    fn begin_ahead(&mut self) -> Result<()> {
        self.before_ahead = self.queue.len();
        Ok(())
    }

    fn write_ahead(&mut self, at: u64, data: &[u8]) -> Result<()> {
        if self.is_late {
            self.ahead.push((at, data.to_vec()));
            return Ok(());
        }
        self.run(self.before_ahead)?;
        self.driver.write(at, data)
    }

    fn end_ahead(&mut self) -> Result<()> {
        let ahead = self.ahead.drain(..).map(|(at, data)| Request::Write(at, data));
        self.queue.extend(ahead);
        Ok(())
    }

    fn read(&mut self, at: u64, data: &mut [u8]) -> Result<()> {
        self.synchronize()?;
        self.driver.read(at, data)
    }

    fn launch(&mut self, launch: &Launch) -> Result<()> {
        let args = launch.args.to_vec();
        self.queue.push_back(Request::Launch(Launch { args: &[], ..*launch }, args));
        Ok(())
    }

    fn synchronize(&mut self) -> Result<()> {
        self.run(self.queue.len())?;
        self.driver.synchronize()
    }
}

fn apart(is_late: bool) -> Box<dyn Driver> {
    let driver = device::fast_driver();
    Box::new(Apart { driver, is_late, queue: VecDeque::new(), before_ahead: 0, ahead: Vec::new() })
}

/// 2x, summed over the shards.
fn doubled(shards: usize) -> (Graph, Value, Value) {
    let mut graph = Graph::of_shards(Shards { all: shards, local: shards });
    let x = graph.shard_input("x", [LEN]);
    graph.arrives(x);
    let y = graph.scale(x, 2.0);
    let y = graph.sum_shards(y);
    graph.keep(y);
    (graph, x, y)
}

#[test]
fn each_step_reads_its_own_inputs_whenever_they_arrive() {
    for (shards, is_late) in [(1, false), (1, true), (2, false), (2, true)] {
        let open = move || Ok(apart(is_late));
        let (graph, x, y) = doubled(shards);
        let mut executor = Executor::new(graph, &OnDriver(open, Numerics::Exact)).unwrap();
        let write = |executor: &mut Executor, step: usize| {
            for shard in 0..shards {
                // In two parts, as views are written.
                let [first, second] =
                    [0, LEN / 2].map(|start| [(100 * step + 10 * shard + start) as f32; LEN / 2]);
                executor.write_ahead(x, shard, 0, &first);
                executor.write_ahead(x, shard, LEN / 2, &second);
            }
        };
        write(&mut executor, 0);
        for step in 0..4 {
            executor.take_arrivals();
            executor.run(Phase::Forward).unwrap();
            write(&mut executor, step + 1);
            let of_shards = (0..shards).map(|shard| 2.0 * (100 * step + 10 * shard) as f32);
            let want = of_shards.sum::<f32>();
            let got = executor.read(y);
            assert_eq!(got[0], want, "step {step} of {shards} shards, late: {is_late}");
            assert_eq!(got[LEN - 1], want + (shards * LEN) as f32);
        }
        executor.finish().unwrap();
    }
}

#[test]
fn only_devices_that_copy_beside_their_kernels_plan_a_second_place() {
    let (graph, ..) = doubled(1);
    let on_card = Executor::new(graph.clone(), &device::device()).unwrap();
    let on_cpu = Executor::new(graph, &Cpu).unwrap();
    assert!(on_card.has_arrivals() && !on_cpu.has_arrivals());
    assert_eq!(on_card.plan().arrival_bytes(), 4 * LEN);
    let more = LEN.next_multiple_of(16);
    assert_eq!(on_card.plan().total, on_cpu.plan().total + more);
}

/// The weights' digest after four steps of a small run, with the views of the next one given or not.
fn trained(device: &dyn Device, is_ahead: bool) -> String {
    let settings = [
        ("data.train_size", "24"),
        ("data.test_size", "8"),
        ("model.width", "4"),
        ("model.hidden", "16"),
        ("model.bottleneck", "8"),
        ("model.prototypes", "70"),
        ("model.partition_size", "16"),
        ("train.batch_size", "4"),
        ("train.accumulation", "2"),
        ("train.epochs", "1"),
        ("views.local_count", "2"),
    ];
    let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let config = Config::load("shapes", &settings).unwrap();
    let mut trainer = Trainer::new(&config, device).unwrap();
    let mut batches = trainer.pipeline(0).unwrap();
    let mut later = trainer.pipeline(1).unwrap();
    for step in 0..4 {
        // The third one's views do not arrive.
        let next = (is_ahead && step != 1).then(|| later.next_batch().unwrap());
        trainer.step_before(step, batches.next_batch().unwrap(), next).unwrap();
        if is_ahead && step == 1 {
            later.next_batch().unwrap();
        }
    }
    trainer.weights_sha256()
}

#[test]
fn a_run_whose_views_arrive_ahead_ends_with_the_same_weights() {
    let want = trained(&Cpu, false);
    assert_eq!(trained(&Cpu, true), want, "a CPU takes them when the step begins");
    for is_late in [false, true] {
        let open = move || Ok(apart(is_late));
        assert_eq!(trained(&OnDriver(open, Numerics::Exact), true), want, "late: {is_late}");
    }
}
