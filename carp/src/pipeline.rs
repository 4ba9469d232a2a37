//! Batches of views, made ahead of the step by threads of their own.
//!
//! What a batch holds is a pure function of (seed, step): the order of an epoch's samples and the
//! random draws of each sample's views come from streams with those numbers. So a resumed run
//! needs no state of the pipeline, and threads change nothing.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use datasets::Dataset;
use rayon::prelude::*;
use tensor::random::{Purpose, Stream};

use crate::error::{Error, Result};
use crate::views::{Scratch, Views};

/// What decides the batches.
#[derive(Clone)]
pub struct PipelineConfig {
    /// Seed of the run.
    pub seed: u64,
    /// B, images in a batch.
    pub batch: usize,
    /// Make a last, smaller batch of the images of an epoch that do not fill one, instead of leaving
    /// them out.
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
    /// Batches in an epoch of so many images.
    pub fn batches(&self, images: usize) -> usize {
        if self.partial { images.div_ceil(self.batch) } else { images / self.batch }
    }
}

/// The views of one step.
#[derive(Default)]
pub struct Batch {
    /// Which images they show.
    pub samples: Vec<u32>,
    /// Sample by sample, and for each all its views one after the other, `[S,S,C]` each.
    pub pixels: Vec<f32>,
}

/// The consumer's end.
pub struct Pipeline {
    ready: Option<Receiver<Result<Batch>>>,
    used: Sender<Batch>,
    producer: Option<JoinHandle<()>>,
    waited: Duration,
}

impl Pipeline {
    /// Starts making batches of `data`'s images.
    ///
    /// # Errors
    /// Fewer images than a batch holds, where that has to be full.
    pub fn start(data: Arc<dyn Dataset>, views: Views, config: PipelineConfig) -> Result<Pipeline> {
        if config.batches(data.len()) == 0 {
            let detail = format!("a batch of {} images from {} in all", config.batch, data.len());
            return Err(Error::usage(format!("{detail}: set train.batch_size lower")));
        }
        let (ready_out, ready) = sync_channel(config.ahead.max(1));
        let (used, used_in) = channel::<Batch>();
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(config.threads.max(1))
            .thread_name(|i| format!("views-{i}"))
            .build()
            .map_err(|error| Error::usage(format!("cannot start threads for views: {error}")))?;
        let producer = std::thread::spawn(move || {
            let mut maker = Maker::new(&*data, &views, &config);
            for step in config.first_step..config.steps {
                let mut batch = used_in.try_recv().unwrap_or_default();
                let made = pool.install(|| maker.make(step, &mut batch));
                let failed = made.is_err();
                // The consumer may have gone: a stopped run. Nothing is left to do then.
                if ready_out.send(made.map(|()| batch)).is_err() || failed {
                    return;
                }
            }
        });
        Ok(Pipeline { ready: Some(ready), used, producer: Some(producer), waited: Duration::ZERO })
    }

    /// The next batch, in the order of steps; give it back to [`Pipeline::recycle`].
    ///
    /// # Errors
    /// An image that cannot be read.
    ///
    /// # Panics
    /// Behind the last step.
    pub fn next_batch(&mut self) -> Result<Batch> {
        let start = Instant::now();
        let ready = self.ready.as_ref().expect("the pipeline runs until it is dropped");
        let batch = ready.recv().expect("no more batches than steps");
        self.waited += start.elapsed();
        batch
    }

    /// Gives a batch's memory back for a later one.
    pub fn recycle(&mut self, batch: Batch) {
        // The producer has gone once it has made the last batch.
        let _ = self.used.send(batch);
    }

    /// Time spent waiting in [`Pipeline::next_batch`] since the last call of this.
    pub fn take_waited(&mut self) -> Duration {
        std::mem::take(&mut self.waited)
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        // Closing the channel ends the producer at its next batch.
        self.ready = None;
        if let Some(producer) = self.producer.take() {
            let _ = producer.join();
        }
    }
}

/// The producer's state: the order of the epoch at hand.
struct Maker<'a> {
    data: &'a dyn Dataset,
    views: &'a Views,
    config: &'a PipelineConfig,
    view_lens: Vec<usize>,
    order: Vec<u32>,
    epoch: Option<usize>,
}

impl<'a> Maker<'a> {
    fn new(data: &'a dyn Dataset, views: &'a Views, config: &'a PipelineConfig) -> Self {
        let channels = data.channels();
        let view_lens = views.sizes().iter().map(|size| size * size * channels).collect();
        Maker { data, views, config, view_lens, order: Vec::new(), epoch: None }
    }

    fn make(&mut self, step: usize, batch: &mut Batch) -> Result<()> {
        let PipelineConfig { seed, batch: size, .. } = *self.config;
        let per_epoch = self.config.batches(self.data.len());
        let (epoch, place) = (step / per_epoch, step % per_epoch);
        if self.epoch != Some(epoch) {
            self.order.clear();
            self.order.extend(0..self.data.len() as u32);
            Stream::new(seed, Purpose::Order, epoch as u64, 0).shuffle(&mut self.order);
            self.epoch = Some(epoch);
        }
        let sample_len: usize = self.view_lens.iter().sum();
        let (data, kinds, view_lens) = (self.data, self.views, &self.view_lens);
        let samples = &self.order[place * size..self.order.len().min((place + 1) * size)];
        batch.samples.clear();
        batch.samples.extend_from_slice(samples);
        batch.pixels.resize(samples.len() * sample_len, 0.0);
        samples.par_iter().zip(batch.pixels.par_chunks_mut(sample_len)).try_for_each_init(
            Scratch::default,
            |scratch, (&sample, mut pixels)| {
                let image = data.image(sample as usize)?;
                let mut views = Vec::with_capacity(view_lens.len());
                for &len in view_lens {
                    let (view, rest) = pixels.split_at_mut(len);
                    views.push(view);
                    pixels = rest;
                }
                let mut stream = Stream::new(seed, Purpose::Views, epoch as u64, u64::from(sample));
                kinds.make(&image, &mut stream, &mut views, scratch);
                Ok(())
            },
        )
    }
}
