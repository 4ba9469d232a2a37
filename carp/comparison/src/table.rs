//! A report as Markdown.

use std::fmt::Write as _;

use crate::evaluate::TestedOn;
use crate::report::{COLUMNS, Column, Report, Row};

/// The table, a row for each setting, and below it what the settings change and what failed.
pub fn markdown(report: &Report) -> String {
    let Report { data, tested_on, held_out, budget, rows } = report;
    let seeds = rows.iter().map(|row| row.runs.len() + row.failures.len()).max().unwrap_or(0);
    let tested = match tested_on {
        TestedOn::HeldOut => format!("tested on {held_out} images held out of training"),
        TestedOn::Test => {
            format!("tested on the test set ({held_out} images held out of training)")
        }
    };
    let runs = match seeds {
        1 => "one run each".to_owned(),
        seeds => format!("mean and standard deviation of {seeds} seeds"),
    };
    let mut text = format!("{data}, {budget}; {tested}; {runs}.\n\n");
    // Without a look at prototypes there is nothing to show.
    let is_known = |column: &&Column| rows.iter().any(|row| row.mean(column.key).is_some());
    let columns: Vec<&Column> = COLUMNS.iter().filter(is_known).collect();
    let titles: Vec<&str> = columns.iter().map(|column| column.title).collect();
    let _ = writeln!(text, "| setting | steps | {} |", titles.join(" | "));
    let _ = writeln!(text, "|---|---:|{}", "---:|".repeat(columns.len()));
    for row in rows {
        let cells: Vec<String> = columns.iter().map(|column| cell(row, column)).collect();
        let _ = writeln!(text, "| {} | {} | {} |", row.setting.name, row.steps, cells.join(" | "));
    }
    let changed = rows.iter().filter(|row| !row.setting.changes.is_empty());
    let lines: Vec<String> = changed
        .map(|row| format!("- {}: `{}`", row.setting.name, row.setting.described()))
        .chain(rows.iter().flat_map(|row| {
            row.failures.iter().map(|line| format!("- {} failed: {line}", row.setting.name))
        }))
        .collect();
    if !lines.is_empty() {
        let _ = writeln!(text, "\n{}", lines.join("\n"));
    }
    text
}

fn cell(row: &Row, Column { key, decimals, .. }: &Column) -> String {
    match row.statistics.get(*key) {
        None => "-".to_owned(),
        Some(found) if found.deviation == 0.0 => format!("{:.decimals$}", found.mean),
        Some(found) => format!("{:.decimals$} ± {:.decimals$}", found.mean, found.deviation),
    }
}
