//! The evaluation protocols.

use serde::Serialize;

/// An evaluation protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// Weighted k-NN.
    Knn,
    /// Linear classifier on frozen features.
    Linear,
    /// Linear SVMs on few images per class.
    FewShot,
    /// k-means clusters against classes.
    Kmeans,
    /// Revisited Oxford and Paris.
    Retrieval,
    /// Copydays.
    CopyDetection,
    /// Fine-tuning on few labels.
    Semi,
}

impl Protocol {
    /// In table order.
    pub const ALL: [Protocol; 7] = [
        Protocol::Linear,
        Protocol::Knn,
        Protocol::FewShot,
        Protocol::Kmeans,
        Protocol::Retrieval,
        Protocol::CopyDetection,
        Protocol::Semi,
    ];

    /// Name in commands and files.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Knn => "knn",
            Protocol::Linear => "linear",
            Protocol::FewShot => "few-shot",
            Protocol::Kmeans => "kmeans",
            Protocol::Retrieval => "retrieval",
            Protocol::CopyDetection => "copy-detection",
            Protocol::Semi => "semi",
        }
    }

    /// Heading in tables.
    pub fn title(self) -> &'static str {
        match self {
            Protocol::Knn => "k-NN",
            Protocol::Linear => "Linear probe",
            Protocol::FewShot => "Few images per class",
            Protocol::Kmeans => "Clustering",
            Protocol::Retrieval => "Retrieval",
            Protocol::CopyDetection => "Copy detection",
            Protocol::Semi => "Semi-supervised",
        }
    }
}
