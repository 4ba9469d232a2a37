//! Student, teacher and the views they see: what the methods' steps are put together from.

use autograd::{Graph, Result, Value};

use crate::nn::{Head, MlpConfig, Params, ResNet, ResNetConfig};

/// Consecutive views of one size, which pass through the backbone together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ViewGroup {
    /// Images `[count*B,S,S,C]`, view by view.
    pub images: Value,
    /// First view of the group.
    pub first: usize,
    /// Number of views.
    pub count: usize,
    /// S.
    pub size: usize,
}

/// Backbone and head.
pub struct Network {
    role: &'static str,
    backbone: ResNet,
    /// Its head.
    pub head: Head,
}

impl Network {
    /// Adds the tensors of a network, named `ROLE.backbone.*` and `ROLE.head.*`: its head's layers,
    /// and this many prototypes.
    pub fn new(
        graph: &mut Graph,
        params: &mut Params,
        role: &'static str,
        resnet: &ResNetConfig,
        head: (&MlpConfig, Option<usize>),
    ) -> Network {
        graph.scope(role, |graph| {
            let backbone = graph.scope("backbone", |graph| ResNet::new(graph, params, resnet));
            let features = resnet.features();
            let head = graph.scope("head", |graph| Head::new(graph, params, features, head));
            Network { role, backbone, head }
        })
    }

    /// Its prototypes, `[K,D]`.
    ///
    /// # Panics
    /// If it has none.
    pub fn prototypes(&self) -> Value {
        self.head.prototypes.expect("a network with prototypes")
    }

    /// Groups of images to the features `[N,F]` of all rows in order.
    ///
    /// # Errors
    /// Images too small for the backbone, or too few for batch norm.
    pub fn features(&self, graph: &mut Graph, groups: &[Value], training: bool) -> Result<Value> {
        graph.scope(self.role, |graph| {
            graph.scope("backbone", |graph| {
                let parts = groups
                    .iter()
                    .map(|&images| self.backbone.forward(graph, images, training))
                    .collect::<Result<Vec<_>>>()?;
                graph.concat_rows(&parts)
            })
        })
    }

    /// Images `[N,H,W,C]` to the outputs of stages of the backbone, such as `layer3`.
    ///
    /// # Errors
    /// As [`Network::features`]; a stage that it does not have.
    pub fn feature_maps(
        &self,
        graph: &mut Graph,
        images: Value,
        layers: &[String],
    ) -> Result<Vec<Value>> {
        graph.scope(self.role, |graph| {
            graph.scope("backbone", |graph| self.backbone.maps(graph, images, layers, true))
        })
    }

    /// Groups of images to the features and the embeddings of all rows in order.
    ///
    /// # Errors
    /// As [`Network::features`].
    pub fn forward(
        &self,
        graph: &mut Graph,
        groups: &[Value],
        training: bool,
    ) -> Result<[Value; 2]> {
        let features = self.features(graph, groups, training)?;
        let embeddings = graph.scope(self.role, |graph| {
            graph.scope("head", |graph| self.head.embed(graph, features, training))
        })?;
        Ok([features, embeddings])
    }

    /// Groups of images to embeddings `[N,D]`.
    ///
    /// # Errors
    /// As [`Network::features`].
    pub fn embed(&self, graph: &mut Graph, groups: &[Value]) -> Result<Value> {
        Ok(self.forward(graph, groups, true)?[1])
    }
}
