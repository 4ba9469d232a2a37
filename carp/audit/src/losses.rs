//! Replays CARP's loss, from logits and from embeddings.

use autograd::{Executor, Graph, LossInputs, Passes};
use carp::error::Result;
use carp::learner::Device;
use carp::loss::{LossVariant, carp_loss};

use crate::file::{Array, Inputs, Outputs};

pub fn from_logits(inputs: &Inputs, device: Device) -> Result<Outputs> {
    let partition_size = inputs.count("partition_size")?;
    let permutation = inputs.permutation("permutation")?;
    let (student_shape, student) = inputs.f32("student")?;
    let (teacher_shape, teacher) = inputs.f32("teacher")?;
    let (&[v, b, k], &[2, teacher_b, teacher_k]) = (student_shape, teacher_shape) else {
        let detail = format!(
            "in.student {student_shape:?} and in.teacher {teacher_shape:?} are not [V,B,K] and \
             [2,B,K]"
        );
        return Err(inputs.invalid(&detail));
    };
    if b != teacher_b || k != teacher_k || permutation.len() != k {
        let detail = format!(
            "in.student {student_shape:?}, in.teacher {teacher_shape:?} and in.permutation \
             [{}] do not fit",
            permutation.len()
        );
        return Err(inputs.invalid(&detail));
    }
    let mut graph = Graph::new();
    let s = graph.param("student", [v * b, k]);
    let t = graph.input("teacher", [2 * b, k]);
    let p = graph.input_u32("permutation", [k]);
    let terms = graph.carp_loss_of_logits(s, t, p, partition_size)?;
    graph.keep(terms.consistency);
    graph.keep(terms.entropy);
    graph.fuse(&Passes::all());
    let seed = graph.fill([1], 1.0);
    let grads = graph.backward(&[(terms.loss, seed)], &[s])?;
    let grad = grads[0].expect("the loss depends on the student");
    graph.keep(grad);
    let mut executor = Executor::new(graph, device)?;
    executor.write(s, student);
    executor.write(t, teacher);
    executor.write_u32(p, &permutation);
    executor.run_all()?;
    executor.finish()?;
    Ok(vec![
        ("consistency".into(), Array::f32(&[], executor.read(terms.consistency))),
        ("entropy".into(), Array::f32(&[], executor.read(terms.entropy))),
        ("grad_student".into(), Array::f32(student_shape, executor.read(grad))),
    ])
}

pub fn from_embeddings(inputs: &Inputs, device: Device) -> Result<Outputs> {
    let partition_size = inputs.count("partition_size")?;
    let names = LossVariant::ALL.map(LossVariant::name).join(", ");
    let variant: LossVariant = inputs.word("variant", &names)?;
    let permutation = inputs.permutation("permutation")?;
    let (student_shape, student) = inputs.f32("student")?;
    let (teacher_shape, teacher) = inputs.f32("teacher")?;
    let (prototypes_shape, student_prototypes) = inputs.f32("student_prototypes")?;
    let (teacher_prototypes_shape, teacher_prototypes) = inputs.f32("teacher_prototypes")?;
    let (&[v, b, d], &[k, _]) = (student_shape, prototypes_shape) else {
        let detail = format!(
            "in.student {student_shape:?} and in.student_prototypes {prototypes_shape:?} are not \
             [V,B,D] and [K,D]"
        );
        return Err(inputs.invalid(&detail));
    };
    if teacher_shape != [2, b, d]
        || prototypes_shape != [k, d]
        || teacher_prototypes_shape != [k, d]
        || permutation.len() != k
    {
        let detail = format!(
            "in.student {student_shape:?}, in.teacher {teacher_shape:?}, in.student_prototypes \
             {prototypes_shape:?}, in.teacher_prototypes {teacher_prototypes_shape:?} and \
             in.permutation [{}] do not fit",
            permutation.len()
        );
        return Err(inputs.invalid(&detail));
    }
    let mut graph = Graph::new();
    let loss_inputs = LossInputs {
        student: graph.param("student", [v * b, d]),
        teacher: graph.input("teacher", [2 * b, d]),
        student_prototypes: graph.param("student_prototypes", [k, d]),
        teacher_prototypes: graph.input("teacher_prototypes", [k, d]),
        permutation: graph.input_u32("permutation", [k]),
    };
    let terms = carp_loss(&mut graph, variant, loss_inputs, partition_size)?;
    let seed = graph.fill([1], 1.0);
    let wrt = [loss_inputs.student, loss_inputs.student_prototypes];
    let grads = graph.backward(&[(terms.loss, seed)], &wrt)?;
    let [grad_student, grad_prototypes] =
        [0, 1].map(|i| grads[i].expect("the loss depends on embeddings and prototypes"));
    for value in [terms.consistency, terms.entropy, grad_student, grad_prototypes] {
        graph.keep(value);
    }
    let mut executor = Executor::new(graph, device)?;
    executor.write(loss_inputs.student, student);
    executor.write(loss_inputs.teacher, teacher);
    executor.write(loss_inputs.student_prototypes, student_prototypes);
    executor.write(loss_inputs.teacher_prototypes, teacher_prototypes);
    executor.write_u32(loss_inputs.permutation, &permutation);
    executor.run_all()?;
    executor.finish()?;
    Ok(vec![
        ("consistency".into(), Array::f32(&[], executor.read(terms.consistency))),
        ("entropy".into(), Array::f32(&[], executor.read(terms.entropy))),
        ("grad_student".into(), Array::f32(student_shape, executor.read(grad_student))),
        (
            "grad_student_prototypes".into(),
            Array::f32(prototypes_shape, executor.read(grad_prototypes)),
        ),
    ])
}
