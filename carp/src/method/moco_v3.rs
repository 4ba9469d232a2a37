//! MoCo v3 (Chen, Xie and He, 2021): each view's query finds the other view's key among those of the
//! batch.
//!
//! ```text
//! q_v = predictor(projector(backbone(view v)))           v = 1, 2
//! teacher <- m teacher + (1 - m) student                  weights of before the step
//! k_v = teacher's projector(backbone(view v))
//! L   = l(q_1, k_2) + l(q_2, k_1),  l = InfoNCE in the batch
//! ```

use autograd::{Graph, Result, Value};
use methods::MocoV3;
use methods::moments::standardize;

use super::definition::{Built, Method, Range};
use crate::networks::Network;
use crate::nn::MlpConfig;
use crate::nn::layers::BN_EPS;
use crate::step_builder::StepBuilder;

impl Method for MocoV3 {
    fn ranges(&self) -> &'static [(&'static str, Range)] {
        &[("temperature", Range::Positive)]
    }

    fn build(&self, step: &mut StepBuilder) -> Result<Built> {
        let (hidden, dim) = (step.sizes.head.hidden, step.sizes.head.bottleneck);
        let layers =
            MlpConfig { biases: false, last_bias: false, ..MlpConfig::relu(&[hidden, dim]) };
        let [view1, view2] = step.two_views()?;
        let student = step.student(&layers, None);
        let teacher = step.teacher(&layers, None);
        let predictor = step.predictor("predictor", dim, &layers);

        let z1 = projected(&mut step.graph, &student, view1)?;
        let q1 = step.predicted(&predictor, z1)?;
        let z2 = projected(&mut step.graph, &student, view2)?;
        let q2 = step.predicted(&predictor, z2)?;
        step.move_teacher()?;
        let g = &mut step.graph;
        let k1 = projected(g, &teacher, view1)?;
        let k2 = projected(g, &teacher, view2)?;
        Ok(Built::of(g.scope("loss", |g| self.loss(g, [q1, q2], [k1, k2]))?))
    }
}

/// The projector's outputs of one view; it ends with batch norm without scale and shift.
fn projected(g: &mut Graph, network: &Network, view: Value) -> Result<Value> {
    let z = network.embed(g, &[view])?;
    standardize(g, z, BN_EPS)
}
