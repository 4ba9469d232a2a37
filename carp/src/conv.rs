//! Which algorithm the step's convolutions use.

use serde::{Deserialize, Serialize};
use tensor::geometry::ConvAlgorithm;

/// A choice for all convolutions of a step. Other algorithms round differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConvChoice {
    /// Each by its shape: see [`tensor::geometry::Conv2d::preferred`].
    Auto,
    /// All direct.
    Direct,
    /// Winograd's F(2x2,3x3) wherever it can compute them.
    Winograd2,
    /// Winograd's F(4x4,3x3) wherever it can compute them.
    Winograd4,
}

impl ConvChoice {
    /// All choices.
    pub const ALL: [ConvChoice; 4] =
        [ConvChoice::Auto, ConvChoice::Direct, ConvChoice::Winograd2, ConvChoice::Winograd4];

    /// Name in settings.
    pub fn name(self) -> &'static str {
        self.forced().map_or("auto", ConvAlgorithm::name)
    }

    /// The algorithm, unless each convolution has its own.
    pub fn forced(self) -> Option<ConvAlgorithm> {
        match self {
            ConvChoice::Auto => None,
            ConvChoice::Direct => Some(ConvAlgorithm::Direct),
            ConvChoice::Winograd2 => Some(ConvAlgorithm::Winograd2),
            ConvChoice::Winograd4 => Some(ConvAlgorithm::Winograd4),
        }
    }
}
