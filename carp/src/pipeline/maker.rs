//! One batch: the images of a step, their views, and where each view goes.
//!
//! The content of a batch is a pure function of (seed, step): the order of an epoch's samples and
//! the random draws of each sample's views come from streams with those numbers. So a resumed run
//! needs no pipeline state, and the number of threads does not matter.

use std::sync::{Arc, Mutex, PoisonError};

use datasets::{Dataset, Image};
use rayon::prelude::*;
use tensor::random::{Purpose, Stream};

use crate::error::{Error, Result};
use crate::views::{Scratch, Views};

/// What determines the batches.
#[derive(Clone)]
pub struct PipelineConfig {
    /// Seed of the run.
    pub seed: u64,
    /// B, images in a batch.
    pub batch: usize,
    /// Which of how many equal parts of every batch to make: its first image is `rank * B / ranks`.
    pub rank: usize,
    /// Number of parts.
    pub ranks: usize,
    /// Put the images of an epoch that do not fill a batch into a last, smaller one instead of
    /// leaving them out.
    pub partial: bool,
    /// The first step to make a batch for.
    pub first_step: usize,
    /// One more than the last step.
    pub steps: usize,
    /// Batches held ready.
    pub ahead: usize,
    /// Threads that make views.
    pub threads: usize,
}

impl PipelineConfig {
    /// Batches in an epoch of this many images.
    pub fn batches(&self, images: usize) -> usize {
        if self.partial { images.div_ceil(self.batch) } else { images / self.batch }
    }
}

/// The views of one step.
pub struct Batch {
    /// The B images that they show; the next readable one in the place of one that cannot be read.
    pub samples: Vec<u32>,
    /// Their views as a [`crate::step::ViewGroup`] takes them: for each run of consecutive views of
    /// one size `[views*B,S,S,C]`, view by view.
    pub groups: Vec<Vec<f32>>,
}

/// Consecutive views of one size.
pub(super) struct Group {
    views: usize,
    /// Numbers of one view: S*S*C.
    view_len: usize,
}

impl Group {
    pub(super) fn len(&self, images: usize) -> usize {
        self.views * images * self.view_len
    }
}

pub(super) fn view_groups(views: &Views, channels: usize) -> Vec<Group> {
    let sizes = views.sizes();
    let runs = sizes.chunk_by(|a, b| a == b);
    runs.map(|run| Group { views: run.len(), view_len: run[0] * run[0] * channels }).collect()
}

/// The producer's state: the order of the current epoch, and reusable memory.
pub(super) struct Maker<'a> {
    data: &'a dyn Dataset,
    views: &'a Views,
    config: &'a PipelineConfig,
    groups: Vec<Group>,
    order: Vec<u32>,
    epoch: Option<usize>,
    /// One per pool thread.
    scratch: Vec<Mutex<Scratch>>,
    /// Where each image's views go, image by image; empty between batches.
    targets: Vec<&'static mut [f32]>,
}

impl<'a> Maker<'a> {
    pub(super) fn new(
        data: &'a dyn Dataset,
        views: &'a Views,
        config: &'a PipelineConfig,
        groups: Vec<Group>,
    ) -> Self {
        let threads = rayon::current_num_threads();
        let scratch = std::iter::repeat_with(|| Mutex::new(views.scratch())).take(threads);
        Maker {
            data,
            views,
            config,
            groups,
            order: Vec::new(),
            epoch: None,
            scratch: scratch.collect(),
            targets: Vec::new(),
        }
    }

    pub(super) fn make(&mut self, step: usize, batch: &mut Batch) -> Result<()> {
        let PipelineConfig { seed, batch: size, .. } = *self.config;
        let per_epoch = self.config.batches(self.data.len());
        let (epoch, place) = (step / per_epoch, step % per_epoch);
        if self.epoch != Some(epoch) {
            self.order.clear();
            self.order.extend(0..self.data.len() as u32);
            Stream::new(seed, Purpose::Order, epoch as u64, 0).shuffle(&mut self.order);
            self.epoch = Some(epoch);
        }
        let samples = &self.order[place * size..self.order.len().min((place + 1) * size)];
        let PipelineConfig { rank, ranks, .. } = *self.config;
        let part = samples.len() / ranks;
        let samples = &samples[rank * part..][..part];
        batch.samples.clear();
        batch.samples.extend_from_slice(samples);

        let images = samples.len();
        let views = self.groups.iter().map(|group| group.views).sum();
        let mut targets = emptied(std::mem::take(&mut self.targets));
        targets.resize_with(images * views, Default::default);
        let mut first = 0;
        for (group, pixels) in self.groups.iter().zip(&mut batch.groups) {
            pixels.resize(group.len(images), 0.0);
            for (row, view) in pixels.chunks_exact_mut(group.view_len).enumerate() {
                targets[row % images * views + first + row / images] = view;
            }
            first += group.views;
        }
        let Maker { data, views: kinds, scratch, .. } = self;
        let samples = batch.samples.par_iter_mut();
        let made =
            samples.zip(targets.par_chunks_exact_mut(views)).try_for_each(|(sample, targets)| {
                let thread = rayon::current_thread_index().expect("a thread of the pool");
                // After a panic of this thread its last images would panic at the lock.
                let scratch = scratch[thread].lock();
                let mut scratch = scratch.unwrap_or_else(PoisonError::into_inner);
                let mut stream =
                    Stream::new(seed, Purpose::Views, epoch as u64, u64::from(*sample));
                let image = next_readable(*data, sample)?;
                kinds.make(&image, &mut stream, targets, &mut scratch);
                Ok(())
            });
        self.targets = emptied(targets);
        made
    }
}

/// The image number `sample`, or the next one that can be read, whose number it becomes.
fn next_readable(data: &dyn Dataset, sample: &mut u32) -> Result<Arc<Image>> {
    for _ in 0..data.len() {
        if let Some(image) = data.readable(*sample as usize)? {
            return Ok(image);
        }
        *sample = (*sample + 1) % data.len() as u32;
    }
    Err(Error::data(data.name(), "no image in it can be read"))
}

/// Reuses the memory of a list of borrows: collecting into the same layout keeps the allocation. The
/// standard library does so without promising it; a test counts allocations.
fn emptied<'a>(mut targets: Vec<&mut [f32]>) -> Vec<&'a mut [f32]> {
    targets.clear();
    targets.into_iter().map(|_| Default::default()).collect()
}
