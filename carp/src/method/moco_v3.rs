//! MoCo v3 (Chen, Xie and He, 2021): each view's query finds the other view's key among those of the
//! batch.
//!
//! ```text
//! q_v = predictor(projector(backbone(view v)))           v = 1, 2
//! teacher <- m teacher + (1 - m) student                  weights of before the step
//! k_v = teacher's projector(backbone(view v))
//! L   = l(q_1, k_2) + l(q_2, k_1),  l = InfoNCE in the batch
//! ```

use autograd::Result;
use methods::MocoV3;
use methods::moments::standardize;

use super::definition::{Built, Method};
use crate::nn::MlpConfig;
use crate::nn::layers::BN_EPS;
use crate::step_builder::StepBuilder;

impl Method for MocoV3 {
    fn build(&self, step: &mut StepBuilder) -> Result<Built> {
        let (hidden, dim) = (step.sizes.head.hidden, step.sizes.head.bottleneck);
        let layers =
            MlpConfig { biases: false, last_bias: false, ..MlpConfig::relu(&[hidden, dim]) };
        let views = step.two_views()?;
        let student = step.student(&layers, None);
        let teacher = step.teacher(&layers, None);
        let predictor = step.predictor(dim, &layers);

        let mut queries = views;
        for (view, query) in views.into_iter().zip(&mut queries) {
            let z = student.embed(&mut step.graph, &[view])?;
            // The projector ends with batch norm without scale and shift.
            let z = standardize(&mut step.graph, z, BN_EPS)?;
            *query = step.predicted(&predictor, z)?;
        }
        step.move_teacher()?;
        let g = &mut step.graph;
        let mut keys = views;
        for (view, key) in views.into_iter().zip(&mut keys) {
            let z = teacher.embed(g, &[view])?;
            *key = standardize(g, z, BN_EPS)?;
        }
        Ok(Built::of(g.scope("loss", |g| self.loss(g, queries, keys))?))
    }
}
