//! The losses of the eleven methods that CARP is compared with, as ops of the static graph.
//!
//! One file each, named after its method; docs/methods.md introduces them. What several share is
//! in [`cross_entropy`], [`info_nce`], [`sinkhorn`], [`moments`] and [`queue`]. A loss takes the
//! outputs of networks and appends ops up to one number `[1]`; its gradient comes from
//! [`autograd::Graph::backward`]. Rows are given before l2 normalisation unless a comment says
//! otherwise. B is the number of images, V of views, D the width of an embedding, K the number of
//! prototypes, T a temperature.

pub mod barlow_twins;
pub mod cross_entropy;
pub mod deepcluster_v2;
pub mod dino;
pub mod info_nce;
pub mod infomin;
pub mod moco_v3;
pub mod moments;
pub mod obow;
pub mod pcl_v2;
pub mod queue;
pub mod sela_v2;
pub mod sinkhorn;
pub mod swav;
pub mod triplet;
pub mod unit;
pub mod vicreg;

pub use barlow_twins::BarlowTwins;
pub use deepcluster_v2::DeepClusterV2;
pub use dino::Dino;
pub use infomin::InfoMin;
pub use moco_v3::MocoV3;
pub use obow::Obow;
pub use pcl_v2::PclV2;
pub use sela_v2::SelaV2;
pub use swav::Swav;
pub use triplet::Triplet;
pub use vicreg::VicReg;
