//! Settings of a run: the paper's by default, changed by a preset, changed by single keys.
//!
//! Presets are TOML files; a preset names only what differs from the paper's settings.

use serde::{Deserialize, Serialize};
use tensor::backend::AdamW;
use toml::{Table, Value};

use crate::data::DataConfig;
use crate::error::{Error, Result};
use crate::nn::{Arch, HeadConfig, ResNetConfig, Stem};
use crate::step::{Optimizer, StepConfig};
use crate::views::{EvalTransform, ViewPolicy};

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
            None => (preset.to_owned(), read_preset(preset)?),
        };
        let changes: Table = text.parse().map_err(|error: toml::de::Error| {
            Error::Usage(format!("{origin}: {}", one_line(&error)))
        })?;
        let mut table = defaults()?;
        merge(&mut table, changes, "", &origin)?;
        for (key, value) in sets {
            let (path, name) = key.rsplit_once('.').unwrap_or(("", key));
            let mut change = Table::from_iter([(name.to_owned(), parse_value(value))]);
            for part in path.rsplit('.').filter(|part| !part.is_empty()) {
                change = Table::from_iter([(part.to_owned(), Value::Table(change))]);
            }
            merge(&mut table, change, "", "--set")?;
        }
        Config::from_table(table, &origin)
    }

    /// The settings in the text of a `config.toml`.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str, origin: &str) -> Result<Config> {
        let changes: Table = text.parse().map_err(|error: toml::de::Error| {
            Error::Usage(format!("{origin}: {}", one_line(&error)))
        })?;
        let mut table = defaults()?;
        merge(&mut table, changes, "", origin)?;
        Config::from_table(table, origin)
    }

    fn from_table(table: Table, origin: &str) -> Result<Config> {
        let config: Config = Value::Table(table)
            .try_into()
            .map_err(|error| Error::Usage(format!("{origin}: {}", one_line(&error))))?;
        config.validate()?;
        Ok(config)
    }

    /// All settings as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("settings are plain TOML values")
    }

    /// Errors where a setting is out of range.
    fn validate(&self) -> Result<()> {
        let Config { model, optimizer, teacher, train, knn, views, .. } = self;
        let channels = self.data.channels();
        let kinds = [&views.global1, &views.global2, &views.local];
        let probability = |p: f32| (0.0..=1.0).contains(&p);
        let fits_range = |(low, high): (f32, f32), least: f32| low > least && high >= low;
        let checks = [
            (model.width > 0, "model.width", "at least 1".to_owned()),
            (model.hidden > 0, "model.hidden", "at least 1".to_owned()),
            (model.bottleneck > 0, "model.bottleneck", "at least 1".to_owned()),
            (model.prototypes > 0, "model.prototypes", "at least 1".to_owned()),
            (
                (1..=model.prototypes).contains(&model.partition_size),
                "model.partition_size",
                format!("1 to model.prototypes = {}", model.prototypes),
            ),
            (optimizer.base_lr > 0.0, "optimizer.base_lr", "above 0".to_owned()),
            (optimizer.final_lr >= 0.0, "optimizer.final_lr", "0 or more".to_owned()),
            (probability(optimizer.momentum), "optimizer.momentum", "0 to 1".to_owned()),
            (optimizer.weight_decay >= 0.0, "optimizer.weight_decay", "0 or more".to_owned()),
            ((0.0..=1.0).contains(&teacher.momentum), "teacher.momentum", "0 to 1".to_owned()),
            (
                (0.0..=1.0).contains(&teacher.final_momentum),
                "teacher.final_momentum",
                "0 to 1".to_owned(),
            ),
            (train.epochs > 0, "train.epochs", "at least 1".to_owned()),
            (train.batch_size > 0, "train.batch_size", "at least 1".to_owned()),
            (train.accumulation > 0, "train.accumulation", "at least 1".to_owned()),
            (knn.k > 0, "knn.k", "at least 1".to_owned()),
            (knn.temperature > 0.0, "knn.temperature", "above 0".to_owned()),
            (knn.batch_size > 0, "knn.batch_size", "at least 1".to_owned()),
            (knn.size > 0 && knn.size <= knn.resize, "knn.size", "1 to knn.resize".to_owned()),
            (
                views.mean.len() == channels && views.std.len() == channels,
                "views.mean and views.std",
                format!("{channels} numbers each, one per channel of the data"),
            ),
            (views.std.iter().all(|&s| s > 0.0), "views.std", "above 0".to_owned()),
            (kinds.iter().all(|k| k.size > 0), "views.*.size", "at least 1".to_owned()),
            (
                kinds.iter().all(|k| fits_range(k.scale, 0.0) && k.scale.1 <= 1.0),
                "views.*.scale",
                "[low, high] with 0 < low <= high <= 1".to_owned(),
            ),
            (
                kinds.iter().all(|k| fits_range(k.blur_sigma, 0.0)),
                "views.*.blur_sigma",
                "[low, high] with 0 < low <= high".to_owned(),
            ),
            (
                kinds.iter().all(|k| {
                    [k.flip, k.quarter_turn, k.jitter, k.greyscale, k.blur, k.solarise]
                        .into_iter()
                        .all(probability)
                }),
                "views.*: flip, quarter_turn, jitter, greyscale, blur, solarise",
                "probabilities from 0 to 1".to_owned(),
            ),
            (
                kinds.iter().all(|k| (0.0..=0.5).contains(&k.hue)),
                "views.*.hue",
                "0 to 0.5".to_owned(),
            ),
        ];
        match checks.into_iter().find(|(holds, _, _)| !holds) {
            None => Ok(()),
            Some((_, key, range)) => {
                let value = self.value_of(key).map_or_else(String::new, |v| format!(" is {v},"));
                Err(Error::Usage(format!("{key}{value} should be {range}")))
            }
        }
    }

    /// The value of a key such as `model.width`, as TOML.
    fn value_of(&self, key: &str) -> Option<String> {
        let table = Table::try_from(self).ok()?;
        let (section, name) = key.split_once('.')?;
        Some(table.get(section)?.get(name)?.to_string())
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
            mean: self.views.mean.clone(),
            std: self.views.std.clone(),
        }
    }
}

/// The paper's settings as a table, in which every key stands that there is.
fn defaults() -> Result<Table> {
    Table::try_from(Config::default())
        .map_err(|error| Error::Usage(format!("default settings: {}", one_line(&error))))
}

fn read_preset(preset: &str) -> Result<String> {
    let path = std::path::Path::new(preset);
    if path.extension().is_some() || path.components().count() > 1 {
        return std::fs::read_to_string(path).map_err(|source| Error::io(path, source));
    }
    let names = PRESETS.map(|(name, _)| name);
    let hint = nearest(preset, names.iter().copied());
    Err(Error::Usage(format!(
        "unknown preset {preset:?}{hint}; presets: {}, or a TOML file",
        names.join(", ")
    )))
}

/// " (did you mean ...?)"
fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> String {
    known
        .min_by_key(|known| strsim::damerau_levenshtein(given, known))
        .map_or_else(String::new, |known| format!(" (did you mean {known:?}?)"))
}

/// A value as TOML has it; a bare word is a string.
fn parse_value(text: &str) -> Value {
    let parsed = format!("value = {text}").parse::<Table>();
    let value = parsed.ok().and_then(|mut table| table.remove("value"));
    value.unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Keys that settings may have though the defaults leave them out.
const OPTIONAL: [&str; 1] = ["data.path"];

fn merge(table: &mut Table, changes: Table, prefix: &str, origin: &str) -> Result<()> {
    for (name, change) in changes {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match (table.get_mut(&name), change) {
            (Some(Value::Table(inner)), Value::Table(changes)) => {
                merge(inner, changes, &key, origin)?;
            }
            (Some(Value::Table(_)), _) => {
                return Err(Error::Usage(format!("{origin}: {key} is a section, not one setting")));
            }
            (Some(Value::Float(old)), Value::Integer(new)) => *old = new as f64,
            (Some(old), change) => {
                if old.type_str() != change.type_str() {
                    return Err(Error::Usage(format!(
                        "{origin}: {key} = {change} is {} where {} is wanted",
                        change.type_str(),
                        old.type_str()
                    )));
                }
                *old = change;
            }
            (None, change) if OPTIONAL.contains(&key.as_str()) => {
                table.insert(name, change);
            }
            (None, _) => {
                let known = keys(&defaults()?, "");
                let hint = nearest(&key, known.iter().map(String::as_str));
                return Err(Error::Usage(format!("{origin}: unknown key {key:?}{hint}")));
            }
        }
    }
    Ok(())
}

/// All keys of a table with their sections.
fn keys(table: &Table, prefix: &str) -> Vec<String> {
    let mut all = Vec::new();
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Value::Table(inner) => all.extend(keys(inner, &key)),
            _ => all.push(key),
        }
    }
    all
}

fn one_line(error: &impl std::fmt::Display) -> String {
    error.to_string().lines().map(str::trim).collect::<Vec<_>>().join(" ")
}
