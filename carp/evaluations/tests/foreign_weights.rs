//! Checkpoints from PyTorch and published methods: what is found in them, and features equal to
//! PyTorch's (`tools/golden_weights.py`).

use std::path::{Path, PathBuf};

use carp::nn::{Arch, Stem};
use carp::views::EvalTransform;
use datasets::{Filter, MemoryDataset};
use evaluations::backbone::{Backbone, Candidate, candidates, choose, compare, read};
use evaluations::export::export;
use evaluations::features::{
    AnySize, Encoder, FeatureExtractor, FeatureSet, Layer, POOLED, PatchGrid, SCALES,
};
use evaluations::network_role::Role;
use safetensors::SafeTensors;
use tensor::Cpu;
use weights::{Format, WeightsFile};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/weights").join(name)
}

fn open(name: &str) -> (WeightsFile, Candidate) {
    let file = WeightsFile::open(&fixture(name)).unwrap();
    // Of MoCo's two networks the numbers are those of the student.
    let role = (name == "moco_v3.pth").then_some(Role::Student);
    let chosen = choose(&file, role, None).unwrap();
    (file, chosen)
}

fn backbone(name: &str) -> Backbone {
    let (mut file, chosen) = open(name);
    let found = compare(&file, &chosen).unwrap();
    read(&mut file, &found).unwrap()
}

/// Every layer of every file, for images that are not square.
#[test]
fn features_are_pytorchs() {
    let bytes = std::fs::read(fixture("expected.safetensors")).unwrap();
    let expected = SafeTensors::deserialize(&bytes).unwrap();
    let numbers = |name: &str| -> (Vec<usize>, Vec<f32>) {
        let view = expected.tensor(name).unwrap();
        let number = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().unwrap());
        (view.shape().to_vec(), view.data().chunks_exact(4).map(number).collect())
    };
    let mut compared = 0;
    for name in [
        "torchvision.pth",
        "carp.pth",
        "moco_v3.pth",
        "moco_v2.pth.tar",
        "sequential.safetensors",
        "bottleneck.safetensors",
    ] {
        let Backbone { config, tensors } = backbone(name);
        let (shape, images) = numbers(&format!("{name}.images"));
        for layer in
            ["conv1", "maxpool", "layer1", "layer2.0", "layer2", "layer3", "layer4", "avgpool"]
        {
            let size = (shape[1], shape[2]);
            let mut extractor = FeatureExtractor::of_layer(
                &config,
                shape[0],
                size,
                Layer { name: layer, grid: 1 },
                &Cpu,
            )
            .unwrap();
            extractor.load(&tensors).unwrap();
            let got = extractor
                .extract(shape[0], |_, pixels| {
                    pixels.copy_from_slice(&images);
                    Ok(())
                })
                .unwrap();
            let (_, want) = numbers(&format!("{name}.{layer}"));
            assert_eq!(got.len(), want.len(), "{name} {layer}");
            for (got, want) in got.iter().zip(&want) {
                let error = (got - want).abs() / want.abs().max(1.0);
                assert!(error < 1e-5, "{name} {layer}: {got} instead of {want}");
                compared += 1;
            }
        }
    }
    // Retrieval's features, one image after the other at three scales.
    let mut any_size = AnySize::new(backbone("torchvision.pth"), &Cpu);
    let (shape, images) = numbers("torchvision.pth.images");
    let (_, want) = numbers("torchvision.pth.multi_scale");
    let size = (shape[1], shape[2]);
    for (image, want) in images.chunks(images.len() / shape[0]).zip(want.chunks(any_size.dim())) {
        let got = any_size.multi_scale(image, size, &SCALES).unwrap();
        let error = got.iter().zip(want).map(|(got, want)| (got - want).abs()).fold(0.0, f32::max);
        assert!(error < 1e-5, "{error}");
        compared += want.len();
    }
    assert!(compared > 660, "{compared}");
    let size = FeatureExtractor::of_layer(
        &backbone("carp.pth").config,
        1,
        (8, 8),
        Layer { name: "fc", grid: 1 },
        &Cpu,
    );
    assert!(size.err().unwrap().to_string().contains("the network has no fc"));
}

/// Pictures `image.N`, as data sets of one.
fn pictures(tensors: &SafeTensors) -> Vec<MemoryDataset> {
    let picture = |number: usize| {
        let image = tensors.tensor(&format!("image.{number}")).unwrap();
        let &[height, width, channels] = image.shape() else { panic!("3 sizes") };
        let size = (height, width, channels);
        MemoryDataset::new(format!("{height} x {width}"), size, image.data(), vec![0], vec![])
    };
    [0, 1].map(picture).into()
}

/// An encoder for images of 32 x 32 pixels.
fn encoder(resize: usize) -> Encoder {
    let transform =
        EvalTransform { resize, size: 32, ..EvalTransform::imagenet(Filter::Bicubic, 3) };
    Encoder::new(&backbone("torchvision.pth"), transform, POOLED, 2, &Cpu).unwrap()
}

/// The numbers are those of the fixture's tensor, as many and as large.
fn assert_near(got: &[f32], expected: &SafeTensors, name: &str) {
    let want = expected.tensor(name).unwrap();
    let want = want.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes));
    assert_eq!(got.len(), want.len(), "{name}");
    for (got, want) in got.iter().zip(want) {
        let error = (got - want).abs() / want.abs().max(1.0);
        assert!(error < 1e-5, "{name}: {got} instead of {want}");
    }
}

#[test]
fn features_over_patches_are_pytorchs() {
    let bytes = std::fs::read(fixture("patches.safetensors")).unwrap();
    let expected = SafeTensors::deserialize(&bytes).unwrap();
    for (number, data) in pictures(&expected).iter().enumerate() {
        for (count, share) in [(1, "1.0"), (1, "0.8"), (2, "0.5"), (3, "0.4"), (4, "0.75")] {
            let grid = PatchGrid::new(count, share.parse().unwrap()).unwrap();
            let mut encoder = encoder(36).over_patches(&grid).unwrap();
            let got = encoder.feature_set(data, |_| ()).unwrap().features;
            let name = format!("features.{number}.{count}.{share}");
            assert_eq!(got.len(), 32);
            assert_near(&got, &expected, &name);
        }
    }
}

/// The map of layer1 has 8 x 8 pixels: 3 x 3 cells overlap.
#[test]
fn features_of_cells_are_pytorchs() {
    let bytes = std::fs::read(fixture("patches.safetensors")).unwrap();
    let expected = SafeTensors::deserialize(&bytes).unwrap();
    let of = |grid| {
        let transform =
            EvalTransform { resize: 32, size: 32, ..EvalTransform::imagenet(Filter::Bicubic, 3) };
        let layer = Layer { name: "layer1", grid };
        Encoder::new(&backbone("torchvision.pth"), transform, layer, 2, &Cpu)
    };
    for (number, data) in pictures(&expected).iter().enumerate() {
        for grid in [2, 3, 4, 8] {
            let got = of(grid).unwrap().feature_set(data, |_| ()).unwrap().features;
            let name = format!("cells.{number}.{grid}");
            assert_eq!(got.len(), 4 * grid * grid);
            assert_near(&got, &expected, &name);
        }
    }
    for grid in [0, 9] {
        let want = format!("{grid} x {grid} cells of the 8 x 8 map of layer1: choose 1 to 8");
        assert_eq!(of(grid).err().unwrap().to_string(), want);
    }
}

#[test]
fn one_patch_as_large_as_the_crop_is_the_image() {
    let bytes = std::fs::read(fixture("patches.safetensors")).unwrap();
    for data in pictures(&SafeTensors::deserialize(&bytes).unwrap()) {
        for (resize, share) in [(32, 1.0), (40, 0.8)] {
            let whole = encoder(resize).feature_set(&data, |_| ()).unwrap();
            let grid = PatchGrid::new(1, share).unwrap();
            let mut patch = encoder(36).over_patches(&grid).unwrap();
            assert_eq!(patch.feature_set(&data, |_| ()).unwrap(), whole);
        }
    }
}

#[test]
fn patches_out_of_range_or_of_pixels_are_refused() {
    let line = |count, share| PatchGrid::new(count, share).unwrap_err().to_string();
    for count in [0, 101] {
        let want = format!("patches {count}: choose 1 to 100, for as many in each row");
        assert_eq!(line(count, 0.5), want);
    }
    for share in [0.0, -0.5, 1.001, f64::NAN, f64::INFINITY] {
        let want = format!("patch share {share}: choose 0.01 to 1, of the image's short side");
        assert_eq!(line(2, share), want);
    }
    let pixels = Encoder::of_pixels(EvalTransform::imagenet(Filter::Bicubic, 3));
    let refused = pixels.over_patches(&PatchGrid::new(2, 0.5).unwrap());
    assert!(refused.err().unwrap().to_string().starts_with("patches need a network"));
}

#[test]
fn prefixes_and_sizes_are_found() {
    for (name, format, prefix, arch, stem, (width, in_channels)) in [
        ("torchvision.pth", Format::TorchZip, "", Arch::ResNet18, Stem::ImageNet, (4, 3)),
        (
            "carp.pth",
            Format::TorchZip,
            "teacher.module.backbone.",
            Arch::ResNet18,
            Stem::ImageNet,
            (1, 3),
        ),
        (
            "moco_v3.pth",
            Format::TorchZip,
            "state_dict.module.base_encoder.",
            Arch::ResNet18,
            Stem::ImageNet,
            (1, 3),
        ),
        (
            "moco_v2.pth.tar",
            Format::TorchLegacy,
            "state_dict.module.encoder_q.",
            Arch::ResNet18,
            Stem::ImageNet,
            (1, 3),
        ),
        (
            "sequential.safetensors",
            Format::SafeTensors,
            "backbone.",
            Arch::ResNet34,
            Stem::ImageNet,
            (1, 3),
        ),
        (
            "bottleneck.safetensors",
            Format::SafeTensors,
            "encoder.",
            Arch::ResNet50,
            Stem::Cifar,
            (1, 1),
        ),
    ] {
        let (file, chosen) = open(name);
        assert_eq!((file.format(), &chosen.prefix[..]), (format, prefix));
        let config = compare(&file, &chosen).unwrap().config;
        let got = (config.arch, config.stem, config.width, config.in_channels);
        assert_eq!(got, (arch, stem, width, in_channels), "{name}");
    }
}

#[test]
fn what_is_left_over_is_told() {
    let left_over = |name: &str| {
        let (file, chosen) = open(name);
        let found = compare(&file, &chosen).unwrap();
        assert!(found.missing.is_empty(), "{name}: {:?}", found.missing);
        found.left_over
    };
    assert_eq!(left_over("torchvision.pth"), ["fc.weight", "fc.bias"]);
    assert_eq!(left_over("moco_v3.pth"), ["fc.0.weight"]);
    assert!(left_over("carp.pth").is_empty());
    // The optimizer's state and the student are elsewhere in the file.
    let (file, chosen) = open("carp.pth");
    assert!(compare(&file, &chosen).unwrap().elsewhere > 100);
}

#[test]
fn student_and_teacher_are_told_apart() {
    let (file, _) = open("carp.pth");
    let prefixes: Vec<_> = candidates(&file).into_iter().map(|c| (c.prefix, c.role)).collect();
    let own = |prefix: &str, role| (format!("{prefix}.module.backbone."), Some(role));
    assert_eq!(prefixes, [own("student", Role::Student), own("teacher", Role::Teacher)]);
    let of = |name: &str, role, prefix| {
        choose(&WeightsFile::open(&fixture(name)).unwrap(), role, prefix).map(|c| c.prefix)
    };
    let student = of("carp.pth", Some(Role::Student), None).unwrap();
    assert_eq!(student, "student.module.backbone.");
    let teacher = of("moco_v3.pth", Some(Role::Teacher), None).unwrap();
    assert_eq!(teacher, "state_dict.module.momentum_encoder.");
    // The default is the teacher, wherever it lies in the file and whatever it is called.
    assert_eq!(of("moco_v3.pth", None, None).unwrap(), teacher);
    assert_eq!(of("carp.pth", None, None).unwrap(), "teacher.module.backbone.");
    let given = of("carp.pth", None, Some("student.module.backbone")).unwrap();
    assert_eq!(given, "student.module.backbone.");
    let none = of("carp.pth", None, Some("module")).unwrap_err().to_string();
    assert!(none.contains("only under [\"student.module.backbone.\""), "{none}");
    let none = of("moco_v2.pth.tar", Some(Role::Teacher), None).unwrap_err().to_string();
    assert!(none.contains("no teacher in it"), "{none}");
}

/// Opens a file with these bytes and reads its backbone; the error is one line that names the file.
fn refused(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.pth");
    std::fs::write(&path, bytes).unwrap();
    refused_file(&path)
}

/// Likewise for a file that is there.
fn refused_file(path: &Path) -> String {
    let read = || {
        let mut file = WeightsFile::open(path)?;
        let found = compare(&file, &choose(&file, None, None)?)?;
        read(&mut file, &found)
    };
    let line = read().map(|_| ()).expect_err("should be refused").to_string();
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(line.contains(name) && line.lines().count() == 1, "{line}");
    line
}

/// Whatever byte is wrong: a result or one line, never a panic or an endless loop.
#[test]
fn no_single_damaged_byte_of_the_objects_is_a_panic() {
    let legacy = std::fs::read(fixture("moco_v2.pth.tar")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    for at in (0..16_000).step_by(23) {
        let mut damaged = legacy.clone();
        damaged[at] = damaged[at].wrapping_add(1 + (at % 251) as u8);
        std::fs::write(&path, &damaged).unwrap();
        if let Ok(file) = WeightsFile::open(&path) {
            let _ = choose(&file, None, None).and_then(|chosen| compare(&file, &chosen));
        }
    }
}

#[test]
fn networks_that_are_none_of_ours_are_refused() {
    let expected = WeightsFile::open(&fixture("expected.safetensors")).unwrap();
    let line = choose(&expected, None, None).unwrap_err().to_string();
    assert!(line.contains("no ResNet in it"), "{line}");
    // A ResNet-34 without one tensor, and one with another network's shapes.
    let bytes = std::fs::read(fixture("sequential.safetensors")).unwrap();
    let swap = |from: &str, to: &str| {
        let text = from.as_bytes();
        let at = bytes.windows(text.len()).position(|part| part == text).unwrap();
        let mut swapped = bytes.clone();
        swapped[at..at + text.len()].copy_from_slice(to.as_bytes());
        swapped
    };
    let line = refused(&swap("backbone.5.1.bn2.bias", "backbone.5.1.bn2.bass"));
    assert!(line.contains("1 tensors of a resnet34 are missing"), "{line}");
    assert!(line.contains("layer2.1.bn2.bias"), "{line}");
    let line = refused(&swap("backbone.7.2.conv1.weight", "backbone.8.2.conv1.weight"));
    assert!(line.contains("[3, 4, 6, 2] are not a ResNet"), "{line}");
}

#[test]
fn a_network_whose_features_are_not_finite_is_refused() {
    let mut broken = backbone("torchvision.pth");
    let variance = "layer4.1.bn2.running_var";
    let (_, numbers) = broken.tensors.iter_mut().find(|(name, _)| name == variance).unwrap();
    numbers.fill(-1.0);
    let transform =
        EvalTransform { resize: 32, size: 32, ..EvalTransform::imagenet(Filter::Bicubic, 3) };
    let pixels: Vec<u8> = (0..3 * 32 * 32 * 3).map(|i| (i * 37 % 251) as u8).collect();
    let data = MemoryDataset::new(
        "three images".to_owned(),
        (32, 32, 3),
        &pixels,
        vec![0; 3],
        vec!["one".to_owned()],
    );
    let refused = |features: carp::error::Result<FeatureSet>| {
        let error = features.expect_err("should be refused");
        let line = error.to_string();
        let start = "three images: features[0,0] is NaN; 3 of 3 rows are not finite";
        assert!(line.starts_with(start) && line.lines().count() == 1, "{line}");
        assert_eq!(error.exit_code(), 1);
    };
    let mut encoder = Encoder::new(&broken, transform.clone(), POOLED, 2, &Cpu).unwrap();
    refused(encoder.feature_set(&data, |_| ()));
    // The file that has it is refused at once.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.safetensors");
    export(&broken, &path).unwrap();
    let line = refused_file(&path);
    assert!(line.contains("element 0 of layer4.1.bn2.running_var, a variance, is -1"), "{line}");
    refused(AnySize::new(broken, &Cpu).feature_set(&data, &transform, &SCALES, |_| ()));
}

#[test]
fn what_is_exported_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.safetensors");
    for name in ["carp.pth", "bottleneck.safetensors"] {
        let first = backbone(name);
        export(&first, &path).unwrap();
        let mut file = WeightsFile::open(&path).unwrap();
        assert_eq!(file.metadata("format"), Some("pt"));
        let found = compare(&file, &choose(&file, None, None).unwrap()).unwrap();
        assert!(found.left_over.is_empty());
        let second = read(&mut file, &found).unwrap();
        assert_eq!((second.config, &second.tensors), (first.config, &first.tensors));
    }
}
