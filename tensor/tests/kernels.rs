//! Kernels against naive loops in f64, at sizes that are cut into several tasks and at awkward ones;
//! and the same bits with any number of threads.

use tensor::backend::BatchNorm;
use tensor::cpu::{batch_norm, conv2d, gather, gemm, pool, reduce};
use tensor::geometry::{Conv2d, Gemm, Pool2d};
use tensor::random::{Purpose, Stream};
use tensor::{Error, Shape};

fn uniform(index: u64, len: usize) -> Vec<f32> {
    let mut stream = Stream::new(5, Purpose::Test, 0, index);
    (0..len).map(|_| stream.range(-1.0, 1.0)).collect()
}

/// Asserts that the largest difference is at most `relative` of the largest wanted number.
fn close(name: &str, got: &[f32], want: &[f64], relative: f64) {
    assert_eq!(got.len(), want.len(), "{name}");
    let scale = want.iter().fold(1e-3f64, |most, w| most.max(w.abs()));
    let error = got.iter().zip(want).map(|(g, w)| (f64::from(*g) - w).abs()).fold(0.0, f64::max);
    // A NaN is lost in the maximum, so it is asked for apart.
    assert!(got.iter().all(|x| x.is_finite()), "{name}: not finite");
    assert!(error <= relative * scale, "{name}: off by {error}, scale {scale}");
}

/// Runs a kernel with 1, 2, 3 and 8 threads and returns what all of them gave. Workspaces are full
/// of NaN: nothing may rely on what they hold.
fn on_any_threads(
    name: &str,
    workspace: usize,
    kernel: impl Fn(&mut [f32]) -> Vec<f32> + Sync,
) -> Vec<f32> {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| kernel(&mut vec![f32::NAN; workspace]))
    };
    let first = run(1);
    for threads in [2, 3, 8] {
        let other = run(threads);
        let same = first.iter().zip(&other).all(|(a, b)| a.to_bits() == b.to_bits());
        assert!(same, "{name}: {threads} threads give other bits");
    }
    first
}

#[test]
fn gemm_in_all_transposes() {
    let sizes = [
        (1, 1, 1),
        (3, 5, 7),
        (65, 33, 17),
        (700, 40, 90),
        (8, 9, 5000),
        (40, 24, 3001),
        (300, 1, 1500),
        (1, 300, 2500),
    ];
    for (m, n, k) in sizes {
        let (a, b) = (uniform(1, m * k), uniform(2, k * n));
        for (trans_a, trans_b) in [(false, false), (false, true), (true, false), (true, true)] {
            let product = Gemm { m, n, k, trans_a, trans_b };
            let name = format!("{product:?}");
            let got = on_any_threads(&name, gemm::workspace(product), |workspace| {
                let mut c = vec![f32::NAN; m * n];
                gemm::gemm(product, &a, &b, &mut c, workspace);
                c
            });
            let a_at = |i: usize, l: usize| if trans_a { a[l * m + i] } else { a[i * k + l] };
            let b_at = |l: usize, j: usize| if trans_b { b[j * k + l] } else { b[l * n + j] };
            let mut want = vec![0.0; m * n];
            for (at, want) in want.iter_mut().enumerate() {
                let (i, j) = (at / n, at % n);
                *want = (0..k).map(|l| f64::from(a_at(i, l)) * f64::from(b_at(l, j))).sum();
            }
            close(&name, &got, &want, 1e-5);
        }
    }
}

/// Calls `f(x index, weight index, y index)` for every product of a convolution.
fn each_product(conv: Conv2d, mut f: impl FnMut(usize, usize, usize)) {
    let (p, q) = (conv.out_h(), conv.out_w());
    for row in 0..conv.rows() {
        let (n, y, x) = (row / (p * q), row / q % p, row % q);
        for window in 0..conv.r * conv.s {
            let (r, s) = (window / conv.s, window % conv.s);
            let h = (y * conv.stride + r).wrapping_sub(conv.padding);
            let w = (x * conv.stride + s).wrapping_sub(conv.padding);
            if h >= conv.h || w >= conv.w {
                continue;
            }
            for c in 0..conv.c {
                let pixel = ((n * conv.h + h) * conv.w + w) * conv.c + c;
                for o in 0..conv.o {
                    f(pixel, (o * conv.r * conv.s + window) * conv.c + c, row * conv.o + o);
                }
            }
        }
    }
}

#[test]
fn convolution_and_its_gradients() {
    // N,H,W,C, O,R,S, stride, padding: the first ones fill several chunks of several tasks.
    let cases: [([usize; 4], [usize; 3], usize, usize); 12] = [
        ([33, 9, 9, 16], [8, 3, 3], 1, 1),
        ([20, 12, 10, 40], [6, 3, 3], 2, 1),
        ([3, 31, 33, 3], [16, 7, 7], 2, 3),
        ([40, 6, 6, 70], [24, 1, 1], 1, 0),
        ([17, 8, 8, 20], [12, 1, 1], 2, 0),
        ([2, 5, 7, 3], [4, 5, 3], 1, 2),
        ([1, 1, 1, 1], [1, 1, 1], 1, 0),
        ([2, 3, 3, 4], [5, 3, 3], 1, 0),
        ([1, 2, 2, 3], [2, 5, 5], 1, 2),
        ([4, 7, 5, 1], [3, 2, 2], 3, 1),
        ([2, 4, 4, 3], [2, 3, 3], 1, 3),
        ([1, 5, 5, 2], [1, 3, 3], 3, 0),
    ];
    for (i, (x_shape, [o, r, s], stride, padding)) in (0..).zip(cases) {
        let weight_shape = Shape::from([o, r, s, x_shape[3]]);
        let conv = Conv2d::new(Shape::from(x_shape), weight_shape, stride, padding).unwrap();
        let name = format!("{conv:?}");
        let x = uniform(3 * i, x_shape.iter().product());
        let weight = uniform(3 * i + 1, weight_shape.elements());
        let dy = uniform(3 * i + 2, conv.y_shape().elements());
        let (mut want_y, mut want_dx, mut want_dw) =
            (vec![0.0; dy.len()], vec![0.0; x.len()], vec![0.0; weight.len()]);
        each_product(conv, |at_x, at_w, at_y| {
            want_y[at_y] += f64::from(x[at_x]) * f64::from(weight[at_w]);
            want_dx[at_x] += f64::from(dy[at_y]) * f64::from(weight[at_w]);
            want_dw[at_w] += f64::from(dy[at_y]) * f64::from(x[at_x]);
        });
        let y = on_any_threads(&name, conv2d::forward_workspace(conv), |workspace| {
            let mut y = vec![f32::NAN; dy.len()];
            conv2d::forward(conv, &x, &weight, &mut y, workspace);
            y
        });
        close(&format!("y of {name}"), &y, &want_y, 1e-5);
        let dx = on_any_threads(&name, conv2d::grad_input_workspace(conv), |workspace| {
            let mut dx = vec![f32::NAN; x.len()];
            conv2d::grad_input(conv, &dy, &weight, &mut dx, workspace);
            dx
        });
        close(&format!("dx of {name}"), &dx, &want_dx, 1e-5);
        let dw = on_any_threads(&name, conv2d::grad_weight_workspace(conv), |workspace| {
            let mut dw = vec![f32::NAN; weight.len()];
            conv2d::grad_weight(conv, &x, &dy, &mut dw, workspace);
            dw
        });
        close(&format!("dw of {name}"), &dw, &want_dw, 1e-5);
    }
}

#[test]
fn wrong_convolutions_name_both_shapes() {
    let new = |x: [usize; 4], w: [usize; 4], stride, padding| {
        Conv2d::new(Shape::from(x), Shape::from(w), stride, padding).unwrap_err().to_string()
    };
    let channels = new([1, 5, 5, 3], [4, 3, 3, 2], 1, 0);
    assert!(channels.contains("[1, 5, 5, 3]") && channels.contains("[4, 3, 3, 2]"), "{channels}");
    assert!(new([1, 5, 5, 3], [4, 3, 3, 3], 0, 0).contains("stride 0"));
    assert!(new([1, 2, 2, 3], [4, 3, 3, 3], 1, 0).contains("larger than input [1, 2, 2, 3]"));
    let pool = Pool2d::new("max_pool2d", Shape::from([1, 4, 4, 1]), 2, 2, 2);
    assert!(matches!(pool, Err(Error::Setting { op: "max_pool2d", .. })));
}

#[test]
fn batch_norm_keeps_its_digits_behind_a_large_mean() {
    // Rows that fill several groups; channels that are widened, that are not, that are many.
    for (i, (rows, channels)) in
        (0..).zip([(5000, 3), (4099, 16), (3000, 1), (700, 64), (257, 130), (2, 5)])
    {
        let x: Vec<f32> = uniform(i, rows * channels).iter().map(|x| 100.0 + x).collect();
        let (weight, bias) = (uniform(40, channels), uniform(41, channels));
        let norm = BatchNorm { rows, channels, eps: 1e-5, momentum: 0.1, relu: false };
        let name = format!("{norm:?}");
        let got = on_any_threads(&name, batch_norm::workspace(norm), |workspace| {
            let (mut mean, mut inv_std) = (vec![0.0; channels], vec![0.0; channels]);
            let (mut running_mean, mut running_var) = (vec![0.0; channels], vec![1.0; channels]);
            let mut y = vec![f32::NAN; x.len()];
            batch_norm::forward(
                norm,
                &x,
                None,
                &weight,
                &bias,
                &mut running_mean,
                &mut running_var,
                &mut y,
                &mut mean,
                &mut inv_std,
                workspace,
            );
            [y, mean, inv_std, running_mean, running_var].concat()
        });
        let column = |c: usize| x.iter().skip(c).step_by(channels).map(|&x| f64::from(x));
        let mut want = vec![0.0; x.len()];
        let mut statistics = [vec![], vec![], vec![], vec![]];
        for c in 0..channels {
            let mean = column(c).sum::<f64>() / rows as f64;
            let squares = column(c).map(|x| (x - mean) * (x - mean)).sum::<f64>();
            let inv_std = 1.0 / (squares / rows as f64 + 1e-5).sqrt();
            for (row, x) in column(c).enumerate() {
                let xhat = (x - mean) * inv_std;
                want[row * channels + c] = xhat * f64::from(weight[c]) + f64::from(bias[c]);
            }
            statistics[0].push(mean);
            statistics[1].push(inv_std);
            statistics[2].push(0.1 * mean);
            statistics[3].push(0.9 + 0.1 * squares / (rows - 1) as f64);
        }
        let (y, rest) = got.split_at(x.len());
        // The mean itself is rounded to f32: 4e-6 of 100, and so are all x.
        close(&name, y, &want, 2e-5);
        for (got, want) in rest.chunks(channels).zip(&statistics) {
            // Sums of a group are f32: a few units in the last place.
            close(&name, got, want, 5e-6);
        }
    }
}

#[test]
fn pools_prefer_the_first_maximum_and_hand_on_nan() {
    let pool = Pool2d::new("max_pool2d", Shape::from([1, 2, 4, 1]), 2, 2, 0).unwrap();
    let x = [3.0, 3.0, f32::NAN, 9.0, 3.0, 1.0, 2.0, 3.0];
    let (mut y, mut argmax) = ([0.0; 2], [9; 2]);
    pool::max_forward(pool, &x, &mut y, &mut argmax);
    assert_eq!((y[0], argmax[0], argmax[1]), (3.0, 0, 2));
    assert!(y[1].is_nan());
}

#[test]
fn reductions_and_gathers() {
    let x = uniform(60, 100_003);
    let want: f64 = x.iter().map(|&x| f64::from(x)).sum();
    let got = on_any_threads("sum", 0, |_| vec![reduce::sum(&x) as f32]);
    assert!((f64::from(got[0]) - want).abs() < 1e-3);
    assert!(reduce::all_finite(&x));
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut x = x.clone();
        x[77_777] = bad;
        assert!(!reduce::all_finite(&x));
    }
    for columns in [1, 7, 513] {
        let rows = x.len() / columns;
        let x = &x[..rows * columns];
        let workspace = reduce::sum_rows_workspace(rows, columns);
        let got = on_any_threads("sum_rows", workspace, |workspace| {
            let mut y = vec![f32::NAN; columns];
            reduce::sum_rows(x, &mut y, workspace);
            y
        });
        let want: Vec<f64> = (0..columns)
            .map(|c| x.iter().skip(c).step_by(columns).map(|&x| f64::from(x)).sum())
            .collect();
        close("sum_rows", &got, &want, 1e-5);
    }
    let index = [4, 0, 4, 2];
    let mut y = [0.0; 8];
    gather::gather_rows(2, &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0], &index, &mut y);
    assert_eq!(y, [8.0, 9.0, 0.0, 1.0, 8.0, 9.0, 4.0, 5.0]);
    let mut dx = [7.0; 10];
    gather::scatter_add_rows(2, &y, &index, &mut dx);
    assert_eq!(dx, [0.0, 1.0, 0.0, 0.0, 4.0, 5.0, 0.0, 0.0, 16.0, 18.0]);
}
