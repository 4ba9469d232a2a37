//! Settings from a preset, a file or text.

use std::collections::BTreeSet;

use toml::{Table, Value};

use super::keys::{defaults, keys, merge, one_line, one_setting, parse_text, read_preset};
use super::ranges::check;
use super::settings::Config;
use crate::error::{Error, Result};

/// The built-in presets: name and content.
const PRESETS: [(&str, &str); 7] = [
    ("shapes", include_str!("../../presets/shapes.toml")),
    ("fashion-mnist", include_str!("../../presets/fashion-mnist.toml")),
    ("cifar10", include_str!("../../presets/cifar10.toml")),
    ("stl10", include_str!("../../presets/stl10.toml")),
    ("folder", include_str!("../../presets/folder.toml")),
    ("imagenet", include_str!("../../presets/imagenet.toml")),
    ("minimal", include_str!("../../presets/minimal.toml")),
];

impl Config {
    /// The settings of a preset (a name, or a TOML file) with individual keys overridden.
    ///
    /// # Errors
    /// An unknown preset or key (names the nearest known one), a value of the wrong type or out of
    /// range, a file that cannot be read.
    pub fn load(preset: &str, sets: &[(String, String)]) -> Result<Config> {
        let (origin, text) = match PRESETS.iter().find(|(name, _)| *name == preset) {
            Some((name, text)) => (format!("preset {name}"), (*text).to_owned()),
            None => (preset.to_owned(), read_preset(preset, &PRESETS.map(|(name, _)| name))?),
        };
        let mut table = defaults()?;
        merge(&mut table, parse_text(&text, &origin)?, "", &origin)?;
        // If only deserialising refuses a value, name whoever gave it.
        let mut config = Config::from_table(table.clone(), &origin)?;
        for (key, value) in sets {
            merge(&mut table, one_setting(key, value)?, "", "--set")?;
            config = Config::from_table(table.clone(), "--set")?;
        }
        check(&config)?;
        Ok(config)
    }

    /// The settings in the text of a `config.toml`.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str, origin: &str) -> Result<Config> {
        let mut table = defaults()?;
        merge(&mut table, parse_text(text, origin)?, "", origin)?;
        let config = Config::from_table(table, origin)?;
        check(&config)?;
        Ok(config)
    }

    /// The keys of which `other` has another value, in order.
    pub fn differing_keys(&self, other: &Config) -> Vec<String> {
        let keys_of = |config: &Config| {
            let table = Table::try_from(config).expect("settings are plain TOML values");
            keys(&table, "")
        };
        let all: BTreeSet<String> = [self, other].into_iter().flat_map(keys_of).collect();
        all.into_iter().filter(|key| self.value_of(key) != other.value_of(key)).collect()
    }

    fn from_table(table: Table, origin: &str) -> Result<Config> {
        Value::Table(table)
            .try_into()
            .map_err(|error| Error::usage(format!("{origin}: {}", one_line(&error))))
    }
}
