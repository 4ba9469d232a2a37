//! One kernel test: the same arena and the same calls on CPU and device must give the same bits.
//! [`check`] is the shortest.
//!
//! The device is the emulator, whose sanitizer turns any fault into an error.

// Each test file uses part of this.
#![allow(dead_code)]

mod device;

use cuda_kernels::Gpu;
use tensor::arena::{ALIGN, DType};
use tensor::random::{Purpose, Stream};
use tensor::{Backend, Cpu, Device, Io, Kernel, Numerics, Slot};

/// A NaN in the gaps between slots and in outputs: nothing may read it, and gaps must keep it.
const UNTOUCHED: u32 = 0x7fc0_5a5a;

/// `len` numbers in [-1, 1), others for every `index`.
pub fn uniform(index: u64, len: usize) -> Vec<f32> {
    let mut stream = Stream::new(7, Purpose::Test, 0, index);
    (0..len).map(|_| stream.range(-1.0, 1.0)).collect()
}

/// Numbers as bf16, to nearest even.
pub fn bf16(x: &[f32]) -> Vec<f32> {
    let round = |x: &f32| {
        let x = x.to_bits();
        f32::from_bits((x + 0x7fff + (x >> 16 & 1)) & 0xffff_0000)
    };
    x.iter().map(round).collect()
}

/// Rounded to tf32, ties away from zero.
pub fn tf32(x: &[f32]) -> Vec<f32> {
    x.iter().map(|x| f32::from_bits((x.to_bits() + (1 << 12)) >> 13 << 13)).collect()
}

/// Cut to tf32 without bias: see `to_cut` in the kernel's source.
pub fn cut(x: &[f32]) -> Vec<f32> {
    let share = 0.721_347_5 / 2048.0_f32;
    x.iter().map(|x| f32::from_bits(x.mul_add(share, *x).to_bits() >> 13 << 13)).collect()
}

/// Numbers that are bf16, two in an element of an arena.
pub fn packed(x: &[f32]) -> Vec<f32> {
    let pair = |pair: &[f32]| f32::from_bits(pair[0].to_bits() >> 16 | pair[1].to_bits());
    x.chunks_exact(2).map(pair).collect()
}

/// The numbers that [`packed`] has made so.
pub fn unpacked(x: &[f32]) -> Vec<f32> {
    let pair = |x: &f32| [x.to_bits() << 16, x.to_bits() & 0xffff_0000].map(f32::from_bits);
    x.iter().flat_map(pair).collect()
}

/// Slots one behind the other.
#[derive(Default)]
pub struct Places {
    /// Elements so far.
    pub end: usize,
}

impl Places {
    /// A slot for so many numbers, `shift` elements after a multiple of 64 bytes.
    pub fn slot(&mut self, numbers: usize, shift: usize, dtype: DType) -> Slot {
        let offset = self.end.next_multiple_of(ALIGN) + shift;
        let len = dtype.words(numbers);
        self.end = offset + len;
        Slot { offset, len, dtype }
    }
}

/// Fills a slot: two numbers to an element where they are bf16, as these then are already.
pub fn write(backend: &mut dyn Backend, slot: Slot, numbers: &[f32]) {
    match slot.dtype {
        DType::Bf16 => backend.write(slot, &packed(numbers)),
        _ => backend.write(slot, numbers),
    }
}

/// A slot's numbers, whatever they are in memory.
pub fn read(backend: &mut dyn Backend, slot: Slot) -> Vec<f32> {
    let mut data = vec![0.0; slot.len];
    backend.read(slot, &mut data);
    if slot.dtype == DType::Bf16 { unpacked(&data) } else { data }
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

/// Runs one kernel on both devices and compares all outputs, of these lengths. Slots start `shift`
/// elements after a multiple of 64 bytes.
pub fn check(kernel: Kernel, shift: usize, inputs: &[&[f32]], outputs: &[usize]) {
    let mut case = Case::shifted(format!("{kernel:?}, {outputs:?}"), shift);
    let inputs: Vec<Slot> = inputs.iter().map(|input| case.input(input)).collect();
    let outputs: Vec<Slot> = outputs.iter().map(|&len| case.output("output", len)).collect();
    case.call(kernel, &inputs, &outputs);
    case.run();
}

/// Whether one NaN is as good as another: which one an operation gives is the processor's affair.
#[derive(Clone, Copy, PartialEq)]
enum Nan {
    Any,
    Same,
}

/// An arena's contents, the calls on it, and the parts to compare afterwards.
pub struct Case {
    name: String,
    contents: Vec<u32>,
    calls: Vec<(Kernel, Vec<Slot>, Vec<Slot>)>,
    outputs: Vec<(&'static str, Slot, Nan)>,
    shift: usize,
}

impl Case {
    /// A case with slots at multiples of 64 bytes, as planned.
    pub fn new(name: impl Into<String>) -> Case {
        Case::shifted(name, 0)
    }

    /// A case with slots `shift` elements after such multiples.
    pub fn shifted(name: impl Into<String>, shift: usize) -> Case {
        let name = name.into();
        Case { name, contents: Vec::new(), calls: Vec::new(), outputs: Vec::new(), shift }
    }

    fn place(&mut self, bits: impl IntoIterator<Item = u32>) -> Slot {
        // A gap of at least one element before every slot.
        let offset = (self.contents.len() + 1).next_multiple_of(ALIGN) + self.shift;
        self.contents.resize(offset, UNTOUCHED);
        self.contents.extend(bits);
        Slot::new(offset, self.contents.len() - offset)
    }

    /// An input.
    pub fn input(&mut self, data: &[f32]) -> Slot {
        self.place(data.iter().map(|x| x.to_bits()))
    }

    /// Indices.
    pub fn indices(&mut self, data: &[u32]) -> Slot {
        self.place(data.iter().copied())
    }

    /// An output, initially NaN.
    pub fn output(&mut self, name: &'static str, len: usize) -> Slot {
        let slot = self.place(vec![UNTOUCHED; len]);
        self.outputs.push((name, slot, Nan::Any));
        slot
    }

    /// An output of indices, or of numbers that are only moved.
    pub fn exact(&mut self, name: &'static str, len: usize) -> Slot {
        let slot = self.place(vec![UNTOUCHED; len]);
        self.outputs.push((name, slot, Nan::Same));
        slot
    }

    /// An input that the calls change.
    pub fn in_place(&mut self, name: &'static str, data: &[f32]) -> Slot {
        let slot = self.input(data);
        self.outputs.push((name, slot, Nan::Any));
        slot
    }

    /// Appends a kernel call.
    pub fn call(&mut self, kernel: Kernel, inputs: &[Slot], outputs: &[Slot]) {
        self.calls.push((kernel, inputs.to_vec(), outputs.to_vec()));
    }

    /// Makes the calls on the CPU and twice on the device, and compares.
    pub fn run(mut self) {
        self.place([]);
        let want = self.on(&Cpu);
        let (got, again) = (self.on(&device::device()), self.on(&device::device()));
        self.compare(&want, &got);
        let differs = got.iter().zip(&again).position(|(a, b)| a != b);
        assert_eq!(differs, None, "{}: a second run gives other bits", self.name);
    }

    /// The arena after the calls, without the scratch memory at its end, whose size depends on the
    /// device.
    fn on(&self, device: &dyn Device) -> Vec<u32> {
        let all = Slot::new(0, self.contents.len());
        let len = self.calls.iter().map(|(kernel, ..)| device.workspace(kernel)).max().unwrap_or(0);
        // Aligned as planned, whatever the shift.
        let scratch = Slot::new(all.len.next_multiple_of(ALIGN), len);
        let mut backend = device.open(scratch.offset + len + 1).unwrap();
        backend.write_u32(all, &self.contents);
        backend.write_u32(scratch, &vec![UNTOUCHED; len]);
        for (kernel, inputs, outputs) in &self.calls {
            let workspace = scratch.part(0, device.workspace(kernel));
            backend.run(kernel, &Io { inputs, outputs, workspace });
        }
        let mut after = vec![0.0; all.len];
        backend.read(all, &mut after);
        backend.finish().unwrap_or_else(|error| panic!("{}: {error}", self.name));
        after.into_iter().map(f32::to_bits).collect()
    }

    fn compare(&self, want: &[u32], got: &[u32]) {
        let mut written = vec![false; self.contents.len()];
        for &(name, slot, nan) in &self.outputs {
            let range = slot.offset..slot.offset + slot.len;
            written[range.clone()].fill(true);
            for (i, (&want, &got)) in want[range.clone()].iter().zip(&got[range]).enumerate() {
                let (x, y) = (f32::from_bits(want), f32::from_bits(got));
                let both_nan = nan == Nan::Any && x.is_nan() && y.is_nan();
                let same = want == got || both_nan;
                assert!(same, "{}: {name}[{i}] is {y} ({got:#x}), not {x} ({want:#x})", self.name);
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
}

/// A device with an arena of `len` elements.
pub fn gpu(len: usize) -> Gpu {
    rounding_gpu(len, Numerics::Exact)
}

/// The same with other numerics.
pub fn rounding_gpu(len: usize, numerics: Numerics) -> Gpu {
    Gpu::new(device::driver(), len, numerics).unwrap()
}
