//! The confusion matrix: images by true class (rows) and predicted class (columns).

use std::collections::BTreeMap;
use std::path::Path;

use carp::error::{Error, Result};
use files::write_atomically;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::heatmap::Heatmap;

/// The column of images that are predicted to be of no class.
const NO_CLASS: &str = "no class";

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

    /// Names the classes: label l is `names[l]`. Labels beyond them keep their numbers.
    pub fn name_classes(&mut self, names: &[String]) {
        let name = |label: &u32| match names.get(*label as usize) {
            Some(name) => name.clone(),
            None => label.to_string(),
        };
        self.names = self.labels.iter().map(name).collect();
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
    fn rows(&self) -> impl Iterator<Item = Vec<u64>> + '_ {
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

    /// Names of the columns: the classes, and one more if there are images of no predicted class.
    fn columns(&self) -> Vec<String> {
        let mut names = self.names();
        if self.cells.keys().any(|&(_, column)| column == self.labels.len()) {
            names.push(NO_CLASS.to_owned());
        }
        names
    }

    /// An aligned table for reading.
    pub fn text(&self) -> String {
        let line = |name: &String| name.replace(char::is_control, " ");
        let columns: Vec<String> = self.columns().iter().map(line).collect();
        let rows: Vec<String> = self.names().iter().map(line).collect();
        let length = |name: &String| name.chars().count();
        let first = rows.iter().map(length).max().unwrap_or(0);
        let mut widths: Vec<usize> = columns.iter().map(length).collect();
        for (&(_, column), images) in &self.cells {
            widths[column] = widths[column].max(images.to_string().len());
        }
        let mut text = "Images by true class (rows) and predicted class (columns)\n\n".to_owned();
        let mut write = |name: &str, cells: &mut dyn Iterator<Item = String>| {
            text += &format!("{name:<first$}");
            for (cell, width) in cells.zip(&widths) {
                text += &format!("  {cell:>width$}");
            }
            text.push('\n');
        };
        write("", &mut columns.iter().cloned());
        for (name, counts) in rows.iter().zip(self.rows()) {
            write(name, &mut counts.iter().map(u64::to_string));
        }
        text
    }

    /// Comma-separated values: the predicted classes' names above, the true ones' on the left.
    pub fn csv(&self) -> String {
        let columns = self.columns();
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut write = |name: &str, cells: &mut dyn Iterator<Item = String>| {
            let record = std::iter::once(name.to_owned()).chain(cells);
            writer.write_record(record).expect("records of one length into memory");
        };
        write("true class", &mut columns.iter().cloned());
        for (name, counts) in self.names().iter().zip(self.rows()) {
            write(name, &mut counts.iter().take(columns.len()).map(u64::to_string));
        }
        let bytes = writer.into_inner().expect("memory takes all bytes");
        String::from_utf8(bytes).expect("names and numbers are UTF-8")
    }

    /// Writes the matrix atomically, in the format of the file's ending: `.png`, `.json`, `.csv` or
    /// `.txt`.
    ///
    /// # Errors
    /// Another ending; I/O errors.
    pub fn save(&self, path: &Path) -> Result<()> {
        let bytes = match format(path)? {
            Format::Png => self
                .png()
                .map_err(|error| Error::data(path, format!("cannot be drawn: {error}")))?,
            Format::Json => serde_json::to_string(self).expect("numbers and names").into_bytes(),
            Format::Csv => self.csv().into_bytes(),
            Format::Text => self.text().into_bytes(),
        };
        Ok(write_atomically(path, &bytes)?)
    }

    /// Fails if [`Confusion::save`] does not know the ending of the file: to know before the work.
    ///
    /// # Errors
    /// As above.
    pub fn check_ending(path: &Path) -> Result<()> {
        format(path).map(|_| ())
    }

    fn png(&self) -> std::result::Result<Vec<u8>, String> {
        let cells: Vec<_> =
            self.cells.iter().map(|(&(row, column), &images)| (row, column, images)).collect();
        let axes = ("true class", "predicted class");
        Heatmap { rows: &self.names(), columns: &self.columns(), axes, cells: &cells }.png()
    }
}

/// `{"classes": [name, ...], "labels": [label, ...], "counts": [[images, ...], ...]}`, and
/// `"no_class": [images, ...]` if an image of the class in that place has no predicted class.
impl Serialize for Confusion {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        struct Rows<'a>(&'a Confusion);
        impl Serialize for Rows<'_> {
            fn serialize<S: Serializer>(
                &self,
                serializer: S,
            ) -> std::result::Result<S::Ok, S::Error> {
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
) -> std::result::Result<S::Ok, S::Error> {
    confusion.per_class().serialize(serializer)
}

enum Format {
    Png,
    Json,
    Csv,
    Text,
}

fn format(path: &Path) -> Result<Format> {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    match ending.as_deref() {
        Some("png") => Ok(Format::Png),
        Some("json") => Ok(Format::Json),
        Some("csv") => Ok(Format::Csv),
        Some("txt") => Ok(Format::Text),
        _ => Err(Error::usage(format!(
            "{}: a confusion matrix is written as .png, .json, .csv or .txt: choose one as the \
             file's ending",
            path.display()
        ))),
    }
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

    fn names() -> Vec<String> {
        let mut names = vec![String::new(); 21];
        for (label, name) in [(0, "cat, black"), (5, "\"dog\""), (10, "a\nb")] {
            names[label] = name.to_owned();
        }
        names[20] = "é".to_owned();
        names
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

    #[test]
    fn tables_have_wide_enough_columns() {
        let mut confusion = example();
        let wanted = "Images by true class (rows) and predicted class (columns)\n\n\
                      \u{20}   0  5  10  20\n0   2  0   0   0\n5   0  0   0   0\n10  0  0   0   1\n\
                      20  1  0   0   2\n";
        assert_eq!(confusion.text(), wanted);
        confusion.name_classes(&names()[..11]);
        let table = confusion.text();
        let lines: Vec<&str> = table.lines().skip(2).collect();
        let wanted = [
            "            cat, black  \"dog\"  a b  20",
            "cat, black           2      0    0   0",
            "\"dog\"                0      0    0   0",
            "a b                  0      0    0   1",
            "20                   1      0    0   2",
        ];
        assert_eq!(lines, wanted);
    }

    #[test]
    fn files_are_in_the_format_of_their_ending() {
        let folder = tempfile::tempdir().unwrap();
        let mut confusion = Confusion::of(&[5], [(0, Some(0)), (10, None), (20, Some(0))]);
        confusion.name_classes(&names());
        let saved = |name: &str| {
            let path = folder.path().join(name);
            confusion.save(&path).unwrap();
            std::fs::read(path).unwrap()
        };
        let wanted = "true class,\"cat, black\",\"\"\"dog\"\"\",\"a\nb\",é,no class\n\
                      \"cat, black\",1,0,0,0,0\n\"\"\"dog\"\"\",0,0,0,0,0\n\"a\nb\",0,0,0,0,1\n\
                      é,1,0,0,0,0\n";
        assert_eq!(String::from_utf8(saved("a.csv")).unwrap(), wanted);
        let json: serde_json::Value = serde_json::from_slice(&saved("a.json")).unwrap();
        let wanted = serde_json::json!({
            "classes": ["cat, black", "\"dog\"", "a\nb", "é"],
            "labels": [0, 5, 10, 20],
            "counts": [[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]],
            "no_class": [0, 0, 1, 0],
        });
        assert_eq!(json, wanted);
        assert_eq!(saved("a.TXT"), confusion.text().as_bytes());
        assert_eq!(saved("a.png")[..4], *b"\x89PNG");
        for name in ["a", "a.jpg", "png"] {
            let line = confusion.save(&folder.path().join(name)).unwrap_err().to_string();
            assert!(line.contains(".png, .json, .csv or .txt") && line.lines().count() == 1);
            assert!(Confusion::check_ending(name.as_ref()).is_err());
        }
        assert!(!serde_json::to_string(&example()).unwrap().contains("no_class"));
    }
}
