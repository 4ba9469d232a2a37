//! `carp bench optimizer`: LARS over the convolutions of a ResNet-18, op by op, one kernel a tensor, and
//! all tensors in one kernel.

use tensor::cpu::optimizer::{Lars, lars};
use tensor::cpu::{pointwise, reduce};

use super::Contender;

const LARS: Lars = Lars { momentum: 0.9, eta: 1e-3, lr: 0.1, wd: 1e-6 };

/// Weight, gradient and momentum buffer.
struct Tensor {
    weight: Vec<f32>,
    grad: Vec<f32>,
    buffer: Vec<f32>,
}

impl Tensor {
    fn new(len: usize) -> Tensor {
        Tensor { weight: vec![0.1; len], grad: vec![0.01; len], buffer: vec![0.0; len] }
    }
}

/// Elements of the weights of ResNet-18's twenty convolutions, `[O, R*S*C]`.
fn sizes() -> Vec<usize> {
    let mut sizes = vec![64 * 7 * 7 * 3];
    for (channels, inputs) in [(64, 64), (128, 64), (256, 128), (512, 256)] {
        sizes.extend([channels * 9 * inputs, channels * 9 * channels]);
        sizes.extend([channels * 9 * channels; 2]);
        if inputs != channels {
            sizes.push(channels * inputs);
        }
    }
    sizes
}

pub fn contenders() -> Vec<Contender> {
    let sizes = sizes();
    let elements = sizes.iter().sum();
    let longest = sizes.iter().copied().max().unwrap_or_default();
    let [mut unfused, mut fused] =
        [(); 2].map(|()| sizes.iter().map(|&len| Tensor::new(len)).collect::<Vec<_>>());
    let mut swept = Tensor::new(elements);
    let mut ranges = Vec::new();
    let mut end = 0;
    for len in sizes {
        ranges.extend([end, end + len as u32]);
        end += len as u32;
    }
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
                    lars(LARS, &[0, weight.len() as u32], grad, weight, buffer);
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
                let Tensor { weight, grad, buffer } = &mut swept;
                lars(LARS, &ranges, grad, weight, buffer);
                Ok(())
            }),
        },
    ]
}

/// u = g + wd w; u = u eta |w| / |u|; buffer = momentum buffer + u; w = w - lr buffer.
fn op_by_op(tensor: &mut Tensor, update: &mut [f32]) {
    let Tensor { weight, grad, buffer } = tensor;
    let Lars { momentum, eta, lr, wd } = LARS;
    let update = &mut update[..weight.len()];
    pointwise::scale(wd, weight, update);
    pointwise::add_assign(grad, update);
    let [w_norm, u_norm] = [&weight[..], &*update].map(|x| reduce::sum_of_squares(x).sqrt());
    pointwise::scale_assign((f64::from(eta) * w_norm / u_norm) as f32, update);
    pointwise::scale_assign(momentum, buffer);
    pointwise::add_assign(update, buffer);
    pointwise::scale(-lr, buffer, update);
    pointwise::add_assign(update, weight);
}
