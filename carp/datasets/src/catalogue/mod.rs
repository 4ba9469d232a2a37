//! The paper's 17 data sets, as unpacked from their official archives.
//!
//! Each file here describes one data set: downloads, folder layout, official splits with their
//! counts, and how to read its index. The rest is shared: the description itself (`description`),
//! the contents of an index (`contents`), helpers to read one (`index`), checking ([`check`]), and
//! the table of all ([`table`]).

mod aircraft;
mod all;
mod cars;
pub mod check;
mod cifar;
mod cifar_batches;
mod contents;
mod copydays;
mod country211;
mod description;
mod dtd;
mod flowers102;
mod food101;
mod gtsrb;
mod imagenet;
mod inat2018;
mod index;
mod pets;
mod revisited;
mod stl10;
mod stl10_binary;
pub mod table;
mod voc2007;

pub use self::all::{ALL, of_kind, of_name};
pub use self::contents::{Contents, Pictures, Query, Split};
pub use self::description::{DataSet, Part};
