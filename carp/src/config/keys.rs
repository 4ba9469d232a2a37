//! Keys and values of settings: from a preset's text and from `--set` into the table of all
//! settings; each mistake is one line that names the key and the nearest known one.

use std::path::Path;

use toml::{Table, Value};

use super::settings::Config;
use crate::error::{Error, Result};
use crate::method::MethodConfig;

/// Valid keys that the defaults leave out.
const OPTIONAL: [&str; 3] = ["data.path", "data.train", "data.test"];

/// Most parts of a key, such as the 3 of views.global1.size.
const DEEPEST: usize = 8;

/// Most edits between a name and what was meant.
const FAR: usize = 2;

/// The authors' defaults as a table with every key; of the section `[method]`, those of CARP.
pub fn defaults() -> Result<Table> {
    Table::try_from(Config::default())
        .map_err(|error| Error::usage(format!("default settings: {}", one_line(&error))))
}

/// Begins the section `[method]` anew, with the authors' settings of the method of this name.
///
/// # Errors
/// An unknown method: names the nearest.
pub fn begin_method(table: &mut Table, name: &str) -> Result<()> {
    let methods = MethodConfig::all();
    let Some(method) = methods.iter().find(|method| method.name() == name) else {
        let names = methods.map(|method| method.name());
        let near = nearest(name, names.into_iter());
        let list = names.join(", ");
        return Err(Error::usage(format!("unknown method {name:?}{near}; methods: {list}")));
    };
    table.insert("method".to_owned(), Value::Table(method.settings()));
    Ok(())
}

/// The method that a table names.
pub fn method_name(table: &Table) -> Option<&str> {
    table.get("method")?.get("name")?.as_str()
}

/// The text of the preset file `preset`, which is not one of the built-in `names`.
///
/// # Errors
/// A file that cannot be read, or an unknown preset.
pub fn read_preset(preset: &str, names: &[&str]) -> Result<String> {
    let path = Path::new(preset);
    if path.is_file() || path.extension().is_some() || path.components().count() > 1 {
        return std::fs::read_to_string(path).map_err(|source| Error::io(path, source));
    }
    Err(Error::usage(format!(
        "unknown preset {preset:?}{}; presets: {}, or a TOML file",
        nearest(preset, names.iter().copied()),
        names.join(", ")
    )))
}

/// The table in a TOML file.
///
/// # Errors
/// Text that is not TOML: names the line.
pub fn parse_text(text: &str, origin: &str) -> Result<Table> {
    text.parse().map_err(|error: toml::de::Error| {
        let start = error.span().map_or(0, |span| span.start);
        let line = 1 + text.bytes().take(start).filter(|&byte| byte == b'\n').count();
        Error::usage(format!("{origin}, line {line}: {}", one_line(&error.message())))
    })
}

/// A table with the one setting that `--set key=value` changes.
///
/// # Errors
/// A key of so many parts that tables nested as deeply would overflow the stack.
pub fn one_setting(key: &str, value: &str) -> Result<Table> {
    let depth = key.split('.').count();
    if depth > DEEPEST {
        let start: String = key.chars().take(20).collect();
        let detail = format!("the key {start}... has {depth} parts, more than any known one");
        return Err(Error::usage(format!("--set: {detail}")));
    }
    let mut parts = key.rsplit('.');
    let name = parts.next().unwrap_or_default();
    let setting = Table::from_iter([(name.to_owned(), parse_value(key, value))]);
    let nest = |inner, part: &str| Table::from_iter([(part.to_owned(), Value::Table(inner))]);
    Ok(parts.fold(setting, nest))
}

/// A value as TOML; a bare word is a string, and so is anything that names a folder.
fn parse_value(key: &str, text: &str) -> Value {
    let parsed = format!("value = {text}").parse::<Table>();
    let value = parsed.ok().and_then(|mut table| table.remove("value"));
    match value {
        Some(value) if value.is_str() || !OPTIONAL.contains(&key) => value,
        _ => Value::String(text.to_owned()),
    }
}

/// Merges `changes` into `table`, which has all known keys.
///
/// # Errors
/// An unknown key, or a value of another type than the one it replaces.
pub fn merge(table: &mut Table, changes: Table, origin: &str) -> Result<()> {
    let known = keys(table, "");
    merge_section(table, changes, "", &known, origin)
}

/// Merges into the section `prefix`.
fn merge_section(
    table: &mut Table,
    changes: Table,
    prefix: &str,
    known: &[String],
    origin: &str,
) -> Result<()> {
    let usage = |detail: String| Err(Error::usage(format!("{origin}: {detail}")));
    for (name, change) in changes {
        let key = joined(prefix, &name);
        match (table.get_mut(&name), change) {
            (Some(Value::Table(inner)), Value::Table(changes)) => {
                merge_section(inner, changes, &key, known, origin)?;
            }
            (Some(Value::Table(_)), _) => {
                return usage(format!("{key} is a section, not one setting"));
            }
            (Some(_), Value::Table(_)) => {
                return usage(format!("{key} is one setting, not a section"));
            }
            (Some(Value::Float(old)), Value::Integer(new)) => *old = new as f64,
            (Some(Value::Integer(_)), Value::Integer(new)) if new < 0 => {
                return usage(format!("{key} = {new} should be 0 or more"));
            }
            (Some(Value::Integer(_)), Value::String(text)) if is_number(&text) => {
                return usage(format!("{key} = {text} has more than 64 bits"));
            }
            (Some(old), change) => {
                if old.type_str() != change.type_str() {
                    let (is, wanted) = (change.type_str(), old.type_str());
                    return usage(format!("{key} = {change} is {is}, should be {wanted}"));
                }
                *old = change;
            }
            (None, change) if OPTIONAL.contains(&key.as_str()) => {
                table.insert(name, change);
            }
            (None, change) => return usage(unknown(&key, &change, known)),
        }
    }
    Ok(())
}

/// Whether a text that is no TOML integer has its digits: it is too large for one.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The message for an unknown key; for an unknown section, it names the first key there.
fn unknown(key: &str, change: &Value, known: &[String]) -> String {
    let inner = change.as_table().map(|table| keys(table, key)).unwrap_or_default();
    let given = inner.first().map_or(key, String::as_str);
    let known = known.iter().map(String::as_str).chain(OPTIONAL);
    format!("unknown key {given:?}{}", nearest(given, known))
}

/// All keys of a table with their sections.
pub fn keys(table: &Table, prefix: &str) -> Vec<String> {
    let mut all = Vec::new();
    for (name, value) in table {
        let key = joined(prefix, name);
        match value {
            Value::Table(inner) => all.extend(keys(inner, &key)),
            _ => all.push(key),
        }
    }
    all
}

fn joined(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

/// ` (did you mean "...")`: the known name with the fewest edits, nothing if that takes many. A name
/// without a section is compared with the last parts; part of a known name beats a misspelling.
fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> String {
    let given = given.to_lowercase();
    let (section, name) = given.rsplit_once('.').unwrap_or(("", &given));
    let distance = |known: &str| {
        let (known_section, last) = known.rsplit_once('.').unwrap_or(("", known));
        let is_part = !name.is_empty()
            && (section.is_empty() || section == known_section)
            && last.contains(name);
        let compared = if section.is_empty() { last } else { known };
        (!is_part, strsim::damerau_levenshtein(&given, compared))
    };
    known
        .map(|known| (distance(known), known))
        .min()
        .filter(|&((is_other, edits), _)| !is_other || edits <= FAR)
        .map_or_else(String::new, |(_, known)| format!(" (did you mean {known:?}?)"))
}

pub fn one_line(error: &impl std::fmt::Display) -> String {
    error.to_string().lines().map(str::trim).collect::<Vec<_>>().join(" ")
}
