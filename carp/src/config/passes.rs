//! Fusion passes as a setting: the text that [`Passes`] parses and prints.

use autograd::Passes;
use serde::{Deserialize, Deserializer, Serializer, de::Error};

pub(super) fn serialize<S: Serializer>(passes: &Passes, out: S) -> Result<S::Ok, S::Error> {
    out.collect_str(passes)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Passes, D::Error> {
    String::deserialize(input)?.parse().map_err(D::Error::custom)
}
