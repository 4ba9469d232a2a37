//! `carp eval linear` and `carp eval semi` as a user runs them, on a briefly trained network.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

const SMALL: [&str; 13] = [
    "data.train_size=64",
    "data.test_size=32",
    "model.width=4",
    "model.hidden=16",
    "model.bottleneck=8",
    "model.prototypes=40",
    "model.partition_size=16",
    "train.epochs=1",
    "train.batch_size=16",
    "knn.k=5",
    "views.local_count=0",
    "views.global1.size=16",
    "views.global2.size=16",
];

fn carp(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_carp")).args(args).current_dir(folder).output().unwrap()
}

fn succeeds(output: &Output, parts: &[&str]) {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

/// Asserts the exit code and what the first line on standard error holds.
fn fails(output: &Output, code: i32, part: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(stderr.lines().next().is_some_and(|line| line.contains(part)), "{part:?}: {stderr}");
}

fn json(folder: &Path, file: &str) -> serde_json::Value {
    serde_json::from_str(&std::fs::read_to_string(folder.join(file)).unwrap()).unwrap()
}

#[test]
fn classifiers_of_a_checkpoint() {
    let temp = TempDir::new().unwrap();
    let folder = temp.path();
    let mut args = vec!["train", "--out", "run"];
    SMALL.iter().for_each(|set| args.extend(["--set", set]));
    succeeds(&carp(folder, &args), &[]);

    let small = ["--epochs", "2", "--batch-size", "24"];
    let linear = |more: &[&str]| carp(folder, &[&["eval", "linear"][..], more, &small].concat());
    let both = linear(&["run", "--lr", "0.1,1", "--optimizer", "sgd", "--json", "linear.json"]);
    let parts =
        ["shapes", "random crop of 0.08 to 1", "momentum", "cosine", "batch_size", "<- best"];
    succeeds(&both, &parts);
    let result = json(folder, "linear.json");
    assert_eq!(result["protocol"], "linear");
    assert_eq!(result["heads"].as_array().unwrap().len(), 2);
    assert_eq!((&result["train_images"], &result["test_images"]), (&64.into(), &32.into()));
    assert!(result["heads"][0]["best"]["top1"].as_f64().is_some_and(|x| (0.0..=1.0).contains(&x)));
    assert_eq!(result["settings"]["batch_size"], 24);
    succeeds(&linear(&["run", "--no-augment"]), &["once, as test images", "lars"]);
    let steps = ["run", "--recipe", "inat18", "--no-augment", "--milestones", "1"];
    succeeds(&linear(&[&steps[..], &["--json", "linear.json"]].concat()), &["sgd", "multistep"]);
    let schedule = json(folder, "linear.json")["settings"]["schedule"].clone();
    assert!(
        schedule.to_string().contains("[1]") && schedule.to_string().contains("0.1"),
        "{schedule}"
    );
    fails(&linear(&["run", "--factor", "0.5"]), 2, "--milestones and --factor are multistep's");
    fails(&linear(&["run", "--lr", "-1"]), 2, "learning rate -1: choose above 0");
    fails(&linear(&["run", "--crop-scale", "-0.5,1"]), 2, "crop scale -0.5,1: choose 0 < low");
    fails(&linear(&[]), 2, "CHECKPOINT or --features FILE is missing");
    fails(&linear(&["--features", "a.safetensors"]), 2, "--test-features FILE is missing");
    let missing = ["--features", "a.safetensors", "--test-features", "b.safetensors"];
    fails(&linear(&missing), 1, "a.safetensors");

    // Other pictures than the run's own, which were generated.
    for (name, colour) in [("a", [200, 0, 0]), ("b", [0, 0, 200])] {
        for split in ["train", "test"] {
            let class = folder.join("pictures").join(split).join(name);
            std::fs::create_dir_all(&class).unwrap();
            let picture = image::RgbImage::from_pixel(20, 20, image::Rgb(colour));
            picture.save(class.join("0.png")).unwrap();
        }
    }
    let knn = carp(folder, &["eval", "knn", "run", "--data", "pictures", "-k", "1"]);
    succeeds(&knn, &["pictures/train", "2 test against 2 training features"]);
    let own = carp(folder, &["train", "--data", "pictures"]);
    fails(&own, 2, "data.kind shapes is generated and reads no folder");

    let semi = |more: &[&str]| carp(folder, &[&["eval", "semi", "run"][..], more, &small].concat());
    let half = semi(&["--percent", "50", "--json", "semi.json"]);
    let parts = ["SwAV", "head_lr", "labels.share", "0.5", "32 labelled images (8 left out"];
    succeeds(&half, &parts);
    let result = json(folder, "semi.json");
    assert_eq!((&result["protocol"], &result["train_images"]), (&"semi".into(), &32.into()));
    assert_eq!(result["epochs"].as_array().unwrap().len(), 2);
    let wild = semi(&["--percent", "50", "--head-lr", "500"]);
    succeeds(&wild, &["warning: the loss rose to", "lower --lr and --head-lr"]);
    fails(&semi(&["--percent", "1"]), 2, "less than one for each of");
    let cosine = ["--schedule", "cosine", "--milestones", "3"];
    fails(&semi(&cosine), 2, "--milestones and --factor are multistep's");
    fails(&semi(&["--percent", "200"]), 2, "200 % of the labels: choose above 0 and at most 100 %");
    std::fs::write(folder.join("list.txt"), "1\n2\nno.png\n").unwrap();
    fails(&semi(&["--list", "list.txt"]), 1, "line 3: no.png is not a training image of");
}
