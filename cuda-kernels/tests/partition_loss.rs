//! CARP's loss over logits, against the CPU.

mod common;

use common::{Case, permutation, uniform};
use tensor::Kernel;
use tensor::geometry::PartitionLoss;

/// Views, images, prototypes, partition size.
fn sizes(views: usize, batch: usize, prototypes: usize, size: usize) -> PartitionLoss {
    PartitionLoss::new(views, batch, prototypes, size).unwrap()
}

fn check(name: &str, sizes: PartitionLoss, student: &[f32], teacher: &[f32], shift: usize) {
    let mut case = Case::shifted(format!("{name}, {sizes:?}"), shift);
    let student = case.input(student);
    let teacher = case.input(teacher);
    let order = case.indices(&permutation(3, sizes.prototypes));
    // Together, so that each is compared at the scale of the largest: H near 0 is the small
    // remainder of sums of large terms.
    let scalars = case.output("loss, C and H", 3);
    let [loss, consistency, entropy] = [0, 1, 2].map(|i| scalars.part(i, 1));
    let grad = case.output("gradient", student.len);
    let outputs = [loss, consistency, entropy, grad];
    case.call(Kernel::PartitionLoss(sizes), &[student, teacher, order], &outputs);
    case.run();
}

fn logits(sizes: PartitionLoss, scale: f32) -> (Vec<f32>, Vec<f32>) {
    let rows = [sizes.views * sizes.batch, 2 * sizes.batch];
    let [student, teacher] = [1, 2].map(|index| {
        let x = uniform(index, rows[index as usize - 1] * sizes.prototypes);
        x.into_iter().map(|x| scale * x).collect::<Vec<f32>>()
    });
    (student, teacher)
}

#[test]
fn views_and_partition_sizes() {
    let all = [
        sizes(2, 1, 1, 1),
        sizes(2, 3, 31, 1),
        sizes(2, 5, 33, 33),
        sizes(3, 4, 40, 7),
        sizes(8, 3, 100, 31),
        sizes(4, 2, 300, 140),
    ];
    for (i, sizes) in all.into_iter().enumerate() {
        let (student, teacher) = logits(sizes, 3.0);
        check("random", sizes, &student, &teacher, i % 2);
    }
}

/// Rows with all their probability on one prototype.
fn one_hot(rows: usize, prototypes: usize, place: impl Fn(usize) -> usize) -> Vec<f32> {
    let mut x = vec![0.0; rows * prototypes];
    for (row, x) in x.chunks_exact_mut(prototypes).enumerate() {
        x[place(row) % prototypes] = 60.0;
    }
    x
}

#[test]
fn clamps() {
    let sizes = sizes(3, 4, 12, 12);
    let rows = [3 * 4, 2 * 4];
    // <p,q> above 1 - eps, below eps, and some of both; most of m is below eps.
    let [same, same_teacher] = rows.map(|rows| one_hot(rows, 12, |row| row % 4));
    check("agreeing", sizes, &same, &same_teacher, 0);
    let other = one_hot(rows[1], 12, |row| row % 4 + 5);
    check("disagreeing", sizes, &same, &other, 0);
    let mixed = one_hot(rows[1], 12, |row| if row % 2 == 0 { row % 4 } else { row % 4 + 5 });
    check("mixed", sizes, &same, &mixed, 0);
}

#[test]
fn equal_logits_and_large_logits() {
    // One image has gradients of almost 0; the others set the scale.
    let sizes = sizes(3, 4, 12, 12);
    for (name, scale, shift) in [("equal", 0.0, 3.0), ("large", 1e4, 0.0)] {
        let (mut student, mut teacher) = logits(sizes, 3.0);
        for x in [&mut student, &mut teacher] {
            for image in x.chunks_exact_mut(12).step_by(4) {
                image.iter_mut().for_each(|x| *x = *x * scale + shift);
            }
        }
        check(name, sizes, &student, &teacher, 0);
    }
}

#[test]
fn faults_show() {
    let sizes = sizes(2, 2, 8, 4);
    let (mut student, teacher) = logits(sizes, 1.0);
    student[5] = f32::NAN;
    check("not a number", sizes, &student, &teacher, 0);
}
