//! One case of a kernel: the same arena on the CPU and on the device, the same calls on both, and
//! then the same numbers in both.
//!
//! The device is the emulator, whose sanitizer turns any fault into an error.

// Each test file uses a part of this.
#![allow(dead_code)]

mod device;

use cuda_kernels::Gpu;
use tensor::cpu::Cpu;
use tensor::random::{Purpose, Stream};
use tensor::{Backend, Slot};

/// Largest difference, as a share of the largest wanted number.
const TOLERANCE: f64 = 1e-5;
/// A NaN in the gaps between slots and in outputs: nothing may read it, and gaps keep it.
const UNTOUCHED: u32 = 0x7fc0_5a5a;

/// `len` numbers in [-1, 1), others for every `index`.
pub fn uniform(index: u64, len: usize) -> Vec<f32> {
    let mut stream = Stream::new(7, Purpose::Test, 0, index);
    (0..len).map(|_| stream.range(-1.0, 1.0)).collect()
}

/// `len` indices below `bound`, others for every `index`.
pub fn indices(index: u64, len: usize, bound: usize) -> Vec<u32> {
    let mut stream = Stream::new(7, Purpose::Test, 1, index);
    (0..len).map(|_| stream.next_u32() % bound as u32).collect()
}

/// A random order of `0..len`.
pub fn permutation(index: u64, len: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..len as u32).collect();
    for (i, j) in indices(index, len, usize::MAX >> 33).into_iter().enumerate() {
        order.swap(i, j as usize % len);
    }
    order
}

/// How an output is compared.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Numbers(f64),
    Bits,
}

/// An arena's contents and which parts of it are compared afterwards.
pub struct Case {
    name: String,
    contents: Vec<u32>,
    outputs: Vec<(&'static str, Slot, Kind)>,
    shift: usize,
}

impl Case {
    /// A case whose slots start at multiples of 64 bytes, as the planner's do.
    pub fn new(name: impl Into<String>) -> Case {
        Case { name: name.into(), contents: Vec::new(), outputs: Vec::new(), shift: 0 }
    }

    /// A case whose slots start `shift` elements behind such a multiple.
    pub fn shifted(name: impl Into<String>, shift: usize) -> Case {
        Case { shift, ..Case::new(name) }
    }

    fn place(&mut self, bits: impl IntoIterator<Item = u32>) -> Slot {
        // At least one element of gap before every slot.
        let offset = (self.contents.len() + 1).next_multiple_of(tensor::arena::ALIGN) + self.shift;
        self.contents.resize(offset, UNTOUCHED);
        self.contents.extend(bits);
        Slot { offset, len: self.contents.len() - offset }
    }

    /// An input.
    pub fn input(&mut self, data: &[f32]) -> Slot {
        self.place(data.iter().map(|x| x.to_bits()))
    }

    /// Indices.
    pub fn indices(&mut self, data: &[u32]) -> Slot {
        self.place(data.iter().copied())
    }

    /// An output, full of NaN at first.
    pub fn output(&mut self, name: &'static str, len: usize) -> Slot {
        self.output_within(name, len, TOLERANCE)
    }

    /// An output whose largest difference may be `tolerance` of the largest wanted number.
    pub fn output_within(&mut self, name: &'static str, len: usize, tolerance: f64) -> Slot {
        let slot = self.place(vec![UNTOUCHED; len]);
        self.outputs.push((name, slot, Kind::Numbers(tolerance)));
        slot
    }

    /// An output that must agree in every bit: indices, or numbers that are only moved.
    pub fn exact(&mut self, name: &'static str, len: usize) -> Slot {
        let slot = self.place(vec![UNTOUCHED; len]);
        self.outputs.push((name, slot, Kind::Bits));
        slot
    }

    /// An input that the calls change.
    pub fn in_place(&mut self, name: &'static str, data: &[f32]) -> Slot {
        let slot = self.input(data);
        self.outputs.push((name, slot, Kind::Numbers(TOLERANCE)));
        slot
    }

    /// Makes `calls` on the CPU and twice on the device, and compares.
    pub fn run(self, calls: impl Fn(&mut dyn Backend)) {
        self.run_with(|_| 0, |backend, _| calls(backend));
    }

    /// As `run`, with scratch memory as large as the backend in question asks for.
    pub fn run_with(
        mut self,
        workspace: impl Fn(&dyn Backend) -> usize,
        calls: impl Fn(&mut dyn Backend, Slot),
    ) {
        let end = self.place([]).offset;
        let mut cpu = Cpu::new(end + workspace(&Cpu::new(0).unwrap())).unwrap();
        let cpu_workspace = workspace(&Cpu);
        let want = self.on(&mut cpu, cpu_workspace, &calls);

        let scratch = workspace(&Gpu::sizes());
        let device = || {
            let mut gpu = gpu(end + scratch + 1);
            let got = self.on(&mut gpu, scratch, &calls);
            gpu.finish().unwrap_or_else(|error| panic!("{}: {error}", self.name));
            got
        };
        let (got, again) = (device(), device());
        self.compare(&want, &got);
        let differs = got.iter().zip(&again).position(|(a, b)| a != b);
        assert_eq!(differs, None, "{}: a second run gives other bits", self.name);
    }

    /// The arena after `calls`; the workspace lies at its end and is left out.
    fn on(
        &self,
        backend: &mut dyn Backend,
        workspace: usize,
        calls: &impl Fn(&mut dyn Backend, Slot),
    ) -> Vec<u32> {
        let all = Slot { offset: 0, len: self.contents.len() };
        let workspace = Slot { offset: all.len, len: workspace };
        backend.write_u32(all, &self.contents);
        backend.write_u32(workspace, &vec![UNTOUCHED; workspace.len]);
        calls(backend, workspace);
        let mut after = vec![0.0; all.len];
        backend.read(all, &mut after);
        after.into_iter().map(f32::to_bits).collect()
    }

    fn compare(&self, want: &[u32], got: &[u32]) {
        let mut written = vec![false; self.contents.len()];
        for &(name, slot, kind) in &self.outputs {
            let range = slot.offset..slot.offset + slot.len;
            written[range.clone()].fill(true);
            let (want, got) = (&want[range.clone()], &got[range]);
            match kind {
                Kind::Bits => {
                    let differs = (0..want.len()).find(|&i| want[i] != got[i]);
                    assert_eq!(differs, None, "{}: {name} differs there", self.name);
                }
                Kind::Numbers(tolerance) => self.close(name, want, got, tolerance),
            }
        }
        for (i, written) in written.into_iter().enumerate() {
            assert!(
                written || got[i] == self.contents[i],
                "{}: element {i} of the arena belongs to no output, but was written",
                self.name
            );
        }
    }

    /// NaN and infinities where the CPU has them, and numbers that are close.
    fn close(&self, name: &str, want: &[u32], got: &[u32], tolerance: f64) {
        let pairs = || want.iter().zip(got).map(|(w, g)| (f32::from_bits(*w), f32::from_bits(*g)));
        let finite = pairs().map(|(want, _)| want.abs()).filter(|want| want.is_finite());
        let scale = f64::from(finite.fold(f32::MIN_POSITIVE, f32::max));
        for (i, (want, got)) in pairs().enumerate() {
            let same = want == got || (want.is_nan() && got.is_nan());
            let error = (f64::from(want) - f64::from(got)).abs();
            assert!(
                same || error <= tolerance * scale,
                "{}: {name}[{i}] is {got}, not {want} (largest {scale})",
                self.name
            );
        }
    }
}

/// A device with an arena of `len` elements.
pub fn gpu(len: usize) -> Gpu {
    Gpu::new(device::driver(), len).unwrap()
}
