//! What the protocols that train a classifier share: its views, and the progress bar.

use evaluations::accuracy::first_of_most;
use evaluations::linear::ClassifierEvent;
use indicatif::ProgressBar;

use crate::bars::message_bar;
use crate::print::say;

/// Reads `0.08,1`.
pub fn low_high(text: &str) -> std::result::Result<(f32, f32), String> {
    let pair = text
        .split_once(',')
        .and_then(|(low, high)| Some((low.trim().parse().ok()?, high.trim().parse().ok()?)));
    pair.ok_or_else(|| "should be LOW,HIGH such as 0.08,1".to_owned())
}

/// A learning rate, with a power of ten where digits would be many.
pub fn number(lr: f64) -> String {
    if (1e-4..1e6).contains(&lr) { lr.to_string() } else { format!("{lr:e}") }
}

/// The terminal while a classifier is trained.
pub struct Screen {
    bar: ProgressBar,
    lr: Vec<f64>,
}

impl Screen {
    /// For classifiers with these learning rates.
    pub fn new(lr: &[f64]) -> Screen {
        let bar = message_bar(0);
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
                let at = first_of_most(results.iter().map(|epoch| epoch.test.top1));
                let (best, lr) = (&results[at], self.lr[at]);
                self.bar.set_message(format!(
                    "epoch {}: top-1 {:.2} % (lr {}, loss {:.3})",
                    best.epoch,
                    100.0 * best.test.top1,
                    number(lr),
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
