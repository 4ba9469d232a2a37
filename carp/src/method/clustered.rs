//! Labels of all images from their embeddings of the last epoch: what DeepCluster v2 and SeLa v2 share.
//!
//! Every step keeps the embeddings of views 0 and 1 in two memories, in the order seen; before an
//! epoch each head labels all images by one memory, head h by memory h mod 2. Before the first epoch,
//! one forward pass over its batches fills the memories.

use autograd::{Error, Executor, Phase, Result, Value};
use methods::deepcluster_v2::{Head, targets};

use super::hooks::{EpochStart, Hooks, Moment, Seen};
use crate::networks::ViewGroup;
use crate::nn::Init;
use crate::step_builder::StepBuilder;

/// In the list of labels: none, since the image was not seen.
const UNLABELLED: f32 = -1.0;
/// Image numbers are kept as f32, which holds whole numbers up to here.
const MOST_IMAGES: usize = 1 << 24;

/// Labels of one head, of rows `[N,D]` of length 1 in one piece, and the new centroids `[K,D]` if the
/// prototypes are such.
pub type Labeller =
    Box<dyn Fn(Moment, usize, &[f32], &[f32]) -> Result<(Vec<u32>, Option<Vec<f32>>)> + Send>;

/// The memories and labels of a step.
pub struct Clustered {
    /// Embeddings of views 0 and 1 of an epoch, `[N,D]` each.
    memories: [Value; 2],
    /// Their images, `[N]`.
    images: Value,
    /// By head and image, `[H * images]`.
    labels: Value,
    /// Of each head.
    prototypes: Vec<Value>,
    /// Inputs of each head's loss.
    targets: Vec<(Value, Value)>,
    clusters: usize,
    view_groups: Vec<ViewGroup>,
    views: usize,
    /// Embeddings `[V*B,D]` of length 1.
    z: Option<Value>,
    labeller: Labeller,
    host_bytes: usize,
}

impl Clustered {
    /// The memories, for heads with these prototypes `[K,D]` each. `labelling` is the bytes that the
    /// labeller takes beside the embeddings.
    ///
    /// # Errors
    /// More clusters than images, or more images than can be numbered.
    pub fn new(
        step: &mut StepBuilder,
        prototypes: Vec<Value>,
        (labeller, labelling): (Labeller, usize),
    ) -> Result<Clustered> {
        let (sizes, clusters) = (step.sizes.clone(), step.sizes.head.prototypes);
        let (rows, dim) = (sizes.epoch_images, sizes.head.bottleneck);
        if clusters > rows || sizes.images > MOST_IMAGES {
            let detail = format!(
                "{rows} images of an epoch cannot form {clusters} clusters; at most {MOST_IMAGES} \
                 images"
            );
            return Err(Error::setting("model.prototypes", detail));
        }
        let memory = |step: &mut StepBuilder, view| {
            step.state(&format!("memory.{view}"), &[rows, dim], Init::Constant(0.0))
        };
        let memories = [memory(step, 0), memory(step, 1)];
        let images = step.state("images", &[rows], Init::Constant(0.0));
        let labels = [prototypes.len() * sizes.images];
        let labels = step.state("labels", &labels, Init::Constant(UNLABELLED));
        let views = sizes.view_sizes.len();
        let target = |head| {
            let g = &mut step.graph;
            let index = g.input_u32(&format!("index.{head}"), [views * sizes.shard_batch]);
            (index, g.input(&format!("shares.{head}"), [views * sizes.shard_batch]))
        };
        Ok(Clustered {
            memories,
            images,
            labels,
            targets: (0..prototypes.len()).map(target).collect(),
            prototypes,
            clusters,
            view_groups: step.views.clone(),
            views,
            z: None,
            labeller,
            // The embeddings, their images, the labels, and prototypes before and after.
            host_bytes: size_of::<f32>() * (rows * (dim + 1) + sizes.images + 2 * clusters * dim)
                + labelling,
        })
    }

    /// What the heads predict.
    pub fn heads(&self) -> Vec<Head> {
        let heads = self.prototypes.iter().zip(&self.targets);
        heads.map(|(&centroids, &(index, shares))| Head { centroids, index, shares }).collect()
    }

    /// Keeps these embeddings `[V*B,D]` of length 1 in every step.
    pub fn remember(&mut self, step: &mut StepBuilder, z: Value) {
        step.graph.keep(z);
        self.z = Some(z);
    }

    /// Fills the memories with the embeddings of the epoch's batches by the initial weights.
    fn fill(&self, run: &mut EpochStart) -> crate::Result<()> {
        let mut pipeline = (run.pipeline)()?;
        let mut at = run.at;
        for place in 0..at.steps_per_epoch {
            let batch = pipeline.next_batch()?;
            for (group, pixels) in self.view_groups.iter().zip(&batch.groups) {
                run.executor.write(group.images, pixels);
            }
            run.executor.run(Phase::Forward)?;
            run.executor.finish()?;
            at.step = run.at.step + place;
            self.after_step(at, &batch.samples, run.executor);
            run.progress.report(place + 1, at.steps_per_epoch);
        }
        Ok(())
    }
}

impl Hooks for Clustered {
    fn start_epoch(&self, mut run: EpochStart) -> crate::Result<()> {
        if run.at.step == 0 {
            self.fill(&mut run)?;
        }
        let EpochStart { at, executor, progress, .. } = run;
        let images: Vec<f32> = executor.read(self.images);
        let of_data = executor.graph().shape(self.labels).elements() / self.prototypes.len();
        for (head, &prototypes) in self.prototypes.iter().enumerate() {
            let memory = executor.read(self.memories[head % 2]);
            let current = executor.read(prototypes);
            let (found, centroids) = (self.labeller)(at, head, &memory, &current)?;
            if let Some(centroids) = centroids {
                executor.write(prototypes, &centroids);
            }
            let mut labels = vec![UNLABELLED; of_data];
            for (&image, label) in images.iter().zip(found) {
                labels[image as usize] = label as f32;
            }
            executor.write_part(self.labels, head * of_data, &labels);
            progress.report(head + 1, self.prototypes.len());
        }
        Ok(())
    }

    fn host_bytes(&self) -> usize {
        self.host_bytes
    }

    fn seen(&self) -> Vec<(usize, Seen)> {
        vec![(0, Seen::Batches), (1, Seen::Nothing)]
    }

    fn before_forward(&mut self, _at: Moment, images: &[u32], executor: &mut Executor) {
        let of_data = executor.graph().shape(self.labels).elements() / self.prototypes.len();
        for (head, &(index, shares)) in self.targets.iter().enumerate() {
            let mut label = |&image: &u32| {
                let mut label = [0.0];
                executor.read_part(self.labels, head * of_data + image as usize, &mut label);
                (label[0] != UNLABELLED).then_some(label[0] as u32)
            };
            let labels: Vec<Option<u32>> = images.iter().map(&mut label).collect();
            let (classes, weights) = targets(&labels, self.views, self.clusters);
            executor.write_u32(index, &classes);
            executor.write(shares, &weights);
        }
    }

    fn after_step(&self, at: Moment, images: &[u32], executor: &mut Executor) {
        let z = executor.read(self.z.expect("remembered embeddings"));
        let len = z.len() / self.views;
        for (view, &memory) in self.memories.iter().enumerate() {
            executor.write_part(memory, at.place() * len, &z[view * len..(view + 1) * len]);
        }
        let numbers: Vec<f32> = images.iter().map(|&image| image as f32).collect();
        executor.write_part(self.images, at.place() * images.len(), &numbers);
    }
}
