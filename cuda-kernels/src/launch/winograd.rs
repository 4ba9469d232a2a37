//! Convolution by Winograd's algorithm: transforms, a product for each place, and transforms back, for
//! as many images at a time as fit in the workspace.

use tensor::Slot;
use tensor::geometry::Conv2d;
use tensor::order::{winograd_chain_tiles, winograd_part_images};

use super::gemm::Tile;
use crate::Gpu;

const MODULE: &str = "winograd";
/// A usual budget: 64 MiB.
pub const BUDGET: usize = 16 * 1024 * 1024;

/// The kernels of F(MxM,3x3): transforms of filter, input and output, and their transposes.
pub struct Names {
    /// M.
    side: usize,
    filters: &'static str,
    inputs: &'static str,
    outputs: &'static str,
    outputs_backward: &'static str,
    filters_backward: &'static str,
}

/// Those of F(2x2,3x3).
pub const F2: Names = Names {
    side: 2,
    filters: "winograd2_filters",
    inputs: "winograd2_inputs",
    outputs: "winograd2_outputs",
    outputs_backward: "winograd2_outputs_backward",
    filters_backward: "winograd2_filters_backward",
};

/// Those of F(4x4,3x3).
pub const F4: Names = Names {
    side: 4,
    filters: "winograd4_filters",
    inputs: "winograd4_inputs",
    outputs: "winograd4_outputs",
    outputs_backward: "winograd4_outputs_backward",
    filters_backward: "winograd4_filters_backward",
};

/// A convolution by F(MxM,3x3).
pub struct Winograd {
    /// The convolution.
    pub conv: Conv2d,
    /// Its transforms.
    pub names: Names,
    /// Elements of the workspace for the tiles of some images, unless the fewest need more.
    pub budget: usize,
}

impl Winograd {
    /// Numbers of a tile that are multiplied.
    fn places(&self) -> usize {
        (self.names.side + 2) * (self.names.side + 2)
    }

    /// Tiles of an image of the output: down and across.
    fn tiles(&self) -> [usize; 2] {
        self.conv.tiles(self.names.side)
    }

    fn tiles_per_image(&self) -> usize {
        self.tiles().iter().product()
    }

    /// Elements of an image's tiles, transformed, with all channels of both sides.
    fn image_elements(&self) -> usize {
        self.places() * self.tiles_per_image() * (self.conv.c + self.conv.o)
    }

    /// Images whose tiles are in memory at a time.
    fn images_at_once(&self) -> usize {
        (self.budget / self.image_elements().max(1)).clamp(1, self.conv.n)
    }

    /// Elements of all filters.
    fn filter_elements(&self) -> usize {
        self.places() * self.conv.o * self.conv.c
    }

    /// Elements of scratch memory for [`Winograd::convolve`].
    pub fn workspace(&self) -> usize {
        self.filter_elements() + self.images_at_once() * self.image_elements()
    }

    /// y of x `[N,H,W,C]` and weight `[O,3,3,C]`; or if `turned`, of the weight rotated by 180 degrees
    /// with its channels swapped, from `[C,3,3,O]`.
    pub fn convolve(
        &self,
        gpu: &mut Gpu,
        [x, weight]: [Slot; 2],
        turned: bool,
        y: Slot,
        workspace: Slot,
    ) {
        let Conv2d { n, c, o, .. } = self.conv;
        let u = workspace.part(0, self.filter_elements());
        let call = gpu.kernel(MODULE, self.names.filters).counts(&[o, c]).words(&[turned.into()]);
        call.slots(&[weight, u]).each_element(o * c);
        let at_once = self.images_at_once();
        for first in (0..n).step_by(at_once) {
            let images = at_once.min(n - first);
            let count = images * self.tiles_per_image();
            let v = workspace.part(u.len, self.places() * count * c);
            let m = workspace.part(u.len + v.len, self.places() * count * o);
            self.transform_inputs(gpu, images_of(x, n, first, images), v, count);
            let call = gpu.kernel(MODULE, "winograd_products").counts(&[count, o, c]);
            let grid = Tile::Square.grid(count, o, self.places());
            call.slots(&[v, u, m]).launch(grid, [Tile::Square.threads(), 1, 1]);
            let y = images_of(y, n, first, images);
            self.transform_outputs(gpu, self.names.outputs, [m, y], count);
        }
    }

    /// Elements of scratch memory for [`Winograd::grad_weight`].
    pub fn grad_weight_workspace(&self) -> usize {
        let parts = self.conv.n.div_ceil(winograd_part_images(self.conv, self.names.side));
        parts * self.filter_elements() + self.images_of_pass() * self.image_elements()
    }

    /// Images of a pass over the tiles for the gradient by the weight: of several whole parts, or
    /// some of one, whose tiles are then whole chains.
    fn images_of_pass(&self) -> usize {
        let of_part = winograd_part_images(self.conv, self.names.side);
        let fit = self.images_at_once();
        if fit >= of_part {
            return fit / of_part * of_part;
        }
        let chain = winograd_chain_tiles(self.conv, self.names.side);
        let is_whole = |images: &usize| (images * self.tiles_per_image()).is_multiple_of(chain);
        let least = (1..=chain).find(is_whole).expect("as many images as tiles of a chain");
        (fit / least * least).max(least).min(of_part)
    }

    /// dweight of x and dy.
    pub fn grad_weight(&self, gpu: &mut Gpu, [x, dy]: [Slot; 2], dweight: Slot, workspace: Slot) {
        let Conv2d { n, c, o, .. } = self.conv;
        let of_part = winograd_part_images(self.conv, self.names.side);
        let parts = n.div_ceil(of_part);
        let sums = workspace.part(0, parts * self.filter_elements());
        let pass = self.images_of_pass();
        let group = pass.max(of_part);
        for group_first in (0..n).step_by(group) {
            let end = n.min(group_first + group);
            for first in (group_first..end).step_by(pass) {
                let images = pass.min(end - first);
                let count = images * self.tiles_per_image();
                let v = workspace.part(sums.len, self.places() * count * c);
                let e = workspace.part(sums.len + v.len, self.places() * count * o);
                self.transform_inputs(gpu, images_of(x, n, first, images), v, count);
                let dy = images_of(dy, n, first, images);
                self.transform_outputs(gpu, self.names.outputs_backward, [dy, e], count);

                let of_parts = images.div_ceil(of_part) * self.filter_elements();
                let sums = sums.part(group_first / of_part * self.filter_elements(), of_parts);
                let part_tiles = of_part * self.tiles_per_image();
                let call = gpu.kernel(MODULE, "winograd_add_products");
                let chain = winograd_chain_tiles(self.conv, self.names.side);
                let call = call.counts(&[count, part_tiles, chain, self.places(), o, c]);
                let call = call.words(&[(first > group_first).into()]).slots(&[e, v, sums]);
                let grid = Tile::Square.grid(o, c, self.places() * images.div_ceil(of_part));
                call.launch(grid, [Tile::Square.threads(), 1, 1]);
            }
        }
        let call = gpu.kernel(MODULE, self.names.filters_backward).counts(&[parts, o, c]);
        call.slots(&[sums, dweight]).each_element(o * c);
    }

    /// `count` tiles of x into v.
    fn transform_inputs(&self, gpu: &mut Gpu, x: Slot, v: Slot, count: usize) {
        let Conv2d { h, w, c, padding, .. } = self.conv;
        let call = gpu.kernel(MODULE, self.names.inputs).counts(&[h, w]).counts(&self.tiles());
        call.counts(&[count, c, padding]).slots(&[x, v]).each_element(count * c);
    }

    /// `count` tiles of the output's channels.
    fn transform_outputs(&self, gpu: &mut Gpu, name: &'static str, slots: [Slot; 2], count: usize) {
        let (p, q, o) = (self.conv.out_h(), self.conv.out_w(), self.conv.o);
        let call = gpu.kernel(MODULE, name).counts(&[p, q]).counts(&self.tiles());
        call.counts(&[count, o]).slots(&slots).each_element(count * o);
    }
}

/// Some of the `n` images in a slot.
fn images_of(slot: Slot, n: usize, first: usize, images: usize) -> Slot {
    let image = slot.len / n;
    slot.part(first * image, images * image)
}
