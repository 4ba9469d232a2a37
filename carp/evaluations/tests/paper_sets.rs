//! Every evaluation on every layout: `carp eval all --data-root`.

use std::path::{Path, PathBuf};

use carp::views::EvalTransform;
use datasets::catalogue::ALL;
use datasets::{DataConfig, DataKind, Filter};
use evaluations::all::{
    AllSettings, EvaluationEvent, EvaluationReport, Look, Protocol, Recorder, evaluate_own,
    evaluate_paper_sets, markdown,
};
use evaluations::export::export;
use evaluations::network_file::{NetworkFile, NetworkName};
use tempfile::TempDir;
use tensor::Cpu;

#[expect(dead_code, reason = "the data sets' own tests use the rest")]
#[path = "../../datasets/tests/catalogue/trees.rs"]
mod trees;

use trees::tree;

fn weights() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/weights/torchvision.pth")
}

/// Settings for which the tiny trees have enough images.
fn settings() -> AllSettings {
    let mut settings = AllSettings::default();
    (settings.linear.epochs, settings.inat18.epochs) = (2, 2);
    settings.few_shot.shots = vec![1];
    settings.few_shot.draws = 2;
    settings.semi_shares = vec![1.0];
    settings.semi_epochs = 1;
    settings.imagenet_clustered = 1.0;
    (settings.fit, settings.copy_side) = (40, 36);
    settings
}

fn look() -> Look {
    let imagenet = EvalTransform::imagenet(Filter::Bicubic, 3);
    Look { transform: EvalTransform { resize: 40, size: 36, ..imagenet }, fixed: false }
}

fn evaluate(root: &Path, out: &Path, settings: &AllSettings) -> EvaluationReport {
    let mut source = NetworkFile::open(&weights(), None).unwrap();
    let look = look();
    let mut done = 0;
    let mut show =
        |event: EvaluationEvent| done += usize::from(matches!(event, EvaluationEvent::Done(_)));
    let mut recorder = Recorder::new(&weights(), settings, out, &mut show);
    let networks = [NetworkName::Teacher];
    evaluate_paper_sets(&mut recorder, &mut source, &networks, (root, false), (&look, 4), &Cpu)
        .unwrap();
    let report = recorder.finish().unwrap();
    assert_eq!(done, report.entries.len());
    report
}

/// A root folder with all 17 trees.
fn all_trees() -> TempDir {
    let root = TempDir::new().unwrap();
    for set in &ALL {
        let (folder, _) = tree(set.name);
        std::fs::rename(folder.keep(), root.path().join(set.name)).unwrap();
    }
    root
}

#[test]
fn every_protocol_runs_on_every_data_set_that_is_there() {
    let root = all_trees();
    std::fs::remove_dir_all(root.path().join("food101")).unwrap();
    let out = TempDir::new().unwrap();
    let report = evaluate(root.path(), out.path(), &settings());
    // Some trees have too few images for these: exactly they are listed.
    let too_small = |name: &str, protocol: &str| match protocol {
        "kmeans" => ["gtsrb", "cifar10", "cifar100", "dtd"].contains(&name),
        "few-shot" => name == "voc2007",
        _ => false,
    };
    for set in &ALL {
        for &protocol in set.protocols {
            let has = |entry: &evaluations::all::Entry| {
                entry.data == set.name && entry.protocol.name() == protocol
            };
            let found = report.entries.iter().any(has);
            let is_wanted = set.name != "food101" && !too_small(set.name, protocol);
            assert_eq!(found, is_wanted, "{} {protocol}: {:?}", set.name, report.skipped);
        }
    }
    let (faults, absent): (Vec<_>, Vec<_>) =
        report.skipped.iter().partition(|skipped| skipped.is_fault);
    for fault in &faults {
        let protocol = fault.protocol.unwrap().name();
        assert!(too_small(&fault.data, protocol), "{fault:?}");
        let reason = ["points cannot form", "no test image shows a trained class"];
        assert!(reason.iter().any(|part| fault.why.contains(part)), "{fault:?}");
    }
    assert_eq!(faults.len(), 5);
    let [absent] = absent[..] else { panic!("{absent:?}") };
    assert!(absent.data == "food101" && absent.why.contains("food101"));
    for score in report.entries.iter().flat_map(|entry| &entry.scores) {
        assert!((-100.0..=100.0 + 1e-9).contains(&score.value), "{score:?}");
    }

    // The report written is the one returned; ImageNet's row has the published numbers next to it.
    let json = std::fs::read_to_string(out.path().join("results.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["entries"].as_array().unwrap().len(), report.entries.len());
    let text = std::fs::read_to_string(out.path().join("results.md")).unwrap();
    assert_eq!(text, markdown(&report));
    assert!(text.contains("| imagenet | paper: ResNet-50, 400 epochs, 2x224 + 6x96 | 75.3 |"));
    assert!(text.contains("- food101: no folder"), "{text}");
}

#[test]
fn a_broken_data_set_is_named_and_the_others_go_on() {
    let root = TempDir::new().unwrap();
    for name in ["pets", "copydays", "cifar10"] {
        let (folder, _) = tree(name);
        std::fs::rename(folder.keep(), root.path().join(name)).unwrap();
    }
    std::fs::remove_file(root.path().join("pets/annotations/test.txt")).unwrap();
    let out = TempDir::new().unwrap();
    let mut settings = settings();
    settings.protocols = vec![Protocol::Knn, Protocol::CopyDetection];
    let report = evaluate(root.path(), out.path(), &settings);
    let faults: Vec<_> = report.skipped.iter().filter(|skipped| skipped.is_fault).collect();
    let [fault] = faults[..] else { panic!("{:?}", report.skipped) };
    assert!(fault.data == "pets" && fault.why.contains("test.txt"), "{fault:?}");
    let [entry] = &report.entries[..] else { panic!("{:?}", report.entries) };
    assert_eq!((entry.protocol, entry.data.as_str()), (Protocol::CopyDetection, "copydays"));
}

#[test]
fn a_broken_network_is_named_and_the_others_go_on() {
    let (folder, _) = tree("pets");
    let out = TempDir::new().unwrap();
    let mut whole = NetworkFile::open(&weights(), None).unwrap();
    let mut network = whole.backbone(NetworkName::Teacher).unwrap();
    network.tensors[0].1[0] = f32::NAN;
    let file = out.path().join("broken.safetensors");
    export(&network, &file).unwrap();
    let mut settings = settings();
    settings.protocols = vec![Protocol::Linear, Protocol::Knn];
    let mut show = |_: EvaluationEvent| ();
    let mut recorder = Recorder::new(&file, &settings, out.path(), &mut show);
    let (mut source, path) = (NetworkFile::open(&file, None).unwrap(), folder.path().to_owned());
    let data = DataConfig { kind: DataKind::Pets, path: Some(path), ..DataConfig::default() };
    let networks = [NetworkName::Teacher, NetworkName::Pixels];
    evaluate_own(&mut recorder, &mut source, &networks, (&data, 0), (&look(), 4), &Cpu).unwrap();
    let report = recorder.finish().unwrap();
    let faults: Vec<_> = report.skipped.iter().map(|skipped| skipped.network).collect();
    assert!(!faults.is_empty() && faults.iter().all(|&name| name == Some("teacher")), "{report:?}");
    let pixels: Vec<_> =
        report.entries.iter().map(|entry| (entry.network, entry.protocol)).collect();
    assert_eq!(pixels, [("pixels", Protocol::Linear), ("pixels", Protocol::Knn)]);
}

#[test]
fn a_part_that_fails_leaves_the_others() {
    let root = TempDir::new().unwrap();
    let (folder, _) = tree("imagenet");
    std::fs::rename(folder.keep(), root.path().join("imagenet")).unwrap();
    let out = TempDir::new().unwrap();
    let mut settings = settings();
    settings.protocols = vec![Protocol::Semi];
    // A class of each image: half of them are too few.
    settings.semi_shares = vec![0.5, 1.0];
    let report = evaluate(root.path(), out.path(), &settings);
    let [entry] = &report.entries[..] else { panic!("{:?}", report.entries) };
    assert_eq!((&*entry.scores[0].name, entry.scores.len()), ("top-1, 2 labels", 2));
    let faults: Vec<_> = report.skipped.iter().filter(|skipped| skipped.is_fault).collect();
    let [fault] = faults[..] else { panic!("{:?}", report.skipped) };
    assert_eq!(fault.protocol, Some(Protocol::Semi));
    assert!(fault.why.starts_with("50 % of the labels: 50 % of 2 labels is 1, less"), "{fault:?}");
    settings.semi_shares.truncate(1);
    assert!(evaluate(root.path(), out.path(), &settings).entries.is_empty());
}

#[test]
fn an_unreadable_image_leaves_its_block_and_stops_retrieval() {
    let root = TempDir::new().unwrap();
    for name in ["roxford5k", "copydays"] {
        let (folder, _) = tree(name);
        std::fs::rename(folder.keep(), root.path().join(name)).unwrap();
    }
    let images = |folder: &str| {
        let entries = std::fs::read_dir(root.path().join(folder)).unwrap();
        let mut images: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        images.sort();
        images
    };
    let (landmarks, copies) = (images("roxford5k/jpg"), images("copydays/strong"));
    for broken in [&landmarks[0], &copies[0]] {
        std::fs::write(broken, b"broken").unwrap();
    }
    let out = TempDir::new().unwrap();
    let mut settings = settings();
    settings.protocols = vec![Protocol::Retrieval, Protocol::CopyDetection];
    let report = evaluate(root.path(), out.path(), &settings);
    let [entry] = &report.entries[..] else { panic!("{:?}", report.entries) };
    let block = entry.result["blocks"].as_array().unwrap().iter().find(|b| b["name"] == "strong");
    assert_eq!(block.unwrap()["queries"], copies.len() - 1);
    let [fault] = &report.skipped.iter().filter(|skipped| skipped.is_fault).collect::<Vec<_>>()[..]
    else {
        panic!("{:?}", report.skipped)
    };
    let name = landmarks[0].file_name().unwrap().to_str().unwrap();
    assert_eq!(fault.data, "roxford5k");
    assert!(fault.why.contains("the ground truth needs every image"), "{fault:?}");
    assert!(fault.why.contains(name), "{fault:?}");
}
