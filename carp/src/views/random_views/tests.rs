//! Views of a small image, and each step of a view by itself.

use datasets::ResizeScratch;
use tensor::random::Purpose;

use super::super::eval_transform::EvalTransform;
use super::*;

fn image() -> Image {
    let pixels = (0..20 * 24 * 3).map(|i| (i * 7 % 251) as u8).collect();
    Image { height: 20, width: 24, channels: 3, pixels }
}

fn views(policy: &ViewPolicy, index: u64) -> Vec<Vec<f32>> {
    let mut views: Vec<Vec<f32>> =
        policy.views().sizes().iter().map(|size| vec![f32::NAN; size * size * 3]).collect();
    let mut slices: Vec<&mut [f32]> = views.iter_mut().map(|view| &mut view[..]).collect();
    let mut stream = Stream::new(0, Purpose::Views, 0, index);
    policy.views().make(&image(), &mut stream, &mut slices, &mut Scratch::default());
    views
}

fn small() -> ViewPolicy {
    let mut policy = ViewPolicy::default();
    (policy.global1.size, policy.global2.size, policy.local.size) = (16, 16, 7);
    policy
}

#[test]
fn views_are_a_function_of_the_stream() {
    let policy = small();
    assert_eq!(policy.views().sizes(), [16, 16, 7, 7, 7, 7, 7, 7]);
    let first = views(&policy, 3);
    assert_eq!(first, views(&policy, 3));
    assert_ne!(first, views(&policy, 4));
    assert_ne!(first[0], first[1]);
    assert!(first.iter().flatten().all(|x| x.is_finite()));
}

/// A policy without local views whose first view has no random change but its crop.
fn still() -> ViewPolicy {
    let mut policy = small();
    policy.local_count = 0;
    let kind = &mut policy.global1;
    (kind.flip, kind.jitter, kind.greyscale, kind.blur, kind.solarise) = (0.0, 0.0, 0.0, 0.0, 0.0);
    policy
}

#[test]
fn a_view_from_the_middle_is_that_of_evaluations() {
    let mut policy = still();
    (policy.filter, policy.global1.resize) = (Filter::Bilinear, 18);
    let (mean, std) = (policy.mean.clone(), policy.std.clone());
    let transform = EvalTransform { resize: 18, size: 16, filter: Filter::Bilinear, mean, std };
    let mut want = vec![0.0; 16 * 16 * 3];
    transform.apply(&image(), &mut want, &mut Scratch::default());
    for index in 0..3 {
        assert_eq!(views(&policy, index)[0], want);
    }
}

#[test]
fn a_view_is_blurred_before_rand_augment() {
    let mut policy = still();
    (policy.global1.rand_augment, policy.global1.blur) = (2, 1.0);
    let image = image();
    for index in 0..20 {
        let stream = &mut Stream::new(0, Purpose::Views, 0, index);
        let crop = random_resized_crop(20, 24, (0.2, 1.0), stream);
        let mut pixels = image.cropped(crop).resized(Filter::Bicubic, 16, 16).pixels;
        for chance in [0.0, 0.0, 0.0, 1.0] {
            stream.chance(chance);
        }
        let square = (16, 16, 3);
        gaussian_blur(&mut pixels, square, stream.range(0.1, 2.0), &mut Vec::new());
        rand_augment(&mut pixels, square, (2, &policy.mean), stream, &mut Vec::new());
        let mut want = vec![0.0; pixels.len()];
        normalise(&pixels, &policy.mean, &policy.std, &mut want);
        assert_eq!(views(&policy, index)[0], want, "{index}");
    }
}

#[test]
fn without_chances_a_view_is_crop_resize_and_normalise() {
    let mut policy = still();
    for filter in [Filter::Bicubic, Filter::Bilinear] {
        policy.filter = filter;
        let got = views(&policy, 0);
        let mut stream = Stream::new(0, Purpose::Views, 0, 0);
        let image = image();
        let crop = random_resized_crop(20, 24, (0.2, 1.0), &mut stream);
        let (mut pixels, mut scratch) = (Vec::new(), ResizeScratch::default());
        let source = (&image.pixels[..], 24, 3);
        resize(filter, source, crop, (16, 16), &mut scratch, &mut pixels);
        for (i, (&got, &pixel)) in got[0].iter().zip(&pixels).enumerate() {
            let want = (f32::from(pixel) / 255.0 - policy.mean[i % 3]) / policy.std[i % 3];
            assert_eq!(got, want);
        }
    }
}
