//! Convolution and its gradients on tensor cores, against the CPU's on operands rounded beforehand:
//! what is left is the order of sums in f32.

mod common;

use common::{bf16, cut, packed, rounding_gpu, tf32, uniform, unpacked};
use cuda_kernels::launch;
use tensor::arena::{ALIGN, DType};
use tensor::geometry::{Conv2d, ConvAlgorithm};
use tensor::{Backend, Cpu, Device, Io, Kernel, Numerics, Shape, Slot};

/// All f32 in memory, and in whole groups of 16 bytes.
const F32: (usize, [DType; 3]) = (0, [DType::F32; 3]);
/// Clear of the error of a sum in f32 in any order, and of what one operand left unrounded makes.
const TOLERANCE: f32 = 2e-6;

/// The operands as the kernel rounds them: bf16 to nearest even; of tf32 the weights to the nearest, ties
/// away from zero, and images cut.
fn operands(kernel: &Kernel, is_bf16: bool, inputs: [&[f32]; 2]) -> [Vec<f32>; 2] {
    match kernel {
        _ if is_bf16 => inputs.map(bf16),
        Kernel::Conv2dGradWeight(_) => inputs.map(cut),
        _ => [cut(inputs[0]), tf32(inputs[1])],
    }
}

/// What a kernel makes of two inputs, in slots `shift` elements after a multiple of 64 bytes; inputs and
/// result are of these types in memory.
fn on(
    mut open: impl FnMut(usize) -> Box<dyn Backend>,
    kernel: &Kernel,
    workspace: usize,
    inputs: [&[f32]; 2],
    len: usize,
    (shift, dtypes): (usize, [DType; 3]),
) -> Vec<f32> {
    let mut end = 0;
    let mut place = |numbers: usize, shift: usize, dtype: DType| {
        let offset = usize::next_multiple_of(end, ALIGN) + shift;
        let len = dtype.words(numbers);
        end = offset + len;
        Slot { offset, len, dtype }
    };
    let a = place(inputs[0].len(), shift, dtypes[0]);
    let b = place(inputs[1].len(), shift, dtypes[1]);
    let (y, workspace) = (place(len, shift, dtypes[2]), place(workspace, 0, DType::F32));
    let mut backend = open(end);
    for (slot, input) in [a, b].into_iter().zip(inputs) {
        match slot.dtype {
            DType::Bf16 => backend.write(slot, &packed(input)),
            _ => backend.write(slot, input),
        }
    }
    backend.write(y, &vec![f32::NAN; y.len]);
    backend.write(workspace, &vec![f32::NAN; workspace.len]);
    backend.run(kernel, &Io { inputs: &[a, b], outputs: &[y], workspace });
    let mut result = vec![0.0; y.len];
    backend.read(y, &mut result);
    backend.finish().unwrap();
    if y.dtype == DType::Bf16 { unpacked(&result) } else { result }
}

/// The types in memory of a kernel's inputs and result if all can be bf16 that have rows of 8 channels.
fn halved(kernel: &Kernel, conv: Conv2d) -> [DType; 3] {
    let of = |columns: usize| if columns.is_multiple_of(8) { DType::Bf16 } else { DType::F32 };
    let (x, y) = (of(conv.c), of(conv.o));
    match kernel {
        Kernel::Conv2d(_) => [x, DType::F32, y],
        Kernel::Conv2dGradInput(_) => [y, DType::F32, x],
        _ if y == DType::F32 => [DType::F32; 3],
        _ => [x, y, DType::F32],
    }
}

fn check(x: [usize; 4], [o, r, s]: [usize; 3], stride: usize, padding: usize, shift: usize) {
    let conv = Conv2d::new(Shape::from(x), Shape::from([o, r, s, x[3]]), stride, padding).unwrap();
    let conv = conv.by(ConvAlgorithm::Direct);
    let (x_len, w_len) = (x.iter().product(), conv.o * conv.patch());
    let y_len = conv.rows() * conv.o;
    let (x, w, dy) = (uniform(1, x_len), uniform(2, w_len), uniform(3, y_len));
    let calls = [
        (Kernel::Conv2d(conv), [&x[..], &w], y_len),
        (Kernel::Conv2dGradInput(conv), [&dy, &w], x_len),
        (Kernel::Conv2dGradWeight(conv), [&x, &dy], w_len),
    ];
    let ways = [(Numerics::Tf32, false), (Numerics::Bf16, false), (Numerics::Bf16, true)];
    for (numerics, halves) in ways.into_iter().filter(|(_, halves)| !halves || shift == 0) {
        let is_bf16 = numerics == Numerics::Bf16;
        for (kernel, inputs, len) in &calls {
            let dtypes = if halves { halved(kernel, conv) } else { [DType::F32; 3] };
            let workspace = launch::workspace(kernel, numerics);
            let open = |len| Box::new(rounding_gpu(len, numerics)) as Box<dyn Backend>;
            let rounded = operands(kernel, is_bf16, *inputs);
            let given = if halves { [&rounded[0][..], &rounded[1]] } else { *inputs };
            let got = on(open, kernel, workspace, given, *len, (shift, dtypes));
            let on_cpu = |inputs: [&[f32]; 2]| {
                on(|len| Cpu.open(len).unwrap(), kernel, Cpu.workspace(kernel), inputs, *len, F32)
            };
            let want = on_cpu([&rounded[0], &rounded[1]]);
            let sizes = rounded.map(|x| x.iter().map(|x| x.abs()).collect::<Vec<_>>());
            let sizes = on_cpu([&sizes[0], &sizes[1]]);
            for (i, ((want, got), size)) in want.iter().zip(&got).zip(sizes).enumerate() {
                let mut range = [want - TOLERANCE * size, want + TOLERANCE * size];
                if dtypes[2] == DType::Bf16 {
                    range = bf16(&range).try_into().expect("two numbers");
                }
                assert!(
                    range[0] <= *got && *got <= range[1],
                    "{numerics:?} {dtypes:?} {kernel:?}: [{i}] is {got}, not {want}"
                );
            }
        }
    }
}

#[test]
fn neighbours_in_fours() {
    check([1, 1, 1, 4], [4, 1, 1], 1, 0, 0);
    check([2, 5, 7, 8], [12, 3, 3], 1, 1, 0);
    check([3, 9, 8, 20], [36, 3, 3], 2, 1, 0);
    check([2, 7, 6, 64], [68, 1, 1], 2, 0, 0);
    check([1, 8, 9, 4], [8, 2, 3], 3, 2, 0);
    check([1, 8, 9, 8], [10, 2, 3], 3, 2, 0);
    check([2, 16, 16, 8], [64, 3, 3], 1, 1, 0);
}

/// Each stage of taps within one filter tap: whole rows of images, padding on all sides, several stages
/// of a tap, and more filter taps than fit a mask.
#[test]
fn whole_slabs() {
    check([2, 9, 11, 64], [64, 3, 3], 1, 1, 0);
    check([3, 9, 8, 128], [68, 1, 1], 1, 0, 0);
    check([2, 8, 9, 64], [128, 3, 3], 2, 1, 0);
    check([1, 9, 9, 32], [64, 5, 2], 1, 2, 0);
    check([1, 7, 7, 64], [4, 6, 6], 1, 3, 0);
}

#[test]
fn neighbours_one_by_one() {
    check([2, 5, 7, 3], [5, 3, 3], 1, 1, 0);
    check([1, 11, 13, 3], [8, 7, 7], 2, 3, 0);
    check([1, 7, 7, 8], [7, 3, 3], 1, 0, 0);
    // In fours but for where the slots are.
    check([1, 6, 6, 8], [8, 3, 3], 1, 1, 1);
}

/// Tiles of 128 x 128 in the gradient by the weight, and several parts of it.
#[test]
fn large_tiles_and_parts() {
    check([5, 12, 12, 32], [132, 1, 1], 1, 0, 0);
}

/// Forward as well: only where there are enough of them.
#[test]
fn many_large_tiles() {
    check([132, 16, 16, 64], [72, 1, 1], 1, 0, 0);
}
