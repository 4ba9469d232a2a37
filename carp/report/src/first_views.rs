//! The views that the network saw of a few pictures, in the first step of its run.

use std::sync::Arc;

use carp::config::Config;
use carp::error::Result;
use carp::pipeline::{Pipeline, PipelineConfig};
use datasets::{Image, Splits};
use evaluations::picture_sheet::{Frame, Picture, Row, png};

use crate::data_uri::data_uri;

/// Pictures shown.
const PICTURES: usize = 6;

/// A sheet with a row for each of the first pictures of the first step: the picture, its global views
/// and its local ones.
///
/// # Errors
/// A picture that cannot be read.
pub fn first_views(config: &Config, splits: &Splits) -> Result<String> {
    let data = &splits.pretrain;
    let views = config.views.views();
    let (sizes, channels) = (views.sizes(), data.channels());
    let to_pixel = |(at, &value): (usize, &f32)| {
        let channel = at % channels;
        (255.0 * (value * config.views.std[channel] + config.views.mean[channel])).round() as u8
    };
    // Views follow from the seed, the epoch and the picture: those of a smaller batch are the same.
    let batch = PICTURES.min(config.train.batch_size).min(data.len());
    let settings = PipelineConfig {
        seed: config.seed,
        batch,
        rank: 0,
        ranks: 1,
        partial: false,
        first_step: 0,
        steps: 1,
        ahead: 1,
        threads: config.threads(),
    };
    let mut pipeline = Pipeline::start(Arc::clone(data), views, settings)?;
    let batch = pipeline.next_batch()?;
    let mut rows = Vec::new();
    for (place, &sample) in batch.samples.iter().enumerate() {
        let mut groups = vec![vec![Picture::new(&*data.image(sample as usize)?, Frame::Query)]];
        for (run, pixels) in sizes.chunk_by(|a, b| a == b).zip(&batch.groups) {
            let side = run[0];
            let all: Vec<&[f32]> = pixels.chunks_exact(side * side * channels).collect();
            let of_picture = all.iter().skip(place).step_by(batch.samples.len());
            let shown = of_picture.map(|view| {
                let pixels = view.iter().enumerate().map(to_pixel).collect();
                Picture::new(&Image { height: side, width: side, channels, pixels }, Frame::Neutral)
            });
            groups.push(shown.collect());
        }
        rows.push(Row { groups });
    }
    Ok(data_uri("image/png", &png(&rows)?))
}
