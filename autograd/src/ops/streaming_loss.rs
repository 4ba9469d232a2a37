//! CARP's loss from embeddings and prototypes: what `weight_norm`, two `matmul` and
//! `partition_loss` compute, without the logits of all prototypes in memory.
//!
//! The kernel finishes one block of the partition after the other (`tensor/src/cpu/streaming_loss.rs`
//! has the formulas) and finds both gradients on the way; the gradient op only scales them.

use tensor::backend::{LossSlots, StreamingLossInputs};
use tensor::geometry::{PartitionLoss, StreamingLoss};
use tensor::{Backend, Error, Result, Shape};

use super::partition_loss::LossTerms;
use crate::graph::{DType, Graph, Io, Node, Op, Value};

/// Outputs: loss, consistency, entropy, gradients by embeddings and by prototypes.
struct Loss(StreamingLoss);

impl Op for Loss {
    fn name(&self) -> &'static str {
        "streaming_loss"
    }

    fn flops(&self, _outputs: &[Shape]) -> u64 {
        self.0.gemm_flops() + self.0.loss.flops()
    }

    fn workspace(&self, backend: &dyn Backend) -> usize {
        backend.streaming_loss_workspace(self.0)
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        let [student, teacher, student_prototypes, teacher_prototypes, permutation] = *io.inputs
        else {
            unreachable!("five inputs")
        };
        let [loss, consistency, entropy, grad_student, grad_prototypes] = *io.outputs else {
            unreachable!("five outputs")
        };
        let inputs = StreamingLossInputs {
            student,
            teacher,
            student_prototypes,
            teacher_prototypes,
            permutation,
        };
        let terms = LossSlots { loss, consistency, entropy };
        backend.streaming_loss(self.0, inputs, terms, grad_student, grad_prototypes, io.workspace);
    }

    fn vjp(
        &self,
        graph: &mut Graph,
        node: &Node,
        grads: &[Option<Value>],
        wanted: &[bool],
    ) -> Result<Vec<Option<Value>>> {
        if wanted[1] || wanted[3] || grads[1..].iter().any(Option::is_some) {
            let detail = "only the gradient of the whole loss by the student is known";
            return Err(Error::setting("streaming_loss", detail));
        }
        let mut dxs = vec![None; 5];
        if let Some(dloss) = grads[0] {
            dxs[0] = Some(graph.scale_by(dloss, node.outputs[3])?);
            dxs[2] = Some(graph.scale_by(dloss, node.outputs[4])?);
        }
        Ok(dxs)
    }
}

/// What CARP's loss is computed from.
#[derive(Clone, Copy, Debug)]
pub struct LossInputs {
    /// Student embeddings `[V*B,D]`, view by view; views 0 and 1 are the teacher's.
    pub student: Value,
    /// Teacher embeddings `[2*B,D]`: a constant.
    pub teacher: Value,
    /// Student prototypes `[K,D]` before weight norm.
    pub student_prototypes: Value,
    /// Teacher prototypes `[K,D]` before weight norm: a constant.
    pub teacher_prototypes: Value,
    /// Random order of the prototypes, `[K]` of u32.
    pub permutation: Value,
}

impl LossInputs {
    /// Checked sizes of the loss over blocks of `partition_size` prototypes.
    ///
    /// # Errors
    /// Shapes that do not fit, fewer than two views, or a partition size of 0 or above K.
    pub fn sizes(&self, graph: &Graph, partition_size: usize) -> Result<PartitionLoss> {
        let [s, t, sp, tp, p] = [
            self.student,
            self.teacher,
            self.student_prototypes,
            self.teacher_prototypes,
            self.permutation,
        ]
        .map(|value| graph.shape(value));
        let fits = [s, t, sp, tp].iter().all(|shape| shape.len() == 2 && shape[1] == s[1])
            && sp == tp
            && t[0] > 0
            && t[0] % 2 == 0
            && s[0] % (t[0] / 2) == 0
            && p[..] == [sp[0]]
            && graph.info(self.permutation).dtype == DType::U32;
        if !fits {
            let detail = format!(
                "embeddings {s} and {t}, prototypes {sp} and {tp}, permutation {p}: wants [V*B,D], \
                 [2*B,D], [K,D], [K,D], [K]"
            );
            return Err(Error::shape("carp_loss", detail));
        }
        let batch = t[0] / 2;
        PartitionLoss::new(s[0] / batch, batch, sp[0], partition_size)
    }
}

impl Graph {
    /// CARP's loss, block by block. `views_at_once` is how many views' rows go through a block
    /// together, from 1 to V.
    ///
    /// # Errors
    /// As [`LossInputs::sizes`]; or a number of views at once of 0 or above V.
    pub fn streaming_loss(
        &mut self,
        inputs: LossInputs,
        partition_size: usize,
        views_at_once: usize,
    ) -> Result<LossTerms> {
        let loss = inputs.sizes(self, partition_size)?;
        if views_at_once == 0 || views_at_once > loss.views {
            let detail = format!("{views_at_once} views at once; choose 1 to {}", loss.views);
            return Err(Error::setting("carp_loss", detail));
        }
        let student = self.shape(inputs.student);
        let prototypes = self.shape(inputs.student_prototypes);
        let sizes = StreamingLoss { loss, dim: student[1], views_at_once };
        let LossInputs { student: s, teacher, student_prototypes, teacher_prototypes, permutation } =
            inputs;
        let scalar = Shape::from([1]);
        let [loss, consistency, entropy, _, _] = self.push(
            Loss(sizes),
            &[s, teacher, student_prototypes, teacher_prototypes, permutation],
            [scalar, scalar, scalar, student, prototypes],
        );
        Ok(LossTerms { loss, consistency, entropy })
    }
}
