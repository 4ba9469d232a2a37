//! One op of a step with the numbers that it read and wrote, to compare or to replay it.

use tensor::Kernel;

use crate::graph::DType;

/// The numbers of one operand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operand {
    /// The type of its elements, of 32 bits.
    pub dtype: DType,
    /// The bits of each element.
    pub bits: Vec<u32>,
}

impl Operand {
    /// Index and value of the first element that is infinite or NaN.
    pub fn first_non_finite(&self) -> Option<(usize, f32)> {
        let numbers = self.bits.iter().map(|&bits| f32::from_bits(bits)).enumerate();
        numbers.filter(|_| self.dtype == DType::F32).find(|(_, number)| !number.is_finite())
    }
}

/// An op that ran.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedOp {
    /// The kernel.
    pub kernel: Kernel,
    /// The layer that it belongs to.
    pub layer: String,
    /// Its place in the graph.
    pub place: usize,
    /// What it read.
    pub inputs: Vec<Operand>,
    /// What those outputs held before that are updated in place.
    pub before: Vec<Option<Operand>>,
    /// What it wrote.
    pub outputs: Vec<Operand>,
}

impl RecordedOp {
    /// Its name with that of its layer, such as `gemm of student.head.mlp.0`.
    pub fn name(&self) -> String {
        match self.layer.as_str() {
            "" => self.kernel.name().to_owned(),
            layer => format!("{} of {layer}", self.kernel.name()),
        }
    }

    /// The bits of all its operands.
    pub(crate) fn all_bits(&mut self) -> impl Iterator<Item = &mut [u32]> {
        let before = self.before.iter_mut().flatten();
        let operands = self.inputs.iter_mut().chain(before).chain(&mut self.outputs);
        operands.map(|operand| &mut operand.bits[..])
    }

    /// Output, element and both values where the outputs first differ from those of `other`, if any
    /// bit does.
    pub fn first_difference(&self, other: &RecordedOp) -> Option<(usize, usize, [f32; 2])> {
        let outputs = self.outputs.iter().zip(&other.outputs).enumerate();
        outputs.into_iter().find_map(|(output, (a, b))| {
            let mut pairs = a.bits.iter().zip(&b.bits);
            let element = pairs.position(|(a, b)| a != b)?;
            Some((output, element, [a, b].map(|x| f32::from_bits(x.bits[element]))))
        })
    }
}
