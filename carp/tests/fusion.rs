//! CARP's own step under every choice of fusion passes: the same numbers, in fewer kernels.

#[path = "common/updates.rs"]
mod updates;

use autograd::{Pass, Passes, Phase};
use carp::config::Config;
use carp::loss::LossVariant;
use carp::step::{Step, StepConfig};
use updates::after_updates;

/// The `shapes` preset with some keys changed.
fn config(changes: &[(&str, &str)]) -> StepConfig {
    let changes: Vec<_> = changes.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
    Config::load("shapes", &changes).unwrap().step()
}

/// A small step with two resolutions.
fn small(passes: &Passes, optimizer: &str, accumulation: usize) -> StepConfig {
    let changes = [
        ("model.width", "4"),
        ("model.prototypes", "70"),
        ("model.partition_size", "16"),
        ("train.batch_size", "8"),
        ("train.accumulation", &accumulation.to_string()),
        ("train.fuse", &passes.to_string()),
        ("optimizer.name", optimizer),
        ("views.global1.size", "12"),
        ("views.global2.size", "12"),
        ("views.local.size", "8"),
        ("views.local_count", "2"),
    ];
    config(&changes)
}

/// Losses of some updates, and all tensors after them.
fn train(config: &StepConfig) -> (Vec<f32>, Vec<f32>) {
    let (mut learner, losses) = after_updates(config, 3, 6, 0.01).unwrap();
    let tensors = learner.copies().into_iter();
    (losses, tensors.flat_map(|(_, _, data)| data).collect())
}

fn off(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len());
    let scale = want.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    got.iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / scale
}

#[test]
fn every_pass_trains_to_the_numbers_of_the_unfused_step() {
    let alone = Pass::ALL.map(|pass| Passes::new([pass]));
    // AdamW divides by the size of a gradient: where that is rounding alone, it magnifies it.
    for (optimizer, accumulation, tolerance) in
        [("lars", 1, 1e-4), ("sgd", 2, 1e-4), ("adamw", 1, 5e-3)]
    {
        let (losses, tensors) = train(&small(&Passes::none(), optimizer, accumulation));
        for passes in alone.iter().chain([&Passes::all()]) {
            let (got_losses, got_tensors) = train(&small(passes, optimizer, accumulation));
            let name = format!("{optimizer}, {accumulation} micro-batches, {passes}");
            // Only the loss's kernels add in another order.
            if passes.to_string().contains("loss") || *passes == Passes::all() {
                let error = off(&got_losses, &losses);
                assert!(error < 1e-4, "{name}: losses are off by {error}");
                let error = off(&got_tensors, &tensors);
                assert!(error < tolerance, "{name}: tensors are off by {error}");
            } else {
                assert!(got_losses == losses && got_tensors == tensors, "{name}: other bits");
            }
        }
    }
}

/// Kernels of each phase.
fn kernels(config: &StepConfig) -> [usize; 3] {
    let (graph, _) = Step::new(config).unwrap();
    let count = |phase| graph.nodes().iter().filter(|node| node.phase == phase).count();
    Phase::ALL.map(count)
}

#[test]
fn one_kernel_updates_all_tensors_of_a_kind() {
    let two_views = ("views.local_count", "0");
    assert_eq!(kernels(&config(&[two_views, ("train.fuse", "none")])), [188, 135, 142]);
    assert_eq!(kernels(&config(&[two_views])), [97, 77, 3]);
    // With accumulation the sums of gradients are one kernel more.
    assert_eq!(kernels(&config(&[two_views, ("train.accumulation", "2")])), [97, 78, 3]);
}

#[test]
fn all_passes_fuse_the_loss_as_far_as_its_variant_and_named_ones_are_taken_as_they_are() {
    let limited = LossVariant::FusedSoftmax.limit(&Passes::all()).to_string();
    assert!(limited.contains("partition-loss") && limited.contains("flat-update"), "{limited}");
    assert!(!limited.contains("streaming-loss") && !limited.contains("tiled-loss"), "{limited}");
    assert_eq!(LossVariant::StreamingTiled.limit(&Passes::all()), Passes::all());
    let named: Passes = "tiled-loss".parse().unwrap();
    assert_eq!(LossVariant::Unfused.limit(&named), named);
}
