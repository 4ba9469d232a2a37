//! What each protocol's images look like: the one table that every command follows.

use carp::error::Result;
use carp::views::EvalTransform;
use datasets::{DataKind, Filter};

use super::protocol::Protocol;
use crate::network_file::NetworkFile;

/// Image preprocessing of a network's evaluations.
#[derive(Clone, Debug)]
pub struct Look {
    /// Sizes and standardisation; with a run's network also the filter.
    pub transform: EvalTransform,
    /// Use this filter in every protocol; else `authors_filter`'s.
    pub fixed: bool,
}

impl Look {
    /// A run's network sees images as the run's own k-NN did; third-party weights see them as in
    /// the authors' scripts: "256/224" with each protocol's own filter.
    ///
    /// # Errors
    /// Those of [`NetworkFile::transform`].
    pub fn of(source: &NetworkFile) -> Result<Look> {
        Ok(Look { transform: source.transform()?, fixed: source.config().is_some() })
    }

    /// The preprocessing for a protocol on data of this kind.
    pub fn transform(&self, protocol: Protocol, kind: DataKind) -> EvalTransform {
        let mut transform = self.transform.clone();
        if !self.fixed {
            transform.filter = authors_filter(protocol, kind);
        }
        transform
    }
}

/// The filter that the authors' script of a protocol resizes with: torchvision's default, bilinear,
/// unless the script names bicubic (`interpolation=3`).
fn authors_filter(protocol: Protocol, kind: DataKind) -> Filter {
    match (protocol, kind) {
        (Protocol::Linear, DataKind::INat2018) => Filter::Bilinear,
        (Protocol::Knn | Protocol::Linear | Protocol::CopyDetection, _) => Filter::Bicubic,
        (Protocol::FewShot | Protocol::Kmeans | Protocol::Retrieval | Protocol::Semi, _) => {
            Filter::Bilinear
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_has_one_filter_and_other_weights_the_authors() {
        let transform = EvalTransform::imagenet(Filter::Bicubic, 3);
        let filters = |fixed| {
            let look = Look { transform: transform.clone(), fixed };
            let filter = |(protocol, kind)| look.transform(protocol, kind).filter;
            [
                (Protocol::Knn, DataKind::Pets),
                (Protocol::Linear, DataKind::ImageNet),
                (Protocol::Linear, DataKind::INat2018),
                (Protocol::FewShot, DataKind::Voc2007),
                (Protocol::Kmeans, DataKind::Dtd),
            ]
            .map(filter)
        };
        let (cubic, linear) = (Filter::Bicubic, Filter::Bilinear);
        assert_eq!(filters(false), [cubic, cubic, linear, linear, linear]);
        assert_eq!(filters(true), [cubic; 5]);
    }
}
