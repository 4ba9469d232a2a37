//! The table of all data sets: plain, and as Markdown.

use std::fmt::Write;

use crate::catalogue::all::ALL;
use crate::catalogue::description::{DataSet, Part};

/// "train 75750", or "train 39209 or 26640".
fn count(part: &Part) -> String {
    let counts: Vec<String> = part.images.iter().map(usize::to_string).collect();
    format!("{} {}", part.name, counts.join(" or "))
}

/// The splits with their counts; blocks of one kind and size ("crops/10", "crops/15", ...) are
/// merged.
fn splits(set: &DataSet) -> String {
    let mut shown: Vec<String> = Vec::new();
    let mut kinds: Vec<(&str, usize)> = Vec::new();
    for part in set.parts {
        match part.name.split_once('/') {
            None => shown.push(count(part)),
            Some((kind, _)) => {
                let blocks =
                    set.parts.iter().filter(|other| other.name.starts_with(&format!("{kind}/")));
                if !kinds.iter().any(|(known, _)| *known == kind) {
                    kinds.push((kind, blocks.count()));
                    let (kind, blocks) = kinds[kinds.len() - 1];
                    shown.push(format!("{kind}/* {blocks} x {}", part.images[0]));
                }
            }
        }
    }
    shown.join(", ")
}

/// The number of classes, if any.
fn classes(set: &DataSet) -> String {
    if set.classes == 0 { "-".to_owned() } else { set.classes.to_string() }
}

/// For a terminal: a paragraph per data set.
pub fn plain() -> String {
    let mut text = String::new();
    for set in &ALL {
        let _ = writeln!(text, "{}  {}", set.name, set.title);
        let mut line = |key: &str, value: &str| {
            let _ = writeln!(text, "    {key:<10} {value}");
        };
        line("page", set.page);
        line("data root", &set.folders().collect::<Vec<_>>().join(" or "));
        for (at, archive) in set.archives.iter().enumerate() {
            line(if at == 0 { "archives" } else { "" }, archive);
        }
        for (at, path) in set.layout.iter().enumerate() {
            line(if at == 0 { "folder" } else { "" }, path);
        }
        line("splits", &splits(set));
        line("classes", &classes(set));
        line("used by", &set.protocols.join(", "));
    }
    text
}

/// The page docs/datasets.md.
pub fn markdown() -> String {
    let mut text = "# Data sets\n\n\
        The paper's data sets, read in the layout that their official archives unpack to. This\n\
        page is the output of `carp data list --markdown`.\n\n\
        `carp data check NAME DIR` counts the images of each split and opens every one;\n\
        `--set data.kind=NAME --data DIR` trains on it. If the table names several splits,\n\
        `--set data.train=train+val` and `--set data.test=...` override the default ones.\n\n\
        | name | data set | splits and images | classes | used by |\n\
        |---|---|---|---|---|\n"
        .to_owned();
    for set in &ALL {
        let (title, page) = (set.title, set.page.split(' ').next().unwrap_or_default());
        let (splits, classes) = (splits(set), classes(set));
        let used = set.protocols.join(", ");
        let _ = writeln!(
            text,
            "| `{}` | [{title}]({page}) | {splits} | {classes} | {used} |",
            set.name
        );
    }
    for set in &ALL {
        let _ = write!(text, "\n## {}\n\n`{}`, from {}\n\n", set.title, set.name, set.page);
        if let Some(folder) = set.torchvision {
            let _ =
                write!(text, "Below a `--data-root` also as `{folder}`, torchvision's folder.\n\n");
        }
        let archives: Vec<String> = set.archives.iter().map(|name| format!("- {name}")).collect();
        let _ = write!(text, "Archives:\n\n{}\n\nFolder:\n\n", archives.join("\n"));
        let _ = writeln!(text, "```\n{}\n```", set.layout.join("\n"));
        if !set.train.is_empty() {
            let _ = writeln!(text, "\nTrains with `{}`, tests with `{}`.", set.train, set.test);
        }
    }
    text
}
