//! The allowed values of each setting.

use super::settings::Config;
use crate::error::{Error, Result};

/// Fails if a setting is out of range, naming the key, its value and its range.
///
/// # Errors
/// As above.
pub fn check(config: &Config) -> Result<()> {
    let Config { data, model, optimizer, teacher, train, knn, views, .. } = config;
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
    let kinds = [("global1", &views.global1), ("global2", &views.global2), ("local", &views.local)];
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
            let value = config.value_of(&key).unwrap_or_default();
            Err(Error::usage(format!("{key} is {value}, should be {range}")))
        }
    }
}
