//! `carp report`, `train --report` and `train --tensorboard` on a run of seconds.

mod common;

use common::{carp, fails, result, stdout, train};
use serde_json::Value;
use tempfile::TempDir;

fn data(page: &str) -> Value {
    let (_, data) = page.split_once("<script type=\"application/json\" id=\"data\">").unwrap();
    serde_json::from_str(data.split_once("</script>").unwrap().0).unwrap()
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
    fails(&carp(temp.path(), &["report", "nowhere"]), 1, &["nowhere", "config.toml"]);
}
