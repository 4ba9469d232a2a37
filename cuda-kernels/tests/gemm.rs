//! Matrix products of all four transposes, against the CPU.

mod common;

use common::{check, gpu, uniform};
use cuda_kernels::Gpu;
use cuda_kernels::launch::gemm::{Tile, gemm_naive, gemm_parts, workspace};
use isa::Isa;
use tensor::geometry::Gemm;
use tensor::{Backend, Kernel, Slot};

fn transposes(m: usize, n: usize, k: usize) -> [Gemm; 4] {
    [(false, false), (false, true), (true, false), (true, true)].map(|(trans_a, trans_b)| Gemm {
        m,
        n,
        k,
        trans_a,
        trans_b,
    })
}

fn case(gemm: Gemm, shift: usize) {
    let Gemm { m, n, k, .. } = gemm;
    let (a, b, bias) = (uniform(1, m * k), uniform(2, k * n), uniform(3, n));
    check(Kernel::Gemm(gemm), shift, &[&a, &b], &[m * n]);
    check(Kernel::GemmBias(gemm), shift, &[&a, &b, &bias], &[m * n]);
}

#[test]
fn any_size_and_transpose() {
    let sizes = [(1, 1, 1), (1, 33, 31), (31, 1, 33), (33, 31, 1), (65, 17, 16), (17, 65, 17)];
    for (i, (m, n, k)) in sizes.into_iter().enumerate() {
        for gemm in transposes(m, n, k) {
            case(gemm, i % 2);
        }
    }
    for gemm in transposes(64, 64, 48) {
        case(gemm, 0);
    }
}

#[test]
fn a_large_inner_size_is_cut() {
    for gemm in transposes(20, 18, 1100) {
        assert!(workspace(gemm) > 0, "several parts");
        case(gemm, 1);
    }
    // Not a multiple of the part, and tall and wide tiles.
    case(Gemm { m: 70, n: 6, k: 1500, trans_a: false, trans_b: true }, 0);
    case(Gemm { m: 5, n: 70, k: 2777, trans_a: true, trans_b: false }, 0);
}

/// C by a kernel that the backend does not use.
fn by(kernel: impl Fn(&mut Gpu, [Slot; 2], Slot), a: &[f32], b: &[f32], len: usize) -> Vec<f32> {
    let mut gpu = gpu(a.len() + b.len() + len);
    let a_slot = Slot::new(0, a.len());
    let b_slot = Slot::new(a.len(), b.len());
    let c_slot = Slot::new(a.len() + b.len(), len);
    gpu.write(a_slot, a);
    gpu.write(b_slot, b);
    kernel(&mut gpu, [a_slot, b_slot], c_slot);
    let mut c = vec![0.0; len];
    gpu.read(c_slot, &mut c);
    gpu.finish().unwrap();
    c
}

fn on_cpu(gemm: Gemm, a: &[f32], b: &[f32]) -> Vec<f32> {
    let mut c = vec![0.0; gemm.m * gemm.n];
    let mut workspace = vec![0.0; tensor::cpu::gemm::workspace(gemm)];
    tensor::cpu::gemm::gemm(Isa::widest(), gemm, a, b, &mut c, &mut workspace);
    c
}

#[test]
fn large_tiles() {
    assert_eq!(Tile::of(2048, 2048), Tile::Large);
    for gemm in transposes(131, 129, 21) {
        let (a, b) = (uniform(1, 131 * 21), uniform(2, 21 * 129));
        let product = |gpu: &mut Gpu, factors, c| {
            gemm_parts(gpu, gemm, Tile::Large, gemm.k, factors, None, c);
        };
        assert_eq!(by(product, &a, &b, 131 * 129), on_cpu(gemm, &a, &b), "{gemm:?}");
    }
}

#[test]
fn the_first_rung() {
    for gemm in transposes(19, 35, 33) {
        let (a, b) = (uniform(1, 19 * 33), uniform(2, 33 * 35));
        let product = |gpu: &mut Gpu, factors, c| gemm_naive(gpu, gemm, factors, c);
        assert_eq!(by(product, &a, &b, 19 * 35), on_cpu(gemm, &a, &b), "{gemm:?}");
    }
}
