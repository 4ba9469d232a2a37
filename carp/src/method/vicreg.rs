//! VICReg (Bardes, Ponce and LeCun, 2022): two views agree, every dimension varies, and no two vary
//! together.
//!
//! ```text
//! x, y = expander(backbone(view)) of the two views;  batch norm sees one view at a time
//! L    = 25 mean (x - y)^2 + 25 (hinge on the deviations of x and y) + (covariances of x and y)
//! ```

use autograd::Result;
use methods::VicReg;

use super::definition::{Built, Method, Range};
use crate::nn::MlpConfig;
use crate::step_builder::StepBuilder;

impl Method for VicReg {
    fn ranges(&self) -> &'static [(&'static str, Range)] {
        &[
            ("invariance", Range::NotNegative),
            ("variance", Range::NotNegative),
            ("covariance", Range::NotNegative),
        ]
    }

    fn build(&self, step: &mut StepBuilder) -> Result<Built> {
        let width = step.sizes.head.hidden;
        let layers = MlpConfig { last_bias: false, ..MlpConfig::relu(&[width, width, width]) };
        let [view1, view2] = step.two_views()?;
        let student = step.student(&layers, None);
        let g = &mut step.graph;
        let x = student.embed(g, &[view1])?;
        let y = student.embed(g, &[view2])?;
        Ok(Built::of(g.scope("loss", |g| self.loss(g, x, y))?))
    }
}
