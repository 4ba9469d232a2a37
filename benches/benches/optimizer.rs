//! LARS, SGD and AdamW over one large tensor.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use isa::Isa;
use tensor::cpu::optimizer::{self, Lars};
use tensor::kernel::AdamW;

fn optimizers(c: &mut Criterion) {
    let isa = Isa::widest();
    let len = 512 * 9 * 512;
    let grad = vec![0.01; len];
    let [mut w, mut first, mut second] = [vec![0.1; len], vec![0.0; len], vec![0.0; len]];
    let mut group = c.benchmark_group("optimizer");
    group.throughput(Throughput::Elements(len as u64));
    group.bench_function("lars", |b| {
        let lars = Lars { momentum: 0.9, eta: 1e-3, lr: 0.1, wd: 1e-6 };
        b.iter(|| optimizer::lars(isa, lars, &[0, len as u32], &grad, &mut w, &mut first));
    });
    group.bench_function("sgd", |b| {
        b.iter(|| optimizer::sgd(isa, 0.9, 0.1, 1e-6, &grad, &mut w, &mut first));
    });
    let settings = AdamW { betas: (0.9, 0.999), eps: 1e-8 };
    group.bench_function("adamw", |b| {
        b.iter(|| {
            let correction = (0.1, 0.001);
            optimizer::adamw(
                isa,
                settings,
                1e-3,
                1e-2,
                correction,
                &grad,
                &mut w,
                &mut first,
                &mut second,
            );
        });
    });
    group.finish();
}

criterion_group!(benches, optimizers);
criterion_main!(benches);
