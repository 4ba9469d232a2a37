//! The embedded PTX matches the kernel sources.

use std::path::Path;

use sha2::{Digest, Sha256};

fn crate_folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The names, without it, of a folder's files with this extension.
fn files(folder: &str, end: &str) -> Vec<String> {
    let paths =
        std::fs::read_dir(crate_folder().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|found| found == end))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn every_source_has_its_ptx_and_all_of_it_is_embedded() {
    let sources = files("kernels", "cu");
    assert_eq!(sources, files("kernels", "ptx"));
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

/// Every instruction that computes is one whose result IEEE 754 fixes: rounded to nearest, not flushed,
/// and, as it says so, not to be contracted with another.
#[test]
fn arithmetic_is_exact_everywhere() {
    let mut arithmetic = 0;
    for (module, ptx) in cuda_kernels::modules::MODULES {
        for line in ptx.lines() {
            let Some(instruction) = line.split_whitespace().find(|word| !word.starts_with('@'))
            else {
                continue;
            };
            let parts: Vec<&str> = instruction.split('.').collect();
            let is_float = parts.iter().any(|part| matches!(*part, "f32" | "f64"));
            let computes = ["add", "sub", "mul", "mad", "fma", "div", "rcp", "sqrt"];
            if is_float && computes.contains(&parts[0]) {
                arithmetic += 1;
                assert!(parts.contains(&"rn"), "{module}: {line}");
            }
            for inexact in ["approx", "ftz", "full", "ex2", "lg2", "sin", "cos", "tanh", "rsqrt"] {
                assert!(!parts.contains(&inexact), "{module}: {line}");
            }
        }
    }
    assert!(arithmetic > 1000, "only {arithmetic} instructions found");
}

/// What is stale about a PTX file, judged by the recorded checksums of its sources. Headers are
/// listed too: adding or removing one changes a listed file.
fn staleness(ptx: &Path) -> Option<String> {
    let remake = "run tools/ptx.sh (no GPU needed)";
    let sums = ptx.with_extension("ptx.sha256");
    let Ok(text) = std::fs::read_to_string(&sums) else {
        return Some(format!("{} is missing: {remake}", sums.display()));
    };
    let listed: Vec<_> = text.lines().filter_map(|line| line.split_once("  ")).collect();
    for end in [".cu", ".ptx", "nvrtc.options"] {
        if !listed.iter().any(|(_, name)| name.ends_with(end)) {
            return Some(format!("{} lists no {end}: {remake}", sums.display()));
        }
    }
    let changed = listed.iter().find(|(sum, name)| {
        let content = std::fs::read(ptx.with_file_name(name)).unwrap_or_default();
        let digest = Sha256::digest(content);
        *sum != digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    });
    changed.map(|(_, name)| format!("{} is stale, {name} has changed: {remake}", ptx.display()))
}

#[test]
fn ptx_is_that_of_the_source() {
    let mut stale = Vec::new();
    let tests = ["mutants", "reconvergence"].map(|name| format!("ptx-emulator/tests/{name}"));
    for folder in std::iter::once("kernels").chain(tests.iter().map(String::as_str)) {
        for name in files(folder, "cu") {
            let ptx = crate_folder().join(folder).join(name).with_extension("ptx");
            stale.extend(staleness(&ptx));
        }
    }
    assert!(stale.is_empty(), "{}", stale.join("\n"));
}

#[test]
fn a_change_in_any_file_makes_the_ptx_stale() {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(crate_folder().join("kernels")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    let ptx = folder.path().join("streaming_loss.ptx");
    assert_eq!(staleness(&ptx), None);
    for name in
        ["streaming_loss.cu", "loss.cuh", "common.cuh", "nvrtc.options", "streaming_loss.ptx"]
    {
        let path = folder.path().join(name);
        let before = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{before}\n")).unwrap();
        let message = staleness(&ptx).unwrap_or_else(|| panic!("{name}: no change seen"));
        assert!(message.contains(&format!("stale, {name} has changed: run tools/ptx.sh")));
        assert_eq!(staleness(&folder.path().join("gather.ptx")).is_some(), shared(name), "{name}");
        std::fs::write(&path, before).unwrap();
    }
    std::fs::remove_file(folder.path().join("streaming_loss.ptx.sha256")).unwrap();
    assert!(staleness(&ptx).unwrap().contains("streaming_loss.ptx.sha256 is missing"));
}

/// Whether `gather.ptx` also depends on this file.
fn shared(name: &str) -> bool {
    ["common.cuh", "nvrtc.options"].contains(&name)
}
