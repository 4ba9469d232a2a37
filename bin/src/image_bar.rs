//! A progress bar that counts images.

use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar that counts images; hidden without a terminal.
pub struct ImageBar {
    bar: ProgressBar,
    start: Instant,
    images: usize,
}

impl ImageBar {
    /// A bar for `images` images, labelled `what`.
    pub fn new(what: &str, images: usize) -> ImageBar {
        let bar = ProgressBar::new(images as u64).with_message(what.to_owned());
        let style = "{msg}  {bar:24} {pos}/{len}  {per_sec}  ETA {eta}";
        bar.set_style(ProgressStyle::with_template(style).expect("a valid template"));
        ImageBar { bar, start: Instant::now(), images }
    }

    /// Shows that `done` images are done.
    pub fn set(&self, done: usize) {
        self.bar.set_position(done as u64);
    }

    /// Removes the bar; returns images per second.
    pub fn finish(self) -> f64 {
        self.bar.finish_and_clear();
        self.images as f64 / self.start.elapsed().as_secs_f64().max(1e-9)
    }
}
