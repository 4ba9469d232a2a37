//! `carp bench conv`: 3x3 convolutions from naive loops to Winograd's algorithm, and their accuracy
//! (docs/convolution.md).

use std::process::ExitCode;
use std::str::FromStr;

use autograd::Graph;
use carp::error::Result;
use clap::Args;
use isa::Isa;
use rayon::prelude::*;
use tensor::cpu::conv2d;
use tensor::cpu::gemm::{self, gemm};
use tensor::geometry::{Conv2d, ConvAlgorithm, Gemm};
use tensor::{Cpu, Shape};

use super::contender::Contender;
use super::conv_accuracy;
use super::patches::gather;
use super::race::{RaceArgs, race_and_print, race_to_peak};
use crate::print::print;
use crate::threads::on_threads;

/// Images, side, input and output channels of 3x3 convolutions, as in a ResNet for small images and
/// in one for large ones.
const SIZES: [(usize, usize, usize, usize); 4] =
    [(64, 32, 16, 16), (64, 16, 32, 32), (64, 8, 64, 64), (4, 56, 64, 64)];

#[derive(Args)]
pub struct ConvArgs {
    #[command(flatten)]
    race: RaceArgs,
    /// Instead, time this layer with its gradients, as training runs it: images, height, width,
    /// channels, outputs, side of the kernel and stride, padded by half the kernel; repeatable.
    #[arg(long, value_name = "N,H,W,C,O,K,STRIDE")]
    layer: Vec<Layer>,
}

/// A layer's convolution.
#[derive(Clone, Copy)]
struct Layer(Conv2d);

impl FromStr for Layer {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Layer, String> {
        let sizes: Option<Vec<usize>> = text.split(',').map(|size| size.parse().ok()).collect();
        let Some([n, h, w, c, o, k, stride]) = sizes.as_deref() else {
            return Err("is not seven sizes N,H,W,C,O,K,STRIDE".into());
        };
        let (x, weight) = (Shape::from([*n, *h, *w, *c]), Shape::from([*o, *k, *k, *c]));
        Conv2d::new(x, weight, *stride, k / 2).map(Layer).map_err(|error| error.to_string())
    }
}

pub fn run(args: &ConvArgs) -> Result<ExitCode> {
    if args.layer.is_empty() {
        return ladder(&args.race);
    }
    let layers = args.layer.iter();
    race_and_print(args.race.threads, &args.race.rounds, || {
        layers.map(|layer| with_gradients(layer.0)).collect()
    })
}

fn ladder(args: &RaceArgs) -> Result<ExitCode> {
    let convs = SIZES
        .map(|(n, side, c, o)| {
            let (x, weight) = (Shape::from([n, side, side, c]), Shape::from([o, 3, 3, c]));
            Ok(Conv2d::new(x, weight, 1, 1)?)
        })
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
    let text = on_threads(args.threads, || {
        let mut contenders = Vec::new();
        for &conv in &convs {
            contenders.extend([naive(conv), with_patches(conv)]);
            for conv in ConvAlgorithm::ALL.map(|algorithm| conv.by(algorithm)) {
                contenders.extend(Isa::available().map(|isa| kernel(conv, isa)));
                contenders.push(with_gradients(conv)?);
            }
        }
        Ok(race_to_peak(contenders, args.rounds.rounds)? + &conv_accuracy::table(&convs))
    })?;
    print(&text);
    Ok(ExitCode::SUCCESS)
}

fn name(what: &str, conv: Conv2d) -> String {
    let Conv2d { n, h, w, c, o, r, s, stride, .. } = conv;
    match (r, stride) {
        (3, 1) => format!("{what} {n}x{h}x{w}x{c} to {o}"),
        _ => format!("{what} {n}x{h}x{w}x{c} to {o}, {r}x{s}/{stride}"),
    }
}

/// The formula as loops over the numbers of a window.
fn naive(conv: Conv2d) -> Contender {
    let (x, weight) = buffers(conv);
    let mut y = vec![0.0; conv.rows() * conv.o];
    Contender {
        name: name("naive", conv),
        flops: conv.flops(),
        made: 0,
        moved: 4 * (x.len() + weight.len() + y.len()),
        peak: 0,
        run: Box::new(move || {
            y.par_chunks_mut(conv.o).enumerate().for_each(|(pixel, y)| {
                for (y, weight) in y.iter_mut().zip(weight.chunks_exact(conv.patch())) {
                    *y = window(conv, &x, weight, pixel);
                }
            });
            Ok(())
        }),
    }
}

/// The sum over r, s and c for output pixel `pixel` of all images.
fn window(conv: Conv2d, x: &[f32], weight: &[f32], pixel: usize) -> f32 {
    let Conv2d { h, w, c, r, s, stride, padding, .. } = conv;
    let (line, column) = (pixel / conv.out_w(), pixel % conv.out_w());
    let (image, row) = (line / conv.out_h(), line % conv.out_h());
    let mut sum = 0.0;
    for r in 0..r {
        let Some(y) = (row * stride + r).checked_sub(padding).filter(|&y| y < h) else { continue };
        for (s, weight) in weight[r * s * c..].chunks_exact(c).take(s).enumerate() {
            let Some(at) = (column * stride + s).checked_sub(padding).filter(|&at| at < w) else {
                continue;
            };
            let x = &x[((image * h + y) * w + at) * c..];
            sum += x.iter().zip(weight).map(|(x, weight)| x * weight).sum::<f32>();
        }
    }
    sum
}

/// im2col, then one matrix product.
fn with_patches(conv: Conv2d) -> Contender {
    let g = Gemm { m: conv.rows(), n: conv.o, k: conv.patch(), trans_a: false, trans_b: true };
    let (x, weight) = buffers(conv);
    let mut patches = vec![0.0; conv.rows() * conv.patch()];
    let mut y = vec![0.0; conv.rows() * conv.o];
    let mut workspace = vec![0.0; gemm::workspace(g)];
    let bytes = 4 * (patches.len() + workspace.len());
    let moved = 4 * (x.len() + weight.len() + y.len()) + 2 * bytes;
    Contender {
        name: name("im2col", conv),
        flops: conv.flops(),
        made: bytes,
        moved,
        peak: bytes,
        run: Box::new(move || {
            let rows = 256;
            let parts = patches.par_chunks_mut(rows * conv.patch()).enumerate();
            parts.for_each(|(i, patches)| gather(conv, &x, i * rows, patches));
            gemm(Isa::widest(), g, &patches, &weight, &mut y, &mut workspace);
            Ok(())
        }),
    }
}

/// The kernel that training uses, with one instruction set.
fn kernel(conv: Conv2d, isa: Isa) -> Contender {
    let (x, weight) = buffers(conv);
    let mut y = vec![0.0; conv.rows() * conv.o];
    let mut workspace = vec![0.0; conv2d::forward_workspace(conv)];
    let bytes = 4 * workspace.len();
    let moved = 4 * (x.len() + weight.len() + y.len());
    Contender {
        name: name(&format!("{} {}", conv.algorithm.name(), isa.name()), conv),
        flops: conv.flops(),
        made: bytes,
        moved,
        peak: bytes,
        run: Box::new(move || {
            conv2d::forward(isa, conv, &x, &weight, [&mut y, &mut []], &mut workspace);
            Ok(())
        }),
    }
}

/// Forward and both gradients as training runs them.
fn with_gradients(conv: Conv2d) -> Result<Contender> {
    let mut graph = Graph::new();
    let x = graph.param("x", [conv.n, conv.h, conv.w, conv.c]);
    let weight = graph.param("weight", [conv.o, conv.r, conv.s, conv.c]);
    let dy = graph.input("dy", conv.y_shape());
    let y = graph.conv2d(x, weight, conv.stride, conv.padding)?;
    graph.convolve_by(conv.algorithm);
    let grads = graph.backward(&[(y, dy)], &[x, weight])?;
    let results: Vec<_> = grads.into_iter().flatten().chain([y]).collect();
    let what = format!("{} + gradients", conv.algorithm.name());
    Contender::graph(name(&what, conv), graph, &results, &Cpu)
}

fn buffers(conv: Conv2d) -> (Vec<f32>, Vec<f32>) {
    (vec![0.5; conv.input_rows() * conv.c], vec![0.25; conv.o * conv.patch()])
}
