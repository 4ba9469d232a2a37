//! What a run takes in memory, planned before any of it is allocated.

use std::fmt::Write as _;

use autograd::exchange::HostMemory;
use autograd::graph::Kind;
use autograd::trace::bytes;
use autograd::{Graph, Plan, memory_map};
use carp::config::Config;
use carp::error::Result;
use carp::learner::planned_step;
use carp::memory_budget::MemoryBudget;
use carp::method::{MethodConfig, Seen};
use carp::pipeline::Pipeline;
use carp::step::{Step, StepConfig};
use datasets::{DataKind, DataSize, Splits};
use evaluations::online_knn::{KnnMemory, PIXELS};

use crate::device::NumericDevice;
use crate::machine_memory::check_fits;

/// What a run's small allocations take together, whatever the network: `tools/peak_memory.sh` finds 0
/// to 7 MiB.
const PROGRAM: usize = 3 << 20;

/// What a run takes beside the step's arena, in bytes.
pub struct RunMemory {
    batches: usize,
    exchanged: usize,
    images: usize,
    before_epoch: usize,
    before_epoch_network: usize,
    knn: KnnMemory,
}

impl RunMemory {
    /// That of one of the ranks that share a run on data of this size.
    ///
    /// # Errors
    /// Images too small for the backbone.
    pub fn planned(
        config: &Config,
        data: &DataSize,
        (graph, step): (&Graph, &Step),
        ranks: usize,
        device: &NumericDevice,
    ) -> Result<RunMemory> {
        let Config { train, views, .. } = config;
        let part = train.batch_size / ranks;
        let channels = config.data.channels();
        let batches = Pipeline::bytes(&views.views(), channels, part, train.prefetch);
        let fills = step.hooks.seen().iter().any(|(_, seen)| *seen == Seen::Batches);
        Ok(RunMemory {
            batches,
            // What fills it makes batches of its own, gone before the rest.
            before_epoch: step.hooks.host_bytes().max(if fills { batches } else { 0 }),
            before_epoch_network: match device.is_card() {
                true => 0,
                false => step.hooks.network_bytes(config.knn.size, device)?,
            },
            exchanged: HostMemory::of(graph).bytes(),
            images: data.memory,
            knn: on_host(KnnMemory::planned(config, data, device)?, device),
        })
    }

    /// All of it at its peak, with an arena of so many bytes.
    fn peak(&self, arena: usize) -> usize {
        let RunMemory { batches, exchanged, images, before_epoch, before_epoch_network, knn } =
            self;
        // The batches are gone when the last features and the pixels are compared.
        let during = batches.saturating_add(knn.features);
        let during = during.saturating_add(*before_epoch).saturating_add(*before_epoch_network);
        let end = 2 * knn.features + knn.pixels;
        let always = arena + exchanged + images + knn.network + PROGRAM;
        always.saturating_add(during.max(end))
    }

    /// A line for each part, and for the peak.
    pub fn report(&self, arena: usize) -> String {
        let RunMemory { batches, exchanged, images, before_epoch, before_epoch_network, knn } =
            *self;
        let pixels = match knn.pixels {
            0 if knn.features > 0 => format!("left out: they are more than {}", bytes(PIXELS)),
            _ => "at the end, without batches".to_owned(),
        };
        let mut text = match arena {
            0 => "beside the card's memory, with the arenas, in a run:\n".to_owned(),
            _ => "beside the arena, in a run:\n".to_owned(),
        };
        for (name, size, note) in [
            ("batches of views", batches, "train.prefetch, one being made, one in use"),
            ("exchange buffers", exchanged, "on the host: gradients on their way to other ranks"),
            ("images", images, "in memory; of image files at most data.cache_mib"),
            (
                "before an epoch",
                before_epoch,
                "on the host: embeddings of all images, and their labels",
            ),
            (
                "network before an epoch",
                before_epoch_network,
                "its arena and a batch of images, gone before they are clustered",
            ),
            ("k-NN network", knn.network, "its arena and a batch of images"),
            ("k-NN features", knn.features, "bank and queries; twice at the end"),
            ("k-NN of raw pixels", knn.pixels, &pixels),
            ("program", PROGRAM, "graph, scratch of views, picture of neighbours; about"),
            ("peak of a run", self.peak(arena), "without code and stacks, 10 to 15 MiB"),
        ] {
            let some =
                ["exchange buffers", "before an epoch", "network before an epoch", "k-NN network"];
            if some.contains(&name) && size == 0 {
                continue;
            }
            let _ = writeln!(text, "{name:<28} {:>11} {size:>14} B  {note}", bytes(size));
        }
        text
    }
}

/// What a step's arena takes of this machine's memory: a card has its own.
pub fn arena(config: &Config, plan: &Plan, device: &NumericDevice) -> usize {
    let most = config.train.memory_budget.0.unwrap_or(usize::MAX);
    if device.is_card() { 0 } else { plan.bytes().min(most) }
}

/// What the k-NN takes of this machine's memory: a card has its network.
fn on_host(knn: KnnMemory, device: &NumericDevice) -> KnnMemory {
    let network = if device.is_card() { 0 } else { knn.network };
    KnnMemory { network, ..knn }
}

/// Opens the data of one of the ranks' run, if this machine has the memory for all of the run.
///
/// # Errors
/// As above; data that cannot be read, or settings that do not fit together.
pub fn open_data(config: &Config, ranks: usize, device: &NumericDevice) -> Result<Splits> {
    // Built-in images are counted before they are drawn.
    if let Some(size) = config.data.size_unopened()? {
        check_run(config, &size, ranks, device)?;
        return Ok(config.data.open(config.seed)?);
    }
    let splits = config.data.open(config.seed)?;
    check_run(config, &splits.size(), ranks, device)?;
    Ok(splits)
}

/// Fails if this machine has not the memory for one of the ranks' run on data of this size; names what
/// takes most of it, and the settings to change.
///
/// # Errors
/// As above; settings that do not fit together.
pub fn check_run(
    config: &Config,
    data: &DataSize,
    ranks: usize,
    device: &NumericDevice,
) -> Result<()> {
    // What a budget makes anew is the learner's to find: it takes its time, and ends below the budget.
    let memory_budget = MemoryBudget(None);
    let step = StepConfig { ranks, images: data.pretrain, memory_budget, ..config.step() };
    let (graph, built) = planned_step(&step, device)?;
    let plan = Plan::new(&graph, device);
    let run = RunMemory::planned(config, data, (&graph, &built), ranks, device)?;
    let arena = arena(config, &plan, device);
    let inputs = memory_map::persistent(&graph, Kind::Input);
    let [trained, state] =
        [Kind::Param, Kind::State].map(|kind| memory_map::persistent(&graph, kind));
    let persistent = (4 * plan.persistent).min(arena);
    let weights = match config.method {
        MethodConfig::Carp => "model.prototypes, model.bottleneck, model.hidden or model.width",
        _ => "model.width or the sizes in [method]",
    };
    let before_epoch = match config.method {
        MethodConfig::PclV2(_) => "model.bottleneck, method.clusters or method.points_per_cluster",
        _ => "model.prototypes or model.bottleneck",
    };
    let images = match config.data.kind {
        DataKind::Shapes => "data.train_size or data.test_size",
        _ => "data.cache_mib",
    };
    let parts = [
        ("the step's views", inputs.min(arena), "train.batch_size or the views' sizes"),
        ("weights and optimizer", (trained + state).min(arena), weights),
        ("the step's results", arena - persistent, "train.batch_size or the views' sizes"),
        ("batches of views", run.batches, "train.prefetch, train.batch_size or the views' sizes"),
        ("images", run.images, images),
        ("the work before an epoch", run.before_epoch, before_epoch),
        ("the network before an epoch", run.before_epoch_network, "knn.size"),
        ("the k-NN network", run.knn.network, "knn.batch_size or knn.size"),
        ("k-NN features", 2 * run.knn.features, "knn.bank or knn.queries (0 takes all images)"),
        ("k-NN of raw pixels", run.knn.pixels, "knn.size, knn.bank or knn.queries"),
    ];
    Ok(check_fits(run.peak(arena), || {
        let most = parts.into_iter().max_by_key(|(_, size, _)| *size);
        let (name, size, settings) = most.expect("there are parts");
        format!("most of it, {}, for {name}: set {settings} lower", bytes(size))
    })?)
}
