//! What a comparison compares: names, and the keys that each changes of the settings they share.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The key that chooses a method.
pub const METHOD_KEY: &str = "method.name";

/// Keys that are a comparison's to decide, and what decides them for all of its settings.
const DECIDED: [(&str, &str); 4] = [
    ("train.epochs", "--epochs, --seconds or --passes"),
    ("train.steps", "--set train.steps=N, --epochs, --seconds or --passes"),
    ("knn.every_epochs", "the budget"),
    ("data.held_out", "--held-out"),
];

/// One of the settings of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// Its name, which is also its folder's.
    pub name: String,
    /// Keys and values, as in `--set`.
    pub changes: Vec<(String, String)>,
}

impl Setting {
    /// A setting of this name that changes these keys.
    ///
    /// # Errors
    /// A name that cannot be a folder's; a key that all settings share.
    pub fn new(name: &str, changes: Vec<(String, String)>) -> Result<Setting, String> {
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', '|']) {
            return Err(format!("{name:?} is no name: it should do for a folder and a table"));
        }
        let decided =
            |(key, _): &(String, String)| DECIDED.iter().find(|(shared, _)| key == shared);
        if let Some((key, by)) = changes.iter().find_map(decided) {
            return Err(format!("{key} is the same for all settings: decided by {by}"));
        }
        Ok(Setting { name: name.to_owned(), changes })
    }

    /// The setting that changes nothing.
    pub fn base() -> Setting {
        Setting { name: "base".to_owned(), changes: Vec::new() }
    }

    /// A method with everything else as it is.
    ///
    /// # Errors
    /// As [`Setting::new`].
    pub fn method(name: &str) -> Result<Setting, String> {
        Setting::new(name, vec![(METHOD_KEY.to_owned(), name.to_owned())])
    }

    /// The changes as one reads them.
    pub fn described(&self) -> String {
        let changes = self.changes.iter().map(|(key, value)| format!("{key}={value}"));
        changes.collect::<Vec<_>>().join(", ")
    }
}

/// `NAME` or `NAME:key=value,key=value`. A comma begins another key where one and `=` follow, so that
/// values may be lists.
impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Setting, String> {
        let (name, changes) = text.split_once(':').unwrap_or((text, ""));
        let mut pairs: Vec<(String, String)> = Vec::new();
        for part in changes.split(',').filter(|part| !part.is_empty()) {
            match (part.split_once('='), pairs.last_mut()) {
                (Some((key, value)), _) => pairs.push((key.trim().to_owned(), value.to_owned())),
                (None, Some((_, value))) => *value += &format!(",{part}"),
                (None, None) => return Err("should be NAME or NAME:KEY=VALUE,...".to_owned()),
            }
        }
        Setting::new(name.trim(), pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn settings_are_names_with_changes() {
        let read = |text: &str| text.parse::<Setting>();
        assert_eq!(read("base").unwrap(), Setting::base());
        let wide = read("wide:model.width=8,views.mean=[0.5, 0.4,0.3],train.fuse=a,b").unwrap();
        assert_eq!(wide.name, "wide");
        let changes =
            [("model.width", "8"), ("views.mean", "[0.5, 0.4,0.3]"), ("train.fuse", "a,b")];
        assert_eq!(wide.changes, pairs(&changes));
        assert_eq!(Setting::method("dino").unwrap().changes, pairs(&[(METHOD_KEY, "dino")]));
        for key in ["train.epochs", "train.steps", "knn.every_epochs", "data.held_out"] {
            let error = read(&format!("a:seed=1,{key}=5")).unwrap_err();
            assert!(error.starts_with(&format!("{key} is the same for all settings")), "{error}");
        }
        for wrong in ["", "a/b:seed=1", ".x", "x:seed", ":seed=1"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
