//! The protocols of `carp eval` on feature files, as a user runs them.

use std::path::Path;
use std::process::{Command, Output};

use datasets::Labels;
use evaluations::features::FeatureSet;
use serde_json::Value;
use tempfile::TempDir;
use tensor::random::{Purpose, Stream};

fn eval(folder: &Path, words: &str) -> Output {
    let words = words.split_whitespace();
    Command::new(env!("CARGO_BIN_EXE_carp"))
        .arg("eval")
        .args(words)
        .current_dir(folder)
        .output()
        .unwrap()
}

/// Standard output of a command that must succeed.
fn succeeds(folder: &Path, words: &str) -> String {
    let output = eval(folder, words);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}: {stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn json(folder: &Path, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap()
}

/// Distant clouds, one per class: every protocol is nearly always right.
fn clouds(rows: u32, index: u64) -> FeatureSet {
    let mut centres = Stream::new(0, Purpose::Test, 0, 0);
    let centres: Vec<f32> = (0..3 * 6).map(|_| 3.0 * centres.normal()).collect();
    let mut noise = Stream::new(0, Purpose::Test, 0, index);
    let labels: Vec<u32> = (0..rows).map(|row| row % 3).collect();
    let features = labels.iter().flat_map(|&label| &centres[label as usize * 6..][..6]);
    let features = features.map(|x| x + 0.3 * noise.normal()).collect();
    FeatureSet { features, dim: 6, labels: Labels::Single(labels), class_names: vec![] }
}

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    clouds(60, 1).save(&folder.path().join("train")).unwrap();
    clouds(30, 2).save(&folder.path().join("test")).unwrap();
    folder
}

const BOTH: &str = "--features train --test-features test --json out.json";

#[test]
fn numbers_of_neighbours_are_a_list() {
    let folder = folder();
    let folder = folder.path();
    let ks = |more: &str| -> Vec<u64> {
        succeeds(folder, &format!("knn {BOTH} --predictions classes {more}"));
        let result = json(folder, "out.json");
        let accuracies = result["accuracies"].as_array().unwrap();
        accuracies.iter().map(|accuracy| accuracy["k"].as_u64().unwrap()).collect()
    };
    assert_eq!(ks(""), [10, 20, 100, 200]);
    assert_eq!(ks("-k 5 -k 3,5 -k 5"), [5, 3]);
    // The help shows lists as they are given.
    for (command, default) in [
        ("knn", "10,20,100,200"),
        ("few-shot", "1,2,4,8,16"),
        ("retrieval", "1,5,10"),
        ("linear", "12,18"),
        ("semi", "12,16"),
        ("all", "1,10"),
    ] {
        let help = succeeds(folder, &format!("{command} --help"));
        assert!(help.contains(&format!("[default: {default}]")), "{help}");
    }
}

/// Replaces the labels of classes 0, 1, ... in a result.
fn relabel(result: &mut Value, labels: &[u32]) {
    match result {
        Value::Array(values) => values.iter_mut().for_each(|value| relabel(value, labels)),
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_u64() {
                    Some(class) if ["label", "most_taken_for", "class"].contains(&&**name) => {
                        *value = labels[class as usize].into();
                    }
                    _ => relabel(value, labels),
                }
            }
        }
        _ => {}
    }
}

#[test]
fn labels_are_any_numbers() {
    let folder = folder();
    let folder = folder.path();
    let protocols = [
        "knn --k 5 --predictions out",
        "kmeans",
        "few-shot --shots 2 --draws 1",
        "linear --epochs 2",
    ];
    let results = || {
        protocols.map(|protocol| {
            (succeeds(folder, &format!("{protocol} {BOTH}")), json(folder, "out.json"))
        })
    };
    let mut wanted = results();
    let labels = [7, 50, 4_000_000_000];
    wanted.iter_mut().for_each(|(_, result)| relabel(result, &labels));
    for (name, rows, index) in [("train", 60, 1), ("test", 30, 2)] {
        let mut set = clouds(rows, index);
        let Labels::Single(classes) = &mut set.labels else { panic!("one class each") };
        classes.iter_mut().for_each(|class| *class = labels[*class as usize]);
        set.save(&folder.join(name)).unwrap();
    }
    // Only the labels of the files differ: in what is said of each class, and in predictions.
    assert_eq!(results(), wanted);
    let bytes = std::fs::read(folder.join("out")).unwrap();
    let predictions = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let predictions = predictions.tensor("predictions.5").unwrap();
    let predicted =
        |row: usize| i64::from_le_bytes(predictions.data()[8 * row..][..8].try_into().unwrap());
    assert_eq!([predicted(0), predicted(1), predicted(2)], labels.map(i64::from));
}

#[test]
fn outputs_are_checked_before_the_work() {
    let folder = folder();
    let folder = folder.path();
    for words in [
        "knn --features train --test-features test --json none/out.json",
        "knn --features train --test-features test --predictions none/out.json",
        "kmeans --features train --json none/out.json",
        "few-shot --features train --test-features test --json none/out.json",
        "linear --features train --test-features test --json none/out.json",
        "retrieval --json none/out.json",
        "copy-detection --json none/out.json",
    ] {
        let output = eval(folder, words);
        let (out, error) = (output.stdout, String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(2), "{words}: {error}");
        assert!(error.contains("none/out.json: no such folder"), "{words}: {error}");
        assert!(out.is_empty(), "{words}: {}", String::from_utf8_lossy(&out));
    }
}

#[test]
fn json_goes_to_standard_output_between_the_lines() {
    let folder = folder();
    let words = "knn --features train --test-features test --k 5 --json /dev/stdout";
    let text = succeeds(folder.path(), words);
    let start = text.find('{').unwrap();
    assert!(text[..start].contains("top-1"), "{text}");
    let result: Value = serde_json::from_str(&text[start..]).unwrap();
    assert_eq!(result["protocol"], "knn");
}

#[test]
fn classes_are_told_apart() {
    let folder = folder();
    let folder = folder.path();
    let text = succeeds(folder, &format!("knn {BOTH} --k 1,5 --predictions classes"));
    assert!(text.contains("exp(s / 0.07): 30 test against 60 training features of 6, 3 classes"));
    let result = json(folder, "out.json");
    assert_eq!((&result["protocol"], &result["accuracies"][1]["k"]), (&"knn".into(), &5.into()));
    assert_eq!(result["accuracies"][0]["top1"], 1.0);
    let bytes = std::fs::read(folder.join("classes")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.tensor("predictions.5").unwrap().data()[8..16], 1i64.to_le_bytes());

    let text = succeeds(folder, &format!("kmeans {BOTH} --start plus-plus --starts 3"));
    let settings = "spherical k-means, 3 clusters of 60 standardised training features of 6";
    assert!(
        text.contains(settings) && text.contains("best of 3 k-means++ starts, seed 0"),
        "{text}"
    );
    assert!(json(folder, "out.json")["scores"]["nmi"].as_f64().unwrap() > 0.999_999);
    let text =
        succeeds(folder, "kmeans --features train --euclidean --no-standardize --clusters 4");
    assert!(text.contains("Euclidean k-means, 4 clusters of 60 plain"), "{text}");
    assert!(text.contains("of 60 train features"), "{text}");

    let text = succeeds(folder, &format!("few-shot {BOTH} --shots 2 --draws 3 --costs 0.5,1"));
    assert!(text.contains("class weights 2:1, tolerance 1e-4, at most 2000 sweeps"), "{text}");
    let result = json(folder, "out.json");
    assert_eq!(
        (&result["scores"][0]["shots"], &result["scores"][0]["draws"]),
        (&2.into(), &3.into())
    );
    assert_eq!(result["scores"][1]["costs"][1]["accuracy"], 1.0);
    // Each class has 20 training images.
    let text = succeeds(folder, &format!("few-shot {BOTH} --shots 21 --draws 1"));
    assert!(text.contains("21 images/class: all there are of class 0 (20), 1 (20), 2 (20)"));
    assert_eq!(json(folder, "out.json")["scores"][0]["short"][2]["images"], 20);
}

#[test]
fn images_are_found() {
    let folder = folder();
    let folder = folder.path();
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    let lists = |class: u32, first: u32| -> Vec<u32> {
        (first..60).filter(|row| row % 3 == class).collect()
    };
    // Of the rows of a query's class the first is easy, the second junk, the others hard.
    let each =
        |list: &dyn Fn(u32) -> Vec<u32>| (0..30).map(|query| list(query % 3)).collect::<Vec<_>>();
    let truth = serde_json::json!({
        "easy": each(&|class| vec![class]),
        "hard": each(&|class| lists(class, 6)),
        "junk": each(&|class| vec![class + 3]),
    });
    write("truth.json", &truth.to_string());
    let text = succeeds(folder, &format!("retrieval {BOTH} --relevance truth.json"));
    assert!(text.contains("30 queries in 60 images, features of 6") && text.contains("mP@10 %"));
    let result = json(folder, "out.json");
    assert_eq!((&result["medium"]["map"], &result["hard"]["map"]), (&1.0.into(), &1.0.into()));

    let name = |kind: char| move |row: u32| format!("200{}{kind}{row}.jpg", row % 3);
    let originals: Vec<String> = (0..60).map(name('a')).collect();
    let queries: Vec<String> = (0..30).map(name('b')).collect();
    let names = serde_json::json!({
        "originals": originals,
        "blocks": [{"name": "strong", "queries": queries[..10]}, {"name": "crops/10", "queries": queries[10..]}],
    });
    write("names.json", &names.to_string());
    let text = succeeds(folder, &format!("copy-detection {BOTH} --names names.json"));
    assert!(text.contains("not whitened: 60 originals and 0 distractors, features of 6"), "{text}");
    assert!(text.contains("strong: mAP 100.00 %"), "{text}");
    let more = "--names names.json --whitening train --distractors test --top 0";
    let text = succeeds(folder, &format!("copy-detection {BOTH} {more}"));
    assert!(
        text.contains("whitened (power 0.5, 60 images): 60 originals and 30 distractors"),
        "{text}"
    );
    assert!(text.contains("over the whole ranking"), "{text}");
}

#[test]
fn mistakes_are_one_line() {
    let folder = folder();
    let folder = folder.path();
    std::fs::write(folder.join("bad.json"), "{\"easy\": 3}").unwrap();
    let plain = FeatureSet { labels: Labels::None, ..clouds(6, 3) };
    plain.save(&folder.join("plain")).unwrap();
    for (file, names) in [("named", ["a", "b"]), ("other", ["a", "c"])] {
        let class_names = names.map(str::to_owned).to_vec();
        FeatureSet { class_names, ..clouds(6, 3) }.save(&folder.join(file)).unwrap();
    }
    let both = "--features train --test-features test";
    for (words, code, part) in [
        ("knn", 2, "--features FILE is missing"),
        ("knn --features train", 2, "--test-features FILE is missing"),
        ("kmeans", 2, "--features FILE is missing"),
        ("few-shot --features train", 2, "--test-features FILE is missing"),
        ("retrieval --features train", 2, "--test-features FILE is missing"),
        (&format!("retrieval {both}"), 2, "--relevance FILE is missing"),
        (&format!("retrieval {both} --relevance bad.json"), 1, "bad.json: should be {\"easy\""),
        (&format!("copy-detection {both}"), 2, "--names FILE is missing"),
        (
            &format!("copy-detection {both} --names bad.json"),
            1,
            "bad.json: should be {\"originals\"",
        ),
        ("knn --features nothing --test-features test", 1, "nothing: No such file"),
        ("knn --features bad.json --test-features test", 1, "not a whole safetensors file"),
        ("knn --features train --test-features plain", 1, "test features: has no `labels`"),
        (&format!("knn {both} --k 0"), 2, "k = 0"),
        (&format!("knn {both} --temperature -1"), 2, "-1"),
        (&format!("few-shot {both} --costs -1,2"), 2, "costs C should be above 0"),
        (&format!("few-shot {both} --positive-weight -1"), 2, "weights of positive and negative"),
        (&format!("few-shot {both} --tolerance nan"), 2, "tolerance should be above 0"),
        (&format!("few-shot {both} --max-iterations 0"), 2, "0 sweeps: choose at least 1"),
        ("all run --linear-lr 0 --out o", 2, "learning rate 0: choose above 0"),
        ("all run --linear-epochs 0 --out o", 2, "0 epochs"),
        ("all run --semi-percent 0,10 --out o", 2, "0 % of the labels: choose above 0"),
        ("semi run --percent 0", 2, "0 % of the labels: choose above 0"),
        ("knn --features named --test-features other", 2, "class 1 is \"b\" in the one and \"c\""),
        (&format!("knn {both} --json o --confusion o.txt --predictions o"), 2, "o: two outputs"),
        (
            &format!("knn {both} --confusion o.gif"),
            2,
            "o.gif: a confusion matrix is written as .png",
        ),
        ("kmeans --pictures o.gif", 2, "o.gif: pictures are written as .png"),
        ("kmeans --rows 3 run", 2, "--pictures <FILE>"),
        (&format!("kmeans {both} --clusters 61"), 2, "60 points cannot form 61 clusters"),
    ] {
        let output = eval(folder, words);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{words}: {stderr}");
        let is_of_clap = stderr.contains("Usage: carp");
        assert!(is_of_clap || stderr.trim_end().lines().count() == 1, "{words}: {stderr}");
        assert!(stderr.contains(part), "{words}: {stderr}");
    }
}

/// Whitened features do not depend on how the network scales its directions.
#[test]
fn whitening_undoes_a_scale() {
    let folder = folder();
    let folder = folder.path();
    let knn = |more: &str| {
        succeeds(folder, &format!("knn {BOTH} {more}"));
        json(folder, "out.json")
    };
    let [plain, white] = ["", "--whiten"].map(knn);
    assert_eq!(white["source"]["whitened by"], "the training features");
    for (name, rows, index) in [("train", 60, 1), ("test", 30, 2)] {
        let mut set = clouds(rows, index);
        set.features.iter_mut().step_by(6).for_each(|x| *x *= 50.0);
        set.save(&folder.join(name)).unwrap();
    }
    assert_eq!(knn("--whiten")["accuracies"], white["accuracies"]);
    assert_ne!(knn("")["accuracies"], plain["accuracies"]);
}

/// Third-party weights on a folder of images: a protocol has the same numbers alone as in `all`,
/// and both name where they come from.
#[test]
fn a_protocol_has_one_result() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut noise = Stream::new(0, Purpose::Test, 0, 3);
    for (split, count) in [("train", 6), ("test", 3)] {
        for class in 0..2u8 {
            let images = folder.join(format!("images/{split}/{class}"));
            std::fs::create_dir_all(&images).unwrap();
            for number in 0..count {
                let mut pixel = || (100.0 + 40.0 * f32::from(class) + 30.0 * noise.normal()) as u8;
                let pixels: Vec<u8> = (0..300 * 280 * 3).map(|_| pixel()).collect();
                let file = [b"P6 300 280 255\n".to_vec(), pixels].concat();
                std::fs::write(images.join(format!("{number}.ppm")), file).unwrap();
            }
        }
    }
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/weights/torchvision.pth");
    std::fs::copy(weights, folder.join("weights.pth")).unwrap();
    let all = "all --checkpoint weights.pth --data images --networks teacher --out all";
    let text = succeeds(folder, &format!("{all} --protocols knn,few-shot,kmeans"));
    assert!(text.contains("# Evaluations of weights.pth") && text.contains("Seed 0."), "{text}");
    let report = json(folder, "all/results.json");
    let standard = "mean 0.485 0.456 0.406, deviation 0.229 0.224 0.225";
    for (entry, (protocol, filter)) in report["entries"].as_array().unwrap().iter().zip([
        ("knn", "bicubic"),
        ("few-shot", "bilinear"),
        ("kmeans", "bilinear"),
    ]) {
        let text =
            succeeds(folder, &format!("{protocol} weights.pth --data images --json out.json"));
        let alone = json(folder, "out.json");
        assert_eq!(entry["protocol"], protocol);
        for (name, value) in entry["result"].as_object().unwrap() {
            assert_eq!(alone[name], *value, "{name} of {protocol}");
        }
        let images = format!("short side 256 ({filter}), middle 224 x 224, {standard}");
        assert!(entry["images"].as_str().unwrap().ends_with(&images), "{entry}");
        assert_eq!(alone["source"]["images"], images);
        for name in ["checkpoint", "network", "training images of", "test images of", "images"] {
            let value = alone["source"][name].as_str().unwrap();
            assert!(text.contains(&format!("{name:<20} {value}")), "{name} is not in {text}");
        }
    }
}
