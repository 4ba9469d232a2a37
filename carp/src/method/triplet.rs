//! Triplet (Wang et al., 2021): closer to one's own image than to the hardest others.
//!
//! ```text
//! p_v = predictor(projector(backbone(view v))),  t_v = teacher's projector(backbone(view v))
//! L   = l(p_1, t_2) + l(p_2, t_1),  l = the triplet loss with truncated hard negatives
//! teacher <- m teacher + (1 - m) student          after the student has moved
//! ```

use autograd::Result;
use methods::Triplet;

use super::definition::{Built, Method};
use crate::nn::MlpConfig;
use crate::step_builder::{StepBuilder, TeacherMoves};

impl Method for Triplet {
    fn build(&self, step: &mut StepBuilder) -> Result<Built> {
        let (hidden, dim) = (step.sizes.head.hidden, step.sizes.head.bottleneck);
        let layers = MlpConfig::relu(&[hidden, dim]);
        let [view1, view2] = step.two_views()?;
        let student = step.student(&layers, None);
        let teacher = step.teacher(&layers, None);
        let predictor = step.predictor("predictor", dim, &layers);
        step.teacher_moves = TeacherMoves::AfterOptimizer;

        let z1 = student.embed(&mut step.graph, &[view1])?;
        let p1 = step.predicted(&predictor, z1)?;
        let z2 = student.embed(&mut step.graph, &[view2])?;
        let p2 = step.predicted(&predictor, z2)?;
        let g = &mut step.graph;
        let t1 = teacher.embed(g, &[view1])?;
        let t2 = teacher.embed(g, &[view2])?;
        Ok(Built::of(g.scope("loss", |g| self.loss(g, [p1, p2], [t2, t1]))?))
    }
}
