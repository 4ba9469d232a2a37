//! CARP's own step within memory budgets: the same digest of the weights.

#[path = "common/updates.rs"]
mod updates;

use autograd::trace::Recomputed;
use carp::checkpoint::weights_sha256;
use carp::config::Config;
use carp::memory_budget::MemoryBudget;
use carp::step::StepConfig;

use updates::after_updates;

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
    let (mut learner, _) = after_updates(&config, 4, 2, 0.1).map_err(|error| error.to_string())?;
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
