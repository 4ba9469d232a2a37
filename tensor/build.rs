//! Warns of a build without the vector instructions that `.cargo/config.toml` asks for: it gives the
//! same bits, many times slower.

use std::env::var;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let features = var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    let is_x86 = var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "x86_64");
    if is_x86 && !features.split(',').any(|feature| feature == "fma") {
        println!(
            "cargo::warning=built without AVX2 and FMA, which is up to 50 times slower: build from \
             within the repository, without RUSTFLAGS, or with -C target-cpu=x86-64-v3 among them"
        );
    }
}
