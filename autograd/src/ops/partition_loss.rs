//! CARP's loss over logits: consistency C plus entropy H over the blocks of a random partition.
//!
//! Student views i, teacher views j, blocks k, images n, prototypes c of a block; p and q are the
//! softmax inside each block.
//!
//! - `d_ij[k,n] = <p_i[k,n], q_j[k,n]>`, `C = mean over i != j, k, n of -log clamp(d_ij[k,n])`
//! - `m[k] = mean over all rows of student and teacher`, `H = mean over k of KL(m[k] || uniform)`
//!
//! The kernel finds the gradient of C + H by the student's logits along with the loss, since
//! softmax, C and H all live inside one block; the gradient op only scales it.

use tensor::backend::LossSlots;
use tensor::geometry::PartitionLoss;
use tensor::{Backend, Error, Result, Shape};

use crate::graph::{DType, Graph, Io, Node, Op, Value};

/// Outputs: loss, consistency, entropy, gradient.
struct Loss(PartitionLoss);

impl Op for Loss {
    fn name(&self) -> &'static str {
        "partition_loss"
    }

    fn flops(&self, _outputs: &[Shape]) -> u64 {
        self.0.flops()
    }

    fn workspace(&self, backend: &dyn Backend) -> usize {
        backend.partition_loss_workspace(self.0)
    }

    fn run(&self, backend: &mut dyn Backend, io: &Io) {
        let [student, teacher, permutation] = *io.inputs else { unreachable!("three inputs") };
        let [loss, consistency, entropy, grad] = *io.outputs else { unreachable!("four outputs") };
        let terms = LossSlots { loss, consistency, entropy };
        backend.partition_loss(self.0, student, teacher, permutation, terms, grad, io.workspace);
    }

    fn vjp(
        &self,
        graph: &mut Graph,
        node: &Node,
        grads: &[Option<Value>],
        wanted: &[bool],
    ) -> Result<Vec<Option<Value>>> {
        if wanted[1] || grads[1].is_some() || grads[2].is_some() {
            let detail = "only the gradient of the whole loss by the student's logits is known";
            return Err(Error::setting("partition_loss", detail));
        }
        let Some(dloss) = grads[0] else { return Ok(vec![None; 3]) };
        Ok(vec![Some(graph.scale_by(dloss, node.outputs[3])?), None, None])
    }
}

/// The three scalars of CARP's loss, `[1]` each.
#[derive(Clone, Copy, Debug)]
pub struct LossTerms {
    /// C + H.
    pub loss: Value,
    /// C.
    pub consistency: Value,
    /// H.
    pub entropy: Value,
}

impl Graph {
    /// CARP's loss of student logits `[V*B,K]` (view by view; views 0 and 1 are the teacher's) and
    /// teacher logits `[2*B,K]`, over blocks of `partition_size` prototypes in the order of
    /// `permutation` `[K]` (u32). The teacher is a constant.
    ///
    /// # Errors
    /// Shapes that do not fit, or a partition size of 0 or above K.
    pub fn partition_loss(
        &mut self,
        student: Value,
        teacher: Value,
        permutation: Value,
        partition_size: usize,
    ) -> Result<LossTerms> {
        let [s, t, p] = [student, teacher, permutation].map(|v| self.shape(v));
        let fits = s.len() == 2
            && t.len() == 2
            && s[1] == t[1]
            && t[0] > 0
            && t[0] % 2 == 0
            && s[0] % (t[0] / 2) == 0
            && p[..] == [s[1]]
            && self.info(permutation).dtype == DType::U32;
        if !fits {
            let detail =
                format!("student {s}, teacher {t}, permutation {p}: wants [V*B,K], [2*B,K], [K]");
            return Err(Error::shape("partition_loss", detail));
        }
        let batch = t[0] / 2;
        let sizes = PartitionLoss::new(s[0] / batch, batch, s[1], partition_size)?;
        let scalar = Shape::from([1]);
        let [loss, consistency, entropy, _grad] =
            self.push(Loss(sizes), &[student, teacher, permutation], [scalar, scalar, scalar, s]);
        Ok(LossTerms { loss, consistency, entropy })
    }
}
