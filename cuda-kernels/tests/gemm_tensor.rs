//! Matrix products on tensor cores, against f64 products of operands rounded beforehand: what is left is
//! the order of sums in f32.

mod common;

use common::{bf16, cut, rounding_gpu, tf32, uniform};
use cuda_kernels::launch;
use tensor::arena::ALIGN;
use tensor::geometry::Gemm;
use tensor::{Backend, Cpu, Device, Io, Kernel, Numerics, Slot};

/// Of the sum of the terms' sizes: clear of the error of a sum in f32, and of what one operand left
/// unrounded makes.
const TOLERANCE: f64 = 2e-6;

const TRANSPOSES: [(bool, bool); 3] = [(false, false), (false, true), (true, false)];

/// What a device makes of inputs in slots `shift` elements after a multiple of 64 bytes.
fn on(
    mut backend: impl FnMut(usize) -> Box<dyn Backend>,
    kernel: &Kernel,
    workspace: usize,
    inputs: &[&[f32]],
    len: usize,
    shift: usize,
) -> Vec<f32> {
    let mut end = 0;
    let mut place = |len: usize, shift: usize| {
        let offset = usize::next_multiple_of(end, ALIGN) + shift;
        end = offset + len;
        Slot::new(offset, len)
    };
    let slots: Vec<Slot> = inputs.iter().map(|input| place(input.len(), shift)).collect();
    let (y, workspace) = (place(len, shift), place(workspace, 0));
    let mut backend = backend(end);
    for (slot, input) in slots.iter().zip(inputs) {
        backend.write(*slot, input);
    }
    for slot in [y, workspace] {
        backend.write(slot, &vec![f32::NAN; slot.len]);
    }
    backend.run(kernel, &Io { inputs: &slots, outputs: &[y], workspace });
    let mut result = vec![0.0; len];
    backend.read(y, &mut result);
    backend.finish().unwrap();
    result
}

fn on_tensor_cores(
    kernel: &Kernel,
    numerics: Numerics,
    inputs: &[&[f32]],
    len: usize,
    shift: usize,
) -> Vec<f32> {
    let open = |len| Box::new(rounding_gpu(len, numerics)) as Box<dyn Backend>;
    on(open, kernel, launch::workspace(kernel, numerics), inputs, len, shift)
}

fn on_cpu(kernel: &Kernel, inputs: &[&[f32]], len: usize) -> Vec<f32> {
    on(|len| Cpu.open(len).unwrap(), kernel, Cpu.workspace(kernel), inputs, len, 0)
}

/// C in f64, and the sums of its terms' sizes.
fn product(gemm: Gemm, a: &[f32], b: &[f32]) -> Vec<[f64; 2]> {
    let Gemm { m, n, k, trans_a, trans_b } = gemm;
    let of_a = |i: usize, p: usize| f64::from(a[if trans_a { p * m + i } else { i * k + p }]);
    let of_b = |p: usize, j: usize| f64::from(b[if trans_b { j * k + p } else { p * n + j }]);
    let element = |i: usize, j: usize| {
        (0..k)
            .map(|p| of_a(i, p) * of_b(p, j))
            .fold([0.0, 0.0], |[sum, size], x| [sum + x, size + x.abs()])
    };
    (0..m * n).map(|e| element(e / n, e % n)).collect()
}

fn check(gemm: Gemm, shift: usize) {
    let Gemm { m, n, k, trans_a, .. } = gemm;
    let (a, b, bias) = (uniform(1, m * k), uniform(2, k * n), uniform(3, n));
    for numerics in [Numerics::Tf32, Numerics::Bf16] {
        // In tf32 weights are rounded to the nearest, images and gradients cut.
        let [rounded_a, rounded_b] = match numerics {
            Numerics::Bf16 => [bf16(&a), bf16(&b)],
            _ if trans_a => [cut(&a), cut(&b)],
            _ => [cut(&a), tf32(&b)],
        };
        let want = product(gemm, &rounded_a, &rounded_b);
        let plain = on_tensor_cores(&Kernel::Gemm(gemm), numerics, &[&a, &b], m * n, shift);
        let kernel = Kernel::GemmBias(gemm);
        let biased = on_tensor_cores(&kernel, numerics, &[&a, &b, &bias], m * n, shift);
        for (e, [want, size]) in want.into_iter().enumerate() {
            let bound = TOLERANCE * size;
            let got = f64::from(plain[e]);
            assert!((got - want).abs() <= bound, "{numerics:?} {gemm:?}: [{e}] {got}, not {want}");
            assert_eq!(biased[e], plain[e] + bias[e % n], "{numerics:?} {gemm:?}: [{e}]");
        }
    }
}

fn check_all(m: usize, n: usize, k: usize, shift: usize) {
    for (trans_a, trans_b) in TRANSPOSES {
        check(Gemm { m, n, k, trans_a, trans_b }, shift);
    }
}

#[test]
fn any_size() {
    check_all(33, 17, 1, 0);
    check_all(17, 35, 31, 0);
    check_all(20, 36, 40, 0);
    check_all(36, 20, 40, 1);
}

#[test]
fn several_tiles_and_whole_slabs() {
    check_all(130, 68, 64, 0);
    check_all(132, 132, 128, 0);
}

/// The gradient by a weight, in parts.
#[test]
fn many_rows() {
    check(Gemm { m: 20, n: 24, k: 700, trans_a: true, trans_b: false }, 0);
    check(Gemm { m: 68, n: 20, k: 1100, trans_a: true, trans_b: false }, 0);
}

/// What stays exact: narrow products, a cut inner size, and two transposed matrices.
#[test]
fn others_have_the_bits_of_the_cpu() {
    let others = [
        Gemm { m: 16, n: 40, k: 50, trans_a: false, trans_b: true },
        Gemm { m: 40, n: 16, k: 50, trans_a: true, trans_b: false },
        Gemm { m: 40, n: 40, k: 1100, trans_a: false, trans_b: false },
        Gemm { m: 40, n: 40, k: 50, trans_a: true, trans_b: true },
    ];
    for gemm in others {
        let Gemm { m, n, k, .. } = gemm;
        let (a, b) = (uniform(1, m * k), uniform(2, k * n));
        let kernel = Kernel::Gemm(gemm);
        let want = on_cpu(&kernel, &[&a, &b], m * n);
        for numerics in [Numerics::Tf32, Numerics::Bf16] {
            let got = on_tensor_cores(&kernel, numerics, &[&a, &b], m * n, 0);
            assert_eq!(got, want, "{numerics:?} {gemm:?}");
        }
    }
}
