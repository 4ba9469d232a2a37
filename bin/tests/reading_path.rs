//! README's reading path: every file exists and has the stated length, and all can be read in an
//! afternoon.

use std::fs::read_to_string;
use std::path::Path;

/// Lines one can read in an afternoon.
const AFTERNOON: usize = 5300;

/// The file and line count of a row, or none for other rows.
fn row(line: &str) -> Option<(&str, usize)> {
    let file = line.strip_prefix("| [")?.split_once("](")?.1.split_once(')')?.0;
    let lines = line.trim_end_matches(" |").rsplit_once("| ")?.1;
    Some((file, lines.parse().unwrap_or_else(|_| panic!("no line count in {line:?}"))))
}

#[test]
fn line_counts_are_true_and_fit_an_afternoon() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let readme = read_to_string(root.join("README.md")).unwrap();
    let (_, path) = readme.split_once("<!-- reading path -->").expect("the path's start");
    let (path, _) = path.split_once("<!-- end of reading path -->").expect("the path's end");
    let rows: Vec<(&str, usize)> = path.lines().filter_map(row).collect();
    assert!(rows.len() > 20, "only {} rows were understood", rows.len());
    for (file, lines) in &rows {
        let text = read_to_string(root.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        let counted = text.lines().count();
        assert_eq!(*lines, counted, "{file}: README's count is not true; run tools/lines.sh");
    }
    let all: usize = rows.iter().map(|(_, lines)| lines).sum();
    assert!(path.contains(&format!("| all | | {all} |")), "the sum is {all}; run tools/lines.sh");
    assert!(all <= AFTERNOON, "{all} lines are more than an afternoon's {AFTERNOON}");
}
