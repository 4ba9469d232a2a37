//! The settings; their defaults are the authors'.

use autograd::Passes;
use datasets::{DataConfig, Filter};
use serde::{Deserialize, Serialize};
use tensor::Numerics;
use tensor::kernel::AdamW;
use toml::Value;

use crate::conv::ConvChoice;
use crate::loss::LossVariant;
use crate::memory_budget::MemoryBudget;
use crate::method::MethodConfig;
use crate::nn::{Arch, HeadConfig, ResNetConfig, Stem};
use crate::optimizer::Optimizer;
use crate::step::StepConfig;
use crate::views::{EvalTransform, ViewPolicy};

/// All settings of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Seed of everything random.
    pub seed: u64,
    /// Where the images come from.
    pub data: DataConfig,
    /// The method.
    pub method: MethodConfig,
    /// The network.
    pub model: ModelConfig,
    /// The optimizer and its schedules.
    pub optimizer: OptimizerConfig,
    /// The teacher.
    pub teacher: TeacherConfig,
    /// The loop.
    pub train: TrainConfig,
    /// The evaluation during and after training.
    pub knn: KnnConfig,
    /// The views of an image.
    pub views: ViewPolicy,
}

/// The `[model]` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// resnet18, resnet34 or resnet50.
    pub arch: Arch,
    /// imagenet or cifar.
    pub stem: Stem,
    /// Channels of the first stage.
    pub width: usize,
    /// Start residual blocks as the identity.
    pub zero_init_residual: bool,
    /// Width of the head's hidden layers.
    pub hidden: usize,
    /// D, length of an embedding.
    pub bottleneck: usize,
    /// K, number of prototypes.
    pub prototypes: usize,
    /// N_B, prototypes in a block.
    pub partition_size: usize,
    /// Draw the partition once, not anew in every step.
    pub fixed_partition: bool,
    /// Train on C + H; false trains on C alone, and computes the loss op by op.
    pub entropy_term: bool,
    /// Length that embeddings are scaled to; 0 leaves theirs. Its inverse is the temperature of the
    /// softmax over cosines.
    pub embedding_length: f32,
    /// unfused, fused-softmax, streaming or streaming-tiled: all give the same numbers, see
    /// docs/fusion.md.
    pub loss_variant: LossVariant,
}

impl Default for ModelConfig {
    fn default() -> ModelConfig {
        ModelConfig {
            arch: Arch::ResNet50,
            stem: Stem::ImageNet,
            width: 64,
            zero_init_residual: true,
            hidden: 2048,
            bottleneck: 256,
            prototypes: 65536,
            partition_size: 512,
            fixed_partition: false,
            entropy_term: true,
            embedding_length: 0.0,
            loss_variant: LossVariant::Streaming,
        }
    }
}

/// Which optimizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerName {
    /// Layer-wise adaptive rate scaling.
    Lars,
    /// Layer-wise adaptive rate control.
    Larc,
    /// SGD with momentum.
    Sgd,
    /// Adam with decoupled weight decay.
    AdamW,
}

/// The `[optimizer]` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerConfig {
    /// lars, larc, sgd or adamw.
    pub name: OptimizerName,
    /// Learning rate for 256 images per update; scaled to their actual number.
    pub base_lr: f64,
    /// Learning rate at the end of the cosine; not scaled.
    pub final_lr: f64,
    /// Epochs of linear warm-up.
    pub warmup_epochs: usize,
    /// Learning rate at the start of the warm-up.
    pub warmup_start_lr: f64,
    /// Decay of the momentum buffer (lars, larc, sgd).
    pub momentum: f32,
    /// Weight decay of tensors with more than one dimension; see `decay_vectors`.
    pub weight_decay: f64,
    /// Weight decay at the end of the cosine.
    pub final_weight_decay: f64,
    /// Biases and batch norms decay, too.
    pub decay_vectors: bool,
    /// Learning rate of biases and batch norms, as a share of that of matrices.
    pub vector_lr: f32,
    /// Largest norm of a tensor's gradient; 0 is no bound.
    pub clip_norm: f32,
    /// Trust coefficient (lars, larc).
    pub eta: f32,
    /// No step is longer than SGD's (larc).
    pub clip_trust: bool,
    /// Biases and batch norms are scaled and decay, too (larc).
    pub scale_vectors: bool,
    /// Decay rates of the moments (adamw).
    pub betas: (f64, f64),
    /// Added to the root of the second moment (adamw).
    pub eps: f32,
}

impl Default for OptimizerConfig {
    fn default() -> OptimizerConfig {
        OptimizerConfig {
            name: OptimizerName::Lars,
            base_lr: 0.45,
            final_lr: 0.0048,
            warmup_epochs: 0,
            warmup_start_lr: 0.0,
            momentum: 0.9,
            weight_decay: 1e-6,
            final_weight_decay: 1e-6,
            decay_vectors: false,
            vector_lr: 1.0,
            clip_norm: 0.0,
            eta: 0.001,
            clip_trust: false,
            scale_vectors: true,
            betas: (0.9, 0.999),
            eps: 1e-8,
        }
    }
}

/// The `[teacher]` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeacherConfig {
    /// m of the moving average at the start.
    pub momentum: f64,
    /// m at the end of the cosine.
    pub final_momentum: f64,
}

impl Default for TeacherConfig {
    fn default() -> TeacherConfig {
        TeacherConfig { momentum: 0.99, final_momentum: 1.0 }
    }
}

/// The `[train]` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Passes over the data.
    pub epochs: usize,
    /// Micro-batches in all, whatever the epochs; 0 means those of the epochs.
    pub steps: usize,
    /// B, images in a micro-batch.
    pub batch_size: usize,
    /// S, equal parts of a micro-batch that processes share out among them; decides the bits, see
    /// docs/distributed.md.
    pub shards: usize,
    /// Micro-batches per update.
    pub accumulation: usize,
    /// Threads for the step, and the same number for views; 0 means one per core.
    pub threads: usize,
    /// Epochs between checkpoints; 0 saves at the end only.
    pub checkpoint_every_epochs: usize,
    /// Batches prepared ahead of the step.
    pub prefetch: usize,
    /// Fusion passes: all, none, or a comma-separated list; see docs/fusion.md.
    #[serde(with = "super::passes")]
    pub fuse: Passes,
    /// How to compute convolutions: auto, direct, winograd2 or winograd4; see docs/convolution.md.
    pub conv: ConvChoice,
    /// What the device may round: exact, tf32 or bf16; see docs/cuda.md.
    pub numerics: Numerics,
    /// Write each step's digest of loss and weights to `metrics.jsonl`; see docs/verify.md.
    pub digest: bool,
    /// Most memory of a step, such as 512MiB; none is no bound. See docs/memory.md.
    pub memory_budget: MemoryBudget,
}

impl Default for TrainConfig {
    fn default() -> TrainConfig {
        TrainConfig {
            epochs: 100,
            steps: 0,
            batch_size: 32,
            shards: 1,
            accumulation: 1,
            threads: 0,
            checkpoint_every_epochs: 1,
            prefetch: 4,
            fuse: Passes::all(),
            conv: ConvChoice::Auto,
            numerics: Numerics::Exact,
            digest: false,
            memory_budget: MemoryBudget(None),
        }
    }
}

/// The `[knn]` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnnConfig {
    /// Number of neighbours that vote.
    pub k: usize,
    /// T in the weight exp(similarity / T) of a vote.
    pub temperature: f32,
    /// Epochs between measurements; 0 measures before and after training only.
    pub every_epochs: usize,
    /// Images per batch.
    pub batch_size: usize,
    /// Training images in the bank; 0 means all.
    pub bank: usize,
    /// Test images to classify; 0 means all.
    pub queries: usize,
    /// Length to which the short side is resized.
    pub resize: usize,
    /// Side of the centre crop.
    pub size: usize,
}

impl Default for KnnConfig {
    fn default() -> KnnConfig {
        KnnConfig {
            k: 20,
            temperature: 0.07,
            every_epochs: 0,
            batch_size: 64,
            bank: 0,
            queries: 0,
            resize: 256,
            size: 224,
        }
    }
}

impl Config {
    /// All settings as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("settings are plain TOML values")
    }

    /// The value of a key such as `model.width`, as TOML.
    pub(super) fn value_of(&self, key: &str) -> Option<String> {
        // As text, where an f32 has only its own digits.
        let table = Value::Table(self.to_toml().parse().ok()?);
        let value = key.split('.').try_fold(&table, |value, name| value.get(name))?;
        Some(value.to_string())
    }

    /// The learning rate after warm-up: `base_lr * B * accumulation / 256`.
    pub fn lr(&self) -> f64 {
        let images = self.train.batch_size * self.train.accumulation;
        self.optimizer.base_lr * images as f64 / 256.0
    }

    /// Threads for the step.
    pub fn threads(&self) -> usize {
        match self.train.threads {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            threads => threads,
        }
    }

    /// What decides the step's graph.
    pub fn step(&self) -> StepConfig {
        let ModelConfig { arch, stem, width, zero_init_residual, .. } = self.model;
        let in_channels = self.data.channels();
        let OptimizerConfig { momentum, eta, betas, eps, .. } = self.optimizer;
        let OptimizerConfig { clip_trust: clip, scale_vectors: vectors, .. } = self.optimizer;
        StepConfig {
            method: self.method.clone(),
            resnet: ResNetConfig { arch, stem, width, in_channels, zero_init_residual },
            head: HeadConfig {
                hidden: self.model.hidden,
                bottleneck: self.model.bottleneck,
                prototypes: self.model.prototypes,
                embedding_length: self.model.embedding_length,
            },
            partition_size: self.model.partition_size,
            fixed_partition: self.model.fixed_partition,
            entropy_term: self.model.entropy_term,
            loss_variant: self.model.loss_variant,
            passes: self.train.fuse.clone(),
            conv: self.train.conv,
            batch: self.train.batch_size,
            shards: self.train.shards,
            ranks: 1,
            images: 0,
            view_sizes: self.views.views().sizes(),
            patches: self.views.patch_count,
            accumulation: self.train.accumulation,
            optimizer: match self.optimizer.name {
                OptimizerName::Lars => Optimizer::Lars { momentum, eta },
                OptimizerName::Larc => Optimizer::Larc { momentum, eta, clip, vectors },
                OptimizerName::Sgd => Optimizer::Sgd { momentum },
                OptimizerName::AdamW => Optimizer::AdamW(AdamW { betas, eps }),
            },
            decay_vectors: self.optimizer.decay_vectors,
            vector_lr: self.optimizer.vector_lr,
            clip_norm: self.optimizer.clip_norm,
            memory_budget: self.train.memory_budget,
        }
    }

    /// Image preprocessing in evaluations.
    pub fn eval_transform(&self) -> EvalTransform {
        EvalTransform {
            resize: self.knn.resize,
            size: self.knn.size,
            filter: Filter::Bicubic,
            mean: self.views.mean.clone(),
            std: self.views.std.clone(),
        }
    }
}
