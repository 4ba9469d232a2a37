//! What is told of single classes, on request.

use std::path::PathBuf;

use carp::error::Result;
use clap::Args;
use evaluations::confusion::{ClassAccuracy, Confusion, on_one_line};

use super::class_table::print_classes;
use super::percent::percent;
use crate::print::say;

/// Results by class.
#[derive(Args)]
pub struct ClassArgs {
    /// Also print the accuracy of each class, and what it is most often taken for.
    #[arg(long)]
    per_class: bool,
    /// Also write the confusion matrix: .png, .json, .csv or .txt, by the file's ending.
    #[arg(long, value_name = "FILE")]
    pub confusion: Option<PathBuf>,
}

/// Prints the classes that were tested without having been trained, by the names in `confusion`.
pub fn tell_untrained(untrained: &[u32], confusion: &Confusion) {
    if untrained.is_empty() {
        return;
    }
    let classes = confusion.labels().iter().zip(confusion.names());
    let names: Vec<String> = classes
        .filter(|(label, _)| untrained.contains(label))
        .map(|(_, name)| on_one_line(&name))
        .collect();
    say!("no training image, so that all test images count as wrong: {}", names.join(", "));
}

impl ClassArgs {
    /// Fails if the matrix has no format: to know before the work.
    pub fn check(&self) -> Result<()> {
        self.confusion.as_deref().map_or(Ok(()), Confusion::check_ending)
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
    let names = confusion.names();
    let row = |(name, class): (&String, ClassAccuracy)| {
        let place = |label| confusion.labels().iter().position(|own| *own == label);
        let other = class.most_taken_for.and_then(place);
        let other = other.map_or("-".to_owned(), |place| names[place].clone());
        let cells =
            vec![class.images.to_string(), class.right.to_string(), percent(class.accuracy), other];
        (name.clone(), cells)
    };
    let rows = names.iter().zip(confusion.per_class()).map(row);
    print_classes(&["images", "right", "accuracy %"], Some("most taken for"), rows);
}
