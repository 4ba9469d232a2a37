//! The memory traffic that the kernels' comments promise, against what the emulator counts.
//!
//! The emulator counts transactions of 32 bytes as if nothing were cached. So a second reading of
//! the same bytes, which a card finds in its caches, is counted here, and a scalar that all 32
//! threads of a warp read costs 1 byte for each of them.

mod common;

use std::sync::Arc;

use common::uniform;
use cuda_kernels::Gpu;
use cuda_kernels::drivers::emulator::{Emulator, Profile};
use tensor::backend::{AdamW, BatchNorm, BatchNormSlots};
use tensor::geometry::Pool2d;
use tensor::{Backend, Shape, Slot};

/// Slots one after the other in an arena, filled with random numbers above 0.
struct Arena(usize);

impl Arena {
    fn slot(&mut self, len: usize) -> Slot {
        let offset = self.0.next_multiple_of(tensor::arena::ALIGN);
        self.0 = offset + len;
        Slot { offset, len }
    }

    fn slots<const N: usize>(&mut self, len: usize) -> [Slot; N] {
        [(); N].map(|()| self.slot(len))
    }
}

/// Bytes that `calls` move, per element of `elements`; and bank conflicts are a failure.
fn bytes(arena: &Arena, elements: usize, calls: impl Fn(&mut Gpu)) -> f64 {
    let profile = Profile::default();
    let mut gpu = Gpu::new(Box::new(Emulator::profiled(Arc::clone(&profile))), arena.0).unwrap();
    let positive: Vec<f32> = uniform(1, arena.0).iter().map(|x| 1.5 + x).collect();
    gpu.write(Slot { offset: 0, len: arena.0 }, &positive);
    calls(&mut gpu);
    gpu.finish().unwrap();
    let profile = profile.lock().unwrap();
    for (kernel, counts) in profile.iter() {
        assert_eq!(counts.bank_conflicts, 0, "{kernel}: bank conflicts");
    }
    let transactions: u64 = profile.values().map(|counts| counts.transactions).sum();
    (32 * transactions) as f64 / elements as f64
}

/// Within 3% of what was promised: partial sums and parameters are small beside the data.
fn check(name: &str, got: f64, promised: f64) {
    println!("{name}: {got:.2} bytes per element, promised {promised}");
    let error = (got / promised - 1.0).abs();
    assert!(error < 0.03, "{name}: {got:.2} bytes per element, promised {promised}");
}

const LEN: usize = 8192;

#[test]
fn pointwise() {
    type Call = fn(&mut Gpu, [Slot; 3], Slot);
    let calls: [(&str, f64, Call); 14] = [
        ("fill", 4.0, |gpu, [x, ..], _| gpu.fill(x, 1.0)),
        ("copy", 8.0, |gpu, [x, y, _], _| gpu.copy(x, y)),
        ("add", 12.0, |gpu, [x, y, z], _| gpu.add(x, y, z)),
        ("mul", 12.0, |gpu, [x, y, z], _| gpu.mul(x, y, z)),
        ("clamp", 8.0, |gpu, [x, y, _], _| gpu.clamp(0.0, 9.0, x, y)),
        ("clamp_backward", 12.0, |gpu, [x, y, z], _| gpu.clamp_backward(0.0, 9.0, x, y, z)),
        ("ln", 8.0, |gpu, [x, y, _], _| gpu.ln(x, y)),
        ("ln_backward", 12.0, |gpu, [x, y, z], _| gpu.ln_backward(x, y, z)),
        ("scale", 8.0, |gpu, [x, y, _], _| gpu.scale(2.0, x, y)),
        ("scale_by", 8.0 + 1.0, |gpu, [x, y, _], s| gpu.scale_by(s, x, y)),
        ("accumulate", 12.0 + 1.0, |gpu, [x, y, _], s| gpu.accumulate(s, x, y)),
        ("relu_backward", 12.0, |gpu, [x, y, z], _| gpu.relu_backward(x, y, z)),
        ("gelu", 8.0, |gpu, [x, y, _], _| gpu.gelu(x, y)),
        ("gelu_backward", 12.0, |gpu, [x, y, z], _| gpu.gelu_backward(x, y, z)),
    ];
    for (name, promised, call) in calls {
        let mut arena = Arena(0);
        let slots = arena.slots(LEN);
        let scalar = arena.slot(1);
        check(name, bytes(&arena, LEN, |gpu| call(gpu, slots, scalar)), promised);
    }
}

#[test]
fn reductions_read_once() {
    let (rows, columns) = (1024, 32);
    let len = rows * columns;
    let mut arena = Arena(0);
    let (x, y) = (arena.slot(len), arena.slot(rows));
    let workspace = arena.slot(Gpu::sizes().sum_rows_workspace(rows, columns));
    let one = y.part(0, 1);
    let sum_rows = bytes(&arena, len, |gpu| gpu.sum_rows(x, y.part(0, columns), workspace));
    check("sum_rows", sum_rows, 4.0 * (1.0 + 2.0 * workspace.len as f64 / len as f64));
    // A row's sum is one number, but costs a transaction.
    let sum_columns = bytes(&arena, len, |gpu| gpu.sum_columns(columns, x, y));
    check("sum_columns", sum_columns, 4.0 + 32.0 / columns as f64);
    check("sum", bytes(&arena, len, |gpu| gpu.sum(1.0, x, one)), 4.0);
}

#[test]
fn rows_of_softmax_and_weight_norm() {
    let (rows, columns) = (8, 1024);
    let len = rows * columns;
    let mut arena = Arena(0);
    let [x, y, z] = arena.slots(len);
    let norm = arena.slot(rows);
    // x three times, of which the caches have two.
    check("softmax", bytes(&arena, len, |gpu| gpu.softmax(columns, x, y)), 16.0);
    check("log_softmax", bytes(&arena, len, |gpu| gpu.log_softmax(columns, x, y)), 16.0);
    // y and dy twice, or dy twice and y once.
    let backward = bytes(&arena, len, |gpu| gpu.softmax_backward(columns, x, y, z));
    check("softmax_backward", backward, 20.0);
    let backward = bytes(&arena, len, |gpu| gpu.log_softmax_backward(columns, x, y, z));
    check("log_softmax_backward", backward, 16.0);
    let forward = bytes(&arena, len, |gpu| gpu.l2_normalize(columns, 0.0, x, y, norm));
    check("l2_normalize", forward, 12.0);
    let backward = bytes(&arena, len, |gpu| {
        gpu.l2_normalize_backward(columns, 0.0, x, norm, y, z);
    });
    check("l2_normalize_backward", backward, 20.0);
}

#[test]
fn batch_norm() {
    let (rows, channels) = (2048, 32);
    let len = rows * channels;
    // So few rows that a thread has 8 of them, for which it reads 4 and 6 parameters of its channel.
    let (parameters, parameters_backward) = (4.0 * 4.0 / 8.0, 6.0 * 4.0 / 8.0);
    for (relu, with_residual, forward, backward) in [
        (false, false, 12.0, 20.0),
        (true, false, 12.0, 28.0),
        (false, true, 16.0, 24.0),
        (true, true, 16.0, 28.0),
    ] {
        let norm = BatchNorm { rows, channels, eps: 1e-5, momentum: 0.1, relu };
        let mut arena = Arena(0);
        let [x, y, dy, dx, residual] = arena.slots(len);
        let [weight, bias, running_mean, running_var, mean, inv_std, dweight, dbias] =
            arena.slots(channels);
        let workspace = arena.slot(Gpu::sizes().batch_norm_workspace(norm));
        let slots = BatchNormSlots { weight, bias, running_mean, running_var };
        let residual = with_residual.then_some(residual);
        let name = format!("relu {relu}, residual {with_residual}");
        let got = bytes(&arena, len, |gpu| {
            gpu.batch_norm(norm, x, residual, slots, y, mean, inv_std, workspace);
        });
        check(&format!("batch_norm, {name}"), got, forward + parameters);
        let got = bytes(&arena, len, |gpu| {
            gpu.batch_norm_backward(
                norm, x, y, dy, weight, mean, inv_std, dx, dweight, dbias, residual, workspace,
            );
        });
        check(&format!("batch_norm_backward, {name}"), got, backward + parameters_backward);
    }
}

#[test]
fn optimizers() {
    let mut arena = Arena(0);
    let [grad, w, first, second] = arena.slots(LEN);
    let [a, b] = arena.slots(1);
    let correction = arena.slot(2);
    check("ema", bytes(&arena, LEN, |gpu| gpu.ema(a, grad, w)), 12.0 + 1.0);
    let sgd = bytes(&arena, LEN, |gpu| gpu.sgd(0.9, a, b, grad, w, first));
    check("sgd", sgd, 20.0 + 2.0);
    // First the norms, whose threads read the weight decay once for several elements; then SGD with
    // three scalars.
    let lars = bytes(&arena, LEN, |gpu| gpu.lars(0.9, 1e-3, a, b, grad, w, first));
    check("lars", lars, 8.0 + 20.0 + 3.0);
    let constants = AdamW { betas: (0.9, 0.999), eps: 1e-8 };
    let adamw = bytes(&arena, LEN, |gpu| {
        gpu.adamw(constants, a, b, correction, grad, w, first, second);
    });
    check("adamw", adamw, 28.0 + 4.0);
}

#[test]
fn pools() {
    let pool = Pool2d::new("pool", Shape::from([2, 16, 16, 32]), 2, 2, 0).unwrap();
    let (len, out) = (2 * 16 * 16 * 32, pool.y_shape().elements());
    let mut arena = Arena(0);
    let (x, y, argmax) = (arena.slot(len), arena.slot(out), arena.slot(out));
    // Windows side by side: per element of x, x once and a quarter of y and argmax.
    check("max_pool", bytes(&arena, len, |gpu| gpu.max_pool2d(pool, x, y, argmax)), 6.0);
    check("avg_pool", bytes(&arena, len, |gpu| gpu.avg_pool2d(pool, x, y)), 5.0);
    // Each pixel looks at its window's dy: four times, of which the caches have three.
    check("avg_pool_backward", bytes(&arena, len, |gpu| gpu.avg_pool2d_backward(pool, y, x)), 8.0);
    let global = bytes(&arena, len, |gpu| gpu.global_avg_pool(2, 256, x, y.part(0, 64)));
    check("global_avg_pool", global, 4.0);
    let backward = bytes(&arena, len, |gpu| {
        gpu.global_avg_pool_backward(2, 256, y.part(0, 64), x);
    });
    check("global_avg_pool_backward", backward, 8.0);
}
