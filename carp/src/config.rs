//! Settings of a run: the paper's by default, changed by a preset, changed by single keys.
//!
//! Presets are TOML files; a preset names only what differs from the paper's settings.

mod keys;
mod passes;

use autograd::Passes;
use serde::{Deserialize, Serialize};
use tensor::kernel::AdamW;
use toml::{Table, Value};

use self::keys::{defaults, merge, one_line, one_setting, parse_text, read_preset};
use crate::data::DataConfig;
use crate::error::{Error, Result};
use crate::loss::LossVariant;
use crate::nn::{Arch, HeadConfig, ResNetConfig, Stem};
use crate::step::{Optimizer, StepConfig};
use crate::views::{EvalTransform, Filter, ViewPolicy};

/// The presets that come with the program: name and content.
const PRESETS: [(&str, &str); 6] = [
    ("shapes", include_str!("../presets/shapes.toml")),
    ("fashion-mnist", include_str!("../presets/fashion-mnist.toml")),
    ("cifar10", include_str!("../presets/cifar10.toml")),
    ("stl10", include_str!("../presets/stl10.toml")),
    ("folder", include_str!("../presets/folder.toml")),
    ("imagenet", include_str!("../presets/imagenet.toml")),
];

/// All settings of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Seed of everything random.
    pub seed: u64,
    /// Where the pictures come from.
    pub data: DataConfig,
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
    /// unfused, fused-softmax, streaming or streaming-tiled: the same numbers, see docs/fusion.md.
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
    /// SGD with momentum.
    Sgd,
    /// Adam with decoupled weight decay.
    AdamW,
}

/// The `[optimizer]` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerConfig {
    /// lars, sgd or adamw.
    pub name: OptimizerName,
    /// Learning rate for 256 images per update; scaled with their number.
    pub base_lr: f64,
    /// Learning rate that the cosine falls to; not scaled.
    pub final_lr: f64,
    /// Epochs of linear warm-up.
    pub warmup_epochs: usize,
    /// Learning rate at the start of the warm-up.
    pub warmup_start_lr: f64,
    /// Decay of the momentum buffer (lars, sgd).
    pub momentum: f32,
    /// Weight decay of tensors with more than one dimension.
    pub weight_decay: f64,
    /// Weight decay that the cosine goes to.
    pub final_weight_decay: f64,
    /// Trust coefficient (lars).
    pub eta: f32,
    /// Decay rates of the moments (adamw).
    pub betas: (f32, f32),
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
            eta: 0.001,
            betas: (0.9, 0.999),
            eps: 1e-8,
        }
    }
}

/// The `[teacher]` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeacherConfig {
    /// m of the moving average at first.
    pub momentum: f64,
    /// m that the cosine rises to.
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
    /// B, images in a micro-batch.
    pub batch_size: usize,
    /// Micro-batches per update.
    pub accumulation: usize,
    /// Threads for the step, and as many for views; 0 is one per core.
    pub threads: usize,
    /// Epochs between checkpoints; 0 saves at the end only.
    pub checkpoint_every_epochs: usize,
    /// Batches made ahead of the step.
    pub prefetch: usize,
    /// Passes of fusion: all, none, or names with commas between them; see docs/fusion.md.
    #[serde(with = "passes")]
    pub fuse: Passes,
}

impl Default for TrainConfig {
    fn default() -> TrainConfig {
        TrainConfig {
            epochs: 100,
            batch_size: 32,
            accumulation: 1,
            threads: 0,
            checkpoint_every_epochs: 1,
            prefetch: 4,
            fuse: Passes::all(),
        }
    }
}

/// The `[knn]` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnnConfig {
    /// Neighbours that vote.
    pub k: usize,
    /// T in the weight exp(similarity / T) of a vote.
    pub temperature: f32,
    /// Epochs between measurements; 0 measures before and after training only.
    pub every_epochs: usize,
    /// Images that the backbone sees at once.
    pub batch_size: usize,
    /// Training images in the bank; 0 is all.
    pub bank: usize,
    /// Test images asked about; 0 is all.
    pub queries: usize,
    /// Short side that images are resized to.
    pub resize: usize,
    /// Side of the square in the middle that the backbone sees.
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
    /// The settings of a preset (a name, or a TOML file) with single keys changed.
    ///
    /// # Errors
    /// An unknown preset or key (names the nearest known one), a value of the wrong type or out of
    /// range, a file that cannot be read.
    pub fn load(preset: &str, sets: &[(String, String)]) -> Result<Config> {
        let (origin, text) = match PRESETS.iter().find(|(name, _)| *name == preset) {
            Some((name, text)) => (format!("preset {name}"), (*text).to_owned()),
            None => (preset.to_owned(), read_preset(preset, &PRESETS.map(|(name, _)| name))?),
        };
        let mut table = defaults()?;
        merge(&mut table, parse_text(&text, &origin)?, "", &origin)?;
        // A value that only its type's reader refuses is told apart by who gave it.
        let mut config = Config::from_table(table.clone(), &origin)?;
        for (key, value) in sets {
            merge(&mut table, one_setting(key, value), "", "--set")?;
            config = Config::from_table(table.clone(), "--set")?;
        }
        config.validate()?;
        Ok(config)
    }

    /// The settings in the text of a `config.toml`.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str, origin: &str) -> Result<Config> {
        let mut table = defaults()?;
        merge(&mut table, parse_text(text, origin)?, "", origin)?;
        let config = Config::from_table(table, origin)?;
        config.validate()?;
        Ok(config)
    }

    fn from_table(table: Table, origin: &str) -> Result<Config> {
        Value::Table(table)
            .try_into()
            .map_err(|error| Error::Usage(format!("{origin}: {}", one_line(&error))))
    }

    /// All settings as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("settings are plain TOML values")
    }

    /// Errors where a setting is out of range: names the key, its value and its range.
    ///
    /// # Errors
    /// As above.
    pub fn validate(&self) -> Result<()> {
        let Config { data, model, optimizer, teacher, train, knn, views, .. } = self;
        let channels = data.channels();
        let least1 = "at least 1";
        let unit = "0 to 1";
        let count = |key: &str, value: usize| (value > 0, key.to_owned(), least1.to_owned());
        let share =
            |key: &str, value: f64| ((0.0..=1.0).contains(&value), key.to_owned(), unit.to_owned());
        let positive = |key: &str, value: f64| {
            (value > 0.0 && value.is_finite(), key.to_owned(), "above 0".to_owned())
        };
        let not_negative = |key: &str, value: f64| {
            (value >= 0.0 && value.is_finite(), key.to_owned(), "0 or more".to_owned())
        };
        let rule = |holds: bool, key: &str, range: String| (holds, key.to_owned(), range);
        let mut rules = vec![
            count("data.train_size", data.train_size),
            count("data.test_size", data.test_size),
            count("model.width", model.width),
            count("model.hidden", model.hidden),
            count("model.bottleneck", model.bottleneck),
            count("model.prototypes", model.prototypes),
            rule(
                (1..=model.prototypes).contains(&model.partition_size),
                "model.partition_size",
                format!("1 to model.prototypes = {}", model.prototypes),
            ),
            positive("optimizer.base_lr", optimizer.base_lr),
            not_negative("optimizer.final_lr", optimizer.final_lr),
            not_negative("optimizer.warmup_start_lr", optimizer.warmup_start_lr),
            share("optimizer.momentum", optimizer.momentum.into()),
            not_negative("optimizer.weight_decay", optimizer.weight_decay),
            not_negative("optimizer.final_weight_decay", optimizer.final_weight_decay),
            positive("optimizer.eta", optimizer.eta.into()),
            rule(
                [optimizer.betas.0, optimizer.betas.1].iter().all(|b| (0.0..1.0).contains(b)),
                "optimizer.betas",
                "two numbers from 0 to below 1".to_owned(),
            ),
            positive("optimizer.eps", optimizer.eps.into()),
            share("teacher.momentum", teacher.momentum),
            share("teacher.final_momentum", teacher.final_momentum),
            count("train.epochs", train.epochs),
            count("train.batch_size", train.batch_size),
            count("train.accumulation", train.accumulation),
            count("knn.k", knn.k),
            positive("knn.temperature", knn.temperature.into()),
            count("knn.batch_size", knn.batch_size),
            rule(
                (1..=knn.resize).contains(&knn.size),
                "knn.size",
                format!("1 to knn.resize = {}", knn.resize),
            ),
            rule(
                views.mean.len() == channels && views.mean.iter().all(|m| m.is_finite()),
                "views.mean",
                format!("as many numbers as the data has channels, {channels}"),
            ),
            rule(
                views.std.len() == channels && views.std.iter().all(|&s| s > 0.0 && s < f32::MAX),
                "views.std",
                format!("as many numbers above 0 as the data has channels, {channels}"),
            ),
        ];
        let kinds =
            [("global1", &views.global1), ("global2", &views.global2), ("local", &views.local)];
        for (name, kind) in kinds {
            let key = |setting: &str| format!("views.{name}.{setting}");
            let (low, high) = kind.scale;
            let (least, most) = kind.blur_sigma;
            rules.extend([
                count(&key("size"), kind.size),
                rule(
                    low > 0.0 && (low..=1.0).contains(&high),
                    &key("scale"),
                    "[low, high] with 0 < low <= high <= 1".to_owned(),
                ),
                share(&key("flip"), kind.flip.into()),
                share(&key("quarter_turn"), kind.quarter_turn.into()),
                share(&key("jitter"), kind.jitter.into()),
                not_negative(&key("brightness"), kind.brightness.into()),
                not_negative(&key("contrast"), kind.contrast.into()),
                not_negative(&key("saturation"), kind.saturation.into()),
                rule((0.0..=0.5).contains(&kind.hue), &key("hue"), "0 to 0.5".to_owned()),
                share(&key("greyscale"), kind.greyscale.into()),
                share(&key("blur"), kind.blur.into()),
                rule(
                    least > 0.0 && (least..f32::MAX).contains(&most),
                    &key("blur_sigma"),
                    "[low, high] with 0 < low <= high".to_owned(),
                ),
                share(&key("solarise"), kind.solarise.into()),
            ]);
        }
        match rules.into_iter().find(|(holds, _, _)| !holds) {
            None => Ok(()),
            Some((_, key, range)) => {
                let value = self.value_of(&key).unwrap_or_default();
                Err(Error::Usage(format!("{key} is {value}, should be {range}")))
            }
        }
    }

    /// The value of a key such as `model.width`, as TOML.
    fn value_of(&self, key: &str) -> Option<String> {
        let table = Value::try_from(self).ok()?;
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
        StepConfig {
            resnet: ResNetConfig { arch, stem, width, in_channels, zero_init_residual },
            head: HeadConfig {
                hidden: self.model.hidden,
                bottleneck: self.model.bottleneck,
                prototypes: self.model.prototypes,
            },
            partition_size: self.model.partition_size,
            loss_variant: self.model.loss_variant,
            passes: self.train.fuse.clone(),
            batch: self.train.batch_size,
            view_sizes: self.views.sizes(),
            accumulation: self.train.accumulation,
            optimizer: match self.optimizer.name {
                OptimizerName::Lars => Optimizer::Lars { momentum, eta },
                OptimizerName::Sgd => Optimizer::Sgd { momentum },
                OptimizerName::AdamW => Optimizer::AdamW(AdamW { betas, eps }),
            },
        }
    }

    /// How evaluations look at an image.
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
