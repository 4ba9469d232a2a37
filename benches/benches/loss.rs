//! The loss variants, forward and backward from embeddings.

use autograd::{Executor, Graph, LossInputs};
use carp::loss::{LossVariant, carp_loss};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tensor::Cpu;
use tensor::random::{Purpose, Stream};

const VIEWS: usize = 8;
const BATCH: usize = 64;
const DIM: usize = 256;
const PARTITION_SIZE: usize = 512;

fn executor(variant: LossVariant, prototypes: usize) -> autograd::Result<Executor> {
    let mut graph = Graph::new();
    let inputs = LossInputs {
        student: graph.param("student", [VIEWS * BATCH, DIM]),
        teacher: graph.input("teacher", [2 * BATCH, DIM]),
        student_prototypes: graph.param("student_prototypes", [prototypes, DIM]),
        teacher_prototypes: graph.input("teacher_prototypes", [prototypes, DIM]),
        permutation: graph.input_u32("permutation", [prototypes]),
    };
    let terms = carp_loss(&mut graph, variant, inputs, PARTITION_SIZE)?;
    let seed = graph.fill([1], 1.0);
    graph.backward(&[(terms.loss, seed)], &[inputs.student, inputs.student_prototypes])?;
    let LossInputs { student, teacher, student_prototypes, teacher_prototypes, permutation } =
        inputs;
    let mut executor = Executor::new(graph, &Cpu)?;
    let mut random = Stream::new(0, Purpose::Test, 0, 0);
    for value in [student, teacher, student_prototypes, teacher_prototypes] {
        let elements = executor.graph().shape(value).elements();
        let data: Vec<f32> = (0..elements).map(|_| random.range(-1.0, 1.0)).collect();
        executor.write(value, &data);
    }
    let mut order: Vec<u32> = (0..prototypes as u32).collect();
    random.shuffle(&mut order);
    executor.write_u32(permutation, &order);
    Ok(executor)
}

fn loss(c: &mut Criterion) {
    let mut group = c.benchmark_group("loss");
    group.sample_size(10);
    for prototypes in [4096, 65536] {
        for variant in LossVariant::ALL {
            let mut executor = executor(variant, prototypes).expect("sizes that fit");
            group.bench_function(BenchmarkId::new(variant.name(), prototypes), |b| {
                b.iter(|| executor.run_all().expect("a CPU has no faults"));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, loss);
criterion_main!(benches);
