//! The numbers of `metrics.jsonl`, column by column.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::value::RawValue;

/// A line of the file: numbers as it writes them, by name.
type Line = BTreeMap<String, Box<RawValue>>;

/// Columns of numbers, one row for each line that is kept. A line that lacks a number has none there.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Columns(pub BTreeMap<String, Vec<Option<Box<RawValue>>>>);

/// What a run has written about its steps.
#[derive(Debug, Serialize)]
pub struct Metrics {
    /// Steps in the file.
    pub lines: usize,
    /// Steps, or those of them that are kept.
    pub steps: Columns,
    /// Measurements of k-NN accuracy.
    pub knn: Columns,
}

impl Metrics {
    /// From the text of `metrics.jsonl`, with at most about `most` steps. A line cut short, which a
    /// killed run leaves, is left out.
    pub fn parse(text: &str, most: usize) -> Metrics {
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
        let (knn, mut steps): (Vec<Line>, Vec<Line>) =
            lines.partition(|line| line.contains_key("knn"));
        for step in &mut steps {
            step.retain(|_, value| number(value).is_some());
        }
        let kept = telling(&steps, most);
        Metrics {
            lines: steps.len(),
            steps: columns(kept.into_iter().map(|row| &steps[row])),
            knn: columns(knn.iter()),
        }
    }
}

fn number(value: &RawValue) -> Option<f64> {
    value.get().parse().ok()
}

/// The rows of about `most` that tell most: all if there are no more; else every stretch's least and
/// greatest of each column, so that no extreme is lost, and the first and the last row.
fn telling(lines: &[Line], most: usize) -> Vec<usize> {
    if lines.len() <= most {
        return (0..lines.len()).collect();
    }
    let names: BTreeSet<&String> = lines.iter().flat_map(Line::keys).collect();
    let stretches = (most / (2 * names.len().max(1))).max(1);
    let mut kept = BTreeSet::from([0, lines.len() - 1]);
    for stretch in 0..stretches {
        let [start, end] = [stretch, stretch + 1].map(|at| at * lines.len() / stretches);
        for &name in &names {
            let value = |row: usize| Some((number(lines[row].get(name)?)?, row));
            let values = || (start..end).filter_map(value);
            kept.extend(values().min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, row)| row));
            kept.extend(values().max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, row)| row));
        }
    }
    kept.into_iter().collect()
}

fn columns<'a>(lines: impl Iterator<Item = &'a Line> + Clone) -> Columns {
    let names: BTreeSet<&String> = lines.clone().flat_map(Line::keys).collect();
    let column = |name: &String| lines.clone().map(|line| line.get(name).cloned()).collect();
    Columns(names.into_iter().map(|name| (name.clone(), column(name))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(columns: &Columns, name: &str) -> Vec<f64> {
        columns.0[name].iter().map(|value| number(value.as_ref().unwrap()).unwrap()).collect()
    }

    #[test]
    fn numbers_stay_as_they_are_written_and_other_lines_are_left_out() {
        let text = "{\"step\":1,\"loss\":0.10000000000000000555,\"digest\":\"ab\"}\n\
                    {\"step\":1,\"knn\":0.25}\n{\"step\":2,\"loss\":3e-5,\"rank\":7}\n{\"step\":3,\"lo";
        let Metrics { lines, steps, knn } = Metrics::parse(text, 100);
        let json = serde_json::to_string(&steps).unwrap();
        let want = "{\"loss\":[0.10000000000000000555,3e-5],\"rank\":[null,7],\"step\":[1,2]}";
        assert_eq!((lines, json.as_str()), (2, want));
        assert_eq!(serde_json::to_string(&knn).unwrap(), "{\"knn\":[0.25],\"step\":[1]}");
    }

    #[test]
    fn of_many_steps_the_extremes_of_every_column_stay() {
        // Two columns, each with a peak and a dip of one step.
        let (peak, dip) = (31_234, 77_777);
        let line = |step: usize| {
            let bump = |a, b| {
                if step == a {
                    9
                } else if step == b {
                    -9
                } else {
                    step as i64 % 3
                }
            };
            let (a, b) = (bump(peak, dip), bump(dip, peak));
            format!("{{\"step\":{step},\"a\":{a},\"b\":{b}}}\n")
        };
        let text: String = (0..100_000).map(line).collect();
        let Metrics { lines, steps, .. } = Metrics::parse(&text, 600);
        let kept = values(&steps, "step");
        assert_eq!((lines, kept[0], kept[kept.len() - 1]), (100_000, 0.0, 99_999.0));
        assert!((300..=602).contains(&kept.len()) && kept.is_sorted(), "{}", kept.len());
        for step in [peak, dip] {
            assert!(kept.contains(&(step as f64)), "{step}");
        }
        // A row is kept whole.
        let at = kept.iter().position(|&step| step == peak as f64).unwrap();
        assert_eq!((values(&steps, "a")[at], values(&steps, "b")[at]), (9.0, -9.0));
    }
}
