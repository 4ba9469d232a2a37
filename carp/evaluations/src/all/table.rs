//! The report as Markdown.

use std::fmt::Write as _;

use super::paper::PUBLISHED;
use super::protocol::Protocol;
use super::report::{Entry, EvaluationReport, Score};

/// The tables of a report: for one data set with several networks, one table with a row per number
/// and a column per network; for several data sets, a table per protocol with a row per data set,
/// as in the paper.
pub fn markdown(report: &EvaluationReport) -> String {
    let EvaluationReport { checkpoint, settings, .. } = report;
    let mut text = format!("# Evaluations of {checkpoint}\n\nSeed {}.\n", settings.seed);
    let names = |of: fn(&Entry) -> &str| {
        let mut names: Vec<&str> = Vec::new();
        for entry in &report.entries {
            if !names.contains(&of(entry)) {
                names.push(of(entry));
            }
        }
        names
    };
    let networks = names(|entry| entry.network);
    if names(|entry| &entry.data).len() == 1 && networks.len() > 1 {
        side_by_side(&mut text, report, &networks);
    } else {
        for protocol in Protocol::ALL {
            by_data(&mut text, report, protocol);
        }
    }
    if !report.skipped.is_empty() {
        text += "\n## Not measured\n\n";
        for skipped in &report.skipped {
            let protocol = skipped.protocol.map_or(String::new(), |p| format!(", {}", p.title()));
            let network = skipped.network.map_or(String::new(), |n| format!(", {n}"));
            let _ = writeln!(text, "- {}{protocol}{network}: {}", skipped.data, skipped.why);
        }
    }
    text
}

fn cell(score: &Score) -> String {
    match score.sd {
        Some(sd) => format!("{:.2} ± {sd:.2}", score.value),
        None => format!("{:.2}", score.value),
    }
}

/// Column heading; of one trained network it need not say which.
fn head<'a>(network: &'a str, all: &[&str]) -> &'a str {
    match network {
        "pixels" => "raw pixels",
        "untrained" => "untrained network",
        "teacher" | "student" if !(all.contains(&"teacher") && all.contains(&"student")) => {
            "trained network"
        }
        other => other,
    }
}

fn side_by_side(text: &mut String, report: &EvaluationReport, networks: &[&str]) {
    let _ = writeln!(text, "\nData: {}. All numbers in per cent.\n", report.entries[0].data);
    let columns: Vec<&str> = networks.iter().map(|network| head(network, networks)).collect();
    let _ = writeln!(text, "| protocol | | {} |", columns.join(" | "));
    let _ = writeln!(text, "|---|---|{}", "---|".repeat(networks.len()));
    let mut settings = Vec::new();
    for protocol in Protocol::ALL {
        let entries: Vec<&Entry> =
            report.entries.iter().filter(|entry| entry.protocol == protocol).collect();
        let Some(first) = entries.first() else { continue };
        for entry in &entries {
            let line = (protocol, entry.line());
            if !settings.contains(&line) {
                settings.push(line);
            }
        }
        for (row, score) in first.scores.iter().enumerate() {
            let title = if row == 0 { protocol.title() } else { "" };
            let _ = write!(text, "| {title} | {} |", score.name);
            for network in networks {
                let entry = entries.iter().find(|entry| entry.network == *network);
                let own =
                    entry.and_then(|entry| entry.scores.iter().find(|s| s.name == score.name));
                let _ = write!(text, " {} |", own.map_or("-".to_owned(), cell));
            }
            text.push('\n');
        }
    }
    text.push('\n');
    for (protocol, line) in settings {
        let _ = writeln!(text, "- {}: {line}.", protocol.title());
    }
}

fn by_data(text: &mut String, report: &EvaluationReport, protocol: Protocol) {
    let entries: Vec<&Entry> =
        report.entries.iter().filter(|entry| entry.protocol == protocol).collect();
    let mut columns: Vec<&str> = Vec::new();
    for score in entries.iter().flat_map(|entry| &entry.scores) {
        if !columns.contains(&score.name.as_str()) {
            columns.push(&score.name);
        }
    }
    if columns.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n## {}\n", protocol.title());
    let _ = writeln!(text, "| data | network | {} |", columns.join(" | "));
    let _ = writeln!(text, "|---|---|{}", "---|".repeat(columns.len()));
    for entry in &entries {
        let _ = write!(text, "| {} | {} |", entry.data, entry.network);
        for column in &columns {
            let score = entry.scores.iter().find(|score| score.name == *column);
            let _ = write!(text, " {} |", score.map_or("-".to_owned(), cell));
        }
        text.push('\n');
    }
    let is_imagenet = entries.iter().any(|entry| entry.data == "imagenet");
    if is_imagenet && matches!(protocol, Protocol::Knn | Protocol::Linear) {
        for published in &PUBLISHED {
            let (epochs, views) = (published.epochs, published.views);
            let _ = write!(text, "| imagenet | paper: ResNet-50, {epochs} epochs, {views} |");
            for column in &columns {
                // The authors do not say for which k; put it in the first column.
                let value = match (protocol, *column) {
                    (Protocol::Linear, "top-1") => format!("{:.1}", published.linear),
                    (Protocol::Knn, name) if name == columns[0] => {
                        format!("{:.1} (k not given)", published.knn)
                    }
                    _ => "-".to_owned(),
                };
                let _ = write!(text, " {value} |");
            }
            text.push('\n');
        }
    }
    text.push('\n');
    let mut lines: Vec<String> = Vec::new();
    for entry in entries {
        let line = format!("- {}: {}.", entry.data, entry.line());
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    text.push_str(&(lines.join("\n") + "\n"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::all::AllSettings;

    fn entry(data: &str, network: &'static str, protocol: Protocol, scores: &[f64]) -> Entry {
        let score = |(k, &value): (usize, &f64)| Score { name: format!("s{k}"), value, sd: None };
        Entry {
            data: data.to_owned(),
            network,
            protocol,
            images: "as they are".to_owned(),
            settings: "as always".to_owned(),
            scores: scores.iter().enumerate().map(score).collect(),
            seconds: 1.0,
            result: serde_json::Value::Null,
        }
    }

    fn report(entries: Vec<Entry>) -> EvaluationReport {
        let (checkpoint, settings) = ("C".to_owned(), AllSettings::default());
        EvaluationReport { checkpoint, settings, entries, skipped: vec![] }
    }

    #[test]
    fn networks_of_one_data_set_stand_side_by_side() {
        let mut pixels = entry("F", "pixels", Protocol::Knn, &[84.6, 99.0]);
        pixels.scores[0].sd = Some(0.25);
        let text = markdown(&report(vec![
            pixels,
            entry("F", "teacher", Protocol::Knn, &[90.0, 99.5]),
            entry("F", "teacher", Protocol::Semi, &[70.0]),
        ]));
        for line in [
            "| protocol | | raw pixels | trained network |",
            "| k-NN | s0 | 84.60 ± 0.25 | 90.00 |",
            "|  | s1 | 99.00 | 99.50 |",
            "| Semi-supervised | s0 | - | 70.00 |",
            "- k-NN: as always; as they are.",
        ] {
            assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("paper"));
    }

    #[test]
    fn only_imagenet_has_published_numbers() {
        let mut linear = entry("imagenet", "teacher", Protocol::Linear, &[70.0]);
        linear.scores[0].name = "top-1".to_owned();
        let knn = [
            entry("imagenet", "teacher", Protocol::Knn, &[60.0, 61.0]),
            entry("pets", "teacher", Protocol::Knn, &[80.0, 81.0]),
        ];
        let text = markdown(&report([vec![linear], knn.to_vec()].concat()));
        for line in [
            "| imagenet | paper: ResNet-50, 400 epochs, 2x224 + 6x96 | 75.3 |",
            "| imagenet | paper: ResNet-50, 100 epochs, 2x224 + 6x96 | 63.5 (k not given) | - |",
            "| pets | teacher | 80.00 | 81.00 |",
        ] {
            assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
        }
        let text = markdown(&report(knn[1..].to_vec()));
        assert!(!text.contains("paper"), "{text}");
    }
}
