//! Transformations of views, with their strengths and probabilities (docs/method.md, 1.9): the
//! `[views]` section of the settings.

use datasets::Filter;
use serde::{Deserialize, Serialize};

use super::patches::Patches;
use super::view_kind::ViewKind;

/// The views of an image: two global ones, the local ones, then patches: pieces of one more crop, cut
/// out at the cells of a grid in random order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewPolicy {
    /// Subtracted from pixels in 0..1, one number per channel.
    pub mean: Vec<f32>,
    /// Divisor after that, one number per channel.
    pub std: Vec<f32>,
    /// How crops are resized: bilinear, bicubic or lanczos.
    pub filter: Filter,
    /// Number of local views.
    pub local_count: usize,
    /// View 0.
    pub global1: ViewKind,
    /// View 1.
    pub global2: ViewKind,
    /// All others but the patches.
    pub local: ViewKind,
    /// Number of patches, at most one per cell; 0 makes no such crop.
    pub patch_count: usize,
    /// Cells along a side of the grid.
    pub patch_grid: usize,
    /// Side of the crop that they are cut from, in pixels.
    pub patch_crop: usize,
    /// Most pixels, across and down, that a patch lies off its cell's corner.
    pub patch_shift: usize,
    /// Transformations of that crop; `size` is a patch's.
    pub patch: ViewKind,
}

impl Default for ViewPolicy {
    /// The authors' defaults.
    fn default() -> ViewPolicy {
        ViewPolicy {
            mean: vec![0.485, 0.456, 0.406],
            std: vec![0.229, 0.224, 0.225],
            filter: Filter::Bicubic,
            local_count: 6,
            global1: ViewKind::authors(224, (0.2, 1.0), 1.0, 0.0),
            global2: ViewKind::authors(224, (0.2, 1.0), 0.1, 0.2),
            local: ViewKind::authors(96, (0.05, 0.2), 0.5, 0.0),
            patch_count: 0,
            patch_grid: 3,
            patch_crop: 255,
            patch_shift: 21,
            patch: ViewKind::authors(64, (0.6, 1.0), 0.0, 0.0),
        }
    }
}

impl ViewPolicy {
    pub(super) fn kinds(&self) -> impl Iterator<Item = &ViewKind> {
        let locals = std::iter::repeat_n(&self.local, self.local_count);
        [&self.global1, &self.global2].into_iter().chain(locals)
    }

    /// Patches, if there are any.
    pub(super) fn patches(&self) -> Option<Patches> {
        let ViewPolicy { patch_count, patch_grid, patch_crop, patch_shift, ref patch, .. } = *self;
        (patch_count > 0).then(|| Patches {
            count: patch_count,
            grid: patch_grid,
            shift: patch_shift,
            size: patch.size,
            crop: ViewKind { size: patch_crop, ..patch.clone() },
        })
    }
}
