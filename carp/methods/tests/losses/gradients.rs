//! Every loss's gradient against central differences, with two and with more views.

use autograd::gradcheck::{Input, largest_error};
use autograd::{Graph, Result, Value};
use methods::deepcluster_v2::{self, Head};
use methods::pcl_v2::Prototypes;
use methods::{
    BarlowTwins, DeepClusterV2, Dino, InfoMin, MocoV3, Obow, PclV2, Swav, Triplet, VicReg,
};
use tensor::random::{Purpose, Stream};

use crate::waves::unit_rows;

/// Losses are f32: differences are good to about three digits.
const STEP: f32 = 1.0 / 128.0;
const TOLERANCE: f64 = 4e-3;

fn random(index: u64, shapes: &[[usize; 2]]) -> Vec<Input> {
    let mut stream = Stream::new(3, Purpose::Test, 0, index);
    shapes.iter().map(|&shape| Input::uniform(&mut stream, shape, -1.0, 1.0)).collect()
}

fn check(name: &str, inputs: &[Input], loss: impl Fn(&mut Graph, &[Value]) -> Result<Value>) {
    let error = largest_error(inputs, STEP, |g, x| Ok((loss(g, x)?, vec![]))).unwrap();
    assert!(error < TOLERANCE, "{name}: off by {error}");
}

/// Random constants; of length 1 if `unit`.
fn constant(g: &mut Graph, index: u64, shape: [usize; 2], unit: bool) -> Value {
    let [input] = &random(index, &[shape])[..] else { unreachable!("one shape") };
    let data = if unit { unit_rows(&input.data, shape[1]) } else { input.data.clone() };
    g.constant("constant", shape, &data)
}

#[test]
fn of_two_views() {
    for (i, (batch, dim)) in (0..).zip([(2, 3), (5, 4), (12, 7), (17, 20)]) {
        let pair = random(i, &[[batch, dim]; 2]);
        // With few rows a standardised column is nearly a step function of its input.
        if batch > 4 {
            check("barlow twins", &pair, |g, z| BarlowTwins::default().loss(g, z[0], z[1]));
        }
        check("vicreg", &pair, |g, z| VicReg::default().loss(g, z[0], z[1]));
        for temperature in [1.0, 0.2] {
            check("moco v3", &pair, |g, q| {
                let keys = [10, 11].map(|index| constant(g, index, [batch, dim], false));
                MocoV3 { temperature }.loss(g, [q[0], q[1]], keys)
            });
        }
        if batch > 10 {
            check("triplet", &pair, |g, p| {
                let targets = [10, 11].map(|index| constant(g, index, [batch, dim], false));
                Triplet.loss(g, [p[0], p[1]], targets)
            });
        }
    }
}

#[test]
fn of_many_views() {
    for (views, batch, prototypes) in [(2, 3, 5), (4, 2, 7), (8, 5, 3)] {
        let scores = random(20, &[[views * batch, prototypes]]);
        check("dino", &scores, |g, s| {
            let teacher = constant(g, 21, [2 * batch, prototypes], false);
            let centre = constant(g, 22, [1, prototypes], false);
            let centre = g.reshape(centre, [prototypes])?;
            Dino::default().loss(g, s[0], teacher, centre)
        });
        // The codes come from scores of their own: no gradient passes through them, but a
        // difference would.
        check("swav", &scores, |g, s| {
            let swav = Swav::default();
            let mut codes = Vec::new();
            for index in [23, 24] {
                let view = constant(g, index, [batch, prototypes], false);
                let queue = constant(g, 25, [4, prototypes], false);
                codes.push(swav.codes(g, view, Some(queue))?);
            }
            let codes = g.concat_rows(&codes)?;
            swav.loss(g, s[0], codes)
        });
        check("deepcluster v2", &random(26, &[[views * batch, 6]]), |g, z| {
            // The last image has no label.
            let label = |image| (image + 1 < batch).then_some((image % prototypes) as u32);
            let labels: Vec<_> = (0..batch).map(label).collect();
            let (index, shares) = deepcluster_v2::targets(&labels, views, prototypes);
            let heads = [27, 28].map(|seed| Head {
                centroids: constant(g, seed, [prototypes, 6], true),
                index: g.constant_u32("index", index.clone()),
                shares: g.constant("shares", [views * batch], &shares),
            });
            DeepClusterV2::default().loss(g, z[0], &heads)
        });
    }
}

#[test]
fn with_a_queue() {
    for (batch, length, dim) in [(1, 1, 3), (4, 9, 6), (7, 3, 5)] {
        let queries = random(30, &[[batch, dim]; 2]);
        check("infomin", &queries, |g, q| {
            let keys = constant(g, 31, [batch, dim], false);
            let queue = constant(g, 32, [length, dim], true);
            InfoMin::default().loss(g, [q[0], keys, q[1]], queue)
        });
        check("pcl v2", &queries[..1], |g, q| {
            let keys = constant(g, 31, [batch, dim], false);
            let queue = constant(g, 32, [length, dim], true);
            let clusterings = [33, 34].map(|index| Prototypes {
                columns: constant(g, index, [batch + length, dim], true),
                densities: g.fill([batch + length], 0.3),
            });
            PclV2::default().loss(g, [q[0], keys], queue, &clusterings)
        });
    }
}

#[test]
fn of_bags() {
    for (images, crops, words, dim) in [(1, 2, 4, 3), (3, 5, 9, 6)] {
        check("obow", &random(40, &[[images * crops, dim]]), |g, f| {
            let bags = constant(g, 41, [images, words], false);
            let bags = g.softmax(bags);
            let weights = constant(g, 42, [words, dim], true);
            Obow { kappa: 3.0, ..Obow::default() }.loss(g, f[0], weights, bags)
        });
    }
}
