//! The calls of the tour, family by family: sizes that are no multiples of tiles, and small.

use tensor::Backend;
use tensor::backend::{AdamW, BatchNorm, BatchNormSlots, LossSlots, StreamingLossInputs};
use tensor::geometry::{Conv2d, Gemm, PartitionLoss, Pool2d, StreamingLoss};

use super::Tour;
use crate::launch;

/// Calls the methods whose kernels are in the module of `kernel`.
pub fn family(tour: &mut Tour, module: &str, kernel: &str) {
    match module {
        "batch_norm" => batch_norm(tour),
        "conv2d" => conv2d(tour),
        "gather" => gather(tour),
        "gemm" | "gemm_bf16" => gemm(tour, kernel == "gemm_128x128"),
        "normalize" => normalize(tour),
        "optimizer" => optimizer(tour),
        "partition_loss" => partition_loss(tour),
        "pointwise" => pointwise(tour),
        "pool" => pool(tour),
        "reduce" => reduce(tour),
        "softmax" => softmax(tour),
        "streaming_loss" => streaming_loss(tour),
        _ => {}
    }
}

fn batch_norm(tour: &mut Tour) {
    let norm = BatchNorm { rows: 300, channels: 40, eps: 1e-5, momentum: 0.1, relu: true };
    let (len, c) = (norm.rows * norm.channels, norm.channels);
    let [x, dy, residual] = [(); 3].map(|()| tour.random(len));
    let slots = BatchNormSlots {
        weight: tour.random(c),
        bias: tour.random(c),
        running_mean: tour.random(c),
        running_var: tour.random(c),
    };
    let [y, dx, dresidual] = [(); 3].map(|()| tour.room(len));
    let [mean, inv_std, dweight, dbias] = [(); 4].map(|()| tour.room(c));
    let workspace = tour.gpu.batch_norm_workspace(norm);
    let workspace = tour.room(workspace);
    let (gpu, weight, running) = (&mut tour.gpu, slots.weight, slots.running_mean);
    let (residual, dresidual) = (Some(residual), Some(dresidual));
    gpu.batch_norm(norm, x, residual, slots, y, mean, inv_std, workspace);
    gpu.batch_norm_backward(
        norm, x, y, dy, weight, mean, inv_std, dx, dweight, dbias, dresidual, workspace,
    );
    gpu.batch_norm_inference(norm, x, residual, slots, y, inv_std);
    gpu.batch_norm_inference_backward(
        norm, x, y, dy, weight, running, inv_std, dx, dweight, dbias, dresidual, workspace,
    );
}

fn conv2d(tour: &mut Tour) {
    for channels in [8, 48] {
        let (c, o) = (channels, channels);
        let conv = Conv2d { n: 2, h: 9, w: 11, c, o, r: 3, s: 3, stride: 2, padding: 1 };
        let x = tour.random(conv.n * conv.h * conv.w * c);
        let weight = tour.random(o * conv.r * conv.s * c);
        let dy = tour.random(conv.n * conv.out_h() * conv.out_w() * o);
        let [y, dx, dweight] = [dy.len, x.len, weight.len].map(|len| tour.room(len));
        let workspace = tour
            .gpu
            .conv2d_workspace(conv)
            .max(tour.gpu.conv2d_grad_input_workspace(conv))
            .max(tour.gpu.conv2d_grad_weight_workspace(conv));
        let workspace = tour.room(workspace);
        tour.gpu.conv2d(conv, x, weight, y, workspace);
        tour.gpu.conv2d_grad_input(conv, dy, weight, dx, workspace);
        tour.gpu.conv2d_grad_weight(conv, x, dy, dweight, workspace);
    }
}

fn gather(tour: &mut Tour) {
    let (rows, columns, used) = (40, 33, 20);
    let x = tour.random(rows * columns);
    let [by_row, by_column] = [rows, columns].map(|len| tour.order(len).part(0, used));
    let [y, dy, dx] = [used * columns, used * columns, rows * columns].map(|len| tour.room(len));
    tour.gpu.gather_rows(columns, x, by_row, y);
    tour.gpu.scatter_add_rows(columns, dy, by_row, dx);
    let y = tour.room(rows * used);
    tour.gpu.gather_columns(columns, x, by_column, y);
    tour.gpu.gather_columns_backward(columns, y, by_column, dx);
}

fn gemm(tour: &mut Tour, large: bool) {
    // A square tile, narrow ones, one whose inner size is cut into parts; or many large tiles,
    // which take a while.
    let small = [(100, 70, 50), (100, 10, 50), (10, 100, 50), (40, 40, 600)];
    let sizes = if large { &[(11 * 128, 12 * 128, 16)] } else { &small[..] };
    for &(m, n, k) in sizes {
        let gemm = Gemm { m, n, k, trans_a: false, trans_b: true };
        let [a, b] = [m * k, n * k].map(|len| tour.random(len));
        let c = tour.room(m * n);
        let workspace = tour.gpu.gemm_workspace(gemm);
        let workspace = tour.room(workspace);
        tour.gpu.gemm(gemm, a, b, c, workspace);
        if m == 100 && n == 70 {
            launch::gemm::gemm_naive(&mut tour.gpu, gemm, a, b, c);
            launch::gemm::gemm_bf16(&mut tour.gpu, gemm, a, b, c);
        }
    }
}

fn normalize(tour: &mut Tour) {
    let (rows, columns) = (20, 130);
    let [x, dy] = [(); 2].map(|()| tour.random(rows * columns));
    let [y, dx, norm] = [x.len, x.len, rows].map(|len| tour.room(len));
    tour.gpu.l2_normalize(columns, 1e-12, x, y, norm);
    tour.gpu.l2_normalize_backward(columns, 1e-12, y, norm, dy, dx);
}

fn optimizer(tour: &mut Tour) {
    let [w, grad, other] = [(); 3].map(|()| tour.random(5000));
    let [buffer, second] = [(); 2].map(|()| tour.room(5000));
    let [m, lr, wd] = [0.99, 0.1, 1e-4].map(|value| tour.scalar(value));
    let correction = tour.random(2);
    let adamw = AdamW { betas: (0.9, 0.999), eps: 1e-8 };
    tour.gpu.ema(m, w, other);
    tour.gpu.sgd(0.9, lr, wd, grad, w, buffer);
    tour.gpu.lars(0.9, 1e-3, lr, wd, grad, w, buffer);
    tour.gpu.adamw(adamw, lr, wd, correction, grad, w, buffer, second);
}

fn sizes() -> PartitionLoss {
    PartitionLoss { views: 3, batch: 8, prototypes: 100, partition_size: 32 }
}

fn terms(tour: &mut Tour) -> LossSlots {
    let [loss, consistency, entropy] = [(); 3].map(|()| tour.room(1));
    LossSlots { loss, consistency, entropy }
}

fn partition_loss(tour: &mut Tour) {
    let sizes = sizes();
    let student = tour.random(sizes.views * sizes.batch * sizes.prototypes);
    let teacher = tour.random(2 * sizes.batch * sizes.prototypes);
    let order = tour.order(sizes.prototypes);
    let terms = terms(tour);
    let grad = tour.room(student.len);
    let workspace = tour.gpu.partition_loss_workspace(sizes);
    let workspace = tour.room(workspace);
    tour.gpu.partition_loss(sizes, student, teacher, order, terms, grad, workspace);
}

fn streaming_loss(tour: &mut Tour) {
    let (loss, dim) = (sizes(), 24);
    let sizes = StreamingLoss { loss, dim, views_at_once: loss.views };
    let inputs = StreamingLossInputs {
        student: tour.random(loss.views * loss.batch * dim),
        teacher: tour.random(2 * loss.batch * dim),
        student_prototypes: tour.random(loss.prototypes * dim),
        teacher_prototypes: tour.random(loss.prototypes * dim),
        permutation: tour.order(loss.prototypes),
    };
    let terms = terms(tour);
    let [student, prototypes] =
        [inputs.student.len, inputs.student_prototypes.len].map(|len| tour.room(len));
    let workspace = tour.gpu.streaming_loss_workspace(sizes);
    let workspace = tour.room(workspace);
    tour.gpu.streaming_loss(sizes, inputs, terms, student, prototypes, workspace);
}

fn pointwise(tour: &mut Tour) {
    let len = 3000;
    let [a, b] = [(); 2].map(|()| tour.random(len));
    let y = tour.room(len);
    let (s, bias) = (tour.scalar(0.5), tour.random(30));
    let gpu = &mut tour.gpu;
    gpu.fill(y, 1.0);
    gpu.copy(a, y);
    gpu.add(a, b, y);
    gpu.mul(a, b, y);
    gpu.clamp(0.2, 0.8, a, y);
    gpu.clamp_backward(0.2, 0.8, a, b, y);
    gpu.ln(a, y);
    gpu.ln_backward(a, b, y);
    gpu.scale(2.0, a, y);
    gpu.scale_by(s, a, y);
    gpu.accumulate(s, a, y);
    gpu.relu(a, y);
    gpu.relu_backward(a, b, y);
    gpu.gelu(a, y);
    gpu.gelu_backward(a, b, y);
    gpu.add_bias(a, bias, y);
}

fn pool(tour: &mut Tour) {
    let pool = Pool2d { n: 2, h: 9, w: 11, c: 20, kernel: 3, stride: 2, padding: 1 };
    let (p, q) = (pool.h.div_ceil(2), pool.w.div_ceil(2));
    let x = tour.random(pool.n * pool.h * pool.w * pool.c);
    let dy = tour.random(pool.n * p * q * pool.c);
    let [y, argmax, dx] = [dy.len, dy.len, x.len].map(|len| tour.room(len));
    tour.gpu.max_pool2d(pool, x, y, argmax);
    tour.gpu.max_pool2d_backward(pool, dy, argmax, dx);
    tour.gpu.avg_pool2d(pool, x, y);
    tour.gpu.avg_pool2d_backward(pool, dy, dx);
    let pixels = pool.h * pool.w;
    let y = tour.room(pool.n * pool.c);
    tour.gpu.global_avg_pool(pool.n, pixels, x, y);
    tour.gpu.global_avg_pool_backward(pool.n, pixels, y, dx);
}

fn reduce(tour: &mut Tour) {
    let (rows, columns) = (200, 33);
    let x = tour.random(rows * columns);
    let [by_column, by_row, dx, one] = [columns, rows, x.len, 1].map(|len| tour.room(len));
    let workspace = tour.gpu.sum_rows_workspace(rows, columns);
    let workspace = tour.room(workspace);
    tour.gpu.sum_rows(x, by_column, workspace);
    tour.gpu.sum_columns(columns, x, by_row);
    tour.gpu.sum_columns_backward(columns, by_row, dx);
    tour.gpu.sum(0.5, x, one);
    tour.gpu.all_finite(x);
}

fn softmax(tour: &mut Tour) {
    let (rows, columns) = (20, 130);
    let [x, dy] = [(); 2].map(|()| tour.random(rows * columns));
    let [y, dx] = [(); 2].map(|()| tour.room(rows * columns));
    tour.gpu.softmax(columns, x, y);
    tour.gpu.softmax_backward(columns, y, dy, dx);
    tour.gpu.log_softmax(columns, x, y);
    tour.gpu.log_softmax_backward(columns, y, dy, dx);
}
