//! Embeddings of a whole data set by the teacher, in inference.

use autograd::{Executor, Graph, Passes, Phase, Plan, Value};
use datasets::Dataset;
use rayon::prelude::*;

use super::hooks::EpochStart;
use crate::error::{Error, Result};
use crate::networks::Network;
use crate::nn::{MlpConfig, Params, ResNetConfig};

/// Images per batch.
const BATCH: usize = 64;

/// A teacher to copy.
pub struct Encoder {
    /// Its backbone.
    pub resnet: ResNetConfig,
    /// Its head.
    pub layers: MlpConfig,
    /// Its tensors in the step.
    pub tensors: Vec<Value>,
}

/// The network on a batch, in inference.
struct Inference {
    graph: Graph,
    params: Params,
    images: Value,
    embeddings: Value,
}

impl Encoder {
    fn inference(&self, side: usize, device: &dyn tensor::Device) -> Result<Inference> {
        let mut graph = Graph::new();
        let mut params = Params::new(false);
        let head = (&self.layers, None);
        let network = Network::new(&mut graph, &mut params, "teacher", &self.resnet, head);
        let images = graph.input("images", [BATCH, side, side, self.resnet.in_channels]);
        let [_, embeddings] = network.forward(&mut graph, &[images], false)?;
        graph.keep(embeddings);
        graph.fuse(&Passes::all());
        graph.halve(device);
        Ok(Inference { graph, params, images, embeddings })
    }

    /// Bytes that [`Encoder::embeddings`] takes of images of this side for the network's arena and a batch of
    /// images.
    ///
    /// # Errors
    /// Images too small for the backbone.
    pub fn planned(&self, side: usize, device: &dyn tensor::Device) -> Result<usize> {
        let Inference { graph, images, .. } = self.inference(side, device)?;
        let pixels = size_of::<f32>() * graph.shape(images).elements();
        Ok(Plan::new(&graph, device).bytes() + pixels)
    }

    /// The embeddings `[N,D]` of all images, preprocessed as `run` says; an image that cannot be
    /// read has that of the one before. Reports the images done.
    ///
    /// # Errors
    /// No readable image, or a device fault.
    pub fn embeddings(&self, run: &mut EpochStart) -> Result<Vec<f32>> {
        let transform = run.transform;
        let Inference { graph, params, images, embeddings } =
            self.inference(transform.size, run.device)?;
        let mut executor = Executor::new(graph, run.device)?;
        for (param, &tensor) in params.all().iter().zip(&self.tensors) {
            let numbers = run.executor.read(tensor);
            executor.write(param.value, &numbers);
        }

        let data: &dyn Dataset = &**run.data;
        let values = transform.values();
        let mut pixels = vec![0.0; BATCH * values];
        let mut all: Vec<f32> = Vec::new();
        for first in (0..data.len()).step_by(BATCH) {
            let count = BATCH.min(data.len() - first);
            let views = pixels.par_chunks_exact_mut(values).enumerate();
            let found: Vec<bool> = views
                .map_init(Default::default, |scratch, (place, view)| {
                    let is_in = place < count;
                    let image = if is_in { data.readable(first + place)? } else { None };
                    if let Some(image) = &image {
                        transform.apply(image, view, scratch);
                    }
                    Ok(image.is_some())
                })
                .collect::<Result<_>>()?;
            executor.write(images, &pixels);
            executor.run(Phase::Forward)?;
            let batch = executor.read(embeddings);
            executor.finish()?;
            let dim = batch.len() / BATCH;
            for (row, is_found) in batch.chunks_exact(dim).zip(found).take(count) {
                let before = all.len().checked_sub(dim);
                match (is_found, before) {
                    (true, _) => all.extend_from_slice(row),
                    (false, Some(before)) => all.extend_from_within(before..),
                    (false, None) => all.extend_from_slice(row),
                }
            }
            run.progress.report(first + count, data.len());
        }
        if all.iter().all(|x| x.is_finite()) {
            return Ok(all);
        }
        Err(Error::data(data.name(), "the teacher's embeddings of it are not finite"))
    }
}
