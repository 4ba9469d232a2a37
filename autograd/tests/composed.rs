//! Ops that are composed of others' kernels: their values by hand, their gradients against central
//! differences.

use autograd::gradcheck::{Input, largest_error};
use autograd::{BatchNormParams, Executor, Graph, Passes, Phase, Result, Shards, Value};
use tensor::Cpu;
use tensor::random::{Purpose, Stream};

/// The numbers of `build`'s results.
fn values(build: impl Fn(&mut Graph) -> Result<Vec<Value>>) -> Vec<Vec<f32>> {
    let mut g = Graph::new();
    let results = build(&mut g).unwrap();
    results.iter().for_each(|&value| g.keep(value));
    let mut executor = Executor::new(g, &Cpu).unwrap();
    executor.run(Phase::Forward).unwrap();
    results.iter().map(|&value| executor.read(value)).collect()
}

fn check(name: &str, input: Input, build: impl Fn(&mut Graph, Value) -> Result<Value>) {
    let error = largest_error(&[input], 1.0 / 64.0, |g, x| Ok((build(g, x[0])?, vec![]))).unwrap();
    assert!(error < 4e-3, "{name}: off by {error}");
}

#[test]
fn transpose() {
    let got = values(|g| {
        let x = g.constant("x", [2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        Ok(vec![g.transpose(x)?])
    });
    assert_eq!(got, [[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]]);
    let mut stream = Stream::new(7, Purpose::Test, 0, 0);
    for shape in [[1, 1], [1, 5], [4, 1], [3, 7]] {
        let x = Input::uniform(&mut stream, shape, -1.0, 1.0);
        check("transpose", x, |g, x| g.transpose(x));
    }
}

#[test]
fn largest() {
    // Columns 3 1 4 1 5 and -2 -2 0 -9 -2: a tie counts as often as it occurs.
    let got = values(|g| {
        let x = [3.0, -2.0, 1.0, -2.0, 4.0, 0.0, 1.0, -9.0, 5.0, -2.0];
        let x = g.constant("x", [5, 2], &x);
        g.largest(x, 5)
    });
    let want = [[5.0, 0.0], [4.0, -2.0], [3.0, -2.0], [1.0, -2.0], [1.0, -9.0]];
    assert_eq!(got, want);
    let mut stream = Stream::new(7, Purpose::Test, 0, 1);
    for (shape, count) in [([1, 3], 1), ([4, 2], 4), ([7, 3], 2), ([17, 1], 10)] {
        let x = Input::spaced(&mut stream, shape, 0.05);
        check("largest", x, |g, x| {
            let parts = g.largest(x, count)?;
            g.concat_rows(&parts)
        });
    }
    let mut g = Graph::new();
    let x = g.input("x", [3, 2]);
    let line = g.largest(x, 4).unwrap_err().to_string();
    assert_eq!(line, "largest: 4 elements of each column of [3, 2]");
}

#[test]
fn log_sum_exp() {
    // ln(e^0 + e^0) and ln(e^1000 + e^-1000).
    let got = values(|g| {
        let x = g.constant("x", [2, 2], &[0.0, 0.0, 1000.0, -1000.0]);
        Ok(vec![g.log_sum_exp(x)?])
    });
    assert!((got[0][0] - 2f32.ln()).abs() < 1e-6 && got[0][1] == 1000.0, "{got:?}");
    let mut stream = Stream::new(7, Purpose::Test, 0, 2);
    for shape in [[1, 1], [3, 2], [2, 33]] {
        let x = Input::uniform(&mut stream, shape, -2.0, 2.0);
        check("log_sum_exp", x, |g, x| g.log_sum_exp(x));
    }
}

#[test]
fn divide() {
    let got = values(|g| {
        let [a, b] =
            [g.constant("a", [3], &[1.0, -6.0, 0.5]), g.constant("b", [3], &[4.0, 3.0, 2.0])];
        Ok(vec![g.divide(a, b)?])
    });
    assert_eq!(got, [[0.25, -2.0, 0.25]]);
}

#[test]
fn no_gradient_passes_through_a_detached_value() {
    // y = x detach(x): dy/dx is detach(x), not 2x.
    let mut g = Graph::new();
    let x = g.param("x", [2]);
    let fixed = g.detach(x);
    let y = g.mul(x, fixed).unwrap();
    let seed = g.fill([2], 1.0);
    let grads = g.backward(&[(y, seed), (fixed, seed)], &[x]).unwrap();
    let grad = grads[0].unwrap();
    g.keep(grad);
    let mut executor = Executor::new(g, &Cpu).unwrap();
    executor.write(x, &[3.0, -4.0]);
    executor.run_all().unwrap();
    assert_eq!(executor.read(grad), [3.0, -4.0]);
}

/// Logits of +-x have probabilities e^(+-x) / (N cosh x), and H = x tanh x - ln cosh x, about x^2 / 2:
/// between two multiples of 4.8e-7, to which numbers next to ln N are rounded.
#[test]
fn the_entropy_near_uniform_keeps_its_digits() {
    const N: usize = 64;
    let logits: Vec<f32> = (0..4 * N).map(|i| [0.0012, -0.0012][i % 2]).collect();
    for passes in [Passes::none(), Passes::all()] {
        let mut g = Graph::new();
        let [student, teacher] =
            ["student", "teacher"].map(|name| g.constant(name, [2, N], &logits[..2 * N]));
        let order = g.constant_u32("order", (0..N as u32).collect());
        let entropy = g.carp_loss_of_logits(student, teacher, order, N).unwrap().entropy;
        g.keep(entropy);
        g.fuse(&passes);
        let mut executor = Executor::new(g, &Cpu).unwrap();
        executor.run(Phase::Forward).unwrap();
        let got = executor.read(entropy)[0];
        assert!((got - 7.2e-7).abs() < 1.5e-7, "{passes}: {got}");
    }
}

/// What counts is the rows of all shards: here one each.
#[test]
fn batch_norm_of_shards_of_one_row() {
    let build = |shards| -> Result<_> {
        let mut g = Graph::of_shards(Shards { all: shards, local: shards });
        let x = g.shard_input("x", [1, 2]);
        let [weight, bias] = [1.0, 0.0].map(|value| g.constant("", [2], &[value; 2]));
        let [running_mean, running_var] = ["mean", "var"].map(|name| g.state(name, [2]));
        let params = BatchNormParams { weight, bias, running_mean, running_var };
        let y = g.batch_norm(x, params, true, 0.0, 1.0)?;
        g.keep(y);
        g.split_batch_norm()?;
        Ok((g, x, [y, running_mean, running_var]))
    };
    let (g, x, results) = build(2).unwrap();
    let mut executor = Executor::new(g, &Cpu).unwrap();
    executor.write_shard(x, 0, 0, &[1.0, 30.0]);
    executor.write_shard(x, 1, 0, &[3.0, 10.0]);
    executor.run(Phase::Forward).unwrap();
    let got = results.map(|value| executor.read(value));
    assert_eq!(got, [[-1.0, 1.0], [2.0, 20.0], [2.0, 200.0]]);
    let line = build(1).map(|_| ()).unwrap_err().to_string();
    assert!(line.contains("use a larger batch"), "{line}");
}
