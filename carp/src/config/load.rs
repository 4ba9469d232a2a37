//! Settings from a preset, a file or text.

use std::collections::BTreeSet;

use toml::{Table, Value};

use super::keys::{
    begin_method, defaults, keys, merge, method_name, one_line, one_setting, parse_text,
    read_preset,
};
use super::presets::{PRESETS, recipe};
use super::ranges::check;
use super::settings::Config;
use crate::error::{Error, Result};

impl Config {
    /// The settings of a preset (a name, or a TOML file) with individual keys overridden. If they
    /// choose another method than the preset, its recipe for small images comes between both.
    ///
    /// # Errors
    /// An unknown preset or key (names the nearest known one), a value of the wrong type or out of
    /// range, a file that cannot be read.
    pub fn load(preset: &str, sets: &[(String, String)]) -> Result<Config> {
        let (origin, text) = match PRESETS.iter().find(|(name, _)| *name == preset) {
            Some((name, text)) => (format!("preset {name}"), (*text).to_owned()),
            None => (preset.to_owned(), read_preset(preset, &PRESETS.map(|(name, _)| name))?),
        };
        let mut table = with_defaults(parse_text(&text, &origin)?, &origin)?;
        let chosen = sets.iter().rfind(|(key, _)| key == "method.name");
        if let Some((_, name)) = chosen.filter(|(_, name)| method_name(&table) != Some(name)) {
            begin_method(&mut table, name)?;
            let origin = format!("recipe {name}");
            merge(&mut table, parse_text(recipe(name), &origin)?, &origin)?;
        }
        // If only deserialising refuses a value, name whoever gave it.
        let mut config = Config::from_table(table.clone(), &origin)?;
        // Of methods the last one counts: settings of another do not fit to it.
        let is_passed_over = |set: &&(String, String)| {
            set.0 == "method.name" && chosen.is_some_and(|chosen| chosen.1 != set.1)
        };
        for (key, value) in sets.iter().filter(|set| !is_passed_over(set)) {
            merge(&mut table, one_setting(key, value)?, "--set")?;
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
        let table = with_defaults(parse_text(text, origin)?, origin)?;
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

/// The defaults with these changes.
fn with_defaults(changes: Table, origin: &str) -> Result<Table> {
    let mut table = defaults()?;
    if let Some(name) = method_name(&changes) {
        begin_method(&mut table, name)?;
    }
    merge(&mut table, changes, origin)?;
    Ok(table)
}
