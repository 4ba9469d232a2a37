//! An access outside of all memory, the only test here: on a card it is the last thing that a process
//! does there.

#[path = "common/device.rs"]
mod device;

use cuda_kernels::Gpu;
use tensor::{Backend, Io, Kernel, Numerics, Slot};

#[test]
fn it_is_an_error_that_names_the_kernel_or_how_to_name_it() {
    let mut gpu = Gpu::new(device::driver(), 64, Numerics::Exact).unwrap();
    let [x, index, y] = [0, 16, 32].map(|offset| Slot::new(offset, 8));
    gpu.write_u32(index, &[1 << 28; 8]);
    let io = Io { inputs: &[x, index], outputs: &[y], workspace: Slot::default() };
    gpu.run(&Kernel::GatherRows { columns: 1 }, &io);
    let error = gpu.finish().unwrap_err().to_string();
    let is_late = error.contains("a kernel before it, which CUDA_LAUNCH_BLOCKING=1 will name");
    assert!(is_late || error.contains("gather_rows"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
}
