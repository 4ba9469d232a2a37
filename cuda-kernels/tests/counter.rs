//! Counts without a run are those of a run.

use std::sync::{Arc, Mutex};

use cuda_kernels::tour;
use ptx_emulator::{Options, count, launch};

/// Kernels whose jumps or addresses depend on data.
const NEED_DATA: [&str; 19] = [
    "gather_rows",
    "scatter_add_rows",
    "gather_columns",
    "gather_columns_backward",
    "l2_normalize_backward",
    "lars_norms",
    "lars_trust",
    "lars",
    "partition_softmax",
    "partition_gradient",
    "clamp",
    "clamp_backward",
    "accumulate",
    "relu_backward",
    "max_pool2d_backward",
    "streaming_prototypes",
    "streaming_gradient",
    "streaming_prototypes_backward",
    "streaming_surplus",
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
            launch(module, memory, shape, options)
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
