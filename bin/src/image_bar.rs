//! A progress bar of images.

use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar that counts images; without a terminal nothing.
pub struct ImageBar {
    bar: ProgressBar,
    start: Instant,
    images: usize,
}

impl ImageBar {
    /// A bar of so many images; `what` stands before it.
    pub fn new(what: &str, images: usize) -> ImageBar {
        let bar = ProgressBar::new(images as u64).with_message(what.to_owned());
        let style = "{msg}  {bar:24} {pos}/{len}  {per_sec}  ETA {eta}";
        bar.set_style(ProgressStyle::with_template(style).expect("a valid template"));
        ImageBar { bar, start: Instant::now(), images }
    }

    /// So many are done.
    pub fn set(&self, done: usize) {
        self.bar.set_position(done as u64);
    }

    /// Takes the bar away; images per second.
    pub fn finish(self) -> f64 {
        self.bar.finish_and_clear();
        self.images as f64 / self.start.elapsed().as_secs_f64().max(1e-9)
    }
}
