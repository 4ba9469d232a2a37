//! `carp bench optimizer`: LARS over the convolutions of a ResNet-18, op by op, one op a tensor, and all
//! tensors in one sweep.

use tensor::cpu::optimizer::{self, Updated};
use tensor::cpu::{pointwise, reduce};

use super::contender::Contender;

const MOMENTUM: f32 = 0.9;
const ETA: f32 = 1e-3;
const LR: f32 = 0.1;
const WEIGHT_DECAY: f32 = 1e-6;

/// Weight, gradient and momentum buffer.
struct Tensor {
    weight: Vec<f32>,
    grad: Vec<f32>,
    buffer: Vec<f32>,
}

/// The weights of ResNet-18's twenty convolutions, `[O, R*S*C]`.
fn tensors() -> Vec<Tensor> {
    let mut sizes = vec![64 * 7 * 7 * 3];
    for (channels, inputs) in [(64, 64), (128, 64), (256, 128), (512, 256)] {
        sizes.extend([channels * 9 * inputs, channels * 9 * channels]);
        sizes.extend([channels * 9 * channels; 2]);
        if inputs != channels {
            sizes.push(channels * inputs);
        }
    }
    let filled = |len, value| vec![value; len];
    sizes
        .into_iter()
        .map(|len| Tensor {
            weight: filled(len, 0.1),
            grad: filled(len, 0.01),
            buffer: filled(len, 0.0),
        })
        .collect()
}

pub fn contenders() -> Vec<Contender> {
    let (mut unfused, mut fused, mut swept) = (tensors(), tensors(), tensors());
    let elements: usize = fused.iter().map(|t| t.weight.len()).sum();
    let longest = fused.iter().map(|t| t.weight.len()).max().unwrap_or_default();
    let mut update = vec![0.0; longest];
    let flops = 10 * elements as u64;
    vec![
        Contender {
            name: "op by op, 20 tensors".into(),
            flops,
            made: 4 * elements,
            peak: 4 * longest,
            run: Box::new(move || {
                unfused.iter_mut().for_each(|t| op_by_op(t, &mut update));
                Ok(())
            }),
        },
        Contender {
            name: "one op a tensor, 20 tensors".into(),
            flops,
            made: 0,
            peak: 0,
            run: Box::new(move || {
                for Tensor { weight, grad, buffer } in &mut fused {
                    optimizer::lars(MOMENTUM, ETA, LR, WEIGHT_DECAY, grad, weight, buffer);
                }
                Ok(())
            }),
        },
        Contender {
            name: "one sweep over 20 tensors".into(),
            flops,
            made: 0,
            peak: 0,
            run: Box::new(move || {
                let mut all: Vec<Updated> = swept
                    .iter_mut()
                    .map(|Tensor { weight, grad, buffer }| Updated { grad, w: weight, buffer })
                    .collect();
                optimizer::lars_sweep(MOMENTUM, ETA, LR, WEIGHT_DECAY, &mut all);
                Ok(())
            }),
        },
    ]
}

/// u = g + wd w; u = u eta |w| / |u|; buffer = momentum buffer + u; w = w - lr buffer.
fn op_by_op(tensor: &mut Tensor, update: &mut [f32]) {
    let Tensor { weight, grad, buffer } = tensor;
    let update = &mut update[..weight.len()];
    pointwise::scale(WEIGHT_DECAY, weight, update);
    pointwise::add_assign(grad, update);
    let [w_norm, u_norm] = [&weight[..], &*update].map(|x| reduce::sum_of_squares(x).sqrt());
    pointwise::scale_assign((f64::from(ETA) * w_norm / u_norm) as f32, update);
    pointwise::scale_assign(MOMENTUM, buffer);
    pointwise::add_assign(update, buffer);
    pointwise::scale(-LR, buffer, update);
    pointwise::add_assign(update, weight);
}
