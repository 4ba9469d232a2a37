//! Random crops of random area and aspect, as torchvision's `RandomResizedCrop` draws them.

use datasets::Crop;
use tensor::math;
use tensor::random::Stream;

const ASPECT: (f32, f32) = (3.0 / 4.0, 4.0 / 3.0);
const TRIES: usize = 10;

/// A crop with an area fraction uniform in `scale`, an aspect log-uniform in 3/4..4/3 and a uniform
/// position; after ten draws that do not fit, the largest centred crop of an allowed aspect.
pub fn random_resized_crop(
    height: usize,
    width: usize,
    scale: (f32, f32),
    stream: &mut Stream,
) -> Crop {
    for _ in 0..TRIES {
        let area = (height * width) as f32 * stream.range(scale.0, scale.1);
        let aspect = math::exp(stream.range(math::ln(ASPECT.0), math::ln(ASPECT.1)));
        let w = (area * aspect).sqrt().round() as usize;
        let h = (area / aspect).sqrt().round() as usize;
        if (1..=width).contains(&w) && (1..=height).contains(&h) {
            return Crop {
                top: stream.below((height - h + 1) as u32) as usize,
                left: stream.below((width - w + 1) as u32) as usize,
                height: h,
                width: w,
            };
        }
    }
    let aspect = width as f32 / height as f32;
    let (h, w) = if aspect < ASPECT.0 {
        (((width as f32 / ASPECT.0).round() as usize).min(height), width)
    } else if aspect > ASPECT.1 {
        (height, ((height as f32 * ASPECT.1).round() as usize).min(width))
    } else {
        (height, width)
    };
    Crop::centre(height, width, (h.max(1), w.max(1)))
}

#[cfg(test)]
mod tests {
    use tensor::random::Purpose;

    use super::*;

    #[test]
    fn crops_lie_inside_and_have_the_area_drawn() {
        let mut stream = Stream::new(1, Purpose::Test, 0, 0);
        for _ in 0..2000 {
            let crop = random_resized_crop(40, 60, (0.2, 0.5), &mut stream);
            assert!(crop.top + crop.height <= 40 && crop.left + crop.width <= 60);
            let share = (crop.height * crop.width) as f32 / 2400.0;
            assert!((0.18..0.53).contains(&share), "{share}");
            let aspect = crop.width as f32 / crop.height as f32;
            assert!((0.7..1.43).contains(&aspect), "{aspect}");
        }
        // No draw fits a line of pixels: the fallback is its middle.
        let crop = random_resized_crop(1, 100, (0.9, 1.0), &mut stream);
        assert_eq!((crop.height, crop.width, crop.left), (1, 1, 50));
    }
}
