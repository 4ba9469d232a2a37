//! Counts without a run are those of a run.

use std::sync::{Arc, Mutex};

use cuda_kernels::driver::Launch;
use cuda_kernels::drivers::counter::Counter;
use cuda_kernels::drivers::emulator::Emulator;
use cuda_kernels::{Driver, Gpu, tour};
use ptx_emulator::{Options, Report, count};
use tensor::geometry::BatchNorm;
use tensor::{Backend, Io, Kernel, Numerics, Slot};

/// Kernels whose jumps or addresses depend on data.
const NEED_DATA: [&str; 29] = [
    "gather_rows",
    "scatter_add_rows",
    "gather_columns",
    "gather_columns_backward",
    "l2_normalize_backward",
    "ema",
    "sgd",
    "lars_norms",
    "lars_trust",
    "lars",
    "adamw",
    "partition_softmax",
    "partition_gradient",
    "clamp",
    "clamp_backward",
    "accumulate",
    "relu_backward",
    "max_pool2d_backward",
    "max_pool2d_backward_bf16",
    "check_finite",
    "streaming_prototypes",
    "streaming_gradient",
    "streaming_prototypes_backward",
    "streaming_surplus",
    "group_prototypes_f32",
    "group_gradient_f32",
    "group_prototypes_bf16",
    "group_gradient_bf16",
    "group_prototypes_backward",
];

#[test]
fn every_kernel_counts_the_same_without_a_run() {
    let mut need_data = Vec::new();
    for kernel in tour::kernels() {
        let counts: Arc<Mutex<Vec<_>>> = Arc::default();
        let counted = Arc::clone(&counts);
        let options = Options { profile: true, ..Options::default() };
        let visits = tour::visit(kernel, options, move |module, memory, shape, options| {
            counted.lock().unwrap().push(count(module, memory, shape, options)?);
            ptx_emulator::launch(module, memory, shape, options)
        });
        let visits = visits.unwrap_or_else(|fault| panic!("{kernel}: {fault}"));
        let counts = counts.lock().unwrap();
        assert_eq!(counts.len(), visits.len());
        for (counted, visit) in counts.iter().zip(visits) {
            match counted {
                Some(counted) => assert_eq!(Ok(counted), visit.result.as_ref(), "{kernel}"),
                None => need_data.push(kernel),
            }
        }
    }
    need_data.dedup();
    assert_eq!(need_data, NEED_DATA);
}

type Reports = Arc<Mutex<Vec<Report>>>;

/// The reports of sums of different vectors, twice, and of a vector and itself, then of batch norm
/// without and with a residual; and the first number of the last sum.
fn reports(driver: impl FnOnce(Reports) -> Box<dyn Driver>) -> (Vec<Report>, f32) {
    let reports = Reports::default();
    let driver = driver(Arc::clone(&reports));
    let slots: [Slot; 11] = std::array::from_fn(|i| Slot::new(1024 * i, 1000));
    let mut gpu = Gpu::new(driver, 11 * 1024, Numerics::Exact).unwrap();
    slots.iter().for_each(|&slot| gpu.write(slot, &[1.0; 1000]));
    let workspace = slots[10];
    for [a, b] in [[0, 1], [1, 2], [1, 1]] {
        let inputs = [slots[a], slots[b]];
        gpu.run(&Kernel::Add, &Io { inputs: &inputs, outputs: &slots[3..4], workspace });
    }
    for residual in [false, true] {
        let norm = BatchNorm {
            rows: 100,
            channels: 10,
            eps: 1e-5,
            momentum: 0.1,
            training: true,
            residual,
            relu: false,
        };
        let few = slots.map(|slot| Slot { len: 10, ..slot });
        let inputs = [slots[0], few[1], few[2], slots[4]];
        let inputs = &inputs[..if residual { 4 } else { 3 }];
        let outputs = [slots[5], few[6], few[7], few[8], few[9]];
        gpu.run(&Kernel::BatchNorm(norm), &Io { inputs, outputs: &outputs, workspace });
    }
    gpu.finish().unwrap();
    let mut sum = [0.0; 1000];
    gpu.read(slots[3], &mut sum);
    let found = std::mem::take(&mut *reports.lock().unwrap());
    (found, sum[0])
}

/// Equal launches are counted once; nothing is run.
#[test]
fn a_counter_reports_what_a_run_would() {
    let (counted, sum) = reports(|all| {
        Box::new(Counter::new(move |_: &Launch, report: &Report| {
            all.lock().unwrap().push(report.clone());
        }))
    });
    let (ran, right) = reports(|all| {
        Box::new(Emulator::watched(move |_, report| all.lock().unwrap().push(report.clone())))
    });
    assert_eq!(counted, ran);
    // Statistics take two launches.
    let [sums, again, twice, _, _, plain, _, _, residual] = &counted[..] else {
        panic!("{} launches", counted.len())
    };
    assert_eq!(sums, again);
    assert!(twice.distinct_sectors < sums.distinct_sectors);
    assert!(plain.global_loads < residual.global_loads);
    assert_eq!((sum, right), (1.0, 2.0));
}

/// Kernels that were not run may leave numbers that are not finite: the update is counted as if they were.
#[test]
fn a_counter_updates_what_is_not_finite() {
    let reports = Reports::default();
    let all = Arc::clone(&reports);
    let counter = Counter::new(move |_: &Launch, report: &Report| {
        all.lock().unwrap().push(report.clone());
    });
    let mut gpu = Gpu::new(Box::new(counter), 4 * 1024, Numerics::Exact).unwrap();
    let [x, teacher] = [0, 1].map(|i| Slot::new(1024 * i, 1000));
    let [report, m] = [2, 3].map(|i| Slot::new(1024 * i, 1));
    gpu.write(x, &[f32::NAN; 1000]);
    let workspace = Slot::default();
    let check = Kernel::NonFiniteCheck { scalars: 0, flat: 0 };
    gpu.run(&check, &Io { inputs: &[x], outputs: &[report], workspace });
    gpu.run(&Kernel::Ema, &Io { inputs: &[m, x, report], outputs: &[teacher], workspace });
    gpu.finish().unwrap();
    let reports = reports.lock().unwrap();
    assert_eq!(reports.last().unwrap().store_bytes, 4000);
}
