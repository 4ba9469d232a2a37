//! Every recorded computation of PyTorch is replayed and compared.

use std::path::{Path, PathBuf};

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/audit");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "safetensors"))
        .collect();
    files.sort();
    files
}

#[test]
fn pytorch_agrees_on_every_fixture() {
    let files = fixtures();
    let mut kinds = std::collections::BTreeSet::new();
    let mut failures = Vec::new();
    for file in &files {
        let report = carp::audit::audit(file).unwrap_or_else(|error| panic!("{error}"));
        assert!(!report.comparisons.is_empty(), "{} compares nothing", file.display());
        for comparison in report.comparisons.iter().filter(|comparison| !comparison.passed()) {
            failures.push(format!("{}: {comparison:?}", file.display()));
        }
        kinds.insert(report.kind);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let all = [
        "adamw",
        "avg_pool2d",
        "batch_norm",
        "carp_loss",
        "carp_step",
        "conv2d",
        "gelu",
        "lars",
        "linear",
        "max_pool2d",
        "relu",
        "resnet",
        "schedule",
        "sgd",
        "weight_norm_linear",
    ];
    assert_eq!(kinds.iter().map(String::as_str).collect::<Vec<_>>(), all);
}
