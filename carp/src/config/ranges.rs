//! The allowed values of each setting.

use toml::Value;

use super::limits::{EPOCHS, IMAGES, PROTOTYPES, SIDE, THREADS, UNITS, VIEWS, WIDTH};
use super::settings::Config;
use crate::error::{Error, Result};
use crate::method::{MethodConfig, Range};

/// Of colours: beyond it, hardly a pixel is neither black nor white.
const CHANGE: f32 = 10.0;
/// In pixels: the blur's kernel is in memory.
const BLUR: f32 = 1024.0;

/// Whether a setting is in its range, its key, and the range.
type Rule = (bool, String, String);

/// Fails if a setting is out of range, naming the key, its value and its range.
///
/// # Errors
/// As above.
pub fn check(config: &Config) -> Result<()> {
    let sections = [model, optimizer, train, views, method];
    let mut rules = sections.iter().flat_map(|section| section(config));
    match rules.find(|(holds, _, _)| !holds) {
        None => Ok(()),
        Some((_, key, range)) => {
            let value = config.value_of(&key).unwrap_or_default();
            Err(Error::usage(format!("{key} is {value}, should be {range}")))
        }
    }
}

fn rule(holds: bool, key: &str, range: impl Into<String>) -> Rule {
    (holds, key.to_owned(), range.into())
}

fn count(key: &str, value: usize, most: usize) -> Rule {
    rule((1..=most).contains(&value), key, format!("at least 1 and at most {most}"))
}

fn at_most(key: &str, value: usize, most: usize) -> Rule {
    rule(value <= most, key, format!("0 to {most}"))
}

fn share(key: &str, value: f64) -> Rule {
    rule((0.0..=1.0).contains(&value), key, "0 to 1")
}

fn positive(key: &str, value: f64) -> Rule {
    rule(value > 0.0 && value.is_finite(), key, "above 0")
}

fn not_negative(key: &str, value: f64) -> Rule {
    rule(value >= 0.0 && value.is_finite(), key, "0 or more")
}

fn change(key: &str, value: f32) -> Rule {
    rule((0.0..=CHANGE).contains(&value), key, format!("0 to {CHANGE}"))
}

fn model(Config { data, method, model, .. }: &Config) -> Vec<Rule> {
    vec![
        count("data.train_size", data.train_size, IMAGES),
        count("data.test_size", data.test_size, IMAGES),
        count("model.width", model.width, WIDTH),
        count("model.hidden", model.hidden, UNITS),
        count("model.bottleneck", model.bottleneck, UNITS),
        count("model.prototypes", model.prototypes, PROTOTYPES),
        match method {
            MethodConfig::Carp => rule(
                (1..=model.prototypes).contains(&model.partition_size),
                "model.partition_size",
                format!("1 to model.prototypes = {}", model.prototypes),
            ),
            _ => count("model.partition_size", model.partition_size, PROTOTYPES),
        },
        not_negative("model.embedding_length", model.embedding_length.into()),
    ]
}

fn optimizer(Config { optimizer, teacher, .. }: &Config) -> Vec<Rule> {
    vec![
        positive("optimizer.base_lr", optimizer.base_lr),
        not_negative("optimizer.final_lr", optimizer.final_lr),
        at_most("optimizer.warmup_epochs", optimizer.warmup_epochs, EPOCHS),
        not_negative("optimizer.warmup_start_lr", optimizer.warmup_start_lr),
        rule((0.0..1.0).contains(&optimizer.momentum), "optimizer.momentum", "0 to below 1"),
        not_negative("optimizer.weight_decay", optimizer.weight_decay),
        not_negative("optimizer.final_weight_decay", optimizer.final_weight_decay),
        not_negative("optimizer.vector_lr", optimizer.vector_lr.into()),
        not_negative("optimizer.clip_norm", optimizer.clip_norm.into()),
        positive("optimizer.eta", optimizer.eta.into()),
        rule(
            [optimizer.betas.0, optimizer.betas.1].iter().all(|b| (0.0..1.0).contains(b)),
            "optimizer.betas",
            "two numbers from 0 to below 1",
        ),
        positive("optimizer.eps", optimizer.eps.into()),
        share("teacher.momentum", teacher.momentum),
        share("teacher.final_momentum", teacher.final_momentum),
    ]
}

fn train(Config { train, knn, .. }: &Config) -> Vec<Rule> {
    vec![
        count("train.epochs", train.epochs, EPOCHS),
        at_most("train.steps", train.steps, IMAGES),
        count("train.batch_size", train.batch_size, UNITS),
        rule(
            train.shards.is_power_of_two() && train.batch_size.is_multiple_of(train.shards),
            "train.shards",
            format!("a power of two that divides train.batch_size = {}", train.batch_size),
        ),
        count("train.accumulation", train.accumulation, UNITS),
        at_most("train.checkpoint_every_epochs", train.checkpoint_every_epochs, EPOCHS),
        at_most("knn.every_epochs", knn.every_epochs, EPOCHS),
        count("knn.k", knn.k, IMAGES),
        positive("knn.temperature", knn.temperature.into()),
        count("knn.batch_size", knn.batch_size, UNITS),
        at_most("train.prefetch", train.prefetch, UNITS),
        at_most("train.threads", train.threads, THREADS),
        rule((1..=SIDE).contains(&knn.resize), "knn.resize", format!("1 to {SIDE}")),
        rule(
            (1..=knn.resize).contains(&knn.size),
            "knn.size",
            format!("1 to knn.resize = {}", knn.resize),
        ),
    ]
}

fn views(Config { data, views, .. }: &Config) -> Vec<Rule> {
    let channels = data.channels();
    let mut rules = vec![
        at_most("views.local_count", views.local_count, VIEWS),
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
    let cells = views.patch_grid.saturating_mul(views.patch_grid);
    let inner = views.patch_crop.saturating_sub(views.patch.size);
    rules.extend([
        count("views.patch_grid", views.patch_grid, VIEWS),
        count("views.patch_crop", views.patch_crop, SIDE),
        rule(
            views.patch_count <= cells,
            "views.patch_count",
            format!("0 to {cells}, one per cell of views.patch_grid = {}", views.patch_grid),
        ),
        rule(
            views.patch_count == 0
                || views.patch.size.saturating_add(views.patch_shift) <= views.patch_crop,
            "views.patch_shift",
            format!("0 to views.patch_crop less views.patch.size, {inner}"),
        ),
    ]);
    let kinds = [
        ("global1", &views.global1, views.global1.size),
        ("global2", &views.global2, views.global2.size),
        ("local", &views.local, views.local.size),
        ("patch", &views.patch, views.patch_crop),
    ];
    for (name, kind, side) in kinds {
        let key = |setting: &str| format!("views.{name}.{setting}");
        let (low, high) = kind.scale;
        let (least, most) = kind.blur_sigma;
        rules.extend([
            count(&key("size"), kind.size, SIDE),
            rule(
                low > 0.0 && (low..=1.0).contains(&high),
                &key("scale"),
                "[low, high] with 0 < low <= high <= 1",
            ),
            rule(
                kind.resize == 0 || (side..=SIDE).contains(&kind.resize),
                &key("resize"),
                format!("0, or {side} to {SIDE}"),
            ),
            share(&key("flip"), kind.flip.into()),
            share(&key("quarter_turn"), kind.quarter_turn.into()),
            share(&key("jitter"), kind.jitter.into()),
            change(&key("brightness"), kind.brightness),
            change(&key("contrast"), kind.contrast),
            change(&key("saturation"), kind.saturation),
            rule((0.0..=0.5).contains(&kind.hue), &key("hue"), "0 to 0.5"),
            at_most(&key("rand_augment"), kind.rand_augment, VIEWS),
            share(&key("greyscale"), kind.greyscale.into()),
            share(&key("blur"), kind.blur.into()),
            rule(
                least > 0.0 && (least..=BLUR).contains(&most),
                &key("blur_sigma"),
                format!("[low, high] with 0 < low <= high <= {BLUR}"),
            ),
            share(&key("solarise"), kind.solarise.into()),
        ]);
    }
    rules
}

fn method(Config { method, .. }: &Config) -> Vec<Rule> {
    let of = |(name, value): (String, Value)| {
        let key = format!("method.{name}");
        let number = value.as_float().or(value.as_integer().map(|n| n as f64))?;
        Some(match method.range(&name) {
            Range::Positive => positive(&key, number),
            Range::NotNegative => not_negative(&key, number),
            Range::Share => share(&key, number),
            Range::AtLeast(least) => {
                let range = format!("{least} to {PROTOTYPES}");
                rule((least as f64..=PROTOTYPES as f64).contains(&number), &key, range)
            }
        })
    };
    method.settings().into_iter().filter_map(of).collect()
}
