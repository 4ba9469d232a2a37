//! CARP's loss from embeddings and prototypes, against the CPU.

mod common;

use common::{Case, permutation, uniform};
use cuda_kernels::launch;
use tensor::geometry::{PartitionLoss, StreamingLoss};
use tensor::{Kernel, Numerics};

/// Views, images, prototypes, partition size, dimension.
fn sizes(views: usize, batch: usize, prototypes: usize, size: usize, dim: usize) -> StreamingLoss {
    let loss = PartitionLoss::new(views, batch, prototypes, size).unwrap();
    StreamingLoss { loss, dim, views_at_once: views }
}

/// Embeddings of student and teacher, and prototypes of both.
struct Data {
    student: Vec<f32>,
    teacher: Vec<f32>,
    student_prototypes: Vec<f32>,
    teacher_prototypes: Vec<f32>,
}

impl Data {
    fn random(sizes: StreamingLoss, scale: f32) -> Data {
        let StreamingLoss { loss, dim, .. } = sizes;
        let scaled = |index, len| uniform(index, len).iter().map(|x| scale * x).collect();
        Data {
            student: scaled(1, loss.views * loss.batch * dim),
            teacher: scaled(2, 2 * loss.batch * dim),
            student_prototypes: uniform(3, loss.prototypes * dim),
            teacher_prototypes: uniform(4, loss.prototypes * dim),
        }
    }
}

fn check(name: &str, sizes: StreamingLoss, data: &Data, shift: usize) {
    let mut case = Case::shifted(format!("{name}, {sizes:?}"), shift);
    let inputs = [
        case.input(&data.student),
        case.input(&data.teacher),
        case.input(&data.student_prototypes),
        case.input(&data.teacher_prototypes),
        case.indices(&permutation(5, sizes.loss.prototypes)),
    ];
    // Together, so that each is compared at the scale of the largest: H near 0 is the small
    // remainder of sums of large terms.
    let scalars = case.output("loss, C and H", 3);
    let [loss, consistency, entropy] = [0, 1, 2].map(|i| scalars.part(i, 1));
    let grad_student = case.output("gradient of embeddings", data.student.len());
    let grad_prototypes = case.output("gradient of prototypes", data.student_prototypes.len());
    let outputs = [loss, consistency, entropy, grad_student, grad_prototypes];
    case.call(Kernel::StreamingLoss(sizes), &inputs, &outputs);
    case.run();
}

#[test]
fn views_partition_sizes_and_dimensions() {
    let all = [
        sizes(2, 1, 3, 2, 2),
        sizes(2, 5, 31, 31, 33),
        sizes(2, 17, 40, 7, 16),
        sizes(3, 4, 70, 33, 31),
        sizes(8, 3, 140, 130, 20),
    ];
    for (i, sizes) in all.into_iter().enumerate() {
        check("random", sizes, &Data::random(sizes, 1.5), i % 2);
    }
}

#[test]
fn a_partition_of_one_prototype() {
    let sizes = sizes(2, 2, 9, 1, 5);
    check("random", sizes, &Data::random(sizes, 1.0), 0);
}

#[test]
fn the_published_partition_size() {
    let sizes = sizes(2, 2, 520, 512, 20);
    check("random", sizes, &Data::random(sizes, 1.0), 0);
}

#[test]
fn several_panels_each_way() {
    let sizes = sizes(2, 9, 150, 140, 141);
    check("random", sizes, &Data::random(sizes, 1.0), 1);
}

#[test]
fn fewer_views_at_once() {
    for views_at_once in [1, 3] {
        let sizes = StreamingLoss { views_at_once, ..sizes(4, 3, 20, 10, 8) };
        check("random", sizes, &Data::random(sizes, 1.0), 0);
    }
}

#[test]
fn more_blocks_than_thread_blocks() {
    let sizes = sizes(2, 2, 401, 2, 3);
    check("random", sizes, &Data::random(sizes, 1.0), 0);
}

#[test]
fn clamps() {
    let dim = 12;
    let sizes = sizes(3, 4, dim, dim, dim);
    let one_hot = |rows: usize, place: &dyn Fn(usize) -> usize| {
        let mut z = vec![0.0; rows * dim];
        for (row, z) in z.chunks_exact_mut(dim).enumerate() {
            z[place(row)] = 60.0;
        }
        z
    };
    let same = one_hot(12, &|row| row % 4);
    let teachers = [
        ("agreeing", one_hot(8, &|row| row % 4)),
        ("disagreeing", one_hot(8, &|row| row % 4 + 5)),
        ("mixed", one_hot(8, &|row| row % 4 + row % 2 * 5)),
    ];
    for (name, teacher) in teachers {
        check(name, sizes, &on_axes(dim, same.clone(), teacher), 0);
    }
}

/// Prototypes along the axes: the logits are the embeddings.
fn on_axes(dim: usize, student: Vec<f32>, teacher: Vec<f32>) -> Data {
    let axes: Vec<f32> = (0..dim * dim).map(|i| f32::from(i / dim == i % dim)).collect();
    let student_prototypes = axes.iter().map(|x| 0.5 * x).collect();
    Data { student, teacher, student_prototypes, teacher_prototypes: axes }
}

#[test]
fn equal_logits_and_large_logits() {
    // One image has gradients of almost 0; the others set the scale.
    let dim = 12;
    let sizes = sizes(3, 4, dim, dim, dim);
    for (name, scale, shift) in [("equal", 0.0, 3.0), ("large", 1e4, 0.0)] {
        let Data { mut student, mut teacher, .. } = Data::random(sizes, 3.0);
        for z in [&mut student, &mut teacher] {
            for image in z.chunks_exact_mut(dim).step_by(4) {
                image.iter_mut().for_each(|z| *z = *z * scale + shift);
            }
        }
        check(name, sizes, &on_axes(dim, student, teacher), 0);
    }
}

#[test]
fn a_large_partition() {
    let sizes = sizes(2, 1, 3000, 2900, 2);
    check("random", sizes, &Data::random(sizes, 1.0), 0);
}

#[test]
fn memory_does_not_grow_with_the_prototypes() {
    let workspace = |prototypes| {
        launch::workspace(
            &Kernel::StreamingLoss(sizes(8, 64, prototypes, 512, 256)),
            Numerics::Exact,
        )
    };
    assert_eq!(workspace(65_536), workspace(262_144));
}
