//! Progress bars that count images, or anything.

use std::time::Instant;

use datasets::Progress;
use indicatif::{ProgressBar, ProgressStyle};

use crate::print::complain;

/// A bar that counts images; hidden without a terminal.
pub struct ImageBar {
    bar: ProgressBar,
    start: Instant,
    images: usize,
}

impl ImageBar {
    /// A bar for `images` images, labelled `what`.
    pub fn new(what: &str, images: usize) -> ImageBar {
        ImageBar { bar: bar(what, images), start: Instant::now(), images }
    }

    /// Shows that `done` images are done.
    pub fn set(&self, done: usize) {
        self.bar.set_position(done as u64);
    }

    /// Removes the bar, and reports the images that are not among the `read` ones; returns images
    /// per second.
    pub fn finish(self, read: usize) -> f64 {
        self.bar.finish_and_clear();
        if read < self.images {
            let (lost, images) = (self.images - read, self.images);
            complain!("warning: {lost} of {images} images cannot be read: left out");
        }
        self.images as f64 / self.start.elapsed().as_secs_f64().max(1e-9)
    }
}

/// Runs work that counts what is done, with a bar.
pub fn watched<T>(what: &str, work: impl FnOnce(Progress) -> T) -> T {
    let bar = bar(what, 0);
    let result = work(Progress::new(&|done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    }));
    bar.finish_and_clear();
    result
}

/// A bar that starts with what it counts, and shows how many of it are done per second.
pub fn bar(what: &str, all: usize) -> ProgressBar {
    let style = "{msg}  {bar:24} {pos}/{len}  {per_sec}  ETA {eta}";
    styled(style, all).with_message(what.to_owned())
}

/// A bar with a message behind it that changes as it goes on.
pub fn message_bar(all: usize) -> ProgressBar {
    styled("{bar:24} {pos}/{len}  {msg}  ETA {eta}", all)
}

fn styled(style: &str, all: usize) -> ProgressBar {
    let style = ProgressStyle::with_template(style).expect("a valid template");
    ProgressBar::new(all as u64).with_style(style)
}

/// A bar for one part of the images after another; hidden without a terminal.
#[derive(Default)]
pub struct PartsBar {
    part: String,
    bar: Option<ImageBar>,
}

impl PartsBar {
    /// Shows that of the `images` images of `part` `done` are done.
    pub fn set(&mut self, part: &str, done: usize, images: usize) {
        if self.part != part {
            self.finish();
            part.clone_into(&mut self.part);
        }
        self.bar.get_or_insert_with(|| ImageBar::new(part, images)).set(done);
    }

    /// Removes the bar.
    pub fn finish(&mut self) {
        if let Some(ImageBar { bar, .. }) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
