//! Convolution and its gradients on tensor cores, against the CPU's on operands rounded beforehand:
//! what is left is the order of sums in f32.

mod common;

use common::{rounding_gpu, uniform};
use cuda_kernels::launch;
use tensor::arena::ALIGN;
use tensor::geometry::{Conv2d, ConvAlgorithm};
use tensor::{Backend, Cpu, Device, Io, Kernel, Numerics, Shape, Slot};

/// Clear of the error of a sum in f32 in any order, and of what one operand left unrounded makes.
const TOLERANCE: f32 = 2e-6;

/// Rounded to the nearest with `bits` fewer bits of mantissa; ties away from zero or to even.
fn rounded(x: &[f32], bits: u32, ties_to_even: bool) -> Vec<f32> {
    let round = |x: &f32| {
        let x = x.to_bits();
        let half = 1 << (bits - 1);
        let to_even = half - 1 + (x >> bits & 1);
        f32::from_bits((x + if ties_to_even { to_even } else { half }) >> bits << bits)
    };
    x.iter().map(round).collect()
}

/// Cut to tf32 without bias: see `to_cut` in the kernel's source.
fn cut(x: &[f32]) -> Vec<f32> {
    let share = 0.721_347_5 / 2048.0_f32;
    x.iter().map(|x| f32::from_bits(x.mul_add(share, *x).to_bits() >> 13 << 13)).collect()
}

/// The operands as the kernel rounds them: bf16 to nearest even; of tf32 the weights to the nearest, ties
/// away from zero, and images cut.
fn operands(kernel: &Kernel, is_bf16: bool, inputs: [&[f32]; 2]) -> [Vec<f32>; 2] {
    match kernel {
        _ if is_bf16 => inputs.map(|x| rounded(x, 16, true)),
        Kernel::Conv2dGradWeight(_) => inputs.map(cut),
        _ => [cut(inputs[0]), rounded(inputs[1], 13, false)],
    }
}

/// What a kernel makes of two inputs, in slots `shift` elements after a multiple of 64 bytes.
fn on(
    mut open: impl FnMut(usize) -> Box<dyn Backend>,
    kernel: &Kernel,
    workspace: usize,
    inputs: [&[f32]; 2],
    len: usize,
    shift: usize,
) -> Vec<f32> {
    let mut end = 0;
    let mut place = |len: usize, shift: usize| {
        let offset = usize::next_multiple_of(end, ALIGN) + shift;
        end = offset + len;
        Slot::new(offset, len)
    };
    let [a, b] = inputs.map(|input| place(input.len(), shift));
    let (y, workspace) = (place(len, shift), place(workspace, 0));
    let mut backend = open(end);
    backend.write(a, inputs[0]);
    backend.write(b, inputs[1]);
    backend.write(y, &vec![f32::NAN; len]);
    backend.write(workspace, &vec![f32::NAN; workspace.len]);
    backend.run(kernel, &Io { inputs: &[a, b], outputs: &[y], workspace });
    let mut result = vec![0.0; len];
    backend.read(y, &mut result);
    backend.finish().unwrap();
    result
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
    for numerics in [Numerics::Tf32, Numerics::Bf16] {
        let is_bf16 = numerics == Numerics::Bf16;
        for (kernel, inputs, len) in &calls {
            let workspace = launch::workspace(kernel, numerics);
            let open = |len| Box::new(rounding_gpu(len, numerics)) as Box<dyn Backend>;
            let got = on(open, kernel, workspace, *inputs, *len, shift);
            let rounded = operands(kernel, is_bf16, *inputs);
            let on_cpu = |inputs: [&[f32]; 2]| {
                on(|len| Cpu.open(len).unwrap(), kernel, Cpu.workspace(kernel), inputs, *len, 0)
            };
            let want = on_cpu([&rounded[0], &rounded[1]]);
            let sizes = rounded.map(|x| x.iter().map(|x| x.abs()).collect::<Vec<_>>());
            let sizes = on_cpu([&sizes[0], &sizes[1]]);
            for (i, ((want, got), size)) in want.iter().zip(&got).zip(sizes).enumerate() {
                let error = (want - got).abs();
                assert!(
                    error <= TOLERANCE * size,
                    "{numerics:?} {kernel:?}: [{i}] is {got}, not {want}"
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
    check([132, 16, 16, 64], [68, 1, 1], 1, 0, 0);
}
