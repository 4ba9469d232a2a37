//! Barlow Twins (Zbontar et al., 2021): two views agree in every dimension, and no two dimensions
//! say the same.
//!
//! ```text
//! z_v = projector(backbone(view v)),  v = 1, 2;  batch norm sees one view at a time
//! C   = correlations of the columns of z_1 and z_2
//! L   = sum_i (C_ii - 1)^2 + lambda sum_{i != j} C_ij^2
//! ```

use autograd::Result;
use methods::BarlowTwins;

use super::definition::{Built, Method, Range};
use crate::nn::MlpConfig;
use crate::step_builder::StepBuilder;

impl Method for BarlowTwins {
    fn ranges(&self) -> &'static [(&'static str, Range)] {
        &[("lambda", Range::NotNegative), ("eps", Range::NotNegative)]
    }

    fn build(&self, step: &mut StepBuilder) -> Result<Built> {
        let width = step.sizes.head.hidden;
        let layers = MlpConfig {
            biases: false,
            last_bias: false,
            ..MlpConfig::relu(&[width, width, width])
        };
        let [view1, view2] = step.two_views()?;
        let student = step.student(&layers, None);
        let g = &mut step.graph;
        let z1 = student.embed(g, &[view1])?;
        let z2 = student.embed(g, &[view2])?;
        Ok(Built::of(g.scope("loss", |g| self.loss(g, z1, z2))?))
    }
}
