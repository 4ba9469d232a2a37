//! Every op's gradient against central differences, at ordinary and awkward shapes.

use autograd::gradcheck::{Input, largest_error};
use autograd::{BatchNormParams, Graph, LossInputs, Passes, Result, Value, cross_entropy_index};
use tensor::geometry::ConvAlgorithm;
use tensor::random::{Purpose, Stream};

/// Forward passes are f32: differences of step 1/64 are good to about three digits.
const STEP: f32 = 1.0 / 64.0;
const TOLERANCE: f64 = 4e-3;

fn stream(index: u64) -> Stream {
    Stream::new(7, Purpose::Test, 0, index)
}

fn check(name: &str, inputs: &[Input], build: impl Fn(&mut Graph, &[Value]) -> Result<Value>) {
    let error = largest_error(inputs, STEP, |g, x| Ok((build(g, x)?, vec![]))).unwrap();
    assert!(error < TOLERANCE, "{name}: off by {error}");
}

fn normal(index: u64, shapes: &[&[usize]]) -> Vec<Input> {
    let mut stream = stream(index);
    shapes.iter().map(|shape| Input::uniform(&mut stream, *shape, -1.0, 1.0)).collect()
}

#[test]
fn conv2d() {
    // (n, h, w, c), (o, r, s), stride, padding
    let cases = [
        ([2, 5, 6, 3], [4, 3, 3], 1, 1),
        ([2, 7, 5, 2], [3, 3, 3], 2, 1),
        ([1, 6, 6, 1], [1, 2, 2], 2, 0),
        ([3, 4, 4, 5], [2, 1, 1], 1, 0),
        ([2, 5, 5, 3], [4, 1, 1], 2, 0),
        ([1, 9, 9, 2], [3, 5, 5], 3, 2),
        ([1, 1, 1, 4], [2, 3, 3], 1, 1),
        ([2, 8, 8, 3], [2, 7, 7], 2, 3),
        ([1, 5, 7, 2], [2, 1, 3], 1, 0),
    ];
    for (i, (x, w, stride, padding)) in (0..).zip(cases) {
        let inputs = normal(i, &[&x, &[w[0], w[1], w[2], x[3]]]);
        let name = format!("conv2d {x:?} {w:?} stride {stride} padding {padding}");
        for algorithm in ConvAlgorithm::ALL {
            check(&format!("{name}, {algorithm:?}"), &inputs, |g, v| {
                let y = g.conv2d(v[0], v[1], stride, padding)?;
                g.convolve_by(algorithm);
                Ok(y)
            });
        }
    }
}

#[test]
fn batch_norm() {
    for (i, (shape, relu, residual, training)) in (0..).zip([
        (&[4, 3][..], false, false, true),
        (&[2, 3, 3, 5], true, false, true),
        (&[2, 2, 4, 17], false, true, true),
        (&[3, 2, 2, 4], true, true, true),
        (&[5, 1], true, true, false),
        (&[2, 3, 2, 3], false, false, false),
        (&[90, 3], true, true, true),
    ]) {
        let channels = *shape.last().unwrap();
        let mut inputs = normal(20 + i, &[shape, &[channels], &[channels], shape]);
        if !residual {
            inputs.pop();
        }
        // Far from the kink: everything positive or everything well mixed, but never near 0.
        for (j, value) in inputs[1].data.iter_mut().enumerate() {
            *value = 0.25 + 0.01 * j as f32;
        }
        for (j, value) in inputs[2].data.iter_mut().enumerate() {
            *value = if relu { [3.5, -4.5][j % 2] } else { 0.3 };
        }
        let name = format!("batch_norm {shape:?} {relu} {residual} {training}");
        let build = |g: &mut Graph, v: &[Value], passes: &Passes| {
            let statistic = |g: &mut Graph, name: &str| g.state(name, [channels]);
            let running_mean = statistic(g, "mean");
            let running_var = statistic(g, "var");
            let params = BatchNormParams { weight: v[1], bias: v[2], running_mean, running_var };
            // With running variance 0, eps = 1 alone sets the scale in inference.
            let eps = if training { 1e-5 } else { 1.0 };
            let mut y = g.batch_norm(v[0], params, training, eps, 0.1)?;
            if residual {
                y = g.add(y, v[3])?;
            }
            if relu {
                y = g.relu(y);
            }
            g.fuse(passes);
            Ok((y, vec![]))
        };
        for passes in [Passes::none(), Passes::all()] {
            let error = largest_error(&inputs, STEP, |g, v| build(g, v, &passes)).unwrap();
            assert!(error < TOLERANCE, "{name}, fuse {passes}: off by {error}");
        }
    }
}

#[test]
fn convolution_and_batch_norm() {
    let inputs = normal(30, &[&[3, 4, 5, 2], &[4, 3, 3, 2], &[4], &[4]]);
    for algorithm in ConvAlgorithm::ALL {
        for passes in ["none", "batch-norm-sums", "batch-norm-relu,batch-norm-sums"] {
            check(&format!("{algorithm:?}, fuse {passes}"), &inputs, |g, v| {
                let [running_mean, running_var] = ["mean", "var"].map(|name| g.state(name, [4]));
                let params =
                    BatchNormParams { weight: v[2], bias: v[3], running_mean, running_var };
                let y = g.conv2d(v[0], v[1], 1, 1)?;
                g.convolve_by(algorithm);
                let y = g.batch_norm(y, params, true, 1e-2, 0.1)?;
                let y = g.gelu(y);
                g.fuse(&passes.parse().expect("known passes"));
                Ok(y)
            });
        }
    }
}

#[test]
fn pointwise_ops() {
    let mut random = stream(40);
    for shape in [&[1][..], &[3, 5], &[2, 3, 3, 7]] {
        let spaced = [Input::spaced(&mut random, shape, 0.1)];
        check("relu", &spaced, |g, v| Ok(g.relu(v[0])));
        let inputs = normal(41, &[shape, shape]);
        check("gelu", &inputs[..1], |g, v| Ok(g.gelu(v[0])));
        check("scale", &inputs[..1], |g, v| Ok(g.scale(v[0], -1.5)));
        check("add", &inputs, |g, v| g.add(v[0], v[1]));
        check("mul", &inputs, |g, v| g.mul(v[0], v[1]));
        check("mul with itself", &inputs[..1], |g, v| g.mul(v[0], v[0]));
        let mut random = stream(33);
        let positive = [Input::uniform(&mut random, shape, 0.5, 3.0)];
        check("ln", &positive, |g, v| Ok(g.ln(v[0])));
        check("clamp", &spaced, |g, v| Ok(g.clamp(v[0], -0.3, 0.3)));
        check("fan-out", &inputs[..1], |g, v| {
            let twice = g.add(v[0], v[0])?;
            let gelu = g.gelu(twice);
            g.add(gelu, v[0])
        });
    }
}

#[test]
fn pools() {
    let mut random = stream(50);
    for (shape, kernel, stride, padding) in [
        ([2, 6, 5, 3], 2, 2, 0),
        ([1, 7, 7, 2], 3, 2, 1),
        ([2, 4, 4, 1], 3, 1, 1),
        ([1, 3, 3, 4], 3, 3, 0),
        ([1, 1, 1, 3], 1, 1, 0),
    ] {
        let spaced = [Input::spaced(&mut random, shape, 0.05)];
        check("max_pool2d", &spaced, |g, v| g.max_pool2d(v[0], kernel, stride, padding));
        check("avg_pool2d", &spaced, |g, v| g.avg_pool2d(v[0], kernel, stride, padding));
        check("global_avg_pool", &spaced, |g, v| g.global_avg_pool(v[0]));
    }
}

#[test]
fn matmul_and_linear() {
    for (m, k, n) in [(3, 4, 5), (1, 7, 1), (6, 1, 2), (17, 33, 9)] {
        for trans_a in [false, true] {
            for trans_b in [false, true] {
                let a = if trans_a { [k, m] } else { [m, k] };
                let b = if trans_b { [n, k] } else { [k, n] };
                check("matmul", &normal(60, &[&a, &b]), |g, v| {
                    g.matmul(v[0], trans_a, v[1], trans_b)
                });
            }
        }
        let inputs = normal(61, &[&[m, k], &[n, k], &[n]]);
        check("linear", &inputs, |g, v| g.linear(v[0], v[1], Some(v[2])));
        for passes in ["linear-bias", "bias-gelu"] {
            let passes: Passes = passes.parse().unwrap();
            check("fused linear and gelu", &inputs, |g, v| {
                let y = g.linear(v[0], v[1], Some(v[2]))?;
                let y = g.gelu(y);
                g.fuse(&passes);
                assert_eq!(g.nodes().len(), 2, "{passes}");
                Ok(y)
            });
        }
    }
}

#[test]
fn rows_and_reductions() {
    for shape in [[1, 1], [4, 7], [3, 16], [2, 33]] {
        let one = normal(70, &[&shape]);
        check("softmax", &one, |g, v| Ok(g.softmax(v[0])));
        check("log_softmax", &one, |g, v| Ok(g.log_softmax(v[0])));
        check("sum", &one, |g, v| Ok(g.sum(v[0])));
        check("mean", &one, |g, v| Ok(g.mean(v[0])));
        check("sum_columns", &one, |g, v| Ok(g.sum_columns(v[0])));
        let elements = shape.iter().product::<usize>();
        check("reshape", &one, |g, v| {
            let twice = g.scale(v[0], 2.0);
            g.reshape(twice, [elements, 1])
        });
        check("sum_rows", &one, |g, v| Ok(g.sum_rows(v[0])));
        check("slice_rows", &one, |g, v| g.slice_rows(v[0], shape[0] - 1, 1));
        let mut random = stream(71);
        let long = [Input::uniform(&mut random, shape, 1.0, 2.0)];
        check("weight_norm", &long, |g, v| Ok(g.weight_norm(v[0])));
        check("l2_normalize", &long, |g, v| Ok(g.l2_normalize(v[0], 0.5)));
        check("l2_normalize of short rows", &long, |g, v| Ok(g.l2_normalize(v[0], 100.0)));
        let two = normal(72, &[&shape, &[3, shape[1]], &[shape[1]]]);
        check("concat_rows", &two[..2], |g, v| g.concat_rows(&[v[0], v[1], v[0]]));
        check(
            "add_bias",
            &[&two[0], &two[2]].map(|i| Input { shape: i.shape, data: i.data.clone() }),
            |g, v| g.add_bias(v[0], v[1]),
        );
    }
}

#[test]
fn cross_entropy() {
    for (i, (rows, classes)) in (0..).zip([(1, 1), (1, 2), (5, 3), (4, 33)]) {
        let inputs = normal(100 + i, &[&[rows, classes]]);
        let labels = (0..rows).map(|row| (row * 7 % classes) as u32);
        let index = cross_entropy_index(classes, labels);
        // Alone, with a cotangent per row, and as a mean, as in training.
        for mean in [false, true] {
            let error = largest_error(&inputs, STEP, |g, v| {
                let places = g.input_u32("index", [rows]);
                let losses = g.cross_entropy(v[0], places)?;
                let y = if mean { g.mean(losses) } else { losses };
                Ok((y, vec![(places, index.clone())]))
            });
            assert!(error.unwrap() < TOLERANCE, "cross_entropy [{rows},{classes}]");
        }
    }
}

#[test]
fn cross_entropy_refuses_other_shapes() {
    let mut g = Graph::new();
    let (x, short) = (g.input("x", [4, 3]), g.input_u32("index", [3]));
    let numbers = g.input("numbers", [4]);
    for index in [short, numbers] {
        let line = g.cross_entropy(x, index).unwrap_err().to_string();
        assert!(line.contains("cross_entropy") && line.contains("[4, 3]"), "{line}");
    }
}

#[test]
fn gather_rows() {
    let inputs = normal(80, &[&[5, 3]]);
    let error = largest_error(&inputs, STEP, |g, v| {
        let index = g.input_u32("index", [6]);
        // A repeated index, and rows that are never selected.
        Ok((g.gather_rows(v[0], index)?, vec![(index, vec![4, 0, 0, 2, 4, 4])]))
    });
    assert!(error.unwrap() < TOLERANCE);
}

#[test]
fn gather_columns() {
    let inputs = normal(81, &[&[4, 5]]);
    for count in [1, 3, 5] {
        let error = largest_error(&inputs, STEP, |g, v| {
            let index = g.input_u32("index", [5]);
            let y = g.gather_columns(v[0], index, count)?;
            Ok((y, vec![(index, vec![4, 0, 3, 2, 1])]))
        });
        assert!(error.unwrap() < TOLERANCE);
    }
}

#[test]
fn carp_loss() {
    // V, B, K, N_B: blocks that divide K, that leave a surplus, of one prototype, of all.
    for (i, (views, batch, k, size)) in
        (0..).zip([(2, 3, 8, 4), (3, 2, 10, 4), (8, 2, 12, 3), (2, 1, 5, 1), (4, 3, 7, 7)])
    {
        let mut random = stream(90 + i);
        let student = Input::uniform(&mut random, [views * batch, 4], -2.0, 2.0);
        let prototypes = Input::uniform(&mut random, [k, 4], 0.5, 1.5);
        let mut uniform = |len: usize| -> Vec<u32> {
            (0..len).map(|_| random.range(-2.0, 2.0).to_bits()).collect()
        };
        let (teacher, teacher_prototypes) = (uniform(2 * batch * 4), uniform(k * 4));
        let mut order: Vec<u32> = (0..k as u32).collect();
        random.shuffle(&mut order);
        for passes in ["none", "partition-loss", "streaming-loss", "tiled-loss"] {
            let passes: Passes = passes.parse().unwrap();
            let error = largest_error(&[student.clone(), prototypes.clone()], STEP, |g, v| {
                // The teacher comes in as indices: the bits of f32 as u32.
                let inputs = LossInputs {
                    student: v[0],
                    teacher: g.input("teacher", [2 * batch, 4]),
                    student_prototypes: v[1],
                    teacher_prototypes: g.input("teacher_prototypes", [k, 4]),
                    permutation: g.input_u32("permutation", [k]),
                };
                let written = vec![
                    (inputs.permutation, order.clone()),
                    (inputs.teacher, teacher.clone()),
                    (inputs.teacher_prototypes, teacher_prototypes.clone()),
                ];
                let terms = g.carp_loss(inputs, size)?;
                g.fuse(&passes);
                Ok((terms.loss, written))
            })
            .unwrap();
            assert!(error < TOLERANCE, "V={views} B={batch} K={k} N_B={size}, {passes}: {error}");
        }
    }
}
