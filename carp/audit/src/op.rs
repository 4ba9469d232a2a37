//! Kind `op`: one op of a step with its operands, as [`RecordedOp`] holds it; written when a run
//! differs or goes astray, replayed like any record.

use std::path::Path;

use autograd::graph::DType;
use autograd::{Operand, RecordedOp};
use carp::error::{Error, Result};
use carp::learner::Device;
use files::write_atomically;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::json;
use tensor::arena::ALIGN;
use tensor::{Io, Kernel, Slot};

use crate::file::{Array, Inputs, Numbers, Outputs};

/// Writes an op as an audit file whose outputs must come out to the bit: `in.x.I` are what it reads,
/// `in.y.I` what the outputs held that it updates in place, `out.y.I` what it writes.
///
/// # Errors
/// I/O errors.
pub fn write(path: &Path, op: &RecordedOp) -> Result<()> {
    let mut tensors = named("in.x", op.inputs.iter().map(Some));
    tensors.extend(named("in.y", op.before.iter().map(Option::as_ref)));
    tensors.extend(named("out.y", op.outputs.iter().map(Some)));
    let views = tensors.iter().map(|(name, (dtype, bytes))| {
        let elements = bytes.len() / if *dtype == Dtype::I64 { 8 } else { 4 };
        let view = TensorView::new(*dtype, vec![elements], bytes);
        (name.as_str(), view.expect("as many bytes as the shape says"))
    });
    let header = json!({
        "kind": "op",
        "settings": {"kernel": op.kernel, "layer": op.layer},
        "tolerance": {"abs": 0.0, "rel": 0.0},
    });
    let metadata = [("carp.audit".to_owned(), header.to_string())].into();
    let file = safetensors::serialize(views, Some(metadata))
        .map_err(|error| Error::data(path, format!("cannot be written: {error}")))?;
    Ok(write_atomically(path, &file)?)
}

/// `PREFIX.PLACE` of those that there are, and their numbers.
fn named<'a>(
    prefix: &str,
    operands: impl Iterator<Item = Option<&'a Operand>>,
) -> Vec<(String, (Dtype, Vec<u8>))> {
    let operands = operands.enumerate();
    operands
        .filter_map(|(place, operand)| Some((format!("{prefix}.{place}"), encode(operand?))))
        .collect()
}

fn encode(operand: &Operand) -> (Dtype, Vec<u8>) {
    let bits = operand.bits.iter();
    match operand.dtype {
        DType::F32 => (Dtype::F32, bits.flat_map(|bits| bits.to_le_bytes()).collect()),
        DType::Bf16 => unreachable!("recorded as f32"),
        DType::U32 => (Dtype::I64, bits.flat_map(|&bits| i64::from(bits).to_le_bytes()).collect()),
    }
}

/// Runs the kernel on the recorded operands.
///
/// # Errors
/// Operands that are missing or that do not fit the kernel. A device fault.
pub(super) fn op(inputs: &Inputs, device: Device) -> Result<Outputs> {
    let kernel: Kernel = inputs.word("kernel", "a kernel, as this program writes it")?;
    inputs.ignore("layer");
    let reads = operands(inputs)?;
    let lens = inputs.output_lens("y.");
    let lens_read: Vec<usize> = reads.iter().map(|(_, bits)| bits.len()).collect();
    if !kernel.fits(&lens_read, &lens) {
        let detail =
            format!("in.x and out.y of {lens_read:?} and {lens:?} elements: no {kernel:?}");
        return Err(inputs.invalid(&detail));
    }
    for (place, (is_index, bits)) in reads.iter().enumerate() {
        let takes_indices = kernel.index_inputs().contains(&place);
        let is_allowed = || kernel.allows(place, bits, &lens_read, &lens);
        if takes_indices != *is_index || takes_indices && !is_allowed() {
            let wanted = if takes_indices { "indices that the kernel takes, I64" } else { "F32" };
            return Err(inputs.invalid(&format!("in.x.{place} should be {wanted}")));
        }
    }
    run(&kernel, &reads, inputs, &lens, device)
}

fn run(
    kernel: &Kernel,
    reads: &[(bool, Vec<u32>)],
    inputs: &Inputs,
    lens: &[usize],
    device: Device,
) -> Result<Outputs> {
    let mut end = 0;
    let mut place = |len: usize| {
        let slot = Slot::new(end, len);
        end = (end + len).next_multiple_of(ALIGN);
        slot
    };
    let read: Vec<Slot> = reads.iter().map(|(_, bits)| place(bits.len())).collect();
    let written: Vec<Slot> = lens.iter().map(|&len| place(len)).collect();
    let workspace = place(device.workspace(kernel));
    let mut backend = device.open(end)?;
    for (slot, (_, bits)) in read.iter().zip(reads) {
        backend.write_u32(*slot, bits);
    }
    for (output, slot) in written.iter().enumerate() {
        if let Some(before) = inputs.optional(&format!("y.{output}")) {
            let (_, bits) = bits(inputs, &format!("y.{output}"), before)?;
            if bits.len() != slot.len {
                return Err(inputs.invalid(&format!("in.y.{output} and out.y.{output} differ")));
            }
            backend.write_u32(*slot, &bits);
        }
    }
    backend.run(kernel, &Io { inputs: &read, outputs: &written, workspace });
    backend.finish()?;
    let read_back = |(output, slot): (usize, &Slot)| {
        let mut data = vec![0.0; slot.len];
        backend.read(*slot, &mut data);
        let name = format!("y.{output}");
        let is_index = inputs.wants_i64(&name);
        let numbers = if is_index {
            Numbers::I64(data.iter().map(|number| number.to_bits().into()).collect())
        } else {
            Numbers::F32(data)
        };
        (name, Array { shape: vec![slot.len], numbers })
    };
    let outputs = written.iter().enumerate().map(read_back).collect();
    backend.finish()?;
    Ok(outputs)
}

/// `in.x.0` and so on.
fn operands(inputs: &Inputs) -> Result<Vec<(bool, Vec<u32>)>> {
    let operand = |place| {
        let name = format!("x.{place}");
        bits(inputs, &name, inputs.array(&name)?)
    };
    (0..inputs.names("x.").len()).map(operand).collect()
}

/// Whether an array holds indices, and its bits.
fn bits(inputs: &Inputs, name: &str, array: &Array) -> Result<(bool, Vec<u32>)> {
    let invalid = || inputs.invalid(&format!("in.{name} should be F32, or I64 from 0 to 2^32 - 1"));
    match &array.numbers {
        Numbers::F32(data) => Ok((false, data.iter().map(|number| number.to_bits()).collect())),
        Numbers::I64(data) => {
            let index = |&index: &i64| u32::try_from(index).map_err(|_| invalid());
            Ok((true, data.iter().map(index).collect::<Result<_>>()?))
        }
        Numbers::F64(_) => Err(invalid()),
    }
}
