//! The numbers in the authors' README (ResNet-50, ImageNet, top-1 in %): docs/method.md, section 3.

/// One of the authors' checkpoints.
pub struct Published {
    /// Passes over ImageNet.
    pub epochs: u32,
    /// Views of an image.
    pub views: &'static str,
    /// Linear probe.
    pub linear: f64,
    /// k-NN.
    pub knn: f64,
}

/// In the order of the authors' table.
pub const PUBLISHED: [Published; 4] = [
    Published { epochs: 100, views: "2x224 + 6x96", linear: 72.5, knn: 63.5 },
    Published { epochs: 200, views: "2x224 + 6x96", linear: 74.2, knn: 66.5 },
    Published { epochs: 400, views: "2x224", linear: 73.0, knn: 67.6 },
    Published { epochs: 400, views: "2x224 + 6x96", linear: 75.3, knn: 67.7 },
];
