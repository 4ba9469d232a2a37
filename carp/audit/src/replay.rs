//! Replays a record and compares every output.

use std::path::Path;

use carp::error::{Error, Result};
use carp::learner::Device;

use crate::file::{Array, Inputs, Outputs, Record};
use crate::report::{AuditReport, Comparison};
use crate::{losses, method_losses, networks, op, ops, optimizers};

/// Replays `path` on a device and compares every output that it records.
///
/// # Errors
/// A file that cannot be read or is not a valid audit file: unknown kind, setting or tensor,
/// missing inputs, shapes that do not fit. A device fault.
pub fn audit(path: &Path, device: Device) -> Result<AuditReport> {
    let record = Record::read(path)?;
    let mut inputs = Inputs::new(&record);
    let mut report =
        AuditReport { kind: record.kind.clone(), comparisons: Vec::new(), ended: None };
    let got = match replay(&record.kind, &mut inputs, device) {
        Err(Error::NonFinite { what, step, origin, .. }) => {
            let line = format!("{what} not finite in step {step}: the first is {origin}");
            return Ok(AuditReport { ended: Some(line), ..report });
        }
        got => got.map_err(|error| of_file(&record, error))?,
    };
    inputs.finish()?;
    for (name, want) in &record.outputs {
        let Some((_, got)) = got.iter().find(|(known, _)| known == name) else {
            return Err(record.invalid(&format!(
                "out.{name} is not known for kind {}, or lacks an input that it needs (grad_y)",
                record.kind
            )));
        };
        if got.shape != want.shape {
            let detail = format!("out.{name} is {:?}, should be {:?}", want.shape, got.shape);
            return Err(record.invalid(&detail));
        }
        report.comparisons.push(compare(name, got, want, &record));
    }
    Ok(report)
}

/// The error, with the file's name instead of advice for training.
fn of_file(record: &Record, error: Error) -> Error {
    match error {
        Error::Tensor(tensor::Error::Device(_)) => error,
        Error::Tensor(error) => record.invalid(&error.to_string()),
        error => error,
    }
}

fn replay(kind: &str, inputs: &mut Inputs, device: Device) -> Result<Outputs> {
    match kind {
        "conv2d" => ops::conv2d(inputs, device),
        "batch_norm" => ops::batch_norm(inputs, device),
        "gelu" => ops::pointwise(inputs, device, |graph, x| graph.gelu(x)),
        "relu" => ops::pointwise(inputs, device, |graph, x| graph.relu(x)),
        "max_pool2d" => ops::pool(inputs, device, true),
        "avg_pool2d" => ops::pool(inputs, device, false),
        "linear" => ops::linear(inputs, device),
        "weight_norm_linear" => ops::weight_norm_linear(inputs, device),
        "carp_loss" => losses::from_logits(inputs, device),
        "carp_loss_embeddings" => losses::from_embeddings(inputs, device),
        "method_loss" => method_losses::method_loss(inputs, device),
        "lars" | "sgd" | "adamw" => optimizers::optimizer(kind, inputs, device),
        "op" => op::op(inputs, device),
        "schedule" => optimizers::schedule(inputs),
        "resnet" => networks::resnet(inputs, device),
        "carp_step" => networks::carp_step(inputs, device),
        _ => Err(inputs.invalid(&format!("unknown kind {kind:?}"))),
    }
}

fn compare(name: &str, got: &Array, want: &Array, record: &Record) -> Comparison {
    let (got, want) = (got.to_f64(), want.to_f64());
    let finite = want.iter().filter(|number| number.is_finite());
    let largest = finite.fold(0.0f64, |most, w| most.max(w.abs()));
    // A NaN on either side makes the difference NaN: that counts as infinitely far.
    let distance = |(g, w): (&f64, &f64)| {
        let error = (g - w).abs();
        if error.is_nan() { if g == w { 0.0 } else { f64::INFINITY } } else { error }
    };
    let error = got.iter().zip(&want).map(distance).fold(0.0, f64::max);
    let non_finite = got.iter().position(|number| !number.is_finite());
    let non_finite = non_finite.map(|place| (place, got[place]));
    Comparison {
        name: name.to_owned(),
        error,
        allowed: record.abs + record.rel * largest,
        non_finite,
    }
}
