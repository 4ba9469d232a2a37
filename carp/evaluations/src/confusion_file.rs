//! Confusion matrices as text, tables and pictures.

use std::path::Path;

use carp::error::{Error, Result};
use files::write_atomically;

use crate::confusion::{Confusion, on_one_line};
use crate::heatmap::Heatmap;

/// The column of images that are predicted to be of no class.
const NO_CLASS: &str = "no class";

impl Confusion {
    /// Names of the columns: the classes, and one more if there are images of no predicted class.
    fn columns(&self) -> Vec<String> {
        let mut names = self.names();
        if self.without_class().iter().any(|&images| images > 0) {
            names.push(NO_CLASS.to_owned());
        }
        names
    }

    /// An aligned table for reading.
    pub fn text(&self) -> String {
        let line = |name: &String| on_one_line(name);
        let columns: Vec<String> = self.columns().iter().map(line).collect();
        let rows: Vec<String> = self.names().iter().map(line).collect();
        let length = |name: &String| name.chars().count();
        let first = rows.iter().map(length).max().unwrap_or(0);
        let mut widths: Vec<usize> = columns.iter().map(length).collect();
        for (_, column, images) in self.cells() {
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
            Format::Json => {
                (serde_json::to_string(self).expect("numbers and names") + "\n").into_bytes()
            }
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
        let axes = ("true class", "predicted class");
        Heatmap { rows: &self.names(), columns: &self.columns(), axes, cells: &self.cells() }.png()
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Labels with gaps, and a class 5 without images.
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
    fn tables_have_wide_enough_columns() {
        let confusion = example();
        let wanted = "Images by true class (rows) and predicted class (columns)\n\n\
                      \u{20}   0  5  10  20\n0   2  0   0   0\n5   0  0   0   0\n10  0  0   0   1\n\
                      20  1  0   0   2\n";
        assert_eq!(confusion.text(), wanted);
        let table = confusion.named(&names()[..11]).text();
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
        let pairs = [(0, Some(0)), (10, None), (20, Some(0))];
        let confusion = Confusion::of(&[5], pairs).named(&names());
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
