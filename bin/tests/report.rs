//! `carp report`, `train --report` and `train --tensorboard` on a run of seconds.

mod common;

use std::cmp::Reverse;
use std::path::Path;

use common::{carp, fails, result, stdout, train};
use evaluations::features::FeatureSet;
use serde_json::{Value, json};
use tempfile::TempDir;
use weights::WeightsFile;

fn data(page: &str) -> Value {
    let (_, data) = page.split_once("<script type=\"application/json\" id=\"data\">").unwrap();
    serde_json::from_str(data.split_once("</script>").unwrap().0).unwrap()
}

/// Prototypes that are nearest to any feature and to how many, by the head's formulas
/// (docs/method.md, 1.2) in f64.
fn fullest_first(checkpoint: &Path, features: &FeatureSet) -> Vec<(usize, usize)> {
    let mut file = WeightsFile::open(checkpoint).unwrap();
    let mut read = |name: &str| -> Vec<f64> {
        let numbers = file.read(&format!("teacher.head.{name}")).unwrap();
        numbers.into_iter().map(f64::from).collect()
    };
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut rows: Vec<Vec<f64>> = features
        .features
        .chunks_exact(features.dim)
        .map(|row| row.iter().map(|&x| f64::from(x)).collect())
        .collect();
    for (linear, norm) in [(0, Some(1)), (3, Some(4)), (6, None)] {
        let [weight, bias] = ["weight", "bias"].map(|name| read(&format!("mlp.{linear}.{name}")));
        for row in &mut rows {
            let outputs = weight.chunks_exact(row.len()).zip(&bias);
            *row = outputs.map(|(weight, bias)| dot(weight, row) + bias).collect();
        }
        let Some(norm) = norm else { break };
        let names = ["weight", "bias", "running_mean", "running_var"];
        let [scale, shift, mean, var] = names.map(|name| read(&format!("mlp.{norm}.{name}")));
        for (at, x) in rows.iter_mut().flat_map(|row| row.iter_mut().enumerate()) {
            let y = scale[at] * (*x - mean[at]) / (var[at] + 1e-5).sqrt() + shift[at];
            *x = 0.5 * y * (1.0 + libm::erf(y / 2f64.sqrt()));
        }
    }
    let prototypes = read("last_layer.weight_v");
    let mut counts = vec![0; prototypes.len() / rows[0].len()];
    for row in &rows {
        let cosine = |v: &[f64]| dot(row, v) / dot(v, v).sqrt();
        let cosines = prototypes.chunks_exact(row.len()).map(cosine).enumerate();
        counts[cosines.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0] += 1;
    }
    let mut full: Vec<_> = counts.into_iter().enumerate().filter(|&(_, count)| count > 0).collect();
    full.sort_by_key(|&(_, count)| Reverse(count));
    full
}

#[test]
fn a_run_is_shown_whole_and_the_same_is_trained() {
    let temp = TempDir::new().unwrap();
    let output = train(temp.path(), &["--out", "plain"]);
    assert!(output.status.success() && !stdout(&output).contains("report"), "{output:?}");
    let output = train(temp.path(), &["--out", "shown", "--report", "--tensorboard"]);
    assert!(output.status.success(), "{output:?}");
    assert!(stdout(&output).contains("report: shown/report.html"), "{output:?}");
    let shown = temp.path().join("shown");
    let want = result(&shown);
    assert_eq!(want["weights_sha256"], result(&temp.path().join("plain"))["weights_sha256"]);

    let run = &data(&std::fs::read_to_string(shown.join("report.html")).unwrap())[0];
    assert_eq!((&run["result"], &run["missing"]), (&want, &Value::Array(Vec::new())));
    let text = std::fs::read_to_string(shown.join("metrics.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let losses: Vec<Value> =
        lines.filter(|line| line["knn"].is_null()).map(|line| line["loss"].clone()).collect();
    assert_eq!(run["metrics"]["steps"]["loss"], Value::from(losses));
    // The network of the last checkpoint, on all 32 test pictures, is as good as the run says.
    let network = &run["network"];
    assert_eq!(network["map"]["x"].as_array().unwrap().len(), 32);
    assert_eq!(network["confusion"]["accuracy"], want["knn_after"]);
    let output =
        carp(temp.path(), &["features", "shown", "--split", "test", "-o", "f.safetensors"]);
    assert!(output.status.success(), "{output:?}");
    let features = FeatureSet::load(&temp.path().join("f.safetensors")).unwrap();
    let prototypes = &network["prototypes"];
    let want = fullest_first(&shown.join("checkpoint.safetensors"), &features);
    assert_eq!(
        (&prototypes["fullest_first"], &prototypes["prototypes"]),
        (&json!(want), &json!(40))
    );
    let events = std::fs::read_dir(&shown).unwrap().filter(|file| {
        let name = file.as_ref().unwrap().file_name();
        name.to_str().unwrap().starts_with("events.out.tfevents.")
    });
    assert_eq!(events.count(), 1);

    // Without the weights the rest is still there, and what is not has a reason.
    std::fs::remove_file(shown.join("checkpoint.safetensors")).unwrap();
    std::fs::remove_file(shown.join("checkpoint-previous.safetensors")).unwrap();
    let output = carp(temp.path(), &["report", "shown", "plain", "-o", "both.html"]);
    assert!(output.status.success(), "{output:?}");
    let runs = data(&std::fs::read_to_string(temp.path().join("both.html")).unwrap());
    let missing = runs[0]["missing"][0].as_str().unwrap();
    assert!(missing.contains("checkpoint.safetensors"), "{missing}");
    assert!(runs[0]["network"].is_null() && runs[1]["network"].is_object());
    fails(&carp(temp.path(), &["report", "nowhere"]), 2, &["nowhere: no such run folder"]);
}
