//! A GPU through cudarc, which loads libcuda at run time.
//!
//! One stream keeps everything in order; another one carries what is written ahead. A kernel launch
//! costs the host some microseconds, and a step has hundreds, so its launches are recorded once as a
//! CUDA graph and then launched as a whole.
//!
//! A GPU reports a kernel's fault late, in some later call. With the environment variable
//! `CUDA_LAUNCH_BLOCKING=1` every launch is waited for and nothing is recorded: slow, but a fault names
//! its kernel.

use std::collections::HashMap;
use std::sync::Arc;

use cudarc::driver::sys::{
    CUdevice_attribute, CUfunction_attribute_enum, CUgraphInstantiate_flags, CUstreamCaptureMode,
};
use cudarc::driver::{
    CudaContext, CudaFunction, CudaGraph, CudaModule, CudaSlice, CudaStream, DevicePtr,
    DriverError, LaunchConfig, PushKernelArg,
};
use cudarc::nccl::result::{NcclError, group_end, group_start};
use cudarc::nccl::{Comm, Id};
use cudarc::nvrtc::Ptx;
use tensor::{Error, Result};

use super::shared_memory::must_ask;
use super::staging::Staging;
use crate::driver::{Arg, Driver, Graph, Launch};
use crate::modules;

/// The environment variable that makes launches wait.
const BLOCKING: &str = "CUDA_LAUNCH_BLOCKING";

/// A card of NVIDIA's.
pub struct Cudarc {
    name: String,
    /// Bytes of shared memory that a thread block can have.
    most_shared: u32,
    /// Every launch is waited for.
    is_blocking: bool,
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
    /// Of what is written ahead.
    copies: Arc<CudaStream>,
    staging: Staging,
    memory: Vec<(u64, CudaSlice<u8>)>,
    modules: HashMap<&'static str, Arc<CudaModule>>,
    functions: HashMap<&'static str, CudaFunction>,
    /// `None` for a sequence without kernels.
    graphs: Vec<Option<CudaGraph>>,
    /// The other ranks' cards, through NCCL.
    ranks: Option<Comm>,
}

// SAFETY: the only members that are not Send are `CudaGraph` and `Comm`, because they must not be used
// by two threads simultaneously; all use of them is through `&mut self`, and each call binds the
// context to the calling thread first.
unsafe impl Send for Cudarc {}

impl Cudarc {
    /// The GPU with this number.
    ///
    /// # Errors
    /// No libcuda on this machine, or no such GPU.
    pub fn new(ordinal: usize) -> Result<Cudarc> {
        // SAFETY: loads and unloads libcuda; its initialisers have no preconditions.
        if !unsafe { cudarc::driver::sys::is_culib_present() } {
            let detail = "libcuda is not on this machine: install NVIDIA's driver";
            return Err(Error::device(format!("cuda:{ordinal}: {detail}, or use --device cpu")));
        }
        Cudarc::open(ordinal).map_err(|error| {
            let cards = CudaContext::device_count().unwrap_or(0);
            let detail = format!("cuda:{ordinal}: {}; GPUs found: {cards}", words(error));
            Error::device(detail)
        })
    }

    fn open(ordinal: usize) -> std::result::Result<Cudarc, DriverError> {
        let context = CudaContext::new(ordinal)?;
        // SAFETY: events would order each memory's use by several streams; this driver orders its
        // two streams by itself, in `begin_ahead` and `end_ahead`.
        unsafe { context.disable_event_tracking() };
        let (stream, copies) = (context.new_stream()?, context.new_stream()?);
        let key = CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN;
        let most_shared = context.attribute(key)?.cast_unsigned();
        Ok(Cudarc {
            name: format!("{} (cuda:{ordinal})", context.name()?),
            most_shared,
            is_blocking: std::env::var_os(BLOCKING).is_some_and(|value| value == "1"),
            staging: Staging::new(&context),
            stream,
            copies,
            context,
            memory: Vec::new(),
            modules: HashMap::new(),
            functions: HashMap::new(),
            graphs: Vec::new(),
            ranks: None,
        })
    }

    /// Loads a kernel at its first launch; the driver compiles the PTX for the GPU.
    fn function(&mut self, module: &'static str, kernel: &'static str) -> Result<CudaFunction> {
        if let Some(function) = self.functions.get(kernel) {
            return Ok(function.clone());
        }
        let loaded = match self.modules.get(module) {
            Some(loaded) => Arc::clone(loaded),
            None => {
                let ptx = modules::ptx(module)
                    .ok_or_else(|| Error::device(format!("{module}.ptx is not embedded")))?;
                let loaded = self
                    .context
                    .load_module(Ptx::from_src(ptx))
                    .map_err(|error| fault(&format!("loading {module}.ptx"), error))?;
                self.modules.insert(module, Arc::clone(&loaded));
                loaded
            }
        };
        let function = loaded
            .load_function(kernel)
            .map_err(|error| fault(&format!("kernel {kernel} of {module}.ptx"), error))?;
        self.functions.insert(kernel, function.clone());
        Ok(function)
    }

    /// Copies host memory to the device, in the order of one of its streams.
    fn copy(&mut self, stream: &Arc<CudaStream>, at: u64, data: &[u8]) -> Result<()> {
        range(&mut self.memory, at, data.len())?;
        self.staging
            .write(stream, at, data)
            .map_err(|error| self.late_fault("copy to the device", error))
    }

    /// An error in a call that may be an earlier kernel's.
    fn late_fault(&self, what: &str, error: DriverError) -> Error {
        if self.is_blocking {
            return fault(what, error);
        }
        let advice = format!("or in a kernel before it, which {BLOCKING}=1 will name");
        Error::device(format!("{what}: {} there, {advice}", words(error)))
    }
}

impl Driver for Cudarc {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn allocate(&mut self, bytes: usize) -> Result<u64> {
        let slice = self.stream.alloc_zeros::<u8>(bytes.max(1)).map_err(|error| {
            let free = self.context.mem_get_info().map_or(0, |(free, _)| free);
            let detail = format!("{} needs {bytes} bytes, {free} are free", self.name);
            fault(&detail, error)
        })?;
        let base = slice.device_ptr(&self.stream).0;
        self.memory.push((base, slice));
        // Nothing is written ahead before it is zero.
        self.begin_ahead()?;
        Ok(base)
    }

    fn write(&mut self, at: u64, data: &[u8]) -> Result<()> {
        let stream = Arc::clone(&self.stream);
        self.copy(&stream, at, data)
    }

    fn begin_ahead(&mut self) -> Result<()> {
        self.copies.join(&self.stream).map_err(|error| self.late_fault("writing ahead", error))
    }

    fn write_ahead(&mut self, at: u64, data: &[u8]) -> Result<()> {
        let copies = Arc::clone(&self.copies);
        self.copy(&copies, at, data)
    }

    fn end_ahead(&mut self) -> Result<()> {
        self.stream.join(&self.copies).map_err(|error| self.late_fault("writing ahead", error))
    }

    fn read(&mut self, at: u64, data: &mut [u8]) -> Result<()> {
        let stream = Arc::clone(&self.stream);
        let (slice, start) = range(&mut self.memory, at, data.len())?;
        let view = slice.slice(start..start + data.len());
        stream
            .memcpy_dtoh(&view, data)
            .and_then(|()| stream.synchronize())
            .map_err(|error| self.late_fault("copy from the device", error))
    }

    fn launch(&mut self, launch: &Launch) -> Result<()> {
        let function = self.function(launch.module, launch.kernel)?;
        let kernel = format!("kernel {}", launch.kernel);
        let fixed = function.shared_size_bytes().map_err(|error| fault(&kernel, error))?;
        if must_ask(launch, fixed.cast_unsigned(), self.most_shared)? {
            let key = CUfunction_attribute_enum::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
            function
                .set_attribute(key, launch.shared_bytes.cast_signed())
                .map_err(|error| fault(&kernel, error))?;
        }
        let mut builder = self.stream.launch_builder(&function);
        for arg in launch.args {
            match arg {
                Arg::Pointer(value) => builder.arg(value),
                Arg::U32(value) => builder.arg(value),
                Arg::F32(value) => builder.arg(value),
            };
        }
        let config = LaunchConfig {
            grid_dim: launch.grid.into(),
            block_dim: launch.block.into(),
            shared_mem_bytes: launch.shared_bytes,
        };
        // SAFETY: the number and sizes of the arguments match the kernel, and it reads and writes
        // only in the given slots: the emulator's sanitizer checks both for every kernel. All slots
        // are in memory that lives as long as the stream.
        unsafe { builder.launch(config) }.map_err(|error| self.late_fault(&kernel, error))?;
        if self.is_blocking {
            self.stream.synchronize().map_err(|error| fault(&kernel, error))?;
        }
        Ok(())
    }

    fn synchronize(&mut self) -> Result<()> {
        self.stream.synchronize().map_err(|error| self.late_fault(&self.name, error))
    }

    fn capture(&mut self) -> Result<bool> {
        if self.is_blocking {
            return Ok(false);
        }
        let mode = CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        self.stream
            .begin_capture(mode)
            .map_err(|error| fault("recording a sequence of launches", error))?;
        Ok(true)
    }

    fn end_capture(&mut self) -> Result<Graph> {
        let graph = self
            .stream
            .end_capture(CUgraphInstantiate_flags(0))
            .map_err(|error| fault("recording a sequence of launches", error))?;
        self.graphs.push(graph);
        Ok(Graph(self.graphs.len() - 1))
    }

    fn replay(&mut self, graph: Graph) -> Result<()> {
        let Some(graph) = &self.graphs[graph.0] else { return Ok(()) };
        graph.launch().map_err(|error| self.late_fault("replaying a sequence of launches", error))
    }

    fn can_link(&self) -> bool {
        // SAFETY: loads and unloads libnccl; its initialisers have no preconditions.
        unsafe { cudarc::nccl::sys::is_culib_present() }
    }

    fn link(
        &mut self,
        rank: usize,
        ranks: usize,
        share: &mut dyn FnMut(&mut [u8]) -> Result<()>,
    ) -> Result<()> {
        let fault = |error: NcclError| {
            Error::device(format!("{}: NCCL does not find the others: {:?}", self.name, error.0))
        };
        self.context.bind_to_thread().map_err(|error| self.late_fault("NCCL", error))?;
        let mut id = [0; 128];
        if rank == 0 {
            id = *Id::new().map_err(fault)?.internal();
        }
        share(bytemuck::cast_slice_mut(&mut id))?;
        let comm = Comm::from_rank(Arc::clone(&self.stream), rank, ranks, Id::uninit(id));
        self.ranks = Some(comm.map_err(fault)?);
        Ok(())
    }

    fn exchange(&mut self, with: usize, mine: (u64, usize), theirs: (u64, usize)) -> Result<()> {
        let what = format!("{}: exchange with rank {with}", self.name);
        self.context.bind_to_thread().map_err(|error| self.late_fault(&what, error))?;
        let ranks = self.ranks.as_ref().expect("linked");
        let is_mine_first = mine.0 < theirs.0;
        let (low, high) = if is_mine_first { (mine, theirs) } else { (theirs, mine) };
        let len = (high.0 - low.0) as usize + high.1;
        let (slice, at) = range(&mut self.memory, low.0, len)?;
        let mut both = slice.slice_mut(at..at + len);
        let (mut first, mut second) = both.split_at_mut(len - high.1);
        let mut first = first.slice_mut(..low.1);
        let (sent, received) =
            if is_mine_first { (&first, &mut second) } else { (&second, &mut first) };
        // In a group, or each would wait for the other to receive.
        let exchanged = group_start()
            .and_then(|_| ranks.send(sent, with as i32))
            .and_then(|()| ranks.recv(received, with as i32))
            .and_then(|_| group_end());
        exchanged.map_err(|error| Error::device(format!("{what}: {:?}", error.0)))?;
        Ok(())
    }
}

impl Drop for Cudarc {
    fn drop(&mut self) {
        // Nothing may still run when the memory is freed; any fault has been reported by now.
        let _ = self.copies.synchronize();
        let _ = self.stream.synchronize();
    }
}

/// The allocation with `len` bytes from `at` on, and their offset in it.
fn range(
    memory: &mut [(u64, CudaSlice<u8>)],
    at: u64,
    len: usize,
) -> Result<(&mut CudaSlice<u8>, usize)> {
    memory
        .iter_mut()
        .find_map(|(base, slice)| {
            let start = usize::try_from(at.checked_sub(*base)?).ok()?;
            (start + len <= slice.len()).then_some((slice, start))
        })
        .ok_or_else(|| Error::device(format!("{len} bytes at {at:#x} are not allocated")))
}

fn fault(what: &str, error: DriverError) -> Error {
    Error::device(format!("{what}: {}", words(error)))
}

/// The driver's own message on one line.
fn words(error: DriverError) -> String {
    match (error.error_name(), error.error_string()) {
        (Ok(name), Ok(text)) => format!("{} ({})", text.to_string_lossy(), name.to_string_lossy()),
        _ => format!("CUDA error {:?}", error.0),
    }
}
