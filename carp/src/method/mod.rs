//! The methods that learn from views without labels: CARP, and those that it is compared with.
//!
//! One file each, which reads like the method: its networks, which views pass through which, where
//! the teacher moves, the loss, and what it keeps. Losses are those of the crate `methods`.

mod barlow_twins;
mod carp;
mod clustered;
mod deepcluster_v2;
mod definition;
mod dino;
mod encoder;
mod frozen;
mod hooks;
mod infomin;
mod moco_v3;
mod obow;
mod pcl_v2;
mod queues;
mod sela_v2;
mod swav;
mod triplet;
mod unit_prototypes;
mod vicreg;

use methods::{BarlowTwins, MocoV3, Triplet, VicReg};
use serde::{Deserialize, Serialize};

pub use self::definition::{Built, Method, Partition, Range};
pub use self::hooks::{EpochStart, Hooks, Moment, Seen};
use crate::step_builder::StepBuilder;

use self::deepcluster_v2::DeepClusterV2Config;
use self::dino::DinoConfig;
use self::infomin::InfoMinConfig;
use self::obow::ObowConfig;
use self::pcl_v2::PclV2Config;
use self::sela_v2::SelaV2Config;
use self::swav::SwavConfig;

/// The `[method]` section: the method's name, and its own settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub enum MethodConfig {
    /// Consistent assignment of views over random partitions.
    #[default]
    Carp,
    /// Correlations.
    BarlowTwins(BarlowTwins),
    /// Variances and covariances.
    Vicreg(VicReg),
    /// Momentum contrast in the batch.
    MocoV3(MocoV3),
    /// Self-distillation.
    Dino(DinoConfig),
    /// Swapped assignments.
    Swav(SwavConfig),
    /// Clusters of the last epoch.
    DeepclusterV2(DeepClusterV2Config),
    /// Equal clusters of the last epoch.
    SelaV2(SelaV2Config),
    /// Prototypical contrast.
    PclV2(PclV2Config),
    /// Momentum contrast with a queue.
    Infomin(InfoMinConfig),
    /// Bags of visual words.
    Obow(ObowConfig),
    /// Truncated triplets.
    Triplet,
}

impl MethodConfig {
    /// All methods with the authors' settings.
    pub fn all() -> [MethodConfig; 12] {
        [
            MethodConfig::Carp,
            MethodConfig::BarlowTwins(BarlowTwins::default()),
            MethodConfig::Vicreg(VicReg::default()),
            MethodConfig::MocoV3(MocoV3::default()),
            MethodConfig::Dino(DinoConfig::default()),
            MethodConfig::Swav(SwavConfig::default()),
            MethodConfig::DeepclusterV2(DeepClusterV2Config::default()),
            MethodConfig::SelaV2(SelaV2Config::default()),
            MethodConfig::PclV2(PclV2Config::default()),
            MethodConfig::Infomin(InfoMinConfig::default()),
            MethodConfig::Obow(ObowConfig::default()),
            MethodConfig::Triplet,
        ]
    }

    /// Its name in settings.
    pub fn name(&self) -> &'static str {
        match self {
            MethodConfig::Carp => "carp",
            MethodConfig::BarlowTwins(_) => "barlow-twins",
            MethodConfig::Vicreg(_) => "vicreg",
            MethodConfig::MocoV3(_) => "moco-v3",
            MethodConfig::Dino(_) => "dino",
            MethodConfig::Swav(_) => "swav",
            MethodConfig::DeepclusterV2(_) => "deepcluster-v2",
            MethodConfig::SelaV2(_) => "sela-v2",
            MethodConfig::PclV2(_) => "pcl-v2",
            MethodConfig::Infomin(_) => "infomin",
            MethodConfig::Obow(_) => "obow",
            MethodConfig::Triplet => "triplet",
        }
    }

    /// Its own settings, by name.
    pub fn settings(&self) -> toml::Table {
        toml::Table::try_from(self).expect("settings are plain TOML values")
    }

    /// Whether a teacher follows the student.
    pub fn has_teacher(&self) -> bool {
        use MethodConfig::{BarlowTwins, DeepclusterV2, SelaV2, Swav, Vicreg};
        !matches!(self, BarlowTwins(_) | Vicreg(_) | Swav(_) | DeepclusterV2(_) | SelaV2(_))
    }

    /// Whether its authors evaluate the teacher; those of the others evaluate the student, the network that
    /// gradients train.
    pub fn evaluates_teacher(&self) -> bool {
        matches!(self, MethodConfig::Carp | MethodConfig::Dino(_))
    }

    /// Whether it keeps something of every image, so that its step depends on their number.
    pub fn is_per_image(&self) -> bool {
        use MethodConfig::{DeepclusterV2, PclV2, SelaV2};
        matches!(self, DeepclusterV2(_) | SelaV2(_) | PclV2(_))
    }

    /// Appends the method's networks, forward passes and loss to a step.
    ///
    /// # Errors
    /// Sizes that do not fit together.
    pub fn build(&self, step: &mut StepBuilder) -> autograd::Result<Built> {
        self.method().build(step)
    }

    /// The allowed values of a number among its own settings.
    ///
    /// # Panics
    /// If the method gives none.
    pub fn range(&self, setting: &str) -> Range {
        let found = self.method().ranges().iter().find(|(name, _)| *name == setting);
        found.unwrap_or_else(|| panic!("{} has no range for {setting}", self.name())).1
    }

    fn method(&self) -> &dyn Method {
        match self {
            MethodConfig::Carp => &carp::Carp,
            MethodConfig::BarlowTwins(method) => method,
            MethodConfig::Vicreg(method) => method,
            MethodConfig::MocoV3(method) => method,
            MethodConfig::Dino(method) => method,
            MethodConfig::Swav(method) => method,
            MethodConfig::DeepclusterV2(method) => method,
            MethodConfig::SelaV2(method) => method,
            MethodConfig::PclV2(method) => method,
            MethodConfig::Infomin(method) => method,
            MethodConfig::Obow(method) => method,
            MethodConfig::Triplet => &Triplet,
        }
    }
}
