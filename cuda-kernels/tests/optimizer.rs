//! The teacher's average and the optimizers, against the CPU, over several steps.

mod common;

use common::{Case, uniform};
use tensor::kernel::AdamW;
use tensor::{Kernel, Slot};

/// One weight, around a warp, several blocks, several parts of a norm.
const LENS: [usize; 5] = [1, 31, 33, 1000, 5000];

/// Inputs `[1]`: learning rate and weight decay.
fn settings(case: &mut Case, lr: f32, wd: f32) -> (Slot, Slot) {
    (case.input(&[lr]), case.input(&[wd]))
}

#[test]
fn ema() {
    for len in LENS {
        let mut case = Case::shifted(format!("ema of {len}"), len % 2);
        let m = case.input(&[0.99]);
        let student = case.input(&uniform(1, len));
        let teacher = case.in_place("teacher", &uniform(2, len));
        case.call(Kernel::Ema, &[m, student], &[teacher]);
        case.run();
    }
}

#[test]
fn sgd() {
    for len in LENS {
        let mut case = Case::shifted(format!("sgd of {len}"), len % 2);
        let (lr, wd) = settings(&mut case, 0.1, 1e-2);
        let grad = case.input(&uniform(1, len));
        let w = case.in_place("w", &uniform(2, len));
        let buffer = case.in_place("buffer", &uniform(3, len));
        for _ in 0..3 {
            case.call(Kernel::Sgd { momentum: 0.9 }, &[grad, lr, wd], &[w, buffer]);
        }
        case.run();
    }
}

/// A guard that lets updates pass, and one that holds them back.
#[test]
fn guarded() {
    let (len, constants) = (1000, AdamW { betas: (0.9, 0.999), eps: 1e-8 });
    for kernel in [
        Kernel::Accumulate,
        Kernel::Ema,
        Kernel::Sgd { momentum: 0.9 },
        Kernel::Lars { momentum: 0.9, eta: 1e-1, tensors: 1 },
        Kernel::AdamW(constants),
    ] {
        for is_held in [0.0, 1.0] {
            let mut case = Case::new(format!("guarded {}", kernel.name()));
            let grad = case.input(&uniform(1, len));
            let (lr, wd) = settings(&mut case, 0.1, 1e-2);
            let mut inputs = match kernel {
                Kernel::Accumulate | Kernel::Ema => vec![lr, grad],
                _ => vec![grad, lr, wd],
            };
            inputs.extend(match kernel {
                Kernel::Lars { .. } => Some(case.indices(&[0, len as u32])),
                Kernel::AdamW(_) => Some(case.input(&[0.1, 1e-3])),
                _ => None,
            });
            assert_eq!(kernel.own_inputs(), Some(inputs.len()));
            inputs.push(case.input(&[is_held, 2.0]));
            let state = |case: &mut Case, index| case.in_place("state", &uniform(index, len));
            let mut outputs = vec![state(&mut case, 2)];
            if inputs[0] == grad {
                outputs.push(state(&mut case, 3));
            }
            if let Kernel::AdamW(_) = kernel {
                outputs.push(case.in_place("second", &vec![0.5; len]));
            }
            case.call(kernel, &inputs, &outputs);
            case.run();
        }
    }
}

/// Steps of LARS over tensors with these first and last elements.
fn lars(name: String, ranges: &[u32], w: &[f32], grad: &[f32], wd: f32) {
    let mut case = Case::shifted(name, w.len() % 2);
    let (lr, wd) = settings(&mut case, 0.5, wd);
    let grad = case.input(grad);
    let buffer = case.in_place("buffer", &uniform(3, w.len()));
    let w = case.in_place("w", w);
    let kernel = Kernel::Lars { momentum: 0.9, eta: 1e-1, tensors: ranges.len() / 2 };
    let ranges = case.indices(ranges);
    for _ in 0..3 {
        case.call(kernel, &[grad, lr, wd, ranges], &[w, buffer]);
    }
    case.run();
}

/// The same over one tensor.
fn lars_of_one(name: String, w: &[f32], grad: &[f32], wd: f32) {
    lars(name, &[0, w.len() as u32], w, grad, wd);
}

#[test]
fn lars_scales_by_both_norms() {
    for len in LENS {
        lars_of_one(format!("lars of {len}"), &uniform(2, len), &uniform(1, len), 1e-2);
    }
}

#[test]
fn lars_without_a_norm_is_sgd() {
    lars_of_one("weights 0".to_owned(), &[0.0; 33], &uniform(1, 33), 1e-2);
    lars_of_one("gradient 0, no decay".to_owned(), &uniform(2, 33), &[0.0; 33], 0.0);
}

#[test]
fn lars_of_many_chunks() {
    // 17 and 135 chunks: some nodes empty, some of two chunks.
    for len in [270_000, 2_200_000] {
        let mut case = Case::new(format!("lars of {len}"));
        let (lr, wd) = settings(&mut case, 0.5, 1e-2);
        let grad = case.input(&uniform(1, len));
        let buffer = case.in_place("buffer", &uniform(3, len));
        let w = case.in_place("w", &uniform(2, len));
        let kernel = Kernel::Lars { momentum: 0.9, eta: 1e-1, tensors: 1 };
        let ranges = case.indices(&[0, len as u32]);
        case.call(kernel, &[grad, lr, wd, ranges], &[w, buffer]);
        case.run();
    }
}

/// Tensors of various sizes and scales, with gaps that must not change.
#[test]
fn lars_scales_each_tensor_by_itself() {
    let mut ranges = Vec::new();
    let mut len = 3;
    for tensor in [40, 1, 5000, 33] {
        ranges.extend([len as u32, (len + tensor) as u32]);
        len += tensor + 16;
    }
    let mut w = uniform(2, len);
    w[..50].iter_mut().for_each(|w| *w *= 30.0);
    lars("four tensors".to_owned(), &ranges, &w, &uniform(1, len), 1e-2);
}

#[test]
fn adamw() {
    let constants = AdamW { betas: (0.9, 0.999), eps: 1e-8 };
    for len in LENS {
        let mut case = Case::shifted(format!("adamw of {len}"), len % 2);
        let (lr, wd) = settings(&mut case, 1e-2, 5e-2);
        let correction = case.input(&[0.1, 1e-3]);
        let grad = case.input(&uniform(1, len));
        let w = case.in_place("w", &uniform(2, len));
        let first = case.in_place("first", &vec![0.0; len]);
        let second = case.in_place("second", &vec![0.0; len]);
        for _ in 0..2 {
            let inputs = [grad, lr, wd, correction];
            case.call(Kernel::AdamW(constants), &inputs, &[w, first, second]);
        }
        case.run();
    }
}
