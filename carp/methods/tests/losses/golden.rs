//! Every loss against its authors' code, run in double precision on inputs of a closed form:
//! `f_v[n,d] = sin(0.3 (v+1) + 0.7 (n+1) + 0.11 (d+1) (n+2))`.

use autograd::gradcheck::Input;
use autograd::{Graph, Result, Value};
use methods::deepcluster_v2::{self, Head};
use methods::pcl_v2::{self, Prototypes};
use methods::{
    BarlowTwins, DeepClusterV2, Dino, InfoMin, MocoV3, Obow, PclV2, SelaV2, Swav, Triplet, VicReg,
};

use crate::waves::{Wave, close, evaluate, stacked, unit_rows};

/// Relative to the value: losses and gradients are sums of at most a few hundred f32.
const TOLERANCE: f64 = 2e-5;

/// Loss, and for the first inputs the sum of the absolute gradient and its first element.
fn check(
    name: &str,
    want: f64,
    gradients: &[(f64, f64)],
    inputs: &[Input],
    loss: impl Fn(&mut Graph, &[Value]) -> Result<Value>,
) {
    let (got, grads) = evaluate(inputs, loss);
    close(&format!("{name}: loss"), got, want, TOLERANCE);
    for (i, (&(sum, first), grad)) in gradients.iter().zip(&grads).enumerate() {
        let absolute: f64 = grad.iter().map(|g| f64::from(g.abs())).sum();
        close(&format!("{name}: gradient {i}"), absolute, sum, TOLERANCE);
        // One element is as exact as the gradient's mean allows.
        let scale = sum / grad.len() as f64;
        let off = (f64::from(grad[0]) - first).abs() / scale.max(first.abs());
        assert!(off < 10.0 * TOLERANCE, "{name}: gradient {i} starts {}, not {first}", grad[0]);
    }
}

fn wave(v: usize) -> Input {
    waves(&[v])
}

/// Views of four images, one below the other.
fn waves(views: &[usize]) -> Input {
    stacked(&views.iter().map(|&v| Wave { v, rows: 4, columns: 6 }).collect::<Vec<_>>())
}

#[test]
fn barlow_twins() {
    let gradients = [(0.1852970593, 0.0046602216), (0.1483042368, 0.0073147157)];
    check("barlow twins", 0.0942025258, &gradients, &[wave(0), wave(1)], |g, z| {
        BarlowTwins::default().loss(g, z[0], z[1])
    });
}

#[test]
fn vicreg() {
    let gradients = [(10.1875441729, -0.2535894417), (10.9965910318, -0.1075745579)];
    check("vicreg", 8.6863117645, &gradients, &[wave(0), wave(1)], |g, z| {
        VicReg::default().loss(g, z[0], z[1])
    });
}

#[test]
fn moco_v3() {
    for (temperature, loss, gradient) in [
        (1.0, 3.6015788002, (1.6967579184, -0.0283635848)),
        (0.2, 0.7533061856, (2.0529643681, -0.0003426482)),
    ] {
        let inputs = [wave(0), wave(1), wave(2), wave(3)];
        check(&format!("moco v3, T {temperature}"), loss, &[gradient], &inputs, |g, x| {
            MocoV3 { temperature }.loss(g, [x[0], x[1]], [x[2], x[3]])
        });
    }
}

/// The second call sees the centre that the first one moved.
#[test]
fn dino() {
    let dino = Dino { teacher_temperature: 0.07, ..Dino::default() };
    let inputs = [waves(&[0, 1, 2])];
    let teacher = |g: &mut Graph| g.constant("teacher", [8, 6], &waves(&[3, 4]).data);
    let gradient = [(7.3897053940, -0.4771999124)];
    check("dino", 1.9408038483, &gradient, &inputs, |g, x| {
        let (teacher, centre) = (teacher(g), g.fill([6], 0.0));
        dino.loss(g, x[0], teacher, centre)
    });
    check("dino, second call", 1.9442773244, &[], &inputs, |g, x| {
        let (teacher, centre) = (teacher(g), g.state("centre", [6]));
        dino.update_centre(g, teacher, centre)?;
        dino.loss(g, x[0], teacher, centre)
    });
    for (calls, want) in [(1, -0.0210975854), (2, -0.0400854123)] {
        check("dino, centre", want, &[], &[], |g, _| {
            let (teacher, centre) = (teacher(g), g.state("centre", [6]));
            for _ in 0..calls {
                dino.update_centre(g, teacher, centre)?;
            }
            element(g, centre, 0)
        });
    }
}

#[test]
fn swav() {
    let swav = Swav::default();
    let gradient = [(4.4969147092, 0.0992944600)];
    let inputs = [waves(&[0, 1, 2])];
    let codes = |g: &mut Graph, scores: Value| -> Result<Value> {
        let views = [g.slice_rows(scores, 0, 4)?, g.slice_rows(scores, 4, 4)?];
        let codes = [swav.codes(g, views[0], None)?, swav.codes(g, views[1], None)?];
        g.concat_rows(&codes)
    };
    check("swav", 1.0290532119, &gradient, &inputs, |g, x| {
        let codes = codes(g, x[0])?;
        swav.loss(g, x[0], codes)
    });
    let row = [0.0019856, 0.18157283, 0.26866763, 0.26921702, 0.26920745, 0.00934947];
    for (k, want) in row.into_iter().enumerate() {
        check("swav, code", want, &[], &inputs, |g, x| {
            let codes = codes(g, x[0])?;
            element(g, codes, k)
        });
    }
}

/// Labels and centroids of both heads come from `evaluations::kmeans`: here they are those of the
/// authors' code.
#[test]
fn deepcluster_v2() {
    let labels = [0u32, 1, 2, 2, 0, 0, 1, 1];
    let centroids = |v: usize| {
        let memory = unit_rows(&Wave { v, rows: 8, columns: 6 }.data(), 6);
        let mut centroids = vec![0.0; 18];
        for (&label, row) in labels.iter().zip(memory.chunks(6)) {
            let centroid = &mut centroids[6 * label as usize..][..6];
            centroid.iter_mut().zip(row).for_each(|(c, x)| *c += x);
        }
        unit_rows(&centroids, 6)
    };
    close("deepcluster v2: centroid", f64::from(centroids(0)[0]), -0.2817304644, TOLERANCE);
    let gradient = [(1.0010472392, 0.0251154405)];
    check("deepcluster v2", 0.0701422195, &gradient, &[waves(&[0, 1])], |g, z| {
        let of_batch: Vec<_> = labels[..4].iter().map(|&label| Some(label)).collect();
        let (index, shares) = deepcluster_v2::targets(&of_batch, 2, 3);
        let heads = [0, 1].map(|v| Head {
            centroids: g.constant("centroids", [3, 6], &centroids(v)),
            index: g.constant_u32("index", index.clone()),
            shares: g.constant("shares", [8], &shares),
        });
        DeepClusterV2::default().loss(g, z[0], &heads)
    });
}

#[test]
fn sela_v2() {
    let logits: Vec<f32> =
        Wave { v: 0, rows: 8, columns: 3 }.data().iter().map(|x| 2.0 * x).collect();
    for (lambda, iterations) in [(10.0, 21), (25.0, 51)] {
        let method = SelaV2 { lambda, ..SelaV2::default() };
        let found = method.labels(&logits, 3).unwrap();
        assert_eq!(found, (vec![1, 0, 0, 0, 2, 2, 2, 1], iterations), "lambda {lambda}");
    }
}

fn queue(g: &mut Graph) -> Value {
    let wave = Wave { v: 5, rows: 8, columns: 6 };
    g.constant("queue", [8, 6], &unit_rows(&wave.data(), 6))
}

#[test]
fn pcl_v2() {
    let gradient = [(1.1730100562, -0.0646459397)];
    check("pcl v2, instances", 0.8139931482, &gradient, &[wave(0), wave(1)], |g, x| {
        let queue = queue(g);
        PclV2::default().loss(g, [x[0], x[1]], queue, &[])
    });
    // Images 0, 3, 5, 15 are in clusters 0, 3, 5, 3; the other columns are the first free ones.
    let columns = [0usize, 3, 5, 3, 1, 2, 4, 6, 7, 8, 9, 10];
    let all = unit_rows(&Wave { v: 6, rows: 12, columns: 6 }.data(), 6);
    let prototypes: Vec<f32> = columns.iter().flat_map(|&c| all[6 * c..][..6].to_vec()).collect();
    let densities = columns.map(|c| (0.2 * (1.0 + 0.1 * (c as f64).sin())) as f32);
    let gradient = (6.3421709616, -0.4182066974);
    check("pcl v2, prototypes", 6.3348126663, &[gradient], &[wave(0)], |g, x| {
        let columns = g.constant("columns", [12, 6], &prototypes);
        let densities = g.constant("densities", [12], &densities);
        pcl_v2::prototype_loss(g, x[0], Prototypes { columns, densities })
    });
    // Both terms; of two equal clusterings the mean is one of them.
    check("pcl v2", 0.8139931482 + 6.3348126663, &[], &[wave(0), wave(1)], |g, x| {
        let queue = queue(g);
        let columns = g.constant("columns", [12, 6], &prototypes);
        let densities = g.constant("densities", [12], &densities);
        let clustering = Prototypes { columns, densities };
        PclV2::default().loss(g, [x[0], x[1]], queue, &[clustering; 2])
    });
}

#[test]
fn infomin() {
    let gradients = [(0.7024348430, -0.0309911902), (0.6475053996, -0.0125559431)];
    check("infomin", 0.7474896241, &gradients, &[wave(0), wave(2), wave(1)], |g, x| {
        let queue = queue(g);
        InfoMin::default().loss(g, [x[0], x[2], x[1]], queue)
    });
}

/// Words `[8,6]` and maps of four images, `[4,7,7,6]` here, `[4,6,7,7]` in the authors' layout.
fn words_and_maps(g: &mut Graph) -> [Value; 2] {
    let words = Wave { v: 5, rows: 8, columns: 6 }.data();
    let words: Vec<f32> = words.iter().map(|x| x.max(0.0)).collect();
    let mut maps = Vec::new();
    for v in 0..4 {
        let map = Wave { v, rows: 6, columns: 49 }.data();
        for pixel in 0..49 {
            maps.extend((0..6).map(|channel| map[49 * channel + pixel].abs()));
        }
    }
    [g.constant("words", [8, 6], &words), g.constant("maps", [4, 7, 7, 6], &maps)]
}

/// The bags `[4,8]` and the mean distance afterwards, which starts at 0.5.
fn bags(g: &mut Graph) -> Result<[Value; 2]> {
    let [words, maps] = words_and_maps(g);
    let mean = g.state("mean", [1]);
    let (half, one) = (g.fill([1], 0.5), g.fill([1], 1.0));
    g.ema(half, one, mean)?;
    Ok([Obow::default().bags(g, maps, words, mean)?, mean])
}

/// Element `place` of x.
fn element(g: &mut Graph, x: Value, place: usize) -> Result<Value> {
    let all = g.reshape(x, [g.shape(x).elements()])?;
    g.slice_rows(all, place, 1)
}

#[test]
fn obow_targets() {
    let bow = [
        0.060195142,
        0.0267194437,
        0.103727778,
        0.1906423657,
        0.1906423673,
        0.1906423518,
        0.0470454127,
        0.1903851387,
    ];
    for (word, want) in bow.into_iter().enumerate() {
        check("obow, bag", want, &[], &[], |g, _| {
            let [bags, _] = bags(g)?;
            element(g, bags, word)
        });
    }
    check("obow, mean distance", 0.5062203279, &[], &[], |g, _| {
        let [_, mean] = bags(g)?;
        element(g, mean, 0)
    });
    check("obow, new word", 0.4316001394, &[], &[], |g, _| {
        let [_, maps] = words_and_maps(g);
        // The first of nine places of each image.
        let places = g.constant_u32("places", vec![0, 9, 18, 27]);
        let words = Obow::default().new_words(g, maps, places)?;
        element(g, words, 0)
    });
}

#[test]
fn obow() {
    let weights = unit_rows(&Wave { v: 7, rows: 8, columns: 5 }.data(), 5);
    let gradient = [(16.3350162187, 0.1112461915)];
    let f = [Wave { v: 0, rows: 8, columns: 5 }.input()];
    check("obow", 11.0723483953, &gradient, &f, |g, f| {
        let weights = g.constant("weights", [8, 5], &weights);
        let [bags, _] = bags(g)?;
        Obow::default().loss(g, f[0], weights, bags)
    });
}

#[test]
fn triplet() {
    let gradients = [(2.9418347034, -0.0214976872), (3.0488723149, -0.0343839130)];
    let inputs: Vec<_> = (0..4).map(|v| Wave { v, rows: 12, columns: 6 }.input()).collect();
    check("triplet", 193.1155386519, &gradients, &inputs, |g, x| {
        Triplet.loss(g, [x[0], x[1]], [x[2], x[3]])
    });
}
