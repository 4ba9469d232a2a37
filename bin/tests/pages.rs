//! What pages say is where is there: every path in backquotes exists, and a name "in" a file is one
//! that the file has.

use std::fs::{read_dir, read_to_string};
use std::path::{Path, PathBuf};

/// Folders that paths begin with; what else is in backquotes is no path.
const FOLDERS: [&str; 7] =
    ["tensor/", "autograd/", "cuda-kernels/", "carp/", "bin/", "benches/", "tools/"];

fn pages(root: &Path) -> Vec<PathBuf> {
    let files = [root.to_owned(), root.join("docs")].into_iter().flat_map(|folder| {
        let entries = read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.extension().is_some_and(|ending| ending == "md"))
    });
    // The log of changes names files that were.
    files.filter(|path| !path.ends_with("CHANGELOG.md")).collect()
}

#[test]
fn files_and_names_in_pages_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut seen = [0, 0];
    for page in pages(&root) {
        let text = read_to_string(&page).unwrap();
        // Odd parts are in backquotes, even ones between them.
        let parts: Vec<&str> = text.split('`').collect();
        for (i, &path) in parts.iter().enumerate().skip(1).step_by(2) {
            let is_file = path.rsplit('/').next().is_some_and(|name| name.contains('.'));
            let has_placeholder =
                path.contains(|c: char| c.is_uppercase() || " *{}<>=:".contains(c));
            let starts = FOLDERS.iter().any(|folder| path.starts_with(folder));
            if !starts || !is_file || has_placeholder {
                continue;
            }
            let file = root.join(path);
            assert!(file.exists(), "{}: no file {path}", page.display());
            seen[0] += 1;
            if i >= 3 && parts[i - 1].trim() == "in" {
                let name = parts[i - 2].rsplit("::").next().unwrap();
                let has = read_to_string(&file).unwrap().contains(name);
                assert!(has, "{}: no {name} in {path}", page.display());
                seen[1] += 1;
            }
        }
    }
    assert!(seen[0] > 50 && seen[1] > 5, "only {seen:?} were understood");
}
