//! A table with a row per class.

use evaluations::confusion::on_one_line;

use crate::print::say;

/// Prints the classes' names and their cells below the headings, aligned to the right; a last column
/// of names, if `last` heads one, to the left.
pub fn print_classes(
    headings: &[&str],
    last: Option<&str>,
    rows: impl Iterator<Item = (String, Vec<String>)>,
) {
    let rows: Vec<_> = rows.map(|(name, cells)| (on_one_line(&name), cells)).collect();
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).max(5);
    let line = |name: &str, cells: &mut dyn Iterator<Item = &str>| {
        let mut line = format!("{name:<width$}");
        for heading in headings {
            let wide = heading.len().max(7);
            line += &format!("  {:>wide$}", cells.next().unwrap_or_default());
        }
        cells.for_each(|cell| line += &format!("  {}", on_one_line(cell)));
        say!("{line}");
    };
    line("class", &mut headings.iter().copied().chain(last));
    for (name, cells) in &rows {
        line(name, &mut cells.iter().map(String::as_str));
    }
}
