//! Batches of views, prepared ahead of the step by separate threads.
//!
//! The content of a batch is a pure function of (seed, step): the order of an epoch's samples and
//! the random draws of each sample's views come from streams with those numbers. So a resumed run
//! needs no pipeline state, and the number of threads does not matter.

mod exchange;

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use datasets::{Dataset, Image};
use rayon::prelude::*;
use tensor::random::{Purpose, Stream};

use self::exchange::{End, exchange};
use crate::error::{Error, Result};
use crate::views::{Scratch, Views};

/// What determines the batches.
#[derive(Clone)]
pub struct PipelineConfig {
    /// Seed of the run.
    pub seed: u64,
    /// B, images in a batch.
    pub batch: usize,
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

/// The consumer's end.
pub struct Pipeline {
    batches: End<Batch>,
    current: Option<Batch>,
    producer: Option<JoinHandle<()>>,
    waited: Duration,
}

impl Pipeline {
    /// Starts making batches of `data`'s images. Batches are reused: with images in memory, nothing
    /// is allocated once each thread has seen one of the largest size.
    ///
    /// # Errors
    /// Fewer images than a batch, if batches must be full.
    pub fn start(data: Arc<dyn Dataset>, views: Views, config: PipelineConfig) -> Result<Pipeline> {
        if config.batches(data.len()) == 0 {
            let detail = format!("a batch of {} images from {} in all", config.batch, data.len());
            return Err(Error::usage(format!("{detail}: set train.batch_size lower")));
        }
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(config.threads.max(1))
            .thread_name(|i| format!("views-{i}"))
            .build()
            .map_err(|error| Error::usage(format!("cannot start threads for views: {error}")))?;
        let groups = view_groups(&views, data.channels());
        let images = config.batch.min(data.len());
        let batch = || Batch {
            samples: Vec::with_capacity(images),
            groups: groups.iter().map(|group| vec![0.0; group.len(images)]).collect(),
        };
        // The ready ones, the one being made and the one in use.
        let spare = std::iter::repeat_with(batch).take(config.ahead.max(1) + 2).collect();
        let (batches, end) = exchange(spare);
        let producer = std::thread::spawn(move || {
            // All inside the pool: rayon allocates for work that comes from outside.
            pool.install(move || {
                let mut maker = Maker::new(&*data, &views, &config, groups);
                for step in config.first_step..config.steps {
                    // No more spare ones: the run has stopped.
                    let Some(mut batch) = end.take_spare() else { return };
                    let made = maker.make(step, &mut batch);
                    let failed = made.is_err();
                    end.put_ready(made.map(|()| batch));
                    if failed {
                        return;
                    }
                }
            });
        });
        let (current, producer) = (None, Some(producer));
        Ok(Pipeline { batches, current, producer, waited: Duration::ZERO })
    }

    /// The next batch, in step order; the previous one is handed back for reuse.
    ///
    /// # Errors
    /// An image that cannot be read.
    ///
    /// # Panics
    /// After the last step.
    pub fn next_batch(&mut self) -> Result<&Batch> {
        if let Some(used) = self.current.take() {
            self.batches.put_spare(used);
        }
        let start = Instant::now();
        let Some(batch) = self.batches.take_ready() else { self.producer_ended() };
        self.waited += start.elapsed();
        Ok(self.current.insert(batch?))
    }

    /// Passes on the producer's panic, which has told its message already.
    fn producer_ended(&mut self) -> ! {
        if let Some(Err(panic)) = self.producer.take().map(JoinHandle::join) {
            std::panic::resume_unwind(panic);
        }
        panic!("more batches than steps");
    }

    /// Time spent waiting in [`Pipeline::next_batch`] since this was last called.
    pub fn take_waited(&mut self) -> Duration {
        std::mem::take(&mut self.waited)
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.batches.close();
        if let Some(producer) = self.producer.take() {
            let _ = producer.join();
        }
    }
}

/// Consecutive views of one size.
struct Group {
    views: usize,
    /// Numbers of one view: S*S*C.
    view_len: usize,
}

impl Group {
    fn len(&self, images: usize) -> usize {
        self.views * images * self.view_len
    }
}

fn view_groups(views: &Views, channels: usize) -> Vec<Group> {
    let sizes = views.sizes();
    let runs = sizes.chunk_by(|a, b| a == b);
    runs.map(|run| Group { views: run.len(), view_len: run[0] * run[0] * channels }).collect()
}

/// The producer's state: the order of the current epoch, and reusable memory.
struct Maker<'a> {
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
    fn new(
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
        let samples = &self.order[place * size..self.order.len().min((place + 1) * size)];
        batch.samples.clear();
        batch.samples.extend_from_slice(samples);

        let (images, views) = (samples.len(), self.views.kinds.len());
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

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use datasets::Image;

    use super::*;
    use crate::config::Config;

    /// Images that panic.
    struct Broken;

    impl Dataset for Broken {
        fn name(&self) -> &str {
            "broken"
        }
        fn len(&self) -> usize {
            64
        }
        fn channels(&self) -> usize {
            3
        }
        fn classes(&self) -> &[String] {
            &[]
        }
        fn label(&self, _index: usize) -> Option<u32> {
            None
        }
        fn image(&self, _index: usize) -> files::Result<Arc<Image>> {
            panic!("the first panic")
        }
    }

    #[test]
    fn a_panic_of_the_producer_is_that_of_the_consumer() {
        let config = PipelineConfig {
            seed: 0,
            batch: 8,
            partial: false,
            first_step: 0,
            steps: 8,
            ahead: 1,
            threads: 2,
        };
        let views = Config::default().views.views();
        let mut pipeline = Pipeline::start(Arc::new(Broken), views, config).unwrap();
        let next = catch_unwind(AssertUnwindSafe(|| pipeline.next_batch().map(|_| ())));
        assert_eq!(next.unwrap_err().downcast_ref(), Some(&"the first panic"));
    }
}
