//! What the protocols that train a classifier share: the progress bar, and the result on the screen
//! and as JSON. The other protocols report theirs likewise.

use std::path::Path;

use carp::error::Result;
use evaluations::linear::{ClassifierEvent, EpochResult};
use files::write_atomically;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};

use crate::print::say;

/// Reads `0.08,1`.
pub fn low_high(text: &str) -> std::result::Result<(f32, f32), String> {
    let pair = text
        .split_once(',')
        .and_then(|(low, high)| Some((low.trim().parse().ok()?, high.trim().parse().ok()?)));
    pair.ok_or_else(|| "should be LOW,HIGH such as 0.08,1".to_owned())
}

/// The terminal while a classifier is trained.
pub struct Screen {
    bar: ProgressBar,
    lr: Vec<f64>,
}

impl Screen {
    /// For classifiers with these learning rates.
    pub fn new(lr: &[f64]) -> Screen {
        let bar = ProgressBar::new(0);
        let style = "{bar:24} {pos}/{len}  {msg}  ETA {eta}";
        bar.set_style(ProgressStyle::with_template(style).expect("a valid template"));
        bar.set_message("preparing features");
        Screen { bar, lr: lr.to_vec() }
    }

    /// Shows an event.
    pub fn show(&mut self, event: ClassifierEvent) {
        match event {
            ClassifierEvent::Step { step, steps } => {
                self.bar.set_length(steps as u64);
                self.bar.set_position(step as u64);
            }
            ClassifierEvent::Epoch(results) => {
                let best = results.iter().zip(&self.lr);
                let most = |a: &(&EpochResult, &f64), b: &(&EpochResult, &f64)| {
                    a.0.test.top1.total_cmp(&b.0.test.top1)
                };
                let (best, lr) = best.max_by(most).expect("at least one learning rate");
                self.bar.set_message(format!(
                    "epoch {}: top-1 {:.2} % (lr {lr}, loss {:.3})",
                    best.epoch,
                    100.0 * best.test.top1,
                    best.loss
                ));
                if self.bar.is_hidden() {
                    say!("{}", self.bar.message());
                }
            }
        }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Where a result comes from: names and values, such as the checkpoint's file.
pub type Source = Vec<(&'static str, String)>;

/// Prints a source, one name per line.
pub fn print_source(source: &[(&str, String)]) {
    for (name, value) in source {
        say!("{name:<20} {value}");
    }
}

/// Prints every setting, one per line, sources first.
pub fn print_settings(source: &[(&str, String)], settings: &impl serde::Serialize) {
    print_source(source);
    let settings = serde_json::to_value(settings).expect("plain settings");
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
    result: &impl serde::Serialize,
) -> Result<()> {
    let source: Map<String, Value> =
        source.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let mut whole = json!({ "protocol": protocol, "source": source });
    let result = serde_json::to_value(result).expect("plain numbers");
    let whole_map = whole.as_object_mut().expect("an object");
    whole_map.extend(result.as_object().expect("a struct").clone());
    Ok(write_atomically(path, format!("{whole:#}\n").as_bytes())?)
}
