//! CARP's own step within memory budgets: the same digest of the weights.

use autograd::trace::Recomputed;
use carp::checkpoint::weights_sha256;
use carp::config::Config;
use carp::learner::{Learner, UpdateSettings};
use carp::memory_budget::MemoryBudget;
use carp::step::StepConfig;
use tensor::Cpu;
use tensor::random::{Purpose, Stream};

/// A deep, narrow network with two resolutions: most memory is activations.
fn small(accumulation: usize) -> StepConfig {
    let changes = [
        ("model.arch", "resnet50"),
        ("model.width", "4"),
        ("model.hidden", "16"),
        ("model.bottleneck", "8"),
        ("model.prototypes", "70"),
        ("model.partition_size", "16"),
        ("train.batch_size", "8"),
        ("train.accumulation", &accumulation.to_string()),
        ("views.global1.size", "32"),
        ("views.global2.size", "32"),
        ("views.local.size", "16"),
        ("views.local_count", "2"),
    ];
    let changes = changes.map(|(key, value)| (key.to_owned(), value.to_owned()));
    Config::load("shapes", &changes).unwrap().step()
}

/// What two updates within `budget` bytes lead to: the digest of the weights, bytes of the arena, and
/// the price.
fn trained(
    config: &StepConfig,
    budget: Option<usize>,
) -> Result<(String, usize, Option<Recomputed>), String> {
    let config = StepConfig { memory_budget: MemoryBudget(budget), ..config.clone() };
    let mut learner = Learner::new(&config, &Cpu).map_err(|error| error.to_string())?;
    learner.initialize(3);
    let groups = learner.view_groups().to_vec();
    let mut random = Stream::new(3, Purpose::Test, 4, 0);
    let mut order: Vec<u32> = (0..70).collect();
    for number in 1..=2 {
        for micro in 0..config.accumulation {
            for (index, group) in groups.iter().enumerate() {
                let len = group.count * config.batch * group.size * group.size * 3;
                let pixels: Vec<f32> = (0..len).map(|_| random.range(-1.0, 1.0)).collect();
                learner.write_group(index, &pixels);
            }
            random.shuffle(&mut order);
            learner.forward(number, &order).unwrap();
            learner.backward(number, micro == 0).unwrap();
        }
        let (lr, weight_decay, teacher_momentum) = (0.1, 1e-4, 0.95);
        learner.update(UpdateSettings { lr, weight_decay, teacher_momentum, number }).unwrap();
    }
    let digest = weights_sha256(&mut learner).unwrap();
    let executor = learner.executor();
    Ok((digest, executor.plan().bytes(), Recomputed::of(executor.graph())))
}

#[test]
fn half_and_a_quarter_of_the_memory_give_the_same_weights() {
    for (accumulation, percents) in [(1, &[100, 50, 25][..]), (2, &[50])] {
        let config = small(accumulation);
        let (want, all, _) = trained(&config, None).unwrap();
        let mut last = 0;
        for &percent in percents {
            let budget = all / 100 * percent;
            // Where a quarter is too little, the budget that the message names.
            let budget = match trained(&config, Some(budget)) {
                Ok(_) => budget,
                Err(line) => {
                    assert!(percent <= 25, "{percent} %: {line}");
                    let (_, rest) = line.split_once("the smallest that works is ").unwrap();
                    let text = rest.split(';').next().unwrap();
                    text.parse::<MemoryBudget>().unwrap().0.unwrap()
                }
            };
            let (digest, planned, price) = trained(&config, Some(budget)).unwrap();
            assert!(planned <= budget, "{planned} bytes of {budget}");
            assert_eq!(digest, want, "{percent} %");
            let flops = price.map_or(0, |price| price.flops);
            assert!(flops >= last, "{percent} % costs {flops}, more memory {last}");
            last = flops;
        }
        assert!(last > 0);
    }
}
