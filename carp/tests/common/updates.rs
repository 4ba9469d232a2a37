//! Updates on noise, for tests that compare steps.

use carp::learner::{Learner, UpdateSettings};
use carp::step::StepConfig;
use tensor::Cpu;
use tensor::random::{Purpose, Stream};

/// A new learner after `count` updates on views of noise, which `noise` numbers, and the loss of each
/// batch.
///
/// # Errors
/// A step that cannot be planned.
pub fn after_updates(
    config: &StepConfig,
    noise: u64,
    count: usize,
    lr: f32,
) -> carp::error::Result<(Learner, Vec<f32>)> {
    let mut learner = Learner::new(config, &Cpu)?;
    learner.initialize(3);
    let groups = learner.view_groups().to_vec();
    let mut random = Stream::new(3, Purpose::Test, noise, 0);
    let mut order: Vec<u32> = (0..70).collect();
    let mut losses = Vec::new();
    for number in 1..=count {
        for micro in 0..config.accumulation {
            for (index, group) in groups.iter().enumerate() {
                let len = group.count * config.batch * group.size * group.size * 3;
                let pixels: Vec<f32> = (0..len).map(|_| random.range(-1.0, 1.0)).collect();
                learner.write_group(index, &pixels);
            }
            random.shuffle(&mut order);
            learner.write_partition(&order);
            let (weight_decay, teacher_momentum) = (1e-4, 0.95);
            let update = UpdateSettings { lr, weight_decay, teacher_momentum, number };
            let update = (micro + 1 == config.accumulation).then_some(update);
            losses.push(learner.step(number, micro == 0, update).unwrap().loss);
        }
    }
    Ok((learner, losses))
}
