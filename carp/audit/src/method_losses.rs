//! Replays the losses of the compared methods, and the targets that they make for themselves.

use autograd::{Shape, Value};
use carp::error::Result;
use carp::kmeans::spherical_kmeans_from;
use carp::learner::Device;
use methods::deepcluster_v2::{self, Head};
use methods::pcl_v2::{self, Prototypes};
use methods::{
    BarlowTwins, DeepClusterV2, Dino, InfoMin, MocoV3, Obow, PclV2, SelaV2, Swav, Triplet, VicReg,
};

use crate::file::{Array, Inputs, Numbers, Outputs};
use crate::ops::Replay;

pub fn method_loss(inputs: &Inputs, device: Device) -> Result<Outputs> {
    let replay = Replay::new(inputs, device);
    match inputs.text("method")? {
        "barlow_twins" => barlow_twins(inputs, replay),
        "vicreg" => vicreg(inputs, replay),
        "moco_v3" => moco_v3(inputs, replay),
        "dino" => dino(inputs, replay),
        "swav" => swav(inputs, replay),
        "deepcluster_v2" => deepcluster_v2(inputs, replay),
        "spherical_kmeans" => spherical_kmeans(inputs),
        "sela_labels" => sela_labels(inputs),
        "info_nce" => info_nce(inputs, replay),
        "proto_nce" => proto_nce(replay),
        "infomin" => infomin(inputs, replay),
        "bag_of_words" => bag_of_words(inputs, replay),
        "obow" => obow(inputs, replay),
        "triplet" => triplet(replay),
        method => Err(inputs.invalid(&format!("unknown method {method:?}"))),
    }
}

fn barlow_twins(inputs: &Inputs, mut replay: Replay) -> Result<Outputs> {
    let method = BarlowTwins { lambda: setting(inputs, "lambda")?, eps: setting(inputs, "eps")? };
    let [z1, z2] = [replay.param("z1")?, replay.param("z2")?];
    let loss = method.loss(&mut replay.graph, z1, z2)?;
    finish(replay, loss, &[("z1", z1), ("z2", z2)])
}

fn vicreg(inputs: &Inputs, mut replay: Replay) -> Result<Outputs> {
    let [invariance, variance, covariance] = [
        setting(inputs, "invariance")?,
        setting(inputs, "variance")?,
        setting(inputs, "covariance")?,
    ];
    let [z1, z2] = [replay.param("z1")?, replay.param("z2")?];
    let method = VicReg { invariance, variance, covariance };
    let loss = method.loss(&mut replay.graph, z1, z2)?;
    finish(replay, loss, &[("z1", z1), ("z2", z2)])
}

fn moco_v3(inputs: &Inputs, mut replay: Replay) -> Result<Outputs> {
    let method = MocoV3 { temperature: setting(inputs, "temperature")? };
    let q = [replay.param("q1")?, replay.param("q2")?];
    let k = [replay.param("k1")?, replay.param("k2")?];
    let loss = method.loss(&mut replay.graph, q, k)?;
    finish(replay, loss, &[("q1", q[0]), ("q2", q[1])])
}

fn dino(inputs: &Inputs, mut replay: Replay) -> Result<Outputs> {
    let method = Dino {
        student_temperature: setting(inputs, "student_temperature")?,
        teacher_temperature: setting(inputs, "teacher_temperature")?,
        centre_momentum: setting(inputs, "centre_momentum")?,
    };
    let student = replay.param("student")?;
    let [teacher, centre] = [replay.param("teacher")?, replay.param("centre")?];
    let [_, batch, _] = sizes(inputs, "student")?;
    let [views, teacher_batch, _] = sizes(inputs, "teacher")?;
    if [views, teacher_batch] != [2, batch] {
        let detail = format!("in.teacher is [{views},{teacher_batch},K], should be [2,{batch},K]");
        return Err(inputs.invalid(&detail));
    }
    let student_rows = rows(inputs, &mut replay, student)?;
    let teacher_rows = rows(inputs, &mut replay, teacher)?;
    let loss = method.loss(&mut replay.graph, student_rows, teacher_rows, centre)?;
    method.update_centre(&mut replay.graph, teacher_rows, centre)?;
    replay.output("centre", centre);
    finish(replay, loss, &[("student", student)])
}

fn swav(inputs: &Inputs, mut replay: Replay) -> Result<Outputs> {
    let method = Swav {
        epsilon: setting(inputs, "epsilon")?,
        iterations: inputs.count("iterations")?,
        temperature: setting(inputs, "temperature")?,
    };
    let scores = replay.param("scores")?;
    let score_rows = rows(inputs, &mut replay, scores)?;
    let [_, batch, prototypes] = sizes(inputs, "scores")?;
    let g = &mut replay.graph;
    let mut codes = Vec::new();
    for view in 0..2 {
        let view = g.slice_rows(score_rows, view * batch, batch)?;
        codes.push(method.codes(g, view, None)?);
    }
    let codes = g.concat_rows(&codes)?;
    let loss = method.loss(g, score_rows, codes)?;
    let codes = g.reshape(codes, [2, batch, prototypes])?;
    replay.output("codes", codes);
    finish(replay, loss, &[("scores", scores)])
}

fn deepcluster_v2(inputs: &Inputs, mut replay: Replay) -> Result<Outputs> {
    let method = DeepClusterV2 { temperature: setting(inputs, "temperature")? };
    let [views, batch, _] = sizes(inputs, "z")?;
    let [heads, clusters, dim] = sizes(inputs, "centroids")?;
    let (shape, labels) = inputs.labels("labels", clusters)?;
    if shape != [heads, batch] {
        let detail = format!("in.labels is {shape:?}, should be [{heads}, {batch}]");
        return Err(inputs.invalid(&detail));
    }
    let z = replay.param("z")?;
    let z_rows = rows(inputs, &mut replay, z)?;
    let centroids = replay.param("centroids")?;
    let g = &mut replay.graph;
    let mut list = Vec::new();
    for (head, labels) in labels.chunks(batch).enumerate() {
        let (index, shares) = deepcluster_v2::targets(labels, views, clusters);
        let centroids = g.slice_rows(centroids, head, 1)?;
        list.push(Head {
            centroids: g.reshape(centroids, [clusters, dim])?,
            index: g.constant_u32("index", index),
            shares: g.constant("shares", [views * batch], &shares),
        });
    }
    let loss = method.loss(g, z_rows, &list)?;
    finish(replay, loss, &[("z", z)])
}

fn spherical_kmeans(inputs: &Inputs) -> Result<Outputs> {
    let iterations = inputs.count("iterations")?;
    let (memory_shape, memory) = inputs.f32("memory")?;
    let &[points, dim] = memory_shape else {
        return Err(inputs.invalid(&format!("in.memory is {memory_shape:?}, should be [N,D]")));
    };
    let (_, start) = inputs.labels("start", points)?;
    let start: Option<Vec<u32>> = start.into_iter().collect();
    let start = start.ok_or_else(|| inputs.invalid("in.start should be rows of in.memory"))?;
    let found = spherical_kmeans_from(memory, dim, &start, iterations);
    Ok(vec![
        ("labels".into(), indices(&found.labels)),
        ("centroids".into(), Array::f32(&[start.len(), dim], found.centroids)),
    ])
}

fn sela_labels(inputs: &Inputs) -> Result<Outputs> {
    let method =
        SelaV2 { lambda: inputs.number("lambda")?, tolerance: inputs.number("tolerance")? };
    let (shape, logits) = inputs.f32("logits")?;
    let &[_, clusters] = shape else {
        return Err(inputs.invalid(&format!("in.logits is {shape:?}, should be [N,K]")));
    };
    let (labels, _) = method.labels(logits, clusters)?;
    Ok(vec![("labels".into(), indices(&labels))])
}

fn info_nce(inputs: &Inputs, mut replay: Replay) -> Result<Outputs> {
    let method = PclV2 { temperature: setting(inputs, "temperature")? };
    let [q, k] = [replay.param("q")?, replay.param("k")?];
    let queue = replay.param("queue")?;
    let loss = method.instance_loss(&mut replay.graph, [q, k], queue)?;
    finish(replay, loss, &[("q", q)])
}

fn proto_nce(mut replay: Replay) -> Result<Outputs> {
    let q = replay.param("q")?;
    let prototypes =
        Prototypes { columns: replay.param("columns")?, densities: replay.param("densities")? };
    let loss = pcl_v2::prototype_loss(&mut replay.graph, q, prototypes)?;
    finish(replay, loss, &[("q", q)])
}

fn infomin(inputs: &Inputs, mut replay: Replay) -> Result<Outputs> {
    let method =
        InfoMin { temperature: setting(inputs, "temperature")?, beta: setting(inputs, "beta")? };
    let [q, k, jigsaw] = [replay.param("q")?, replay.param("k")?, replay.param("jigsaw")?];
    let queue = replay.param("queue")?;
    let loss = method.loss(&mut replay.graph, [q, k, jigsaw], queue)?;
    finish(replay, loss, &[("q", q), ("jigsaw", jigsaw)])
}

fn bag_of_words(inputs: &Inputs, mut replay: Replay) -> Result<Outputs> {
    let method = Obow {
        inv_delta: setting(inputs, "inv_delta")?,
        momentum: setting(inputs, "momentum")?,
        ..Obow::default()
    };
    let [maps, words] = [replay.param("maps")?, replay.param("words")?];
    let mean_distance = replay.param("mean_distance")?;
    let bows = method.bags(&mut replay.graph, maps, words, mean_distance)?;
    replay.output("bows", bows);
    replay.output("mean_distance", mean_distance);
    replay.run()
}

fn obow(inputs: &Inputs, mut replay: Replay) -> Result<Outputs> {
    let method = Obow { kappa: setting(inputs, "kappa")?, ..Obow::default() };
    let f = replay.param("f")?;
    let [weights, bows] = [replay.param("word_weights")?, replay.param("bows")?];
    let loss = method.loss(&mut replay.graph, f, weights, bows)?;
    finish(replay, loss, &[("f", f)])
}

fn triplet(mut replay: Replay) -> Result<Outputs> {
    let p = [replay.param("p1")?, replay.param("p2")?];
    let t = [replay.param("t1")?, replay.param("t2")?];
    let loss = Triplet.loss(&mut replay.graph, p, t)?;
    finish(replay, loss, &[("p1", p[0]), ("p2", p[1])])
}

/// A setting as the losses take it.
fn setting(inputs: &Inputs, name: &str) -> Result<f32> {
    Ok(inputs.number(name)? as f32)
}

/// The three sizes of `in.NAME`.
fn sizes(inputs: &Inputs, name: &str) -> Result<[usize; 3]> {
    let (shape, _) = inputs.f32(name)?;
    <[usize; 3]>::try_from(shape)
        .map_err(|_| inputs.invalid(&format!("in.{name} is {shape:?}, should have three sizes")))
}

/// x `[V,B,D]` as `[V*B,D]`.
fn rows(inputs: &Inputs, replay: &mut Replay, x: Value) -> Result<Value> {
    let info = replay.graph.info(x);
    let [views, batch, columns] = sizes(inputs, &info.name.clone())?;
    Ok(replay.graph.reshape(x, [views * batch, columns])?)
}

/// Indices as PyTorch has them.
fn indices(list: &[u32]) -> Array {
    let numbers = Numbers::I64(list.iter().map(|&index| i64::from(index)).collect());
    Array { shape: vec![list.len()], numbers }
}

/// The usual end: outputs are the loss, a scalar, and its gradients, as `grad_NAME`.
fn finish(mut replay: Replay, loss: Value, wrt: &[(&str, Value)]) -> Result<Outputs> {
    let scalar = replay.graph.reshape(loss, Shape::new(&[]))?;
    replay.output("loss", scalar);
    let seed = replay.graph.fill([1], 1.0);
    replay.gradients(loss, seed, wrt)?;
    replay.run()
}
