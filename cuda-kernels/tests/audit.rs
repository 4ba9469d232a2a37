//! PyTorch's records replayed on the kernels: ops, losses, optimizers, whole ResNets and training
//! steps.

#[path = "common/device.rs"]
mod device;
#[path = "../../carp/audit/tests/common/fixtures.rs"]
mod fixtures;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use fixtures::fixtures;
use rayon::prelude::*;
use tensor::Device;

/// Records too large to check for races as well.
const LARGE: [&str; 5] = [
    "resnet-18-imagenet",
    "resnet-34-cifar",
    "resnet-50-imagenet",
    "carp_step-curve",
    "carp_step-lars",
];

#[test]
fn pytorch_agrees_with_the_kernels() {
    let files = fixtures(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    let replay = |file: &PathBuf| {
        let is_large = LARGE.iter().any(|name| file.file_stem().unwrap() == *name);
        let (fast, checked) = (device::fast_device(), device::device());
        let device: &dyn Device = if is_large { &fast } else { &checked };
        let report = audit::audit(file, device)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert!(!report.comparisons.is_empty(), "{} compares nothing", file.display());
        (file.clone(), report)
    };
    let reports: Vec<_> = files.par_iter().map(replay).collect();
    let mut failures = Vec::new();
    for (file, report) in &reports {
        for comparison in report.comparisons.iter().filter(|comparison| !comparison.passed()) {
            failures.push(format!("{}: {comparison:?}", file.display()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let kinds: BTreeSet<_> = reports.iter().map(|(_, report)| report.kind.as_str()).collect();
    assert!(kinds.len() >= 15, "only {kinds:?}");
}
