//! Runs the target that `CARP_FUZZ_TARGET` names; the targets are those of the tests.
#![no_main]

#[path = "../../bin/tests/hostile/targets.rs"]
mod targets;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use targets::{TARGETS, Target};

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("CARP_FUZZ_TARGET").expect("CARP_FUZZ_TARGET names a target");
    let found = TARGETS.iter().find(|target| target.name == name);
    found.unwrap_or_else(|| panic!("no target {name}"))
});

fuzz_target!(|bytes: &[u8]| (TARGET.read)(bytes));
