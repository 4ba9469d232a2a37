//! Batches of views, prepared ahead of the step by separate threads.

mod exchange;
mod maker;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use datasets::Dataset;

use self::exchange::{End, exchange};
pub use self::maker::{Batch, PipelineConfig};
use self::maker::{Maker, view_groups};
use crate::error::{Error, Result};
use crate::views::Views;

/// The consumer's end.
pub struct Pipeline {
    batches: End<Batch>,
    current: Option<Batch>,
    /// The one after it, taken ahead by [`Pipeline::next_batches`].
    next: Option<Result<Batch>>,
    producer: Option<JoinHandle<()>>,
    waited: Duration,
}

impl Pipeline {
    /// Bytes of the batches of `images` images that circulate: those `ahead`, the one being made and
    /// the one in use.
    pub fn bytes(views: &Views, channels: usize, images: usize, ahead: usize) -> usize {
        let groups = view_groups(views, channels);
        let batch: usize = groups.iter().map(|group| group.len(images)).sum();
        (size_of::<f32>() * batch).saturating_mul(batches(ahead))
    }

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
        let images = config.batch.min(data.len()) / config.ranks;
        let batch = || Batch {
            samples: Vec::with_capacity(images),
            groups: groups.iter().map(|group| vec![0.0; group.len(images)]).collect(),
        };
        let spare = std::iter::repeat_with(batch).take(batches(config.ahead)).collect();
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
        let (current, next, producer) = (None, None, Some(producer));
        Ok(Pipeline { batches, current, next, producer, waited: Duration::ZERO })
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
        let Some(batch) = self.next.take().or_else(|| self.batches.take_ready()) else {
            self.producer_ended()
        };
        self.waited += start.elapsed();
        Ok(self.current.insert(batch?))
    }

    /// As [`Pipeline::next_batch`], with the batch after it, if that is there already and without a fault.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Panics
    /// As there.
    pub fn next_batches(&mut self) -> Result<(&Batch, Option<&Batch>)> {
        self.next_batch()?;
        self.next = self.batches.try_take_ready();
        let next = self.next.as_ref().and_then(|next| next.as_ref().ok());
        Ok((self.current.as_ref().expect("just made"), next))
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

/// The ready ones, the one being made and the one in use.
fn batches(ahead: usize) -> usize {
    ahead.max(1) + 2
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.batches.close();
        if let Some(producer) = self.producer.take() {
            let _ = producer.join();
        }
    }
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
            rank: 0,
            ranks: 1,
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
