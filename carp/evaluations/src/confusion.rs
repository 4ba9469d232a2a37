//! The confusion matrix: images by true class (rows) and predicted class (columns).

use std::collections::BTreeMap;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

/// The accuracy of one class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassAccuracy {
    /// Its label.
    pub label: u32,
    /// Its name, if classes have names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Test images of it.
    pub images: u64,
    /// How many of these are predicted to be of it.
    pub right: u64,
    /// Their fraction; `None` without images.
    pub accuracy: Option<f64>,
    /// The label that most of the other images get, the lowest on a tie; `None` if none gets one.
    pub most_taken_for: Option<u32>,
}

/// A confusion matrix. It is as large as its cells that are not 0: there are at most as many as
/// images.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Confusion {
    /// Rising; classes are places in it.
    labels: Vec<u32>,
    /// One per class, or none at all.
    names: Vec<String>,
    /// Images by true and predicted class. The class after the last is none.
    cells: BTreeMap<(usize, usize), u64>,
}

impl Confusion {
    /// From the label and the predicted label of each image; `None` predicts no class. The classes
    /// are the labels that occur, and those of `known`, whether they occur or not.
    pub fn of(known: &[u32], pairs: impl IntoIterator<Item = (u32, Option<u32>)>) -> Confusion {
        let mut counts = BTreeMap::new();
        for pair in pairs {
            *counts.entry(pair).or_insert(0) += 1;
        }
        let seen = counts.keys().flat_map(|&(label, predicted)| [Some(label), predicted]);
        let mut labels: Vec<u32> = seen.flatten().chain(known.iter().copied()).collect();
        labels.sort_unstable();
        labels.dedup();
        let place = |label: &u32| labels.binary_search(label).expect("a label that occurs");
        let cell = |((label, predicted), images): (&(u32, Option<u32>), &u64)| {
            let column = predicted.as_ref().map_or(labels.len(), place);
            ((place(label), column), *images)
        };
        let cells = counts.iter().map(cell).collect();
        Confusion { labels, names: vec![], cells }
    }

    /// The same with other labels, in the same order.
    pub fn relabelled(self, label: impl Fn(u32) -> u32) -> Confusion {
        Confusion { labels: self.labels.into_iter().map(label).collect(), ..self }
    }

    /// The same with names of the classes: label l is `names[l]`. Labels beyond them keep their
    /// numbers; without any names all do.
    pub fn named(self, names: &[String]) -> Confusion {
        if names.is_empty() {
            return self;
        }
        let name = |label: &u32| match names.get(*label as usize) {
            Some(name) if !name.trim().is_empty() => name.clone(),
            _ => label.to_string(),
        };
        let names = self.labels.iter().map(name).collect();
        Confusion { names, ..self }
    }

    /// The labels of the classes, rising.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// The names of the classes; their labels if they have none.
    pub fn names(&self) -> Vec<String> {
        match self.names.len() {
            0 => self.labels.iter().map(u32::to_string).collect(),
            _ => self.names.clone(),
        }
    }

    /// Images.
    pub fn images(&self) -> u64 {
        self.cells.values().sum()
    }

    /// The fraction of the images whose class is right; `None` without images.
    pub fn accuracy(&self) -> Option<f64> {
        let right = self.cells.iter().filter(|((row, column), _)| row == column);
        share(right.map(|(_, images)| images).sum(), self.images())
    }

    /// Images by true class (rows) and predicted class (columns), in the order of the labels.
    pub fn counts(&self) -> impl Iterator<Item = Vec<u64>> + '_ {
        let classes = self.labels.len();
        self.rows().map(move |mut row| {
            row.truncate(classes);
            row
        })
    }

    /// Images of each true class that are predicted to be of no class.
    pub fn without_class(&self) -> Vec<u64> {
        let classes = self.labels.len();
        let images = |row| self.cells.get(&(row, classes)).copied().unwrap_or(0);
        (0..classes).map(images).collect()
    }

    /// Rows with the images of no predicted class at the end.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Vec<u64>> + '_ {
        let classes = self.labels.len();
        (0..classes).map(move |row| {
            let mut counts = vec![0; classes + 1];
            for (&(_, column), &images) in self.row(row) {
                counts[column] = images;
            }
            counts
        })
    }

    fn row(&self, row: usize) -> impl Iterator<Item = (&(usize, usize), &u64)> {
        self.cells.range((row, 0)..=(row, self.labels.len()))
    }

    /// The accuracy of each class, in the order of the labels.
    pub fn per_class(&self) -> Vec<ClassAccuracy> {
        let class = |(row, &label): (usize, &u32)| {
            let (mut images, mut right, mut most) = (0, 0, None);
            for (&(_, column), &count) in self.row(row) {
                images += count;
                if column == row {
                    right = count;
                } else if column < self.labels.len() && most.is_none_or(|(most, _)| count > most) {
                    most = Some((count, self.labels[column]));
                }
            }
            ClassAccuracy {
                label,
                name: self.names.get(row).cloned(),
                images,
                right,
                accuracy: share(right, images),
                most_taken_for: most.map(|(_, label)| label),
            }
        };
        self.labels.iter().enumerate().map(class).collect()
    }

    /// (row, column, images) where there are images; the column after the last class is none.
    pub(crate) fn cells(&self) -> Vec<(usize, usize, u64)> {
        self.cells.iter().map(|(&(row, column), &images)| (row, column, images)).collect()
    }
}

/// `{"classes": [name, ...], "labels": [label, ...], "counts": [[images, ...], ...]}`, and
/// `"no_class": [images, ...]` if an image of the class in that place has no predicted class.
impl Serialize for Confusion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Rows<'a>(&'a Confusion);
        impl Serialize for Rows<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(self.0.counts())
            }
        }
        let without = self.without_class();
        let all_have = without.iter().all(|&images| images == 0);
        let fields = if all_have { 3 } else { 4 };
        let mut matrix = serializer.serialize_struct("Confusion", fields)?;
        matrix.serialize_field("classes", &self.names())?;
        matrix.serialize_field("labels", &self.labels)?;
        matrix.serialize_field("counts", &Rows(self))?;
        if !all_have {
            matrix.serialize_field("no_class", &without)?;
        }
        matrix.end()
    }
}

/// Serializes a matrix as its [`Confusion::per_class`]: for results, whose JSON would be large
/// otherwise.
pub(crate) fn as_classes<S: Serializer>(
    confusion: &Confusion,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    confusion.per_class().serialize(serializer)
}

/// A name that stays on its line of a table.
pub fn on_one_line(name: &str) -> String {
    name.replace(char::is_control, " ")
}

fn share(part: u64, all: u64) -> Option<f64> {
    (all > 0).then(|| part as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scikit-learn's example: `confusion_matrix([2, 0, 2, 2, 0, 1], [0, 0, 2, 2, 0, 2])` is
    /// `[[2, 0, 0], [0, 0, 1], [1, 0, 2]]`; here with labels 10 times as large, and a class 5
    /// without images.
    fn example() -> Confusion {
        let (labels, predicted) = ([20, 0, 20, 20, 0, 10], [0, 0, 20, 20, 0, 20]);
        Confusion::of(&[5, 0], labels.into_iter().zip(predicted.map(Some)))
    }

    #[test]
    fn counts_and_classes_are_scikit_learns() {
        let confusion = example();
        assert_eq!(confusion.labels(), [0, 5, 10, 20]);
        let counts: Vec<Vec<u64>> = confusion.counts().collect();
        assert_eq!(counts, [[2, 0, 0, 0], [0; 4], [0, 0, 0, 1], [1, 0, 0, 2]]);
        assert_eq!((confusion.images(), confusion.accuracy()), (6, Some(4.0 / 6.0)));
        let class = |label, images, right, accuracy, most_taken_for| ClassAccuracy {
            label,
            name: None,
            images,
            right,
            accuracy,
            most_taken_for,
        };
        let wanted = [
            class(0, 2, 2, Some(1.0), None),
            class(5, 0, 0, None, None),
            class(10, 1, 0, Some(0.0), Some(20)),
            class(20, 3, 2, Some(2.0 / 3.0), Some(0)),
        ];
        assert_eq!(confusion.per_class(), wanted);
        let json = serde_json::to_value(&confusion.per_class()[1]).unwrap();
        let wanted = serde_json::json!({"label": 5, "images": 0, "right": 0, "accuracy": null,
            "most_taken_for": null});
        assert_eq!(json, wanted);
    }

    #[test]
    fn ties_go_to_the_lower_label_and_no_class_is_none() {
        let pairs = [Some(9), Some(4), Some(4), Some(9), None, None, None, Some(2)];
        let confusion = Confusion::of(&[], pairs.map(|predicted| (2, predicted)));
        let class = &confusion.per_class()[0];
        assert_eq!((class.images, class.right, class.most_taken_for), (8, 1, Some(4)));
        assert_eq!(confusion.without_class(), [3, 0, 0]);
        let rejected = Confusion::of(&[], [(7, None)]);
        assert_eq!(rejected.per_class()[0].most_taken_for, None);
        assert_eq!((rejected.accuracy(), Confusion::default().accuracy()), (Some(0.0), None));
    }
}
