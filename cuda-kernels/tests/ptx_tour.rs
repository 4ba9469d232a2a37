//! Every kernel, launched as the backend launches it: the sanitizer finds nothing, the profiler
//! counts, a trace begins where the kernel begins.

use cuda_kernels::ptx::{InstructionClass, Options, Tracer};
use cuda_kernels::tour;

#[test]
fn every_kernel_is_visited_and_clean() {
    let kernels = tour::kernels();
    assert!(kernels.len() >= 40, "{kernels:?}");
    for kernel in kernels {
        // The large tile needs a large product, which the other tests check.
        let sanitize = kernel != "gemm_128x128";
        let options = Options { sanitize, ..Options::default() };
        let visits = tour::visit(kernel, options, None).unwrap_or_else(|e| panic!("{kernel}: {e}"));
        assert!(!visits.is_empty(), "{kernel} is never launched");
        for visit in visits {
            let report = visit.result.unwrap_or_else(|fault| panic!("{fault}"));
            assert!(report.instructions >= 32, "{kernel}: {report:?}");
        }
    }
}

#[test]
fn a_profile_counts() {
    let options = Options { profile: true, ..Options::default() };
    let visits = tour::visit("add", options, None).unwrap();
    let report = visits[0].result.as_ref().unwrap();
    // y = a + b of 3000 elements: 2 loads and 1 store of 375 transactions each, all used.
    assert_eq!((report.load_sectors, report.store_sectors), (750, 375));
    assert_eq!(report.dram_bytes(), 36_000);
    assert_eq!(report.efficiency(), 1.0);
    let adds = report.classes.iter().find(|(class, _)| *class == InstructionClass::Float);
    assert_eq!(adds.map(|&(_, count)| count), Some(3000));
    let sum: u64 = report.classes.iter().map(|&(_, count)| count).sum();
    assert_eq!(sum, report.instructions);
    assert_eq!(report.bank_conflicts, 0);
}

#[test]
fn a_trace_follows_one_warp() {
    let mut tracer = Tracer::new(15, 0, Some(0));
    tour::visit("relu", Options::default(), Some(&mut tracer)).unwrap();
    assert_eq!(tracer.steps.len(), 15);
    assert!(tracer.steps.iter().all(|step| step.warp == 0));
    let text = tracer.show(cuda_kernels::modules::ptx("pointwise").unwrap(), &[]);
    assert!(text.contains("ld.param.u64"), "{text}");
    assert!(text.contains("all lanes"), "{text}");
}

#[test]
fn an_unknown_kernel_is_named() {
    let error = tour::visit("nothing", Options::default(), None).unwrap_err().to_string();
    assert!(error.contains("no kernel nothing") && error.contains("softmax"), "{error}");
}
