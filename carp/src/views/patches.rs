//! Patches of one crop of an image, as InfoMin's jigsaw (Misra and van der Maaten, 2020) and OBoW cut them.

use tensor::random::Stream;

use super::view_kind::ViewKind;

/// Square pieces at the cells of a square grid, which covers the crop.
#[derive(Clone, Debug, PartialEq)]
pub struct Patches {
    /// How many of the cells, drawn at random and in random order.
    pub count: usize,
    /// Cells along a side.
    pub grid: usize,
    /// Each lies up to this many pixels right of and below its cell's corner.
    pub shift: usize,
    /// Side of a patch in pixels.
    pub size: usize,
    /// The crop; its size is the whole's.
    pub crop: ViewKind,
}

impl Patches {
    /// The patches' cells, in order.
    pub(super) fn draw_cells(&self, stream: &mut Stream, cells: &mut Vec<u32>) {
        cells.clear();
        cells.extend(0..(self.grid * self.grid) as u32);
        stream.shuffle(cells);
        cells.truncate(self.count);
    }

    /// Left and top of a patch of this cell.
    pub(super) fn draw_corner(&self, cell: u32, stream: &mut Stream) -> (usize, usize) {
        let Patches { grid, shift, .. } = *self;
        let distance = (self.crop.size - self.size - shift) / (grid - 1).max(1);
        let mut at = |place: usize| distance * place + stream.below(shift as u32 + 1) as usize;
        (at(cell as usize % grid), at(cell as usize / grid))
    }

    /// Copies the patch at a corner out of the crop's `pixels`.
    pub(super) fn cut(
        &self,
        (pixels, channels): (&[u8], usize),
        (left, top): (usize, usize),
        patch: &mut Vec<u8>,
    ) {
        let row = self.crop.size * channels;
        patch.clear();
        for line in pixels.chunks_exact(row).skip(top).take(self.size) {
            patch.extend_from_slice(&line[left * channels..][..self.size * channels]);
        }
    }
}

#[cfg(test)]
mod tests {
    use tensor::random::Purpose;

    use super::*;

    #[test]
    fn a_jigsaw_has_a_patch_in_each_cell_and_another_order_each_time() {
        let crop = ViewKind::authors(255, (0.6, 1.0), 0.0, 0.0);
        let jigsaw = Patches { count: 9, grid: 3, shift: 21, size: 64, crop };
        let (mut stream, mut cells) = (Stream::new(0, Purpose::Test, 0, 0), Vec::new());
        let mut orders = Vec::new();
        for _ in 0..50 {
            jigsaw.draw_cells(&mut stream, &mut cells);
            orders.push(cells.clone());
            for &cell in &cells {
                // A patch of 64 pixels lies inside its cell of 85.
                let (left, top) = jigsaw.draw_corner(cell, &mut stream);
                assert_eq!((left / 85, top / 85), (cell as usize % 3, cell as usize / 3));
                assert!(left % 85 <= 21 && top % 85 <= 21, "{left} {top}");
            }
            cells.sort_unstable();
            assert_eq!(cells, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
        }
        orders.sort_unstable();
        orders.dedup();
        assert!(orders.len() > 40, "{} orders", orders.len());

        let few = Patches { count: 5, ..jigsaw };
        few.draw_cells(&mut stream, &mut cells);
        assert_eq!(cells.len(), 5);
    }

    #[test]
    fn a_patch_is_a_piece_of_the_crop() {
        let crop = ViewKind::authors(6, (1.0, 1.0), 0.0, 0.0);
        let patches = Patches { count: 4, grid: 2, shift: 0, size: 2, crop };
        let pixels: Vec<u8> = (0..36).collect();
        let mut patch = Vec::new();
        patches.cut((&pixels, 1), (4, 1), &mut patch);
        assert_eq!(patch, [10, 11, 16, 17]);
    }
}
