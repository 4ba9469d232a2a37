//! Batch norm, against the CPU: training and inference, with and without residual and ReLU.

mod common;

use common::{Case, uniform};
use tensor::backend::{BatchNorm, BatchNormSlots};
use tensor::{Backend, Slot};

/// Rows and channels: the fewest, beside a warp and a tile, one group of rows and several.
const SIZES: [(usize, usize); 8] =
    [(2, 1), (31, 33), (33, 31), (64, 8), (65, 3), (200, 5), (130, 40), (300, 64)];

fn norm(rows: usize, channels: usize, relu: bool) -> BatchNorm {
    BatchNorm { rows, channels, eps: 1e-5, momentum: 0.1, relu }
}

/// Parameters and running statistics.
fn slots(case: &mut Case, channels: usize) -> BatchNormSlots {
    let positive: Vec<f32> = uniform(12, channels).iter().map(|x| 1.5 + x).collect();
    BatchNormSlots {
        weight: case.input(&uniform(10, channels)),
        bias: case.input(&uniform(11, channels)),
        running_mean: case.in_place("running mean", &uniform(13, channels)),
        running_var: case.in_place("running variance", &positive),
    }
}

/// Outputs of the backward pass.
struct Gradients {
    dx: Slot,
    dweight: Slot,
    dbias: Slot,
    dresidual: Option<Slot>,
}

fn gradients(case: &mut Case, norm: BatchNorm, with_residual: bool) -> Gradients {
    let len = norm.rows * norm.channels;
    Gradients {
        dx: case.output("dx", len),
        dweight: case.output("dweight", norm.channels),
        dbias: case.output("dbias", norm.channels),
        dresidual: with_residual.then(|| case.output("dresidual", len)),
    }
}

fn training(norm: BatchNorm, with_residual: bool, x: &[f32]) {
    let mut case = Case::shifted(format!("training, {norm:?}, {with_residual}"), norm.rows % 2);
    let len = x.len();
    let x = case.input(x);
    let dy = case.input(&uniform(2, len));
    let residual = with_residual.then(|| case.input(&uniform(3, len)));
    let slots = slots(&mut case, norm.channels);
    let y = case.output("y", len);
    let mean = case.output("mean", norm.channels);
    let inv_std = case.output("inv_std", norm.channels);
    let g = gradients(&mut case, norm, with_residual);
    let workspace = |backend: &dyn Backend| backend.batch_norm_workspace(norm);
    case.run_with(workspace, |backend, workspace| {
        backend.batch_norm(norm, x, residual, slots, y, mean, inv_std, workspace);
        backend.batch_norm_backward(
            norm,
            x,
            y,
            dy,
            slots.weight,
            mean,
            inv_std,
            g.dx,
            g.dweight,
            g.dbias,
            g.dresidual,
            workspace,
        );
    });
}

#[test]
fn with_the_statistics_of_the_batch() {
    for (rows, channels) in SIZES {
        for (relu, with_residual) in [(false, false), (true, true)] {
            let x = uniform(1, rows * channels);
            training(norm(rows, channels, relu), with_residual, &x);
        }
    }
    training(norm(70, 9, true), false, &uniform(1, 630));
    training(norm(70, 9, false), true, &uniform(1, 630));
}

#[test]
fn with_running_statistics() {
    for (rows, channels) in SIZES {
        for (relu, with_residual) in [(false, true), (true, false)] {
            let norm = norm(rows, channels, relu);
            let mut case = Case::new(format!("inference, {norm:?}, {with_residual}"));
            let len = rows * channels;
            let x = case.input(&uniform(1, len));
            let dy = case.input(&uniform(2, len));
            let residual = with_residual.then(|| case.input(&uniform(3, len)));
            let slots = slots(&mut case, channels);
            let y = case.output("y", len);
            let inv_std = case.output("inv_std", channels);
            let g = gradients(&mut case, norm, with_residual);
            let workspace = |backend: &dyn Backend| backend.batch_norm_workspace(norm);
            case.run_with(workspace, |backend, workspace| {
                backend.batch_norm_inference(norm, x, residual, slots, y, inv_std);
                backend.batch_norm_inference_backward(
                    norm,
                    x,
                    y,
                    dy,
                    slots.weight,
                    slots.running_mean,
                    inv_std,
                    g.dx,
                    g.dweight,
                    g.dbias,
                    g.dresidual,
                    workspace,
                );
            });
        }
    }
}

/// With the textbook's sum(x^2) - sum(x)^2 / n in f32, nothing would be left of this variance.
#[test]
fn a_large_mean_costs_no_digits() {
    let (rows, channels) = (300, 3);
    let norm = norm(rows, channels, false);
    let x: Vec<f32> = uniform(1, rows * channels).iter().map(|x| 4096.0 + x).collect();
    let mut case = Case::new("a large mean");
    let x = case.input(&x);
    let slots = slots(&mut case, channels);
    let y = case.output_within("y", rows * channels, 1e-3);
    let mean = case.output("mean", channels);
    let inv_std = case.output_within("inv_std", channels, 1e-4);
    let workspace = |backend: &dyn Backend| backend.batch_norm_workspace(norm);
    case.run_with(workspace, |backend, workspace| {
        backend.batch_norm(norm, x, None, slots, y, mean, inv_std, workspace);
    });
}
