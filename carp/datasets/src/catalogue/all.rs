//! All data sets of the catalogue, and look-up.

use files::{Error, Result};

use super::description::DataSet;
use super::{
    aircraft, cars, cifar, copydays, country211, dtd, flowers102, food101, gtsrb, imagenet,
    inat2018, pets, revisited, stl10, voc2007,
};
use crate::data_config::DataKind;

/// All of them, in the order of the paper's evaluations.
pub static ALL: [DataSet; 17] = [
    imagenet::IMAGENET,
    stl10::STL10,
    pets::PETS,
    aircraft::AIRCRAFT,
    cars::CARS,
    flowers102::FLOWERS102,
    food101::FOOD101,
    country211::COUNTRY211,
    gtsrb::GTSRB,
    cifar::CIFAR10,
    cifar::CIFAR100,
    dtd::DTD,
    voc2007::VOC2007,
    inat2018::INAT2018,
    revisited::ROXFORD5K,
    revisited::RPARIS6K,
    copydays::COPYDAYS,
];

/// The data set of this kind, if it is one of the 17.
pub fn of_kind(kind: DataKind) -> Option<&'static DataSet> {
    ALL.iter().find(|set| set.kind == kind)
}

/// The data set with this name.
///
/// # Errors
/// An unknown name: the error suggests the nearest, or lists all.
pub fn of_name(name: &str) -> Result<&'static DataSet> {
    ALL.iter().find(|set| set.name == name).ok_or_else(|| {
        let names: Vec<&str> = ALL.iter().map(|set| set.name).collect();
        let near = names
            .iter()
            .min_by_key(|known| strsim::damerau_levenshtein(known, &name.to_lowercase()))
            .filter(|known| strsim::damerau_levenshtein(known, &name.to_lowercase()) <= 2);
        let near = near.map_or_else(String::new, |near| format!(" (did you mean {near:?}?)"));
        Error::Usage(format!("unknown data set {name:?}{near}; known: {}", names.join(", ")))
    })
}
