//! The reference rate: a plain matrix product.

use autograd::Graph;
use carp::error::Result;
use carp::learner::Device;
use isa::Isa;
use rayon::prelude::*;
use tensor::cpu::gemm::{Strides, sgemm};

use super::contender::Contender;
use crate::device::{DeviceArgs, DeviceName};

/// The reference: on a GPU our own matrix product at 2048x2048x2048, on the CPU...
pub fn gemm_peak(args: &DeviceArgs, device: Device) -> Result<Contender> {
    if args.name() == DeviceName::Cpu {
        return Ok(cpu_gemm_peak());
    }
    const SIZE: usize = 2048;
    let mut graph = Graph::new();
    let [a, b] = ["a", "b"].map(|name| graph.param(name, [SIZE, SIZE]));
    let c = graph.matmul(a, false, b, false)?;
    Contender::graph(format!("GEMM of {SIZE}"), graph, &[c], device)
}

/// ... the machine's own peak: a product on each thread by itself, at 640x256x512.
pub fn cpu_gemm_peak() -> Contender {
    let (m, k, n) = (640, 256, 512);
    let threads = rayon::current_num_threads();
    const CALLS: usize = 16;
    let mut tasks: Vec<_> =
        (0..threads).map(|_| (vec![0.5; m * k], vec![0.25; k * n], vec![0.0; m * n])).collect();
    Contender {
        name: "GEMM peak".into(),
        flops: (2 * m * k * n * CALLS * threads) as u64,
        made: 0,
        moved: 0,
        peak: 0,
        run: Box::new(move || {
            tasks.par_iter_mut().for_each(|(a, b, c)| {
                for _ in 0..CALLS {
                    let (by_k, by_n) = (Strides::new(k, false), Strides::new(n, false));
                    sgemm(Isa::widest(), (m, k, n), (a, by_k), (b, by_n), false, c);
                }
            });
            Ok(())
        }),
    }
}

/// The limit of memory: `a = b + s c` over arrays that no cache holds, on all threads (STREAM's
/// triad, McCalpin).
pub fn cpu_stream() -> Contender {
    const ELEMENTS: usize = 16 << 20;
    const PART: usize = 1 << 16;
    let (mut a, b, c) = (vec![0.0f32; ELEMENTS], vec![1.0; ELEMENTS], vec![2.0; ELEMENTS]);
    Contender {
        name: "memory".into(),
        flops: 2 * ELEMENTS as u64,
        made: 0,
        moved: 3 * 4 * ELEMENTS,
        peak: 0,
        run: Box::new(move || {
            let parts = b.par_chunks(PART).zip(c.par_chunks(PART));
            a.par_chunks_mut(PART).zip(parts).for_each(|(a, (b, c))| {
                for ((a, b), c) in a.iter_mut().zip(b).zip(c) {
                    *a = b + 3.0 * c;
                }
            });
            Ok(())
        }),
    }
}
