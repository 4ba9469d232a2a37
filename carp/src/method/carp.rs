//! CARP (Silva and Ramírez Rivera, 2023): two views of an image have the same assignment inside
//! every block of a random partition of the prototypes (docs/method.md).
//!
//! ```text
//! every view of the student, views 0 and 1 of the teacher, over the prototypes of each block:
//! p = softmax(<z, v / |v|>),  q = the teacher's
//! L = mean of -ln <p, q> over blocks and pairs of views + ln N_B - entropy of the mean assignment
//! teacher <- m teacher + (1 - m) student, before the student moves
//! ```

use autograd::{Executor, LossInputs, LossTerms, Result, Value};
use tensor::random::{Purpose, Stream};

use super::definition::{Built, Method, Partition};
use super::hooks::{Hooks, Moment};
use crate::step_builder::StepBuilder;

/// The method; its sizes are those of the `[model]` section.
pub struct Carp;

impl Method for Carp {
    fn build(&self, step: &mut StepBuilder) -> Result<Built> {
        let layers = step.sizes.head.layers();
        let prototypes = step.sizes.head.prototypes;
        let student = step.student(&layers, Some(prototypes));
        let teacher = step.teacher(&layers, Some(prototypes));
        let permutation = step.graph.input_u32("permutation", [prototypes]);

        let images = step.all_views();
        let global = step.views_in(0..2);
        let g = &mut step.graph;
        let head = step.sizes.head;
        let observed = teacher.forward(g, &global, true)?;
        let embeddings = student.embed(g, &images)?;
        let inputs = LossInputs {
            teacher: head.scaled(g, observed[1]),
            student: head.scaled(g, embeddings),
            student_prototypes: student.prototypes(),
            teacher_prototypes: teacher.prototypes(),
            permutation,
        };
        let terms = g.scope("loss", |g| g.carp_loss(inputs, step.sizes.partition_size))?;
        let LossTerms { loss, consistency, entropy } = terms;
        let prototypes = inputs.teacher_prototypes;
        let partition = Partition { permutation, consistency, entropy, observed, prototypes };
        let order = vec![0; head.prototypes];
        let hooks = Partitions { permutation, is_fixed: step.sizes.fixed_partition, order };
        let loss = if step.sizes.entropy_term { loss } else { consistency };
        Ok(Built { loss, partition: Some(partition), hooks: Box::new(hooks) })
    }
}

/// A new partition for every micro-batch, or one for all.
struct Partitions {
    permutation: Value,
    is_fixed: bool,
    /// Reusable memory.
    order: Vec<u32>,
}

impl Hooks for Partitions {
    fn before_forward(&mut self, at: Moment, _images: &[u32], executor: &mut Executor) {
        for (place, index) in (0..).zip(&mut self.order) {
            *index = place;
        }
        let step = if self.is_fixed { 0 } else { at.step as u64 };
        Stream::new(at.seed, Purpose::Partition, 0, step).shuffle(&mut self.order);
        executor.write_u32(self.permutation, &self.order);
    }
}
