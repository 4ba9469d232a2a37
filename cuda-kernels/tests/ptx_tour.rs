//! Every kernel, launched as the backend launches it: the sanitizer finds nothing, the profiler
//! counts, a trace begins where the kernel begins.

use std::sync::{Arc, Mutex};

use cuda_kernels::tour;
use ptx_emulator::{InstructionClass, Launch, Memory, Module, Options, Param, Tracer, launch};

#[test]
fn every_kernel_is_visited_and_clean() {
    let kernels = tour::kernels();
    assert!(kernels.len() >= 40, "{kernels:?}");
    for kernel in kernels {
        // Large tiles need large products, which the other tests check.
        let sanitize = !kernel.ends_with("128x128");
        let options = Options { sanitize, ..Options::default() };
        let visits =
            tour::visit(kernel, options, launch).unwrap_or_else(|e| panic!("{kernel}: {e}"));
        assert!(!visits.is_empty(), "{kernel} is never launched");
        for visit in visits {
            let report = visit.result.unwrap_or_else(|fault| panic!("{fault}"));
            assert!(report.instructions >= 16, "{kernel}: {report:?}");
        }
    }
}

#[test]
fn a_profile_counts() {
    let options = Options { profile: true, ..Options::default() };
    let visits = tour::visit("mul", options, launch).unwrap();
    let report = visits[0].result.as_ref().unwrap();
    // y = a b of 3000 elements: 2 loads and 1 store of 375 transactions each, all used.
    assert_eq!((report.load_sectors, report.store_sectors), (750, 375));
    assert_eq!(report.dram_bytes(), 36_000);
    assert_eq!(report.efficiency(), 1.0);
    let products = report.classes.iter().find(|(class, _)| *class == InstructionClass::Float);
    assert_eq!(products.map(|&(_, count)| count), Some(3000));
    let sum: u64 = report.classes.iter().map(|&(_, count)| count).sum();
    assert_eq!(sum, report.instructions);
    assert_eq!(report.bank_conflicts, 0);
}

#[test]
fn a_trace_follows_one_warp() {
    let tracer = Arc::new(Mutex::new(Tracer::new(15, 0, Some(0))));
    let watch = Arc::clone(&tracer);
    tour::visit("relu", Options::default(), move |module, memory, launch, options| {
        watch.lock().unwrap().launch(module, memory, launch, options)
    })
    .unwrap();
    let tracer = tracer.lock().unwrap();
    assert_eq!(tracer.steps.len(), 15);
    assert!(tracer.steps.iter().all(|step| step.warp == 0));
    let text = tracer.show(cuda_kernels::modules::ptx("pointwise").unwrap(), &[]);
    assert!(text.contains("ld.param.u64"), "{text}");
    assert!(text.contains("all lanes"), "{text}");
}

#[test]
fn an_unknown_kernel_is_named() {
    let error = tour::visit("nothing", Options::default(), launch).unwrap_err().to_string();
    assert!(error.contains("no kernel nothing") && error.contains("softmax"), "{error}");
}

/// The same bits and counts with any number of threads.
#[test]
fn results_do_not_depend_on_threads() {
    let text = "
.version 8.0
.target sm_80
.address_size 64
.visible .entry k(.param .u64 sums, .param .u64 out)
{
.reg .b64 %sums, %out, %at; .reg .b32 %t, %b, %i; .reg .f32 %x, %old;
ld.param.u64 %sums, [sums];
ld.param.u64 %out, [out];
mov.u32 %t, %tid.x; mov.u32 %b, %ctaid.x; mad.lo.u32 %i, %b, 64, %t;
cvt.rn.f32.u32 %x, %i;
add.f32 %x, %x, 0f3DCCCCCD;
rcp.rn.f32 %x, %x;
atom.global.add.f32 %old, [%sums], %x;
red.global.max.u32 [%sums+4], %i;
mul.wide.u32 %at, %i, 4;
add.s64 %out, %out, %at;
st.global.f32 [%out], %old;
ret;
}
";
    let module = Module::parse("threads.ptx", text).unwrap();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut memory = Memory::new();
        let (sums, out) = (memory.alloc(8), memory.alloc(4 * 64 * 50));
        let params = [Param::U64(sums), Param::U64(out)];
        let shape = Launch {
            kernel: "k",
            grid: [50, 1, 1],
            block: [64, 1, 1],
            shared_bytes: 0,
            shared_opt_in: false,
            params: &params,
        };
        let options = Options { profile: true, ..Options::default() };
        let report = pool.install(|| launch(&module, &mut memory, &shape, &options).unwrap());
        let mut bytes = vec![0; 4 * 64 * 50];
        memory.read(out, &mut bytes).unwrap();
        let mut first = [0; 8];
        memory.read(sums, &mut first).unwrap();
        (report, bytes, first)
    };
    let one = run(1);
    assert_eq!(u32::from_le_bytes(one.2[4..].try_into().unwrap()), 3199);
    assert_eq!(run(2), one);
    assert_eq!(run(5), one);
}
