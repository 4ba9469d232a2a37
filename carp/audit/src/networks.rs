//! Replays whole networks: a ResNet forward and backward, and CARP training steps.

use std::collections::BTreeSet;

use autograd::{Executor, Graph, Passes, Phase, Shape, Value};
use carp::conv::ConvChoice;
use carp::error::Result;
use carp::layout;
use carp::learner::{Device, Learner, UpdateSettings};
use carp::loss::LossVariant;
use carp::memory_budget::MemoryBudget;
use carp::method::MethodConfig;
use carp::networks::Network;
use carp::nn::{HeadConfig, Params, ResNet, ResNetConfig};
use carp::optimizer::Optimizer;
use carp::step::StepConfig;

use crate::file::{Array, Inputs, Numbers, Outputs};

/// PyTorch's batch norms count their training passes; nothing here depends on the count.
const COUNTER: &str = "num_batches_tracked";

fn resnet_config(inputs: &Inputs) -> Result<ResNetConfig> {
    Ok(ResNetConfig {
        arch: inputs.word("arch", "resnet18, resnet34 or resnet50")?,
        stem: inputs.word("stem", "imagenet or cifar")?,
        width: inputs.size("width")?,
        in_channels: inputs.size("in_channels")?,
        zero_init_residual: false,
    })
}

/// The file's counters `PREFIX*.num_batches_tracked`, each incremented by `passes(name)`, as
/// outputs `PREFIX_OUT*`.
fn counters(
    inputs: &Inputs,
    prefix: &str,
    prefix_out: &str,
    passes: impl Fn(&str) -> i64,
) -> Result<Outputs> {
    let mut outputs = Vec::new();
    for name in inputs.names(prefix).into_iter().filter(|name| name.ends_with(COUNTER)) {
        let array = inputs.array(name)?;
        let &[count] = &array.to_f64()[..] else {
            return Err(inputs.invalid(&format!("in.{name} is not one number")));
        };
        let numbers = Numbers::I64(vec![count as i64 + passes(name)]);
        let name = format!("{prefix_out}{}", &name[prefix.len()..]);
        outputs.push((name, Array { shape: array.shape.clone(), numbers }));
    }
    Ok(outputs)
}

pub fn resnet(inputs: &Inputs, device: Device) -> Result<Outputs> {
    let config = resnet_config(inputs)?;
    let training = inputs.flag("training")?;
    let (x_shape, x) = inputs.f32("x")?;
    if x_shape.len() != 4 {
        return Err(inputs.invalid(&format!("in.x {x_shape:?} is not [N,C,H,W]")));
    }
    let (mut graph, mut params) = (Graph::new(), Params::new(true));
    let resnet = ResNet::new(&mut graph, &mut params, &config);
    let images = graph.input("x", &layout::own_shape(x_shape)[..]);
    check_tensors(inputs, "w.", &graph, &params)?;
    let y = resnet.forward(&mut graph, images, training)?;
    graph.keep(y);
    graph.fuse(&Passes::all());
    let weights: Vec<Value> = params.weights().map(|param| param.value).collect();
    let grad_y = graph.input("grad_y", graph.shape(y));
    let grads: Vec<Value> = graph
        .backward(&[(y, grad_y)], &weights)?
        .into_iter()
        .map(|grad| grad.expect("every weight reaches the features"))
        .collect();
    grads.iter().for_each(|&grad| graph.keep(grad));

    let mut executor = Executor::new(graph, device)?;
    executor.write(images, &layout::from_pytorch(x_shape, x));
    let has_gradient = inputs.optional("grad_y").is_some();
    if has_gradient {
        write(&mut executor, grad_y, inputs, "grad_y")?;
    }
    for param in params.all() {
        let name = executor.graph().info(param.value).name.clone();
        write(&mut executor, param.value, inputs, &format!("w.{name}"))?;
    }
    executor.run(Phase::Forward)?;
    if has_gradient {
        executor.run(Phase::Backward)?;
    }
    executor.finish()?;

    let mut outputs = counters(inputs, "w.", "buffer.", |_| if training { 1 } else { 0 })?;
    outputs.push(("y".into(), read(&mut executor, y)));
    for param in params.all().iter().filter(|param| param.is_buffer) {
        let name = executor.graph().info(param.value).name.clone();
        outputs.push((format!("buffer.{name}"), read(&mut executor, param.value)));
    }
    if has_gradient {
        for (&weight, &grad) in weights.iter().zip(&grads) {
            let name = executor.graph().info(weight).name.clone();
            outputs.push((format!("grad.{name}"), read(&mut executor, grad)));
        }
    }
    Ok(outputs)
}

/// Fails unless the file has every tensor `in.PREFIX*` of a network, in its shape, and counters of its
/// batch norms alone: before anything is allocated.
fn check_tensors(inputs: &Inputs, prefix: &str, graph: &Graph, params: &Params) -> Result<()> {
    let mut counted = BTreeSet::new();
    for param in params.all() {
        let info = graph.info(param.value);
        let name = format!("{prefix}{}", info.name);
        fitting(inputs, &name, &info.shape)?;
        counted.extend(name.strip_suffix("running_mean").map(|norm| format!("{norm}{COUNTER}")));
    }
    let is_other = |name: &&str| name.ends_with(COUNTER) && !counted.contains(*name);
    match inputs.names(prefix).into_iter().find(is_other) {
        None => Ok(()),
        Some(name) => Err(inputs.invalid(&format!("in.{name} is of no batch norm of the network"))),
    }
}

/// The file's tensor `in.NAME`, which should have this shape once it is in our layout.
fn fitting<'a>(inputs: &Inputs<'a>, name: &str, shape: &Shape) -> Result<(&'a [usize], &'a [f32])> {
    let (found, data) = inputs.f32(name)?;
    let want = layout::pytorch_shape(shape);
    if found != want {
        return Err(inputs.invalid(&format!("in.{name} is {found:?}, should be {want:?}")));
    }
    Ok((found, data))
}

fn write(executor: &mut Executor, value: Value, inputs: &Inputs, name: &str) -> Result<()> {
    let (shape, data) = fitting(inputs, name, &executor.graph().shape(value))?;
    executor.write(value, &layout::from_pytorch(shape, data));
    Ok(())
}

fn read(executor: &mut Executor, value: Value) -> Array {
    let data = executor.read(value);
    let (shape, data) = layout::to_pytorch(&executor.graph().shape(value), data);
    Array::f32(&shape, data)
}

/// The settings of `carp_step` that are lists, one entry per step.
struct Schedules {
    lr: Vec<f64>,
    teacher_momentum: Vec<f64>,
    weight_decay: f64,
}

pub fn carp_step(inputs: &Inputs, device: Device) -> Result<Outputs> {
    let schedules = Schedules {
        lr: inputs.list("lr")?,
        teacher_momentum: inputs.list("teacher_momentum")?,
        weight_decay: inputs.number("weight_decay")?,
    };
    let steps = schedules.lr.len();
    if steps == 0 || schedules.teacher_momentum.len() != steps {
        let detail = format!(
            "settings lr and teacher_momentum list {steps} and {} steps: should be equal",
            schedules.teacher_momentum.len()
        );
        return Err(inputs.invalid(&detail));
    }
    if !inputs.flag_or("training", true)? {
        return Err(inputs.invalid("setting training is false, but a step trains"));
    }
    let config = step_config(inputs)?;
    let (mut graph, mut params) = (Graph::new(), Params::new(true));
    let head = (&config.head.layers(), Some(config.head.prototypes));
    Network::new(&mut graph, &mut params, "student", &config.resnet, head);
    check_tensors(inputs, "", &graph, &params)?;
    let mut learner = Learner::new(&config, device)?;
    for name in inputs.names("student.").into_iter().filter(|name| !name.ends_with(COUNTER)) {
        let (shape, data) = inputs.f32(name)?;
        let known = learner
            .set_tensor(name, shape, data)
            .map_err(|error| inputs.invalid(&format!("in.{error}")))?;
        if !known {
            return Err(inputs.invalid(&format!("in.{name} is not a tensor of this network")));
        }
    }
    learner.copy_student_to_teacher();
    run_steps(inputs, &config, &schedules, &mut learner)
}

/// Sizes and settings of the step; view sizes are taken from the first step.
fn step_config(inputs: &Inputs) -> Result<StepConfig> {
    let optimizer: String = inputs.word("optimizer", "lars or sgd")?;
    let momentum = inputs.number("momentum")? as f32;
    let optimizer = match optimizer.as_str() {
        "lars" => Optimizer::Lars { momentum, eta: inputs.number("eta")? as f32 },
        "sgd" => {
            inputs.ignore("eta");
            Optimizer::Sgd { momentum }
        }
        other => {
            let detail = format!("setting optimizer is {other:?}, should be lars or sgd");
            return Err(inputs.invalid(&detail));
        }
    };
    let resnet = resnet_config(inputs)?;
    let mut view_sizes = Vec::new();
    let mut batch = 0;
    while let Some(view) = inputs.optional(&format!("view.0.{}", view_sizes.len())) {
        let &[b, c, h, w] = &view.shape[..] else {
            return Err(inputs.invalid(&format!("in.view.0.{} has not 4 sizes", view_sizes.len())));
        };
        if h != w || c != resnet.in_channels || (b != batch && !view_sizes.is_empty()) {
            let detail = format!(
                "in.view.0.{} {:?} is not [B,{},S,S] with one B for all views",
                view_sizes.len(),
                view.shape,
                resnet.in_channels
            );
            return Err(inputs.invalid(&detail));
        }
        batch = b;
        view_sizes.push(h);
    }
    Ok(StepConfig {
        method: MethodConfig::Carp,
        resnet,
        head: HeadConfig {
            hidden: inputs.size("hidden")?,
            bottleneck: inputs.size("bottleneck")?,
            prototypes: inputs.size("prototypes")?,
            embedding_length: 0.0,
        },
        partition_size: inputs.size("partition_size")?,
        fixed_partition: false,
        entropy_term: true,
        loss_variant: LossVariant::Streaming,
        passes: Passes::all(),
        conv: ConvChoice::Auto,
        batch,
        shards: inputs.count_or("shards", 1)?,
        ranks: 1,
        images: 0,
        view_sizes,
        patches: 0,
        accumulation: 1,
        optimizer,
        decay_vectors: false,
        vector_lr: 1.0,
        clip_norm: 0.0,
        memory_budget: MemoryBudget(None),
    })
}

fn run_steps(
    inputs: &Inputs,
    config: &StepConfig,
    schedules: &Schedules,
    learner: &mut Learner,
) -> Result<Outputs> {
    let steps = schedules.lr.len();
    let groups = learner.view_groups().to_vec();
    let (mut loss, mut consistency, mut entropy) = (Vec::new(), Vec::new(), Vec::new());
    for t in 0..steps {
        for (index, group) in groups.iter().enumerate() {
            let mut pixels = Vec::new();
            for view in group.first..group.first + group.count {
                let name = format!("view.{t}.{view}");
                let (shape, data) = inputs.f32(&name)?;
                let want = [config.batch, config.resnet.in_channels, group.size, group.size];
                if shape != want {
                    let detail = format!("in.{name} is {shape:?}, should be {want:?}");
                    return Err(inputs.invalid(&detail));
                }
                pixels.extend(layout::from_pytorch(shape, data));
            }
            learner.write_group(index, &pixels);
        }
        let permutation = inputs.permutation(&format!("permutation.{t}"))?;
        if permutation.len() != config.head.prototypes {
            let detail = format!(
                "in.permutation.{t} has {} numbers, should have {}",
                permutation.len(),
                config.head.prototypes
            );
            return Err(inputs.invalid(&detail));
        }
        learner.write_partition(&permutation);
        let update = UpdateSettings {
            lr: schedules.lr[t] as f32,
            weight_decay: schedules.weight_decay as f32,
            teacher_momentum: schedules.teacher_momentum[t] as f32,
            number: t + 1,
        };
        let terms = learner.step(t, true, Some(update))?;
        let parts = terms.parts.expect("CARP's");
        loss.push(terms.loss);
        consistency.push(parts.consistency);
        entropy.push(parts.entropy);
    }
    learner.executor_mut().finish()?;

    let mut outputs = vec![
        ("loss".to_owned(), Array::f32(&[steps], loss)),
        ("consistency".to_owned(), Array::f32(&[steps], consistency)),
        ("entropy".to_owned(), Array::f32(&[steps], entropy)),
    ];
    let groups = |views: &[usize]| views.chunk_by(|a, b| a == b).count() as i64;
    let passes = |name: &str, views: &[usize]| {
        steps as i64 * if name.contains(".backbone.") { groups(views) } else { 1 }
    };
    let views = &config.view_sizes;
    outputs.extend(counters(inputs, "student.", "student.", |n| passes(n, views))?);
    outputs.extend(counters(inputs, "student.", "teacher.", |n| passes(n, &views[..2]))?);
    let tensors = learner.copies().into_iter().filter(|(name, _, _)| !name.starts_with("optim"));
    outputs.extend(tensors.map(|(name, shape, data)| (name, Array::f32(&shape, data))));
    Ok(outputs)
}
