//! Exports a backbone as safetensors for torchvision's ResNets.

use std::path::Path;

use autograd::Graph;
use carp::error::{Error, Result};
use carp::layout;
use carp::nn::{Params, ResNet};
use safetensors::tensor::Dtype;
use weights::{TensorHeader, little_endian, write_safetensors};

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
    let header = |(name, _): &(String, Vec<f32>)| {
        let shape = shape_of(name).ok_or_else(|| Error::usage(format!("no ResNet has {name}")))?;
        let shape = layout::pytorch_shape(&shape);
        Ok(TensorHeader { name: name.clone(), dtype: Dtype::F32, shape })
    };
    let headers = backbone.tensors.iter().map(header).collect::<Result<Vec<_>>>()?;
    // Python's loaders require this.
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    Ok(write_safetensors(path, metadata, &headers, |index, out| {
        let shape = layout::own_shape(&headers[index].shape);
        let (_, data) = layout::to_pytorch(&shape, backbone.tensors[index].1.clone());
        little_endian(&data, |bytes| out.write_all(bytes))
    })?)
}
