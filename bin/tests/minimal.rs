//! The run whose digest README prints.

mod common;

use common::{command, result};
use isa::Isa;
use tempfile::TempDir;

#[test]
fn the_digest_in_readme_is_that_of_every_instruction_set() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md"));
    let readme = readme.unwrap();
    let (_, after) = readme.split_once("carp train --preset minimal").unwrap();
    let want = after.lines().find_map(|line| line.strip_prefix("SHA-256 of the weights: "));
    let temp = TempDir::new().unwrap();
    for isa in Isa::available() {
        // Threads must not matter either; most for the slowest.
        let threads = format!("train.threads={}", 3 - isa as usize);
        let args = ["train", "--preset", "minimal", "--out", isa.name(), "--set", &threads];
        let output = command(temp.path(), &args).env("CARP_ISA", isa.name()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let digest = result(&temp.path().join(isa.name()))["weights_sha256"].clone();
        assert_eq!(digest.as_str(), want, "with {isa:?}");
    }
}
