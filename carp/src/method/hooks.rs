//! What a method does on the host, between the ops of its step; most do nothing.

use std::sync::Arc;

use autograd::Executor;
use datasets::{Dataset, Progress};

use crate::error::Result;
use crate::pipeline::Pipeline;
use crate::views::EvalTransform;

/// A step of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Seed of the run.
    pub seed: u64,
    /// Steps (micro-batches) before this one.
    pub step: usize,
    /// Steps of an epoch.
    pub steps_per_epoch: usize,
}

impl Moment {
    /// Epochs before this step's.
    pub fn epoch(&self) -> usize {
        self.step / self.steps_per_epoch
    }

    /// Steps of its epoch before this one.
    pub fn place(&self) -> usize {
        self.step % self.steps_per_epoch
    }
}

/// What a method's work before an epoch may use.
pub struct EpochStart<'a> {
    /// The epoch's first step.
    pub at: Moment,
    /// The step's executor.
    pub executor: &'a mut Executor,
    /// The device that it is on.
    pub device: &'a dyn tensor::Device,
    /// The images.
    pub data: &'a Arc<dyn Dataset>,
    /// Their preprocessing in evaluations, with the views' filter.
    pub transform: &'a EvalTransform,
    /// The epoch's batches.
    pub pipeline: &'a dyn Fn() -> Result<Pipeline>,
    /// Told how much is done.
    pub progress: Progress<'a>,
}

/// What passes through a network before an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing.
    Nothing,
    /// The epoch's batches, through all networks of the step.
    Batches,
    /// All images, through one backbone.
    Images,
}

/// A method's part of a run outside of the graph. All that it keeps is state of the graph, so that
/// checkpoints hold it.
pub trait Hooks: Send {
    /// Before the first step of an epoch.
    ///
    /// # Errors
    /// Data that cannot be read, or a device fault.
    fn start_epoch(&self, _run: EpochStart) -> Result<()> {
        Ok(())
    }

    /// Bytes on the host that [`Hooks::start_epoch`] takes at its peak, beside networks and batches.
    fn host_bytes(&self) -> usize {
        0
    }

    /// Bytes that it takes for a network of its own and a batch of images of this side.
    ///
    /// # Errors
    /// Images too small for the backbone.
    fn network_bytes(&self, _side: usize, _device: &dyn tensor::Device) -> Result<usize> {
        Ok(0)
    }

    /// What [`Hooks::start_epoch`] sees, by the epoch, from 0, from which on it does; in order. Before the
    /// first of them it does nothing.
    fn seen(&self) -> Vec<(usize, Seen)> {
        Vec::new()
    }

    /// Before a forward pass over `images`: writes the inputs that the method has beside the views.
    fn before_forward(&mut self, _at: Moment, _images: &[u32], _executor: &mut Executor) {}

    /// After the step over them: keeps what later epochs need.
    fn after_step(&self, _at: Moment, _images: &[u32], _executor: &mut Executor) {}
}

/// Nothing.
pub struct NoHooks;

impl Hooks for NoHooks {}
