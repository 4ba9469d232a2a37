//! How far the convolution's algorithms are from its formula in f64.

use std::fmt::Write as _;

use isa::Isa;
use tensor::cpu::conv2d;
use tensor::geometry::{Conv2d, ConvAlgorithm};
use tensor::random::{Purpose, Stream};
use tensor::{Kernel, reference};

/// Most images: the formula is slow.
const IMAGES: usize = 16;

/// Per convolution and kernel, of each algorithm: the largest error, relative to the largest result,
/// on inputs uniform in [-1, 1).
pub fn table(convs: &[Conv2d]) -> String {
    let mut text = format!("\n{:<38}{:<14}", "largest error", "");
    ConvAlgorithm::ALL.iter().for_each(|algorithm| text += &format!("{:>12}", algorithm.name()));
    text.push('\n');
    for conv in convs.iter().map(|&conv| Conv2d { n: conv.n.min(IMAGES), ..conv }) {
        let [x, weight, dy] = [
            (0, conv.input_rows() * conv.c),
            (1, conv.o * conv.patch()),
            (2, conv.rows() * conv.o),
        ]
        .map(|(index, len)| uniform(index, len));
        let kernels: [(&str, Kernel, [&[f32]; 2], Run); 3] = [
            ("forward", Kernel::Conv2d(conv), [&x, &weight], |conv, a, b, y| {
                let mut workspace = vec![0.0; conv2d::forward_workspace(conv)];
                conv2d::forward(Isa::widest(), conv, a, b, [y, &mut []], &mut workspace);
            }),
            ("grad_input", Kernel::Conv2dGradInput(conv), [&dy, &weight], |conv, a, b, y| {
                let mut workspace = vec![0.0; conv2d::grad_input_workspace(conv)];
                conv2d::grad_input(Isa::widest(), conv, a, b, y, &mut workspace);
            }),
            ("grad_weight", Kernel::Conv2dGradWeight(conv), [&x, &dy], |conv, a, b, y| {
                let mut workspace = vec![0.0; conv2d::grad_weight_workspace(conv)];
                conv2d::grad_weight(Isa::widest(), conv, a, b, y, &mut workspace);
            }),
        ];
        for ((kind, kernel, [a, b], run), len) in
            kernels.into_iter().zip([dy.len(), x.len(), weight.len()])
        {
            let mut want = [vec![0.0; len]];
            reference::run(&kernel, &[&widened(a), &widened(b)], &mut want);
            let size = format!("{}x{}x{}x{} to {}", conv.n, conv.h, conv.w, conv.c, conv.o);
            let _ = write!(text, "{size:<38}{kind:<14}");
            for algorithm in ConvAlgorithm::ALL {
                let mut got = vec![0.0; len];
                run(conv.by(algorithm), a, b, &mut got);
                let _ = write!(text, "{:>12.1e}", error(&got, &want[0]));
            }
            text.push('\n');
        }
    }
    text
}

/// A kernel on its two inputs.
type Run = fn(Conv2d, &[f32], &[f32], &mut [f32]);

fn uniform(index: u64, len: usize) -> Vec<f32> {
    let mut random = Stream::new(0, Purpose::Test, 1, index);
    (0..len).map(|_| random.range(-1.0, 1.0)).collect()
}

fn widened(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| f64::from(x)).collect()
}

fn error(got: &[f32], want: &[f64]) -> f64 {
    let largest = want.iter().fold(0.0f64, |most, want| most.max(want.abs()));
    let off = got.iter().zip(want).map(|(&got, want)| (f64::from(got) - want).abs());
    off.fold(0.0, f64::max) / largest
}
