//! Files from strangers: whatever their bytes, no panic, no hang, and no more memory than their size
//! justifies. The fuzzer (`fuzz/`) searches with the same functions and seeds, for longer.

mod peak_allocator;
mod targets;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use targets::TARGETS;

/// Changed inputs of each target, or as many as `CARP_FUZZ_RUNS` says.
const RUNS: usize = 400;
/// The longest that an input of a few kilobytes may take, on a busy machine.
const SLOWEST: Duration = Duration::from_secs(10);
/// Bytes of the longest input.
const LONGEST: usize = 1 << 14;

/// The files in the folder of a target's seeds.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(name);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// Changes seeds, always in the same way.
struct Mutator(u64);

impl Mutator {
    /// A number from 0 to `below` - 1, or 0.
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) as usize % below.max(1)
    }

    /// A part of up to 64 bytes.
    fn part(&mut self, bytes: &[u8]) -> std::ops::Range<usize> {
        let start = self.next(bytes.len());
        start..(start + self.next(64)).min(bytes.len())
    }

    fn change(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        let part = self.part(bytes);
        match self.next(7) {
            0 => bytes.truncate(part.start),
            1 => drop(bytes.drain(part)),
            2 => {
                let copy = bytes[part.clone()].repeat(1 + self.next(40));
                bytes.splice(part, copy);
            }
            3 => {
                let from = self.part(other);
                bytes.splice(part, other[from].iter().copied());
            }
            4 => {
                let number = [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, u32::MAX][self.next(6)];
                let number = [number.to_le_bytes(), number.to_be_bytes()][self.next(2)];
                let end = (part.start + 4).min(bytes.len());
                bytes.splice(part.start..end, number);
            }
            _ => {
                if let Some(byte) = bytes.get_mut(part.start) {
                    *byte ^= 1 << self.next(8);
                }
            }
        }
        bytes.truncate(LONGEST);
    }
}

/// One test, since memory is measured over the whole process.
#[test]
fn changed_files_take_what_their_size_justifies() {
    let runs = std::env::var("CARP_FUZZ_RUNS").ok().and_then(|runs| runs.parse().ok());
    let only = std::env::var("CARP_FUZZ_TARGET").ok();
    for target in TARGETS.iter().filter(|target| only.as_ref().is_none_or(|o| o == target.name)) {
        let (seeds, mut mutator) = (seeds(target.name), Mutator(7));
        assert!(!seeds.is_empty(), "{} has no seeds", target.name);
        let begin = Instant::now();
        let runs = runs.unwrap_or(RUNS);
        for run in 0..runs {
            let mut bytes = seeds[run % seeds.len()].clone();
            // The first round takes them as they are.
            let changes = if run < seeds.len() { 0 } else { 1 + mutator.next(4) };
            for _ in 0..changes {
                let other = mutator.next(seeds.len());
                mutator.change(&mut bytes, &seeds[other]);
            }
            let read = || {
                let start = Instant::now();
                (std::panic::catch_unwind(|| (target.read)(&bytes)), start.elapsed())
            };
            let before = peak_allocator::restart();
            let (outcome, mut time) = read();
            let taken = peak_allocator::peak() - before;
            if time > SLOWEST {
                // The machine may have paused: a slow input is slow again.
                time = read().1;
            }
            let most = (target.mib << 20) + target.per_byte * bytes.len();
            if outcome.is_err() || taken > most || time > SLOWEST {
                let path = std::env::temp_dir().join(format!("hostile-{}", target.name));
                std::fs::write(&path, &bytes).unwrap();
                panic!("{path:?}: {} bytes take {taken} of {most} and {time:?}", bytes.len());
            }
        }
        println!("{}: {runs} inputs in {:?}", target.name, begin.elapsed());
    }
}
