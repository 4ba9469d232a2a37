//! Networks as builders of graph ops; tensors have torchvision's names.

pub mod head;
pub mod layers;
pub mod mlp;
pub mod params;
pub mod resnet;

pub use head::{Head, HeadConfig};
pub use mlp::{Mlp, MlpConfig};
pub use params::{Init, Param, Params};
pub use resnet::{Arch, ResNet, ResNetConfig, Stem};
