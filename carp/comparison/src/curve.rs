//! Accuracy against time, from what a run has recorded.

use std::path::Path;

use carp::diversity::Diversity;
use carp::error::{Error, Result};
use carp::metrics::{KnnLine, Metrics};
use serde::{Deserialize, Serialize};

/// A measurement during a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Steps done.
    pub step: usize,
    /// Seconds of training until then.
    pub seconds: f64,
    /// k-NN accuracy, a fraction.
    pub knn: f64,
}

/// What a run's `metrics.jsonl` tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recorded {
    /// In order; without the one before the first step.
    pub curve: Vec<Point>,
    /// The last look at prototypes and features.
    pub diversity: Option<Diversity>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Step(Box<Metrics>),
    Knn(KnnLine),
}

impl Recorded {
    /// Reads the record in a run's folder, of steps of `batch` images.
    ///
    /// # Errors
    /// A file that cannot be read, or a line that is neither a step nor a measurement.
    pub fn read(folder: &Path, batch: usize) -> Result<Recorded> {
        let path = folder.join("metrics.jsonl");
        let text = std::fs::read_to_string(&path).map_err(|source| Error::io(&path, source))?;
        let (mut recorded, mut seconds) = (Recorded::default(), 0.0);
        for line in text.lines() {
            match serde_json::from_str(line) {
                Ok(Line::Step(metrics)) => {
                    seconds += batch as f64 / metrics.images_per_second;
                    recorded.diversity = metrics.diversity.or(recorded.diversity);
                }
                Ok(Line::Knn(KnnLine { step, knn })) => {
                    recorded.curve.push(Point { step, seconds, knn });
                }
                Err(error) => return Err(Error::data(path, error.to_string())),
            }
        }
        Ok(recorded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_add_up_and_the_last_look_counts() {
        let temp = tempfile::tempdir().unwrap();
        let step = |step: usize, speed: f64, look: &str| {
            format!(
                r#"{{"step":{step},"epoch":1.0,"loss":1.0,"consistency":1.0,"entropy":0.0,"lr":1.0,
                "teacher_momentum":1.0,"images_per_second":{speed},"waiting":0.0{look}}}"#
            )
            .replace('\n', "")
        };
        let look = |rank: f64| {
            format!(
                r#","prototypes_in_use":0.5,"distinct_prototypes":3,"compared_prototypes":4,
                "effective_rank":{rank}"#
            )
        };
        let lines = [
            step(1, 8.0, &look(2.0)),
            r#"{"step":1,"knn":0.25}"#.to_owned(),
            step(2, 16.0, &look(3.0)),
            step(3, 16.0, ""),
            r#"{"step":3,"knn":0.5}"#.to_owned(),
        ];
        std::fs::write(temp.path().join("metrics.jsonl"), lines.join("\n")).unwrap();
        let recorded = Recorded::read(temp.path(), 16).unwrap();
        let point = |step, seconds, knn| Point { step, seconds, knn };
        assert_eq!(recorded.curve, [point(1, 2.0, 0.25), point(3, 4.0, 0.5)]);
        assert_eq!(recorded.diversity.unwrap().effective_rank, 3.0);
        std::fs::write(temp.path().join("metrics.jsonl"), "{\"step\":1}").unwrap();
        assert!(Recorded::read(temp.path(), 16).is_err());
    }
}
