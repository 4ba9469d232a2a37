//! How many pictures are nearest to each of CARP's prototypes, and the pictures of the fullest ones.

use std::cmp::Reverse;
use std::path::Path;

use autograd::{Executor, Graph, Phase};
use carp::checkpoint::open_weights;
use carp::config::Config;
use carp::error::{Error, Result};
use carp::kept_checkpoints::checkpoint_of;
use carp::layout::from_pytorch;
use carp::learner::Device;
use carp::nn::{Head, Params};
use datasets::Dataset;
use evaluations::features::FeatureSet;
use evaluations::picture_sheet::{Frame, Picture, Row, png};
use serde::Serialize;

use crate::data_uri::data_uri;

/// Features that pass through the head together.
const BATCH: usize = 256;
/// Prototypes whose pictures are shown.
const FULLEST: usize = 8;
/// Pictures shown of each.
const NEAREST: usize = 10;

/// The teacher's prototypes.
#[derive(Debug, Serialize)]
pub struct PrototypesView {
    /// K.
    prototypes: usize,
    /// By how many pictures each prototype is nearest to, with that number, which is not 0.
    fullest_first: Vec<(usize, usize)>,
    /// A row for each of the fullest: of its pictures, those nearest to it.
    sheet: String,
}

impl PrototypesView {
    /// Of a run of CARP, with the features that its teacher's backbone makes of all pictures.
    ///
    /// # Errors
    /// A checkpoint without the teacher's head; a picture that cannot be read.
    pub fn of(
        folder: &Path,
        config: &Config,
        data: &dyn Dataset,
        features: &FeatureSet,
        device: Device,
    ) -> Result<PrototypesView> {
        let nearest = nearest(folder, config, features, device)?;
        let prototypes = config.model.prototypes;
        let mut pictures = vec![Vec::new(); prototypes];
        for (picture, (prototype, cosine)) in nearest.into_iter().enumerate() {
            pictures[prototype].push((cosine, picture));
        }
        let mut fullest: Vec<usize> = (0..prototypes).collect();
        fullest.retain(|&prototype| !pictures[prototype].is_empty());
        fullest.sort_by_key(|&prototype| Reverse(pictures[prototype].len()));
        let fullest_first = fullest.iter().map(|&one| (one, pictures[one].len())).collect();
        let mut rows = Vec::new();
        for &prototype in fullest.iter().take(FULLEST) {
            let own = &mut pictures[prototype];
            own.sort_by(|a, b| b.0.total_cmp(&a.0));
            let shown = own
                .iter()
                .take(NEAREST)
                .map(|&(_, picture)| Ok(Picture::new(&*data.image(picture)?, Frame::Neutral)));
            rows.push(Row { groups: vec![shown.collect::<Result<_>>()?] });
        }
        let sheet = data_uri("image/png", &png(&rows)?);
        Ok(PrototypesView { prototypes, fullest_first, sheet })
    }
}

/// For each feature the prototype with the greatest cosine to its embedding, and that cosine.
fn nearest(
    folder: &Path,
    config: &Config,
    features: &FeatureSet,
    device: Device,
) -> Result<Vec<(usize, f32)>> {
    let (sizes, count, dim) = (config.step().head, config.model.prototypes, features.dim);
    let (mut graph, mut params) = (Graph::new(), Params::new(false));
    let g = &mut graph;
    let layers = (&sizes.layers(), Some(count));
    let head = g.scope("teacher", |g| g.scope("head", |g| Head::new(g, &mut params, dim, layers)));
    let input = g.input("features", [BATCH, dim]);
    let embeddings = head.embed(g, input, false)?;
    let embeddings = g.l2_normalize(embeddings, f32::MIN_POSITIVE);
    let prototypes = g.weight_norm(head.prototypes.expect("as many as are set"));
    let cosines = g.linear(embeddings, prototypes, None)?;
    g.keep(cosines);
    let tensors: Vec<_> = params.all().iter().map(|param| param.value).collect();
    let mut executor = Executor::new(graph, device)?;
    let mut file = open_weights(&checkpoint_of(folder))?;
    for value in tensors {
        let name = executor.graph().info(value).name.clone();
        let stored = file.find(&name).map(|tensor| tensor.shape.clone());
        let lacks = || Error::data(file.path(), format!("has no tensor {name}"));
        let shape = stored.ok_or_else(lacks)?;
        executor.write(value, &from_pytorch(&shape, &file.read(&name)?));
    }
    let mut all = Vec::with_capacity(features.rows());
    for part in features.features.chunks(BATCH * dim) {
        executor.write_part(input, 0, part);
        executor.run(Phase::Forward)?;
        let cosines = executor.read(cosines);
        all.extend(cosines.chunks_exact(count).take(part.len() / dim).map(|row| {
            let places = row.iter().copied().enumerate();
            places.max_by(|a, b| a.1.total_cmp(&b.1)).expect("a prototype")
        }));
    }
    Ok(all)
}
