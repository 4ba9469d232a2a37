//! Convolution and its gradients on tensor cores, against the CPU's on operands rounded beforehand:
//! what is left is the order of sums in f32.

mod common;

use common::{Places, bf16, cut, read, rounding_gpu, tf32, uniform, write};
use cuda_kernels::launch;
use tensor::arena::DType;
use tensor::geometry::{BatchNorm, Conv2d, ConvAlgorithm};
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
    let mut places = Places::default();
    let a = places.slot(inputs[0].len(), shift, dtypes[0]);
    let b = places.slot(inputs[1].len(), shift, dtypes[1]);
    let y = places.slot(len, shift, dtypes[2]);
    let workspace = places.slot(workspace, 0, DType::F32);
    let mut backend = open(places.end);
    let inputs = [a, b].into_iter().zip(inputs);
    inputs.for_each(|(slot, input)| write(&mut *backend, slot, input));
    backend.write(y, &vec![f32::NAN; y.len]);
    backend.write(workspace, &vec![f32::NAN; workspace.len]);
    backend.run(kernel, &Io { inputs: &[a, b], outputs: &[y], workspace });
    let result = read(&mut *backend, y);
    backend.finish().unwrap();
    result
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

/// A convolution's result, and the mean and inv_std that batch norm finds from its sums.
fn statistics(
    conv: Conv2d,
    (numerics, halves): (Numerics, bool),
    [x, w]: [&[f32]; 2],
) -> [Vec<f32>; 3] {
    let kernel = Kernel::Conv2dSums(conv);
    let (rows, c) = (conv.rows(), conv.o);
    let [x_type, _, y_type] =
        if halves { halved(&Kernel::Conv2d(conv), conv) } else { [DType::F32; 3] };
    let mut places = Places::default();
    let mut place = |numbers, dtype| places.slot(numbers, 0, dtype);
    let inputs = [place(x.len(), x_type), place(w.len(), DType::F32)];
    let (y, z) = (place(rows * c, y_type), place(rows * c, y_type));
    let sums = place(launch::sums(conv, numerics).elements(), DType::F32);
    let [weight, bias, mean, inv_std, running_mean, running_var] =
        [(); 6].map(|()| place(c, DType::F32));
    let workspace = place(launch::workspace(&kernel, numerics), DType::F32);
    let mut gpu = rounding_gpu(places.end, numerics);
    write(&mut gpu, inputs[0], &if x_type == DType::Bf16 { bf16(x) } else { x.to_vec() });
    write(&mut gpu, inputs[1], w);
    [y, z, sums].iter().for_each(|&slot| gpu.write(slot, &vec![f32::NAN; slot.len]));
    let parameters = [weight, bias, running_mean, running_var];
    parameters.iter().for_each(|&slot| gpu.write(slot, &vec![1.0; c]));
    gpu.run(&kernel, &Io { inputs: &inputs, outputs: &[y, sums], workspace });
    let (training, residual, relu) = (true, false, false);
    let norm = BatchNorm { rows, channels: c, eps: EPS, momentum: 0.1, training, residual, relu };
    let inputs = [y, weight, bias, sums];
    let outputs = [z, mean, inv_std, running_mean, running_var];
    gpu.run(
        &Kernel::BatchNormFromSums(norm),
        &Io { inputs: &inputs, outputs: &outputs, workspace },
    );
    let results = [y, mean, inv_std].map(|slot| read(&mut gpu, slot));
    gpu.finish().unwrap();
    results
}

const EPS: f32 = 1e-5;

/// In all precisions: statistics are those in f64 of y as it is in memory. Returns y, mean and inv_std of each.
fn check_statistics(
    x: [usize; 4],
    [o, r, s]: [usize; 3],
    (stride, padding): (usize, usize),
    data: impl Fn(Conv2d) -> [Vec<f32>; 2],
) -> Vec<[Vec<f32>; 3]> {
    let conv = Conv2d::new(Shape::from(x), Shape::from([o, r, s, x[3]]), stride, padding).unwrap();
    let conv = conv.by(ConvAlgorithm::Direct);
    let (data, rows) = (data(conv), conv.rows() as f64);
    let check = |way| {
        let results = statistics(conv, way, data.each_ref().map(|data| &data[..]));
        let [y, mean, inv_std] = &results;
        for channel in 0..o {
            let y = || y[channel..].iter().step_by(o).map(|&y| f64::from(y));
            let middle = y().sum::<f64>() / rows;
            let var = y().map(|y| (y - middle) * (y - middle)).sum::<f64>() / rows;
            let scale = 1.0 / (var + f64::from(EPS)).sqrt();
            let [mean, inv_std] = [mean, inv_std].map(|x| f64::from(x[channel]));
            // A mean in f32 is rounded three times, and a sum of distances loses its own last digits.
            let (digit, deviation) = (2e-7 * middle.abs(), var.sqrt());
            let is_near = (mean - middle).abs() <= digit + 1e-6 * deviation;
            assert!(is_near, "{way:?} {conv:?}: mean of {channel} is {mean}, not {middle}");
            let is_near = (inv_std / scale - 1.0).abs() <= 2e-6 + digit / deviation.max(1e-30);
            assert!(is_near, "{way:?} {conv:?}: inv_std of {channel} is {inv_std}, not {scale}");
        }
        results
    };
    [(Numerics::Tf32, false), (Numerics::Bf16, false), (Numerics::Bf16, true)].map(check).into()
}

fn random(conv: Conv2d) -> [Vec<f32>; 2] {
    [uniform(1, conv.input_rows() * conv.c), uniform(2, conv.o * conv.patch())]
}

/// Whole tiles and parts of them, in all kernels: pixels fewer than a warp has, one more than a tile, channels
/// beside a tile.
#[test]
fn statistics_of_a_result() {
    check_statistics([1, 3, 2, 8], [12, 3, 3], (1, 1), random);
    check_statistics([1, 3, 43, 8], [68, 1, 1], (1, 0), random);
    check_statistics([2, 9, 11, 64], [136, 3, 3], (1, 1), random);
    check_statistics([3, 8, 16, 128], [64, 1, 1], (1, 0), random);
    check_statistics([2, 15, 17, 3], [5, 7, 7], (2, 3), random);
    check_statistics([129, 16, 16, 64], [72, 1, 1], (1, 0), random);
}

/// Channels that are the same in all pixels have a variance of 0, whatever they are.
#[test]
fn statistics_of_constant_channels() {
    let constant = |conv: Conv2d| {
        let [x, w] = random(conv);
        [(0..x.len()).map(|i| x[i % conv.c]).collect(), w]
    };
    for [y, mean, inv_std] in check_statistics([1, 13, 15, 64], [72, 1, 1], (1, 0), constant) {
        assert_eq!(mean, y[..72]);
        assert!(inv_std.iter().all(|&inv_std| inv_std == (1.0 / f64::from(EPS).sqrt()) as f32));
    }
}

/// A mean of 10,000 and a deviation of 1: the textbook's sum(x^2) - sum(x)^2 / n in f32 has no digits left.
#[test]
fn statistics_far_from_zero() {
    // 9984 is a bf16; a pixel's first channel is 1.
    let far = |conv: Conv2d| {
        let [x, w] = random(conv);
        let x = x.iter().enumerate().map(|(i, x)| if i % conv.c == 0 { 1.0 } else { *x }).collect();
        let w = w.iter().enumerate().map(|(i, w)| if i % conv.c == 0 { 9984.0 } else { *w });
        [x, w.collect()]
    };
    check_statistics([2, 11, 13, 8], [72, 1, 1], (1, 0), far);
}

/// A gradient by the input behind batch norm, and what batch norm's gradient makes of its sums: g, dx, dweight
/// and dbias. The operands are dy, w, x, y, mean, `added`, weight and inv_std.
fn gradients(
    conv: Conv2d,
    [relu, added]: [bool; 2],
    (numerics, halves): (Numerics, bool),
    operands: &[Vec<f32>; 8],
) -> [Vec<f32>; 4] {
    let kernel = Kernel::Conv2dGradInputSums { conv, relu, added };
    let (rows, c) = (conv.input_rows(), conv.c);
    let of_conv = halved(&Kernel::Conv2dGradInput(conv), conv);
    let [dy_type, _, x_type] = if halves { of_conv } else { [DType::F32; 3] };
    let mut places = Places::default();
    let mut place = |numbers, dtype| places.slot(numbers, 0, dtype);
    let f32 = DType::F32;
    let types = [dy_type, f32, x_type, x_type, f32, x_type, f32, f32];
    let inputs: Vec<Slot> =
        operands.iter().zip(types).map(|(data, dtype)| place(data.len(), dtype)).collect();
    let [g, dx] = [(); 2].map(|()| place(rows * c, x_type));
    let sums = place(launch::gradient_sums(conv, numerics).elements(), f32);
    let [dweight, dbias] = [(); 2].map(|()| place(c, f32));
    let workspace = place(launch::workspace(&kernel, numerics), f32);
    let mut gpu = rounding_gpu(places.end, numerics);
    inputs.iter().zip(operands).for_each(|(&slot, data)| write(&mut gpu, slot, data));
    [g, dx, sums].iter().for_each(|&slot| gpu.write(slot, &vec![f32::NAN; slot.len]));
    let [.., weight, inv_std] = inputs[..] else { unreachable!("eight operands") };
    let reads = &inputs[..if added { 6 } else { 5 }];
    gpu.run(&kernel, &Io { inputs: reads, outputs: &[g, sums], workspace });
    let (training, residual) = (true, added);
    let norm = BatchNorm { rows, channels: c, eps: EPS, momentum: 0.1, training, residual, relu };
    let reads = [inputs[2], g, weight, inputs[4], inv_std, sums];
    let kernel = Kernel::BatchNormBackwardFromSums(norm);
    gpu.run(&kernel, &Io { inputs: &reads, outputs: &[dx, dweight, dbias], workspace });
    let results = [g, dx, dweight, dbias].map(|slot| read(&mut gpu, slot));
    gpu.finish().unwrap();
    results
}

/// In all precisions: g is the CPU's gradient plus what is added, where y is above 0, and all else is what
/// batch norm's formulas say in f64 of g as it is in memory.
fn check_gradients(
    x: [usize; 4],
    [o, r, s]: [usize; 3],
    (stride, padding): (usize, usize),
    [relu, added]: [bool; 2],
) {
    let conv = Conv2d::new(Shape::from(x), Shape::from([o, r, s, x[3]]), stride, padding).unwrap();
    let conv = conv.by(ConvAlgorithm::Direct);
    let (len, c, rows) = (x.iter().product::<usize>(), x[3], x[0] * x[1] * x[2]);
    // All of them are bf16 already, so that g is rounded once.
    let number = |i: u64, len: usize| bf16(&uniform(i, len));
    let operands = [
        number(1, conv.rows() * o),
        number(2, o * conv.patch()),
        number(3, len),
        number(4, len).into_iter().map(|y| y.max(0.0)).collect(),
        number(5, c),
        number(6, len),
        number(7, c),
        number(8, c).into_iter().map(|x| 1.5 + x).collect(),
    ];
    let [dy, w, x, y, mean, other, weight, inv_std] = &operands;
    let kernel = Kernel::Conv2dGradInput(conv);
    let on_cpu = |inputs: [&[f32]; 2]| {
        on(|len| Cpu.open(len).unwrap(), &kernel, Cpu.workspace(&kernel), inputs, len, F32)
    };
    let want = on_cpu([dy, w]);
    let sizes = [dy, w].map(|x| x.iter().map(|x| x.abs()).collect::<Vec<_>>());
    let sizes = on_cpu([&sizes[0], &sizes[1]]);
    for way in [(Numerics::Tf32, false), (Numerics::Bf16, false), (Numerics::Bf16, true)] {
        let name = format!("{way:?}, ReLU {relu}, added {added}, {conv:?}");
        let [g, dx, dweight, dbias] = gradients(conv, [relu, added], way, &operands);
        let halves = way.1 && c.is_multiple_of(8);
        for (i, got) in g.iter().enumerate() {
            let other = if added { other[i] } else { 0.0 };
            let error = TOLERANCE * (sizes[i] + other.abs());
            let mut range = [want[i] + other - error, want[i] + other + error];
            if relu && y[i] <= 0.0 {
                range = [0.0; 2];
            }
            if halves {
                range = bf16(&range).try_into().expect("two numbers");
            }
            assert!(range[0] <= *got && *got <= range[1], "{name}: [{i}] is {got}, not {range:?}");
        }
        for channel in 0..c {
            let at = |x: &[f32], row: usize| f64::from(x[row * c + channel]);
            let [mean, weight, inv_std] = [mean, weight, inv_std].map(|x| f64::from(x[channel]));
            let xhat = |row: usize| (at(x, row) - mean) * inv_std;
            let sum = |f: &dyn Fn(usize) -> f64| (0..rows).map(f).sum::<f64>();
            let [bias_sum, weight_sum] =
                [sum(&|row| at(&g, row)), sum(&|row| at(&g, row) * xhat(row))];
            let bias_size = sum(&|row| at(&g, row).abs());
            let weight_size = sum(&|row| (at(&g, row) * xhat(row)).abs());
            for (got, want, size) in
                [(dbias[channel], bias_sum, bias_size), (dweight[channel], weight_sum, weight_size)]
            {
                let error = (f64::from(got) - want).abs();
                assert!(error <= 1e-6 * size, "{name}: sum of {channel} is {got}, not {want}");
            }
            for row in 0..rows {
                let through = (bias_sum + xhat(row) * weight_sum) / rows as f64;
                let want = weight * inv_std * (at(&g, row) - through);
                let size = at(&g, row).abs() + (bias_size + weight_size) / rows as f64;
                let digit = if halves { 0.004 * want.abs() } else { 0.0 };
                let error = (at(&dx, row) - want).abs();
                let limit = digit + 2e-5 * (size + 1e-3);
                assert!(error <= limit, "{name}: dx of {row}, {channel} is off by {error}");
            }
        }
    }
}

/// Whole tiles and parts of them, in all kernels, and phases of a stride, some of which no tap covers: pixels
/// fewer than a chain has, one more than a tile, channels beside a tile and not in fours.
#[test]
fn gradients_behind_batch_norm() {
    check_gradients([1, 3, 1, 8], [12, 3, 3], (1, 1), [true, true]);
    check_gradients([1, 3, 43, 68], [8, 1, 1], (1, 0), [true, false]);
    check_gradients([2, 9, 11, 136], [64, 3, 3], (1, 1), [true, true]);
    check_gradients([3, 8, 16, 64], [128, 1, 1], (1, 0), [false, true]);
    check_gradients([2, 15, 17, 64], [64, 3, 3], (2, 1), [true, true]);
    check_gradients([2, 12, 13, 72], [64, 1, 1], (2, 0), [true, true]);
    check_gradients([2, 15, 17, 5], [6, 3, 3], (2, 1), [true, true]);
    check_gradients([2, 7, 9, 10], [4, 3, 3], (1, 1), [false, false]);
}

/// Tiles of 128 x 128.
#[test]
fn gradients_behind_batch_norm_in_large_tiles() {
    check_gradients([132, 16, 16, 72], [64, 1, 1], (1, 0), [true, true]);
}
