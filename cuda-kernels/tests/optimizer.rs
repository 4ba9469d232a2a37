//! The teacher's average and the optimizers, against the CPU, over several steps.

mod common;

use common::{Case, uniform};
use tensor::Slot;
use tensor::backend::AdamW;

/// One weight, beside a warp, several blocks, several parts of a norm.
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
        case.run(|backend| backend.ema(m, student, teacher));
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
        case.run(|backend| (0..3).for_each(|_| backend.sgd(0.9, lr, wd, grad, w, buffer)));
    }
}

fn lars(name: String, w: &[f32], grad: &[f32], wd: f32) {
    let mut case = Case::shifted(name, w.len() % 2);
    let (lr, wd) = settings(&mut case, 0.5, wd);
    let grad = case.input(grad);
    let buffer = case.in_place("buffer", &uniform(3, w.len()));
    let w = case.in_place("w", w);
    case.run(|backend| (0..3).for_each(|_| backend.lars(0.9, 1e-1, lr, wd, grad, w, buffer)));
}

#[test]
fn lars_scales_by_both_norms() {
    for len in LENS {
        lars(format!("lars of {len}"), &uniform(2, len), &uniform(1, len), 1e-2);
    }
}

#[test]
fn lars_without_a_norm_is_sgd() {
    lars("weights 0".to_owned(), &[0.0; 33], &uniform(1, 33), 1e-2);
    lars("gradient 0, no decay".to_owned(), &uniform(2, 33), &[0.0; 33], 0.0);
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
        case.run(|backend| {
            for _ in 0..2 {
                backend.adamw(constants, lr, wd, correction, grad, w, first, second);
            }
        });
    }
}
