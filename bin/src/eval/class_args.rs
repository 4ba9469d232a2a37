//! What is told of single classes, on request.

use std::path::PathBuf;

use carp::error::Result;
use clap::Args;
use evaluations::confusion::Confusion;
use files::check_output;

use crate::print::say;

/// Results by class.
#[derive(Args)]
pub struct ClassArgs {
    /// Also print the accuracy of each class, and what it is most often taken for.
    #[arg(long)]
    per_class: bool,
    /// Also write the confusion matrix: .png, .json, .csv or .txt, by the file's ending.
    #[arg(long, value_name = "FILE")]
    confusion: Option<PathBuf>,
}

impl ClassArgs {
    /// Fails if the matrix cannot be written: to know before the work.
    pub fn check(&self) -> Result<()> {
        let Some(path) = &self.confusion else { return Ok(()) };
        Confusion::check_ending(path)?;
        Ok(check_output(path)?)
    }

    /// Prints and writes what was requested of the result with these settings.
    pub fn show(&self, confusion: &Confusion, settings: &str) -> Result<()> {
        if self.per_class {
            say!("\nclass by class, {settings}");
            print(confusion);
        }
        self.confusion.as_deref().map_or(Ok(()), |path| confusion.save(path))
    }
}

fn print(confusion: &Confusion) {
    let (names, classes) = (confusion.names(), confusion.per_class());
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(5);
    say!(
        "{:<width$}  {:>7}  {:>7}  {:>10}  most taken for",
        "class",
        "images",
        "right",
        "accuracy %"
    );
    for (name, class) in names.iter().zip(&classes) {
        let accuracy = class.accuracy.map_or("-".to_owned(), |x| format!("{:.2}", 100.0 * x));
        let place = |label| confusion.labels().iter().position(|own| *own == label);
        let other = class.most_taken_for.and_then(place).map_or("-", |place| &names[place]);
        let (images, right) = (class.images, class.right);
        say!("{name:<width$}  {images:>7}  {right:>7}  {accuracy:>10}  {other}");
    }
}
