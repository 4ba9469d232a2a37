//! Exports a backbone as safetensors for torchvision's ResNets.

use std::path::Path;

use autograd::Graph;
use carp::error::{Error, Result};
use carp::layout;
use carp::nn::{Params, ResNet};
use files::write_atomically;
use safetensors::tensor::{Dtype, TensorView};

use crate::backbone::Backbone;

/// Writes the weights and running statistics with torchvision's names, in PyTorch's layout, as f32,
/// atomically. There is no `fc`: replace the network's by an identity.
///
/// # Errors
/// I/O errors.
pub fn export(backbone: &Backbone, path: &Path) -> Result<()> {
    let (mut graph, mut params) = (Graph::new(), Params::new(false));
    ResNet::new(&mut graph, &mut params, &backbone.config);
    let shape_of = |name: &str| {
        let mut infos = params.all().iter().map(|param| graph.info(param.value));
        infos.find(|info| info.name == name).map(|info| info.shape)
    };
    let mut tensors = Vec::with_capacity(backbone.tensors.len());
    for (name, data) in &backbone.tensors {
        let shape = shape_of(name).ok_or_else(|| Error::usage(format!("no ResNet has {name}")))?;
        let (shape, data) = layout::to_pytorch(&shape, data.clone());
        let bytes: Vec<u8> = data.iter().flat_map(|number| number.to_le_bytes()).collect();
        tensors.push((name.as_str(), shape, bytes));
    }
    let views = tensors.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
        (*name, view.expect("as many bytes as the shape says"))
    });
    // Python's loaders require this.
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    let file = safetensors::serialize(views, Some(metadata))
        .map_err(|error| Error::data(path, format!("cannot be written: {error}")))?;
    Ok(write_atomically(path, &file)?)
}
