//! The PTX that is embedded is that of the kernels' source.

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn files(end: &str) -> Vec<String> {
    let folder = root().join("cuda-kernels/kernels");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|found| found == end))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn every_source_has_its_ptx_and_all_of_it_is_embedded() {
    let sources = files("cu");
    assert_eq!(sources, files("ptx"));
    let mut embedded: Vec<_> =
        cuda_kernels::modules::MODULES.iter().map(|(name, _)| *name).collect();
    embedded.sort();
    assert_eq!(embedded, sources);
}

#[test]
fn a_kernel_has_one_name() {
    let mut names: Vec<&str> = Vec::new();
    for (_, ptx) in cuda_kernels::modules::MODULES {
        let entries = ptx.lines().filter_map(|line| line.trim().strip_prefix(".visible .entry "));
        names.extend(entries.map(|rest| rest.split('(').next().unwrap().trim()));
    }
    assert!(names.len() >= 40, "{names:?}");
    names.sort_unstable();
    let twice: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

/// Needs NVRTC, which `tools/ptx.sh` installs; where it never ran there is nothing to compare with.
#[test]
fn ptx_is_that_of_the_source() {
    let venv =
        std::env::var_os("NVRTC_VENV").map_or_else(|| root().join("target/nvrtc"), PathBuf::from);
    if !venv.join(".ready").exists() {
        println!("skipped: no NVRTC in {} (tools/ptx.sh installs it)", venv.display());
        return;
    }
    let done = Command::new("bash").arg(root().join("tools/ptx.sh")).arg("--check").output();
    let done = done.expect("bash runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}
