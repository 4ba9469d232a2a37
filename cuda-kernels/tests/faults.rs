//! What a user sees when a device fails: one line with kernel and op, and nothing after it.

use std::sync::{Arc, Mutex};

use autograd::{Executor, Graph};
use cuda_kernels::Gpu;
use cuda_kernels::device::OnDriver;
use cuda_kernels::driver::{Driver, Launch};
use tensor::{Backend, Error, Numerics, Result, Slot};

/// A driver on host memory whose kernels do nothing, except one that fails.
struct Failing {
    bytes: Vec<u8>,
    kernel: &'static str,
    launched: Arc<Mutex<Vec<&'static str>>>,
}

impl Driver for Failing {
    fn name(&self) -> String {
        "a card that fails".to_owned()
    }

    fn allocate(&mut self, bytes: usize) -> Result<u64> {
        if bytes > 1 << 20 {
            return Err(Error::device(format!("{bytes} bytes are more than there are")));
        }
        self.bytes = vec![0x11; bytes];
        Ok(0)
    }

    fn write(&mut self, at: u64, data: &[u8]) -> Result<()> {
        self.bytes[at as usize..][..data.len()].copy_from_slice(data);
        Ok(())
    }

    fn read(&mut self, at: u64, data: &mut [u8]) -> Result<()> {
        data.copy_from_slice(&self.bytes[at as usize..][..data.len()]);
        Ok(())
    }

    fn launch(&mut self, launch: &Launch) -> Result<()> {
        self.launched.lock().unwrap().push(launch.kernel);
        if launch.kernel == self.kernel {
            return Err(Error::device(format!("kernel {}: illegal address", launch.kernel)));
        }
        Ok(())
    }

    fn synchronize(&mut self) -> Result<()> {
        Ok(())
    }
}

fn failing(kernel: &'static str) -> (Failing, Arc<Mutex<Vec<&'static str>>>) {
    let launched = Arc::default();
    (Failing { bytes: Vec::new(), kernel, launched: Arc::clone(&launched) }, launched)
}

#[test]
fn a_fault_names_kernel_and_op_and_is_the_last_thing_that_runs() {
    let mut graph = Graph::new();
    let x = graph.input("x", [40]);
    let y = graph.gelu(x);
    let y = graph.relu(y);
    let y = graph.ln(y);
    graph.keep(y);
    let (driver, launched) = failing("relu");
    let driver = Mutex::new(Some(driver));
    let open =
        || -> Result<Box<dyn Driver>> { Ok(Box::new(driver.lock().unwrap().take().unwrap())) };
    let mut executor = Executor::new(graph, &OnDriver(open, Numerics::Exact)).unwrap();
    executor.write(x, &[1.0; 40]);
    let error = executor.run_all().unwrap_err();
    let line = error.to_string();
    assert!(line.contains("kernel relu: illegal address") && line.contains("op relu"), "{line}");
    assert_eq!(line.lines().count(), 1);
    assert_eq!(*launched.lock().unwrap(), ["gelu", "relu"]);

    // The fault persists: no later call runs or overwrites it, and reads give zeros, not leftovers.
    assert!(executor.run_all().is_err());
    assert!(executor.finish().unwrap_err().to_string().contains("kernel relu"));
    assert_eq!(executor.read(y), [0.0; 40]);
    assert_eq!(*launched.lock().unwrap(), ["gelu", "relu"]);
    assert_eq!(carp::error::Error::from(error).exit_code(), 1);
}

#[test]
fn too_large_is_refused_before_anything_runs() {
    let (driver, _) = failing("");
    let error = Gpu::new(Box::new(driver), 1 << 20, Numerics::Exact).err().unwrap().to_string();
    assert!(error.contains("bytes are more than there are"), "{error}");

    let (driver, launched) = failing("");
    let mut gpu = Gpu::new(Box::new(driver), 16, Numerics::Exact).unwrap();
    let y = Slot::new(0, 16);
    gpu.kernel("pointwise", "fill").counts(&[1 << 33]).slots(&[y]).each_element(16);
    let error = gpu.check().unwrap_err().to_string();
    assert!(
        error.contains("kernel fill: 8589934592 elements; its 32-bit indices take at most"),
        "{error}"
    );
    assert!(launched.lock().unwrap().is_empty());
}

/// What the driver would refuse with "invalid argument", or 32-bit indices would wrap on.
#[test]
fn a_launch_beyond_every_card_is_refused_in_words() {
    let refused = |call: &dyn Fn(&mut Gpu), words: &str| {
        let (driver, launched) = failing("");
        let mut gpu = Gpu::new(Box::new(driver), 16, Numerics::Exact).unwrap();
        call(&mut gpu);
        let error = gpu.check().unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert_eq!(error.lines().count(), 1);
        assert!(launched.lock().unwrap().is_empty());
    };
    refused(
        &|gpu| gpu.kernel("pointwise", "fill").each_element(1 << 32),
        "kernel fill: 4294967296 elements; its 32-bit indices",
    );
    refused(
        &|gpu| gpu.kernel("gemm", "gemm_64x64").launch([1, 65_536, 1], [256, 1, 1]),
        "kernel gemm_64x64: a grid of [1, 65536, 1] blocks",
    );
    refused(
        &|gpu| gpu.kernel("softmax", "softmax").each_row(1 << 31, 32),
        "kernel softmax: a grid of [2147483648, 1, 1] blocks",
    );
}

#[test]
fn an_empty_grid_is_no_work() {
    let (driver, launched) = failing("");
    let mut gpu = Gpu::new(Box::new(driver), 16, Numerics::Exact).unwrap();
    gpu.kernel("pointwise", "fill").each_element(0);
    gpu.finish().unwrap();
    assert!(launched.lock().unwrap().is_empty());
}
