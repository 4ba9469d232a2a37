//! A protocol's result on the screen and as JSON, with where it comes from.

use std::path::Path;

use carp::error::Result;
use evaluations::all::json_value;
use files::write_atomically;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::print::say;

/// Where a result comes from: names and values, such as the checkpoint's file.
pub type Source = Vec<(&'static str, String)>;

/// Prints a source, one name per line.
pub fn print_source(source: &[(&str, String)]) {
    for (name, value) in source {
        say!("{name:<20} {value}");
    }
}

/// Prints every setting, one per line, sources first.
pub fn print_settings(source: &[(&str, String)], settings: &impl Serialize) {
    print_source(source);
    let settings = json_value(settings);
    for (name, value) in settings.as_object().into_iter().flatten() {
        match value {
            Value::Object(inner) => {
                for (key, value) in inner {
                    say!("{:<20} {}", format!("{name}.{key}"), plain(value));
                }
            }
            value => say!("{name:<20} {}", plain(value)),
        }
    }
}

/// A value, strings without quotes.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "all".to_owned(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        value => value.to_string(),
    }
}

/// Writes the result and its sources, atomically.
pub fn write_json(
    path: &Path,
    protocol: &str,
    source: &[(&str, String)],
    result: &impl Serialize,
) -> Result<()> {
    let source: Map<String, Value> =
        source.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let mut whole = json!({ "protocol": protocol, "source": source });
    let result = json_value(result);
    let whole_map = whole.as_object_mut().expect("an object");
    whole_map.extend(result.as_object().expect("a struct").clone());
    Ok(write_atomically(path, format!("{whole:#}\n").as_bytes())?)
}
