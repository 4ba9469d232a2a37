//! A tour of all kernels: each is launched by the backend on small random data, so that one can be
//! run, checked, profiled or traced alone, without a network around it.

mod calls;

use std::sync::{Arc, Mutex};
use std::time::Instant;

use ptx_emulator::{self as ptx, Fault, Memory, Module, Options, Param, Report};
use tensor::arena::DType;
use tensor::geometry::Gemm;
use tensor::random::{Purpose, Stream};
use tensor::{Backend, Error, Io, Numerics, Result, Slot};

use self::calls::{Call, Input, PRODUCT};
use crate::driver::{Driver, Launch};
use crate::drivers::emulator::{param, parsed, shape};
use crate::modules::MODULES;
use crate::{Gpu, launch};

/// Elements of the tour's arena.
const ARENA: usize = 32 << 20;

/// One launch of the watched kernel.
#[derive(Debug)]
pub struct Visit {
    /// Blocks along x, y, z.
    pub grid: [u32; 3],
    /// Threads of a block along x, y, z.
    pub block: [u32; 3],
    /// Seconds it took.
    pub seconds: f64,
    /// Its report, or its fault.
    pub result: std::result::Result<Report, Fault>,
}

/// Launches `kernel` as the backend does, under `options`, by `run`: `ptx_emulator::launch`, or what
/// watches it.
///
/// # Errors
/// No such kernel; a fault in another kernel.
pub fn visit<R>(kernel: &str, options: Options, run: R) -> Result<Vec<Visit>>
where
    R: FnMut(
            &Module,
            &mut Memory,
            &ptx::Launch<'_>,
            &Options,
        ) -> std::result::Result<Report, Fault>
        + Send
        + 'static,
{
    let Some(module) = module_of(kernel) else {
        return Err(Error::setting(
            "ptx",
            format!("no kernel {kernel}; known: {}", kernels().join(", ")),
        ));
    };
    let visits = Arc::default();
    let driver = Watch {
        memory: Memory::new(),
        kernel: kernel.to_owned(),
        options,
        run,
        visits: Arc::clone(&visits),
    };
    let numerics = match module {
        "conv2d_tensor" if kernel.contains("tf32") => Numerics::Tf32,
        "conv2d_tensor" => Numerics::Bf16,
        _ if kernel.contains("bf16") => Numerics::Bf16,
        "streaming_tensor" => Numerics::Tf32,
        _ => Numerics::Exact,
    };
    let mut tour = Tour { gpu: Gpu::new(Box::new(driver), ARENA, numerics)?, end: 0, seed: 0 };
    match kernel {
        // No call of the backend's `run` launches these.
        "gemm_naive" => tour.product(launch::gemm::gemm_naive),
        _ => {
            // What the streaming loss has in bf16 is in its workspace.
            let halves = module != "streaming_tensor"
                && (kernel.contains("bf16") || kernel.ends_with("stem"));
            let is_row = |call: &Call| !halves || call.2[0].is_multiple_of(8);
            for call in calls::of_module(module, kernel.ends_with("128x128")) {
                if is_row(&call) {
                    tour.run(&call, halves);
                }
            }
        }
    }
    let finished = tour.gpu.finish();
    let visits: Vec<Visit> =
        std::mem::take(&mut *visits.lock().expect("no thread panics while it logs"));
    // A fault of the watched kernel is in its visit; any other is an error.
    if visits.iter().all(|visit| visit.result.is_ok()) {
        finished?;
    }
    Ok(visits)
}

/// The file (without `.cu`) that a kernel is in.
pub fn module_of(kernel: &str) -> Option<&'static str> {
    let entry = format!(".entry {kernel}(");
    MODULES.iter().find(|(_, text)| text.contains(&entry)).map(|&(module, _)| module)
}

/// The names of all kernels.
pub fn kernels() -> Vec<&'static str> {
    let lines = MODULES.iter().flat_map(|(_, text)| text.lines());
    let entries = lines.filter_map(|line| line.trim().strip_prefix(".visible .entry "));
    entries.filter_map(|rest| rest.split('(').next()).collect()
}

/// An emulator that runs one kernel under its own options and the others by default.
struct Watch<R> {
    memory: Memory,
    kernel: String,
    options: Options,
    run: R,
    /// The launches of the kernel.
    visits: Arc<Mutex<Vec<Visit>>>,
}

impl<R> Driver for Watch<R>
where
    R: FnMut(
            &Module,
            &mut Memory,
            &ptx::Launch<'_>,
            &Options,
        ) -> std::result::Result<Report, Fault>
        + Send,
{
    fn name(&self) -> String {
        "PTX emulator, one kernel watched".to_owned()
    }

    fn allocate(&mut self, bytes: usize) -> Result<u64> {
        Ok(self.memory.alloc(bytes))
    }

    fn write(&mut self, at: u64, data: &[u8]) -> Result<()> {
        self.memory.write(at, data).map_err(|error| Error::device(error.to_string()))
    }

    fn read(&mut self, at: u64, data: &mut [u8]) -> Result<()> {
        self.memory.read(at, data).map_err(|error| Error::device(error.to_string()))
    }

    fn launch(&mut self, launch: &Launch) -> Result<()> {
        let module = parsed(launch.module)?;
        let params: Vec<Param> = launch.args.iter().map(|&arg| param(arg)).collect();
        let Launch { kernel, grid, block, .. } = *launch;
        let shape = shape(module, launch, &params)?;
        let fault = |fault: &Fault| Error::device(format!("kernel {fault}"));
        if kernel != self.kernel {
            return ptx::launch(module, &mut self.memory, &shape, &Options::default())
                .map(|_| ())
                .map_err(|error| fault(&error));
        }
        let now = Instant::now();
        let result = (self.run)(module, &mut self.memory, &shape, &self.options);
        let outcome = result.as_ref().map(|_| ()).map_err(fault);
        let seconds = now.elapsed().as_secs_f64();
        let mut visits = self.visits.lock().expect("no thread panics while it logs");
        visits.push(Visit { grid, block, seconds, result });
        outcome
    }

    fn synchronize(&mut self) -> Result<()> {
        Ok(())
    }
}

/// The backend and its arena, filled from the start.
struct Tour {
    gpu: Gpu,
    end: usize,
    seed: u64,
}

impl Tour {
    fn place(&mut self, len: usize) -> Slot {
        let offset = self.end.next_multiple_of(tensor::arena::ALIGN);
        self.end = offset + len;
        assert!(self.end <= ARENA, "the tour's arena is too small");
        self.seed += 1;
        Slot::new(offset, len)
    }

    /// Allocates and fills an input.
    fn input(&mut self, input: &Input) -> Slot {
        match *input {
            Input::Random(len) => {
                let slot = self.place(len);
                let mut stream = Stream::new(1, Purpose::Test, 0, self.seed);
                let data: Vec<f32> = (0..len).map(|_| stream.range(0.1, 1.0)).collect();
                self.gpu.write(slot, &data);
                slot
            }
            Input::Order { of, len } => {
                let slot = self.place(len);
                let mut order: Vec<u32> = (0..of as u32).collect();
                Stream::new(1, Purpose::Test, 0, self.seed).shuffle(&mut order);
                self.gpu.write_u32(slot, &order[..len]);
                slot
            }
            Input::Indices(ref indices) => {
                let slot = self.place(indices.len());
                self.gpu.write_u32(slot, indices);
                slot
            }
        }
    }

    /// Allocates random numbers in bf16.
    fn halved(&mut self, numbers: usize) -> Slot {
        let slot = self.place(DType::Bf16.words(numbers));
        let mut stream = Stream::new(1, Purpose::Test, 0, self.seed);
        let mut half = || stream.range(0.1, 1.0).to_bits() >> 16;
        let data: Vec<u32> = (0..slot.len).map(|_| half() | half() << 16).collect();
        self.gpu.write_u32(slot, &data);
        Slot { dtype: DType::Bf16, ..slot }
    }

    /// Makes a call, with what can be bf16 in memory if `halves`. Values updated in place start random.
    fn run(&mut self, call: &Call, halves: bool) {
        let Call(kernel, inputs, outputs) = call;
        let mut inputs: Vec<Slot> = inputs.iter().map(|input| self.input(input)).collect();
        let mut outputs: Vec<Slot> =
            outputs.iter().map(|&len| self.input(&Input::Random(len))).collect();
        if halves {
            for group in launch::halves(kernel, Numerics::Bf16) {
                let mut halve = |slots: &mut [Slot], places: &[usize]| {
                    for &place in places {
                        if let Some(slot) = slots.get_mut(place) {
                            *slot = self.halved(slot.len);
                        }
                    }
                };
                halve(&mut inputs, group.inputs);
                halve(&mut outputs, group.outputs);
            }
        }
        let workspace = self.input(&Input::Random(launch::workspace(kernel, self.gpu.numerics())));
        self.gpu.run(kernel, &Io { inputs: &inputs, outputs: &outputs, workspace });
    }

    /// Multiplies two matrices by `gemm`.
    fn product(&mut self, gemm: fn(&mut Gpu, Gemm, [Slot; 2], Slot)) {
        let Gemm { m, n, k, .. } = PRODUCT;
        let [a, b, c] = [m * k, k * n, m * n].map(|len| self.input(&Input::Random(len)));
        gemm(&mut self.gpu, PRODUCT, [a, b], c);
    }
}
