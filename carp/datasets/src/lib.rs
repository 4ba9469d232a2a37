//! Images, and the data sets that hold them: built in, or read as their makers publish them.
//!
//! Random views of images and networks are not here: both are the method's, in the crate `carp`. In
//! reading order: [`Image`] with [`Crop`], `resample` and `luma`; [`Dataset`], what every data set
//! gives, with its [`Labels`] and [`Splits`]; the data sets of any content ([`MemoryDataset`],
//! [`FileDataset`], [`Subset`], [`Changed`]); the formats (`idx`, `image_folder`, [`shapes`]) and the
//! [`catalogue`] of the paper's data sets; [`DataConfig`], which says what to open.

mod binary_file;
pub mod catalogue;
mod changed;
mod crop;
mod data_config;
mod dataset;
mod file_dataset;
mod idx;
mod image;
mod image_folder;
mod labels;
mod luma;
mod mat;
mod memory_dataset;
mod open;
mod resample;
pub mod shapes;
mod splits;
mod subset;

pub use self::changed::{Change, Changed};
pub use self::crop::Crop;
pub use self::data_config::{DataConfig, DataKind};
pub use self::dataset::Dataset;
pub use self::file_dataset::{FileDataset, Reading};
pub use self::image::Image;
pub use self::labels::Labels;
pub use self::luma::{greyscale, luma};
pub use self::memory_dataset::MemoryDataset;
pub use self::resample::{Filter, ResizeScratch, resize};
pub use self::splits::Splits;
pub use self::subset::Subset;
