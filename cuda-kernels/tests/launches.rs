//! Every launch of a training step of the built-in presets fits every card since Ampere. Nothing is
//! run: the driver only looks at what it is asked to launch.

#[path = "common/onlooker.rs"]
mod onlooker;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use carp::config::Config;
use carp::learner::{Learner, UpdateSettings};
use cuda_kernels::device::OnDriver;
use cuda_kernels::driver::{Driver, Launch};
use cuda_kernels::drivers::emulator::{param, parsed};
use cuda_kernels::drivers::shared_memory::must_ask;
use onlooker::Onlooker;
use ptx_emulator::{self as ptx, Architecture, Param};
use tensor::{Numerics, Result};

/// Bytes of shared memory that a block can have on sm_86 and sm_89, the least since Ampere.
const LEAST: u32 = 101_376;
/// What the kernels are launched on.
const ARCHITECTURES: [&str; 4] = ["sm_80", "sm_86", "sm_90", "sm_120"];

/// Checks a launch; returns the shared memory that the kernel is given.
fn check(launch: &Launch) -> Result<u32> {
    let module = parsed(launch.module)?;
    let fixed = module.kernel(launch.kernel).unwrap().shared_bytes as u32;
    let params: Vec<Param> = launch.args.iter().map(|&arg| param(arg)).collect();
    let Launch { kernel, grid, block, shared_bytes, .. } = *launch;
    for name in ARCHITECTURES {
        let card = Architecture::from_name(name).unwrap();
        let shared_opt_in = must_ask(launch, fixed, card.shared_opt_in)?;
        let shape =
            ptx::Launch { kernel, grid, block, shared_bytes, shared_opt_in, params: &params };
        ptx::check(module, &shape, &card).unwrap_or_else(|fault| panic!("{fault}"));
    }
    Ok(fixed + shared_bytes)
}

/// The most shared memory of each kernel that a step of this preset launches.
fn step_of(preset: &str, numerics: Numerics) -> BTreeMap<&'static str, u32> {
    let most: Arc<Mutex<BTreeMap<_, _>>> = Arc::default();
    let seen = Arc::clone(&most);
    let open = move || {
        let seen = Arc::clone(&seen);
        let look = move |launch: &Launch| {
            let bytes = check(launch)?;
            let mut most = seen.lock().unwrap();
            let most = most.entry(launch.kernel).or_default();
            *most = bytes.max(*most);
            Ok(())
        };
        Ok(Box::new(Onlooker(look)) as Box<dyn Driver>)
    };
    let device = OnDriver(open, numerics);
    let step = Config::load(preset, &[]).unwrap().step();
    let mut learner = Learner::new(&step, &device).unwrap();
    let order: Vec<u32> = (0..step.head.prototypes as u32).collect();
    learner.write_partition(&order);
    let settings = UpdateSettings { lr: 0.1, weight_decay: 1e-4, teacher_momentum: 0.9, number: 1 };
    learner.step(0, true, Some(settings)).unwrap();
    let most = most.lock().unwrap();
    most.clone()
}

#[test]
fn the_presets_fit() {
    for preset in ["shapes", "fashion-mnist", "cifar10", "stl10", "folder", "imagenet"] {
        for numerics in [Numerics::Exact, Numerics::Tf32, Numerics::Bf16] {
            let most = step_of(preset, numerics);
            assert!(most.len() > 20, "{preset}, {numerics:?}: {most:?}");
            // Convolutions on tensor cores have taken them, and batch norms of bf16 follow no others.
            assert!(!most.contains_key("statistics_bf16"), "{preset}");
        }
    }
}

#[test]
fn more_than_48_kib_in_all_must_be_asked_for() {
    let ask = |fixed: u32, dynamic: u32, most: u32| {
        let kernel = "gemm_64x64";
        let launch = Launch {
            module: "gemm",
            kernel,
            grid: [1; 3],
            block: [1; 3],
            shared_bytes: dynamic,
            args: &[],
        };
        must_ask(&launch, fixed, most).map_err(|error| error.to_string())
    };
    assert_eq!(ask(0, 0, LEAST), Ok(false));
    assert_eq!(ask(21_760, 49_152 - 21_760, LEAST), Ok(false));
    assert_eq!(ask(21_760, 49_152 - 21_760 + 1, LEAST), Ok(true));
    assert_eq!(ask(0, 49_153, LEAST), Ok(true));
    assert_eq!(ask(21_760, LEAST - 21_760, LEAST), Ok(true));
    // Before Volta there is nothing to ask for.
    assert_eq!(ask(0, 49_152, 0), Ok(false));
    for (fixed, dynamic) in [(21_760, LEAST - 21_760 + 1), (u32::MAX, u32::MAX)] {
        let line = ask(fixed, dynamic, LEAST).unwrap_err();
        let words = format!("kernel gemm_64x64: {fixed} + {dynamic} bytes of shared memory");
        assert!(line.contains(&words) && line.contains("at most 101376"), "{line}");
        assert_eq!(line.lines().count(), 1);
    }
}

/// A block has 65,536 registers. Each kernel's are in docs/cuda.md, as `ptxas` counts them.
#[test]
fn registers_fit_a_block() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cuda.md");
    let text = std::fs::read_to_string(docs).unwrap();
    let (_, table) = text.split_once("<!-- ptxas -->").unwrap();
    let (table, _) = table.split_once("<!-- /ptxas -->").unwrap();
    let mut rows = 0;
    for row in table.lines().filter(|row| row.contains(": ")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let threads: u64 = cells[2].parse().unwrap();
        for registers in cells[4].split(" / ") {
            let registers = registers.parse::<u64>().unwrap().next_multiple_of(8);
            assert!(registers * threads <= 65_536, "{row}");
        }
        rows += 1;
    }
    assert!(rows >= 40, "{rows} kernels");
}
