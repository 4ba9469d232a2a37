//! The scores of linear classification with a few images per class.

use serde::Serialize;

use crate::confusion::on_one_line;

/// The result for one cost.
#[derive(Clone, Debug, Serialize)]
pub struct CostScore {
    /// C.
    pub cost: f64,
    /// Mean average precision, averaged over draws, as a fraction.
    pub map: f64,
    /// Its population standard deviation over draws.
    pub map_sd: f64,
    /// Fraction of images whose class has the largest decision value, averaged over draws; only
    /// with one class per image.
    pub accuracy: Option<f64>,
    /// Number of SVMs that did not reach the tolerance.
    pub not_converged: usize,
}

/// The result for one number of images per class.
#[derive(Clone, Debug, Serialize)]
pub struct ShotScore {
    /// Images per class; `None` means all images.
    pub shots: Option<usize>,
    /// Draws.
    pub draws: usize,
    /// One per cost.
    pub costs: Vec<CostScore>,
    /// The cost with the best mean average precision.
    pub best_cost: f64,
    /// Its mean average precision, as a fraction.
    pub map: f64,
    /// Its standard deviation.
    pub map_sd: f64,
    /// Classes with fewer training images than shots: all of them are used.
    pub short: Vec<ShortClass>,
    /// Classes that could not be trained in some draw, because no training image shows them or all
    /// do: these have no average precision there.
    pub skipped: Vec<usize>,
    /// Each class with the best cost, in the order of the labels.
    pub per_class: Vec<ClassPrecision>,
}

/// How well one class is found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassPrecision {
    /// Its label.
    pub label: u32,
    /// Its name, if classes have names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Test images that show it.
    pub images: usize,
    /// Average precision, averaged over the draws that trained it; `None` if none did, or no test
    /// image shows it.
    pub average_precision: Option<f64>,
    /// Fraction of its images for which it has the largest decision value, averaged over draws;
    /// only with one class per image and an image of it.
    pub accuracy: Option<f64>,
}

/// A class with too few training images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ShortClass {
    /// Its label.
    pub class: usize,
    /// How many there are.
    pub images: usize,
}

impl ShotScore {
    /// Its number of images per class, or `all`.
    pub fn name(&self) -> String {
        self.shots.map_or("all".to_owned(), |shots| shots.to_string())
    }

    /// The classes that got less than the others, in one line; all are named in the JSON.
    pub fn note(&self) -> Option<String> {
        const NAMED: usize = 5;
        let list = |what: &str, names: Vec<String>| {
            let more = match names.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let first = names[..names.len().min(NAMED)].join(", ");
            (!names.is_empty()).then(|| format!("{what} {first}{more}"))
        };
        let name = |label: usize| {
            let is_it = |class: &&ClassPrecision| class.label as usize == label;
            let named = self.per_class.iter().find(is_it).and_then(|class| class.name.as_deref());
            named.map_or(label.to_string(), on_one_line)
        };
        let short =
            self.short.iter().map(|short| format!("{} ({})", name(short.class), short.images));
        let skipped = self.skipped.iter().map(|&label| name(label));
        let parts = [
            list("all there are of class", short.collect()),
            list("not trained: class", skipped.collect()),
        ];
        parts.into_iter().flatten().reduce(|a, b| format!("{a}; {b}"))
    }
}
