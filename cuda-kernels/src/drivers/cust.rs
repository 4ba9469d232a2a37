//! A GPU through cust, which links libcuda at build time.
//!
//! The simple driver: copies wait for earlier kernels, and steps are not recorded. It keeps the
//! choice of binding open; benchmark with cudarc's driver.

use std::collections::HashMap;
use std::ffi::c_void;

use cust::context::{Context, CurrentContext};
use cust::device::Device;
use cust::error::CudaError;
use cust::function::FunctionAttribute;
use cust::memory::{CopyDestination, DeviceBuffer, DevicePointer, DeviceSlice};
use cust::module::Module;
use cust::stream::{Stream, StreamFlags};
use cust::sys;
use tensor::{Error, Result};

use super::shared_memory::must_ask;
use crate::driver::{Arg, Driver, Launch};
use crate::modules;

/// A card of NVIDIA's. Members go in this order, so the context goes last.
pub struct Cust {
    name: String,
    /// Bytes of shared memory that a thread block can have.
    most_shared: u32,
    modules: HashMap<&'static str, Module>,
    memory: Vec<DeviceBuffer<u8>>,
    stream: Stream,
    context: Context,
}

// SAFETY: CUDA's handles may be used from any thread that has their context current; every call
// sets it first, and `&mut self` excludes simultaneous calls.
unsafe impl Send for Cust {}

impl Cust {
    /// The GPU with this number.
    ///
    /// # Errors
    /// No such GPU.
    pub fn new(ordinal: usize) -> Result<Cust> {
        Cust::open(ordinal).map_err(|error| fault(&format!("cuda:{ordinal}"), error))
    }

    fn open(ordinal: usize) -> std::result::Result<Cust, CudaError> {
        cust::init(cust::CudaFlags::empty())?;
        let device = Device::get_device(u32::try_from(ordinal).unwrap_or(u32::MAX))?;
        let context = Context::new(device)?;
        let name = format!("{} (cuda:{ordinal})", device.name()?);
        // The default flags order the stream after copies, which use the null stream.
        let stream = Stream::new(StreamFlags::DEFAULT, None)?;
        let most_shared = most_shared(&device)?;
        Ok(Cust { name, most_shared, modules: HashMap::new(), memory: Vec::new(), stream, context })
    }

    fn bind(&self) -> Result<()> {
        CurrentContext::set_current(&self.context).map_err(|error| fault(&self.name, error))
    }

    /// The allocated bytes from `at` on.
    fn slice(&self, at: u64, len: usize) -> Result<DeviceSlice<u8>> {
        let end = at + len as u64;
        let holds = |buffer: &DeviceBuffer<u8>| {
            let base = buffer.as_device_ptr().as_raw();
            base <= at && end <= base + buffer.len() as u64
        };
        if !self.memory.iter().any(holds) {
            return Err(Error::device(format!("{len} bytes at {at:#x} are not allocated")));
        }
        // SAFETY: the bytes are inside a buffer of this driver, as just checked; the slice is
        // dropped (which frees nothing) before the buffer can be.
        Ok(unsafe { DeviceSlice::from_raw_parts(DevicePointer::from_raw(at), len) })
    }
}

impl Driver for Cust {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn allocate(&mut self, bytes: usize) -> Result<u64> {
        self.bind()?;
        let detail = format!("{} needs {bytes} bytes", self.name);
        let buffer =
            DeviceBuffer::<u8>::zeroed(bytes.max(1)).map_err(|error| fault(&detail, error))?;
        let base = buffer.as_device_ptr().as_raw();
        self.memory.push(buffer);
        Ok(base)
    }

    fn write(&mut self, at: u64, data: &[u8]) -> Result<()> {
        self.bind()?;
        self.slice(at, data.len())?.copy_from(data).map_err(|error| fault("copy to", error))
    }

    fn read(&mut self, at: u64, data: &mut [u8]) -> Result<()> {
        self.synchronize()?;
        let slice = self.slice(at, data.len())?;
        slice.copy_to(data).map_err(|error| fault("copy from the device", error))
    }

    fn launch(&mut self, launch: &Launch) -> Result<()> {
        self.bind()?;
        let kernel = format!("kernel {}", launch.kernel);
        if !self.modules.contains_key(launch.module) {
            let ptx = modules::ptx(launch.module)
                .ok_or_else(|| Error::device(format!("{}.ptx is not embedded", launch.module)))?;
            let loaded = Module::from_ptx(ptx, &[])
                .map_err(|error| fault(&format!("loading {}.ptx", launch.module), error))?;
            self.modules.insert(launch.module, loaded);
        }
        let function = self.modules[launch.module]
            .get_function(launch.kernel)
            .map_err(|error| fault(&kernel, error))?;
        let fixed = function
            .get_attribute(FunctionAttribute::SharedMemorySizeBytes)
            .map_err(|error| fault(&kernel, error))?;
        if must_ask(launch, fixed.cast_unsigned(), self.most_shared)? {
            let key =
                sys::CUfunction_attribute_enum::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
            // SAFETY: the handle belongs to a function of a loaded module.
            let code = unsafe {
                sys::cuFuncSetAttribute(function.to_raw(), key, launch.shared_bytes.cast_signed())
            };
            if code != sys::cudaError_enum::CUDA_SUCCESS {
                let bytes = launch.shared_bytes;
                let detail = format!("{kernel}: {bytes} bytes of shared memory: {code:?}");
                return Err(Error::device(detail));
            }
        }
        // Eight bytes per argument, of which the kernel reads as many as it declares.
        let values: Vec<u64> = launch.args.iter().map(|&arg| bits(arg)).collect();
        let pointers: Vec<*mut c_void> =
            values.iter().map(|value| std::ptr::from_ref(value).cast_mut().cast()).collect();
        let ([gx, gy, gz], [bx, by, bz]) = (launch.grid, launch.block);
        // SAFETY: the number and sizes of the arguments match the kernel, and it reads and writes
        // only in the given slots: the emulator's sanitizer checks both for every kernel. CUDA
        // copies the arguments before the call returns.
        unsafe {
            self.stream.launch(
                &function,
                (gx, gy, gz),
                (bx, by, bz),
                launch.shared_bytes,
                &pointers,
            )
        }
        .map_err(|error| fault(&kernel, error))
    }

    fn synchronize(&mut self) -> Result<()> {
        self.bind()?;
        self.stream.synchronize().map_err(|error| fault(&format!("{}, a kernel", self.name), error))
    }
}

impl Drop for Cust {
    fn drop(&mut self) {
        // Nothing may still run when the memory is freed; any fault has been reported by now.
        let _ = self.synchronize();
    }
}

/// Bytes of shared memory that a thread block can have.
fn most_shared(device: &Device) -> std::result::Result<u32, CudaError> {
    let key = sys::CUdevice_attribute_enum::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN;
    let mut bytes = 0;
    // SAFETY: the result goes to a variable of its own; the handle is that of an existing device.
    let code = unsafe { sys::cuDeviceGetAttribute(&mut bytes, key, device.as_raw()) };
    match code {
        sys::cudaError_enum::CUDA_SUCCESS => Ok(bytes.cast_unsigned()),
        _ => Err(CudaError::InvalidValue),
    }
}

/// An argument's bytes at the start of eight (little endian).
fn bits(arg: Arg) -> u64 {
    match arg {
        Arg::Pointer(value) => value,
        Arg::U32(value) => u64::from(value),
        Arg::F32(value) => u64::from(value.to_bits()),
    }
}

fn fault(what: &str, error: CudaError) -> Error {
    Error::device(format!("{what}: {error}"))
}
