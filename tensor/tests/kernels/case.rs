//! One call of a kernel as data, and its check against the reference.

use isa::Isa;
use tensor::random::{Purpose, Stream};
use tensor::{Cpu, Device, Io, Kernel, Slot, arena, reference};

/// Fills every unwritten element: nothing may read or overwrite it.
const UNTOUCHED: u32 = 0x7fc0_5a5a;

/// `len` numbers in [-1, 1), others for every `index`.
pub fn uniform(index: u64, len: usize) -> Vec<f32> {
    let mut stream = Stream::new(5, Purpose::Test, 0, index);
    (0..len).map(|_| stream.range(-1.0, 1.0)).collect()
}

/// `len` numbers in [-scale, scale).
pub fn scaled(scale: f32, index: u64, len: usize) -> Vec<f32> {
    uniform(index, len).iter().map(|x| scale * x).collect()
}

/// `len` indices below `bound`.
pub fn indices(index: u64, len: usize, bound: usize) -> Vec<u32> {
    let mut stream = Stream::new(5, Purpose::Test, 1, index);
    (0..len).map(|_| stream.below(bound as u32)).collect()
}

/// A random order of `0..len`.
pub fn permutation(index: u64, len: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..len as u32).collect();
    Stream::new(5, Purpose::Test, 2, index).shuffle(&mut order);
    order
}

/// The contents of an input or output.
#[derive(Clone, Debug)]
pub enum Data {
    Numbers(Vec<f32>),
    Indices(Vec<u32>),
}

impl From<Vec<f32>> for Data {
    fn from(x: Vec<f32>) -> Data {
        Data::Numbers(x)
    }
}

impl From<Vec<u32>> for Data {
    fn from(x: Vec<u32>) -> Data {
        Data::Indices(x)
    }
}

impl Data {
    fn bits(&self) -> Vec<u32> {
        match self {
            Data::Numbers(x) => x.iter().map(|x| x.to_bits()).collect(),
            Data::Indices(x) => x.clone(),
        }
    }

    fn widened(&self) -> Vec<f64> {
        match self {
            Data::Numbers(x) => x.iter().map(|&x| f64::from(x)).collect(),
            Data::Indices(x) => x.iter().map(|&x| f64::from(x)).collect(),
        }
    }

    /// `x` converted to this one's type.
    fn narrowed(&self, x: &[f64]) -> Data {
        match self {
            Data::Numbers(_) => Data::Numbers(x.iter().map(|&x| x as f32).collect()),
            Data::Indices(_) => Data::Indices(x.iter().map(|&x| x as u32).collect()),
        }
    }
}

struct Output {
    before: Data,
    /// Largest difference, relative to the largest expected number.
    tolerance: f64,
}

/// A kernel with its inputs and outputs.
pub struct Case {
    pub kernel: Kernel,
    inputs: Vec<Data>,
    outputs: Vec<Output>,
}

impl Case {
    pub fn new(kernel: Kernel) -> Case {
        Case { kernel, inputs: Vec::new(), outputs: Vec::new() }
    }

    /// Adds an input.
    pub fn reads(mut self, data: impl Into<Data>) -> Case {
        self.inputs.push(data.into());
        self
    }

    /// Adds an output of `len` numbers.
    pub fn writes(self, len: usize, tolerance: f64) -> Case {
        self.updates(vec![f32::from_bits(UNTOUCHED); len], tolerance)
    }

    /// Adds an output of `len` indices.
    pub fn writes_indices(self, len: usize) -> Case {
        self.updates(vec![UNTOUCHED; len], 0.0)
    }

    /// Adds an output that the kernel updates in place.
    pub fn updates(mut self, before: impl Into<Data>, tolerance: f64) -> Case {
        self.outputs.push(Output { before: before.into(), tolerance });
        self
    }

    /// Elements of the inputs and of the outputs.
    pub fn sizes(&self) -> (Vec<usize>, Vec<usize>) {
        let outputs = self.outputs.iter().map(|output| output.before.bits().len());
        (self.inputs.iter().map(|input| input.bits().len()).collect(), outputs.collect())
    }

    /// The inputs that hold indices, by their places.
    pub fn indices(&self) -> Vec<(usize, Vec<u32>)> {
        let indices = |(at, input): (usize, &Data)| match input {
            Data::Indices(indices) => Some((at, indices.clone())),
            Data::Numbers(_) => None,
        };
        self.inputs.iter().enumerate().filter_map(indices).collect()
    }

    fn name(&self) -> String {
        let lens: Vec<usize> = self.inputs.iter().map(|x| x.bits().len()).collect();
        format!("{:?} of {lens:?}", self.kernel)
    }

    /// The reference's outputs.
    pub fn wanted(&self) -> Vec<Vec<f64>> {
        let inputs: Vec<Vec<f64>> = self.inputs.iter().map(Data::widened).collect();
        let inputs: Vec<&[f64]> = inputs.iter().map(Vec::as_slice).collect();
        let mut outputs: Vec<_> = self.outputs.iter().map(|y| y.before.widened()).collect();
        reference::run(&self.kernel, &inputs, &mut outputs);
        outputs
    }

    /// The outputs as inputs of another kernel.
    pub fn wanted_data(&self) -> Vec<Data> {
        let wanted = self.wanted();
        wanted.iter().zip(&self.outputs).map(|(x, y)| y.before.narrowed(x)).collect()
    }

    /// The bits of all outputs from the CPU. Workspace and outputs are filled with `UNTOUCHED`
    /// beforehand; the gaps must still be so afterwards. With `in_place`, output 0 shares that
    /// input's memory.
    ///
    /// # Panics
    /// If the kernel wrote anywhere else.
    pub fn run(&self, in_place: Option<usize>) -> Vec<Vec<u32>> {
        self.run_on(Isa::widest(), in_place)
    }

    /// As [`Case::run`], with one instruction set.
    pub fn run_on(&self, isa: Isa, in_place: Option<usize>) -> Vec<Vec<u32>> {
        let mut contents: Vec<u32> = Vec::new();
        let mut place = |data: &[u32]| {
            let offset = (contents.len() + 1).next_multiple_of(arena::ALIGN);
            contents.resize(offset, UNTOUCHED);
            contents.extend(data);
            Slot::new(offset, data.len())
        };
        let inputs: Vec<Slot> = self.inputs.iter().map(|x| place(&x.bits())).collect();
        let mut outputs: Vec<Slot> = self.outputs.iter().map(|y| place(&y.before.bits())).collect();
        if let Some(input) = in_place {
            outputs[0] = inputs[input];
        }
        let workspace = place(&vec![UNTOUCHED; Cpu.workspace(&self.kernel)]);
        place(&[]);

        let all = Slot::new(0, contents.len());
        let mut backend = Cpu.open_with(isa, all.len).unwrap();
        backend.write_u32(all, &contents);
        backend.run(&self.kernel, &Io { inputs: &inputs, outputs: &outputs, workspace });
        backend.finish().unwrap();
        let mut after = vec![0.0; all.len];
        backend.read(all, &mut after);

        let after: Vec<u32> = after.iter().map(|x| x.to_bits()).collect();
        let written = |at: usize| {
            outputs.iter().chain([&workspace]).any(|y| (y.offset..y.offset + y.len).contains(&at))
        };
        let stray = (0..all.len).find(|&at| after[at] != contents[at] && !written(at));
        assert_eq!(stray, None, "{}: wrote outside its outputs", self.name());
        outputs.iter().map(|y| after[y.offset..][..y.len].to_vec()).collect()
    }

    /// Asserts that 1, 2, 3 and 8 threads give the same bits, in place too if the kernel supports
    /// it, and that these match the reference.
    ///
    /// # Panics
    /// If not.
    pub fn check(&self) {
        let name = self.name();
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| self.run(None))
        };
        let got = with(1);
        for threads in [2, 3, 8] {
            assert!(with(threads) == got, "{name}: {threads} threads give other bits");
        }
        if let Some(input) = self.kernel.in_place() {
            assert!(self.run(Some(input)) == got, "{name}: other bits in place");
        }
        for (i, (want, output)) in self.wanted().iter().zip(&self.outputs).enumerate() {
            let name = format!("output {i} of {name}");
            match &output.before {
                Data::Numbers(_) => {
                    let got: Vec<f32> = got[i].iter().map(|&x| f32::from_bits(x)).collect();
                    close(&name, &got, want, output.tolerance);
                }
                Data::Indices(_) => {
                    assert!(
                        got[i].iter().map(|&x| f64::from(x)).eq(want.iter().copied()),
                        "{name}"
                    );
                }
            }
        }
    }
}

/// Asserts that the largest difference is at most `relative` times the largest expected number.
pub fn close(name: &str, got: &[f32], want: &[f64], relative: f64) {
    assert_eq!(got.len(), want.len(), "{name}");
    let scale = want.iter().fold(1e-3f64, |most, w| most.max(w.abs()));
    let error = got.iter().zip(want).map(|(g, w)| (f64::from(*g) - w).abs()).fold(0.0, f64::max);
    // The maximum ignores NaN, so check for it separately.
    assert!(got.iter().all(|x| x.is_finite()), "{name}: not finite");
    assert!(error <= relative * scale, "{name}: off by {error}, scale {scale}");
}
