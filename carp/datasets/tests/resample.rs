//! Parts of resized images.

use datasets::{Crop, Filter, Image, ResizeScratch, resize, resize_part};

#[test]
fn a_part_is_that_of_the_whole() {
    let pixels: Vec<u8> = (0..13 * 17 * 3).map(|i| (i * 89 % 251) as u8).collect();
    let source = (&pixels[..], 17, 3);
    let crop = Crop { top: 1, left: 2, height: 11, width: 14 };
    let mut scratch = ResizeScratch::default();
    for filter in [Filter::Bilinear, Filter::Bicubic, Filter::Lanczos] {
        for size in [(5, 6), (40, 6), (5, 60), (11, 14)] {
            let (mut whole, mut part) = (Vec::new(), Vec::new());
            resize(filter, source, crop, size, &mut scratch, &mut whole);
            let (height, width) = size;
            let window = Crop { top: 2, left: 1, height: 3, width: width - 2 };
            resize_part(filter, source, crop, size, window, &mut scratch, &mut part);
            let whole = Image { height, width, channels: 3, pixels: whole };
            assert_eq!(part, whole.cropped(window).pixels, "{filter:?} {size:?}");
        }
    }
}
