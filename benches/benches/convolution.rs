//! Convolution and its gradients against their equivalent GEMMs.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use isa::Isa;
use tensor::Shape;
use tensor::cpu::{conv2d, gemm};
use tensor::geometry::{Conv2d, Gemm};

/// N,H,W,C and O of 3x3 convolutions: the stages of a ResNet of width 16 on 32x32 images.
const STAGES: [([usize; 4], usize); 4] =
    [([64, 32, 32, 16], 16), ([64, 16, 16, 32], 32), ([64, 8, 8, 64], 64), ([64, 4, 4, 128], 128)];

fn convolution(c: &mut Criterion) {
    let isa = Isa::widest();
    let mut group = c.benchmark_group("convolution 3x3");
    for (x_shape, o) in STAGES {
        let x_shape = Shape::from(x_shape);
        let weight_shape = Shape::from([o, 3, 3, x_shape[3]]);
        let conv = Conv2d::new(x_shape, weight_shape, 1, 1).expect("a valid convolution");
        let (x, weight) = (vec![0.5; x_shape.elements()], vec![0.5; weight_shape.elements()]);
        let mut y = vec![0.5; conv.y_shape().elements()];
        let (mut dx, mut dweight) = (x.clone(), weight.clone());
        group.throughput(Throughput::Elements(conv.flops()));
        let name = |kind: &str| BenchmarkId::new(kind.to_owned(), x_shape);
        let mut workspace = vec![0.0; conv2d::forward_workspace(conv)];
        group.bench_function(name("forward"), |b| {
            b.iter(|| conv2d::forward(isa, conv, &x, &weight, [&mut y, &mut []], &mut workspace));
        });
        let mut workspace = vec![0.0; conv2d::grad_input_workspace(conv)];
        group.bench_function(name("grad_input"), |b| {
            b.iter(|| conv2d::grad_input(isa, conv, &y, &weight, &mut dx, &mut workspace));
        });
        let mut workspace = vec![0.0; conv2d::grad_weight_workspace(conv)];
        group.bench_function(name("grad_weight"), |b| {
            b.iter(|| conv2d::grad_weight(isa, conv, &x, &y, &mut dweight, &mut workspace));
        });
        let (m, n, k) = (conv.rows(), o, conv.patch());
        let product = Gemm { m, n, k, trans_a: false, trans_b: true };
        let patches = vec![0.5; m * k];
        let mut workspace = vec![0.0; gemm::workspace(product)];
        group.bench_function(name("its GEMM alone"), |b| {
            b.iter(|| gemm::gemm(isa, product, &patches, &weight, &mut y, &mut workspace));
        });
    }
    group.finish();
}

criterion_group!(benches, convolution);
criterion_main!(benches);
