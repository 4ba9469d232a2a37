//! Batch norm with ReLU and residual in one kernel against three.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use isa::Isa;
use tensor::cpu::{batch_norm, pointwise};
use tensor::geometry::BatchNorm;
use tensor::kernel::Unary;

fn norm(c: &mut Criterion) {
    let (rows, channels) = (64 * 32 * 32, 16);
    let (isa, len) = (Isa::widest(), rows * channels);
    let mut group = c.benchmark_group("batch norm + residual + ReLU");
    group.throughput(Throughput::Bytes(4 * len as u64));
    let (x, residual) = (vec![0.5; len], vec![0.25; len]);
    let (mut y, mut sum) = (vec![0.0; len], vec![0.0; len]);
    let (weight, bias) = (vec![1.0; channels], vec![0.0; channels]);
    let mut statistics = [(); 4].map(|()| vec![0.0; channels]);
    for fused in [true, false] {
        let norm = BatchNorm {
            rows,
            channels,
            eps: 1e-5,
            momentum: 0.1,
            training: true,
            residual: fused,
            relu: fused,
        };
        let mut workspace = vec![0.0; batch_norm::workspace(norm)];
        group.bench_function(if fused { "fused" } else { "three kernels" }, |b| {
            b.iter(|| {
                let [mean, inv_std, running_mean, running_var] = &mut statistics;
                batch_norm::forward(
                    isa,
                    norm,
                    &x,
                    fused.then_some(&residual[..]),
                    [&weight, &bias],
                    [&mut y, mean, inv_std, running_mean, running_var],
                    &mut workspace,
                );
                if !fused {
                    pointwise::add(isa, &y, &residual, &mut sum);
                    pointwise::unary(isa, Unary::Relu, &sum, &mut y);
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, norm);
criterion_main!(benches);
