//! Images, and data sets: built in, or read as published.
//!
//! Random views and networks belong to the method, in the crate `carp`. In reading order: [`Image`]
//! with [`Crop`], `resample`, `luma` and `decode`; [`Progress`]; [`Dataset`], the common interface,
//! with [`Labels`] and [`Splits`]; the generic data sets ([`MemoryDataset`], [`FileDataset`],
//! [`Subset`], [`Changed`]); the formats (`idx`, `image_folder` with `class_folders` and `image_files`,
//! [`shapes`]) and the [`catalogue`] of the paper's data sets; [`DataConfig`], the settings.

mod binary_file;
pub mod catalogue;
mod changed;
mod class_folders;
mod crop;
mod data_config;
mod data_size;
mod dataset;
mod decode;
mod file_dataset;
mod idx;
mod image;
mod image_files;
mod image_folder;
mod labels;
mod luma;
mod mat;
mod memory_dataset;
mod open;
mod progress;
mod resample;
pub mod shapes;
mod splits;
mod subset;
mod warning;

pub use self::changed::{Change, Changed};
pub use self::crop::Crop;
pub use self::data_config::{DataConfig, DataKind};
pub use self::data_size::DataSize;
pub use self::dataset::Dataset;
pub use self::file_dataset::{FileDataset, Reading};
pub use self::image::Image;
pub use self::image_files::images_below;
pub use self::labels::Labels;
pub use self::luma::{greyscale, luma};
pub use self::memory_dataset::MemoryDataset;
pub use self::progress::{Progress, ProgressCounter};
pub use self::resample::{Filter, ResizeScratch, resize, resize_part};
pub use self::splits::Splits;
pub use self::subset::{Subset, spread};
