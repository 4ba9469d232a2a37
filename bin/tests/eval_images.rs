//! `carp eval` on images, as a user runs it: third-party weights, data sets with faults, and the same
//! words in every command.

mod common;
#[expect(dead_code, reason = "the data sets' own tests use the rest")]
#[path = "../../carp/datasets/tests/catalogue/trees.rs"]
mod trees;

use std::io::Cursor;
use std::path::Path;
use std::process::Output;

use common::{carp, fails, stdout};
use image::{ImageFormat, Rgb, RgbImage};
use serde_json::Value;
use tempfile::TempDir;
use trees::{tree, write};

const COMMANDS: [&str; 8] =
    ["all", "knn", "linear", "semi", "few-shot", "kmeans", "retrieval", "copy-detection"];

/// Weights as torchvision saves them, of no trained network.
fn weights() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/weights");
    folder.join("torchvision.pth").to_str().unwrap().to_owned()
}

fn run(folder: &Path, words: &str) -> Output {
    let words: Vec<String> =
        words.split_whitespace().map(|word| word.replace("WEIGHTS", &weights())).collect();
    carp(folder, &words.iter().map(String::as_str).collect::<Vec<_>>())
}

/// What a command that must succeed prints.
fn succeeds(folder: &Path, words: &str) -> String {
    let output = run(folder, words);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}: {stderr}");
    stdout(&output)
}

/// The JSON of `carp eval` with these words.
fn measured(folder: &Path, words: &str) -> Value {
    succeeds(folder, &format!("eval {words} --json out.json"));
    serde_json::from_slice(&std::fs::read(folder.join("out.json")).unwrap()).unwrap()
}

/// A picture that is nearly of one colour; `detail` makes it differ from others a little.
fn colour(name: &str, colour: [u8; 3], detail: u8) -> Vec<u8> {
    let mut picture = RgbImage::from_pixel(24, 24, Rgb(colour));
    picture.put_pixel(u32::from(detail) % 24, 7, Rgb([detail.wrapping_mul(40); 3]));
    let format = if name.ends_with(".ppm") { ImageFormat::Pnm } else { ImageFormat::Jpeg };
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

const RED: [u8; 3] = [220, 30, 20];
const GREEN: [u8; 3] = [20, 200, 60];
const BLUE: [u8; 3] = [10, 40, 230];
const HEADER: &str = "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId\n";

/// German traffic signs of the classes 0, 2 and 40, of which the last has one training picture; the
/// second picture of class 0 and the last of the test set are broken. 12 and 8 can be read.
fn signs(root: &Path) {
    let train = root.join("GTSRB/Final_Training/Images");
    for (class, colours, count) in [(0, RED, 7), (2, GREEN, 5), (40, BLUE, 1)] {
        let mut rows = HEADER.to_owned();
        for number in 0..count {
            let file = format!("00000_{number:05}.ppm");
            let bytes = colour(&file, colours, number);
            write(&train, &format!("{class:05}/{file}"), bytes);
            rows += &format!("{file};24;24;5;5;20;20;{class}\n");
        }
        write(&train, &format!("{class:05}/GT-{class:05}.csv"), rows);
    }
    write(&train, "00000/00000_00001.ppm", b"broken");
    let mut rows = HEADER.to_owned();
    for number in 0..9 {
        let (class, colours) = [(2, GREEN), (40, BLUE), (0, RED)][usize::from(number % 3)];
        let file = format!("{number:05}.ppm");
        let bytes =
            if number == 8 { b"broken".to_vec() } else { colour(&file, colours, 90 + number) };
        write(&root.join("GTSRB/Final_Test/Images"), &file, bytes);
        rows += &format!("{file};24;24;5;5;20;20;{class}\n");
    }
    write(root, "GT-final_test.csv", rows);
}

/// Queries and database of the revisited benchmark: the first query's easy picture is the same one,
/// its hard one nearly; the second query's only match, hard, is nearly the same, and the first one's
/// junk is the same.
fn landmarks(root: &Path) {
    for (file, colours, detail) in [
        ("all_souls_000013", RED, 1),
        ("all_souls_000000", RED, 1),
        ("all_souls_000001", RED, 5),
        ("bodleian_000107", BLUE, 2),
        ("oxford_000002", BLUE, 2),
        ("bodleian_000003", BLUE, 6),
    ] {
        let file = format!("jpg/{file}.jpg");
        write(root, &file, colour(&file, colours, detail));
    }
}

/// Originals and copies of Copydays in two colours; of the first, the second strong copy is broken.
fn copies(root: &Path) {
    for (folder, names) in [
        ("original", ["200000", "200100"]),
        ("strong", ["200001", "200101"]),
        ("jpegqual/75", ["200000", "200100"]),
        ("crops/10", ["200000", "200100"]),
    ] {
        for (name, colours) in names.into_iter().zip([RED, BLUE]) {
            let file = format!("{folder}/{name}.jpg");
            write(root, &file, colour(&file, colours, 3));
        }
    }
    write(root, "strong/200002.jpg", b"broken");
}

/// Moves the tree of a data set to a folder.
fn planted(root: &Path, name: &str, folder: &str) {
    let (temp, _) = tree(name);
    std::fs::rename(temp.keep(), root.join(folder)).unwrap();
}

/// Width and height of a sheet of pictures of 24 x 24 pixels, three times as large.
fn sheet_size(columns: u32, rows: u32) -> (u32, u32) {
    (4 + columns * (72 + 6 + 4), 4 + rows * (72 + 6 + 4))
}

/// The data sets with faults, under torchvision's names where it has others.
fn faulty() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for name in ["gtsrb", "roxford5k", "copydays"] {
        planted(root.path(), name, name);
    }
    // Of the tree's own signs none is kept.
    std::fs::remove_dir_all(root.path().join("gtsrb/GTSRB")).unwrap();
    signs(&root.path().join("gtsrb"));
    landmarks(&root.path().join("roxford5k"));
    copies(&root.path().join("copydays"));
    root
}

#[test]
fn every_command_has_the_same_words() {
    let folder = tempfile::tempdir().unwrap();
    for command in COMMANDS {
        let help = succeeds(folder.path(), &format!("eval {command} --help"));
        for word in [
            "CHECKPOINT",
            "--network <",
            "--prefix <",
            "--device <",
            "--preset <",
            "--dataset <",
            "--data <",
            "--strict",
            "--json <",
            "--threads <",
        ] {
            let word = if command == "all" || command == "semi" {
                word
            } else {
                &word.replace("CHECKPOINT>", "[CHECKPOINT]")
            };
            assert!(help.contains(word), "{command} has no {word}: {help}");
        }
        assert!(!help.contains("--checkpoint") && !help.contains("--networks"), "{help}");
        if !["all", "semi"].contains(&command) {
            fails(
                &run(folder.path(), &format!("eval {command}")),
                2,
                &["CHECKPOINT or --features FILE is missing"],
            );
        }
    }
}

#[test]
fn a_data_set_with_faults_gives_what_its_readable_images_give() {
    let root = faulty();
    let folder = root.path();
    let data = "WEIGHTS --dataset gtsrb --data gtsrb";

    // The words of before, and lists with spaces.
    let knn = measured(folder, &format!("knn {data} -k 1,3"));
    let spaced = "knn -k 1 3 --checkpoint WEIGHTS --dataset gtsrb --data gtsrb";
    assert_eq!(measured(folder, spaced), knn);
    let counts =
        |result: &Value, names: [&str; 3]| names.map(|name| result[name].as_u64().unwrap());
    assert_eq!(counts(&knn, ["bank", "queries", "classes"]), [12, 8, 3]);
    assert_eq!(knn["accuracies"][0]["top1"], 1.0);
    let class = |label: u32, images: u32| {
        serde_json::json!({ "label": label, "name": format!("{label:05}"),
        "images": images, "right": images, "accuracy": 1.0, "most_taken_for": null })
    };
    let classes = serde_json::json!([class(0, 2), class(2, 3), class(40, 3)]);
    assert_eq!(knn["per_class"], classes);
    assert_eq!(knn["source"]["unreadable images"], "1 for training, 1 for testing");
    let pixels = measured(folder, &format!("knn {data} --network pixels"));
    let images = pixels["source"]["images"].as_str().unwrap();
    assert!(images.ends_with("numbers from 0 to 1") && !images.contains("mean"), "{images}");

    let sgd = "--optimizer sgd --lr 0.3,1 --epochs";
    let linear = measured(folder, &format!("linear {data} {sgd} 120 --no-augment"));
    assert_eq!(counts(&linear, ["train_images", "test_images", "classes"]), [12, 8, 3]);
    let best = linear["best_head"].as_u64().unwrap() as usize;
    assert_eq!(linear["heads"][best]["best"]["top1"], 1.0);
    assert_eq!(linear["per_class"], classes);
    // The same numbers by way of files.
    for split in ["train", "test"] {
        succeeds(folder, &format!("features {data} --split {split} -o {split}"));
    }
    let files =
        measured(folder, &format!("linear --features train --test-features test {sgd} 120"));
    assert_eq!((&files["heads"], &files["per_class"]), (&linear["heads"], &linear["per_class"]));
    let augmented = measured(folder, &format!("linear {data} {sgd} 2"));
    assert_eq!(counts(&augmented, ["train_images", "test_images", "classes"]), [12, 8, 3]);

    let semi = measured(folder, &format!("semi {data} --percent 100 --epochs 1 --batch-size 6"));
    assert_eq!(counts(&semi, ["train_images", "test_images", "classes"]), [12, 8, 3]);

    let more = "--confusion c.csv --per-class --pictures clusters.png";
    let kmeans = measured(folder, &format!("kmeans {data} {more}"));
    let table = std::fs::read_to_string(folder.join("c.csv")).unwrap();
    assert_eq!(table, "true class,00000,00002,00040\n00000,2,0,0\n00002,0,3,0\n00040,0,0,3\n");
    // A row per cluster, of at most three pictures.
    let sheet = image::open(folder.join("clusters.png")).unwrap();
    assert_eq!((sheet.width(), sheet.height()), sheet_size(3, 3));
    assert_eq!(counts(&kmeans, ["points", "scored", "clusters"]), [12, 8, 3]);
    assert_eq!(kmeans["scores"]["accuracy"], 1.0);

    let few = measured(folder, &format!("few-shot {data} --shots 2 --draws 1"));
    assert_eq!(counts(&few, ["train", "test", "classes"]), [12, 8, 3]);
    assert_eq!(few["scores"][0]["short"], serde_json::json!([{ "class": 40, "images": 1 }]));
    let class = &few["scores"][1]["per_class"][2];
    assert_eq!(
        (&class["label"], &class["images"], &class["average_precision"]),
        (&40.into(), &3.into(), &1.0.into())
    );
    assert_eq!((&few["scores"][0]["map"], &few["scores"][1]["map"]), (&1.0.into(), &1.0.into()));

    for command in ["knn", "linear", "semi", "kmeans", "few-shot"] {
        let output = run(folder, &format!("eval {command} {data} --strict"));
        fails(&output, 1, &["Images/00000/00000_00001.ppm"]);
    }
}

#[test]
fn what_a_run_holds_out_is_tested_on_in_every_command() {
    let root = faulty();
    let folder = root.path();
    write(folder, "run.toml", "[data]\nkind = \"gtsrb\"\nheld_out = 4\n");
    let data = "WEIGHTS --preset run.toml --data gtsrb";
    let counts =
        |result: &Value, names: [&str; 2]| names.map(|name| result[name].as_u64().unwrap());
    let sgd = "--optimizer sgd --epochs 1 --no-augment";
    let linear = measured(folder, &format!("linear {data} {sgd}"));
    let [train, test] = counts(&linear, ["train_images", "test_images"]);
    // 12 of 13 training pictures can be read.
    assert_eq!((train + test, [3, 4].contains(&test)), (12, true));
    let left_out = &linear["source"]["unreadable images"];
    let expected = format!("{} for training, {} for testing", 9 - train, 4 - test);
    assert_eq!(left_out, &expected);

    let knn = measured(folder, &format!("knn {data} -k 1"));
    assert_eq!(counts(&knn, ["bank", "queries"]), [train, test]);
    assert_eq!(knn["source"]["unreadable images"], *left_out);
    let few = measured(folder, &format!("few-shot {data} --shots 1 --draws 1"));
    assert_eq!(counts(&few, ["train", "test"]), [train, test]);
    for (split, images) in [("pretrain", train), ("train", train), ("test", test)] {
        let text = succeeds(folder, &format!("features {data} --split {split} -o {split}"));
        assert!(text.contains(&format!(": {images} features")), "{split}: {text}");
    }
}

/// The command line is refused before anything is read, with lines that name the option.
fn is_refused(folder: &Path, words: &str, option: &str) {
    let output = run(folder, words);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && error.contains(option), "{words}: {error}");
}

#[test]
fn patches_are_averaged_where_features_are_made_once() {
    let root = faulty();
    let folder = root.path();
    let data = "WEIGHTS --dataset gtsrb --data gtsrb";
    let grid = "--patches 2 --patch-share 0.6";
    let knn = measured(folder, &format!("knn {data} -k 1 {grid}"));
    assert_eq!((&knn["bank"], &knn["queries"]), (&12.into(), &8.into()));
    let named = "2 x 2, with 0.6 of the short side each; mean of features";
    assert_eq!(knn["source"]["patches"], named);
    let images = knn["source"]["images"].as_str().unwrap();
    assert!(images.starts_with("short side 373 (bicubic), 4 squares of 224 x 224"), "{images}");

    // The same numbers by way of files.
    for split in ["train", "test"] {
        succeeds(folder, &format!("features {data} {grid} --split {split} -o {split}"));
    }
    let sgd = "--optimizer sgd --lr 0.3 --epochs 3";
    let linear = measured(folder, &format!("linear {data} {grid} {sgd}"));
    let files = measured(folder, &format!("linear --features train --test-features test {sgd}"));
    assert_eq!(files["heads"], linear["heads"]);

    let copies = "WEIGHTS --dataset copydays --data copydays --stretch 32";
    let copies = measured(folder, &format!("copy-detection {copies} {grid}"));
    assert_eq!((&copies["source"]["patches"], &copies["strong"]), (&named.into(), &1.0.into()));

    let refused = |words: &str, parts: &[&str]| fails(&run(folder, words), 2, parts);
    refused(&format!("eval knn {data} --patches 0"), &["patches 0", "1 to 100"]);
    refused(&format!("eval kmeans {data} --patches 2 --patch-share 1.5"), &["share 1.5", "to 1"]);
    refused(&format!("eval knn {data} --patches 2 --network pixels"), &["need a network"]);
    refused(&format!("features {data} --patches 2 --network pixels -o o"), &["need a network"]);
    refused(&format!("eval semi {data} --patches 2"), &["--patches and --grid are for features"]);
    let landmarks = "WEIGHTS --dataset roxford5k --data roxford5k --patches 2";
    refused(&format!("eval retrieval {landmarks}"), &["--patches and --grid are for features"]);
    for words in [
        "features WEIGHTS --patches 2 --fit 40 -o o",
        "features WEIGHTS --patches 2 --multi-scale -o o",
        "features WEIGHTS --patches 2 --resize 40 -o o",
        "eval knn WEIGHTS --patch-share 0.5",
        "eval linear WEIGHTS --patches 2 --crop-scale 0.1,1",
        "eval knn --features train --test-features test --patches 2",
    ] {
        is_refused(folder, words, "--patches");
    }
}

#[test]
fn cells_of_a_map_are_features() {
    let root = faulty();
    let folder = root.path();
    let data = "WEIGHTS --dataset gtsrb --data gtsrb";
    // The last map of 224 x 224 pixels is 7 x 7, with 32 channels.
    let knn = measured(folder, &format!("knn {data} -k 1 --grid 2"));
    assert_eq!(
        (&knn["dim"], &knn["source"]["features"]),
        (&128.into(), &"means of 2 x 2 cells".into())
    );
    for (layer, dim) in [("avgpool", 9 * 32), ("layer3", 9 * 16)] {
        let text = succeeds(folder, &format!("features {data} --layer {layer} --grid 3 -o o"));
        assert!(text.contains(&format!("features of {dim} numbers")), "{text}");
    }
    let white = measured(folder, &format!("linear {data} --whiten --optimizer sgd --epochs 1"));
    assert_eq!(white["source"]["whitened by"], "the training features");

    let refused = |words: &str, parts: &[&str]| fails(&run(folder, words), 2, parts);
    refused(&format!("eval knn {data} --grid 8"), &["8 x 8 cells of the 7 x 7 map", "1 to 7"]);
    refused(&format!("eval knn {data} --grid 2 --network pixels"), &["raw pixels have no --grid"]);
    refused(&format!("eval semi {data} --grid 2"), &["--patches and --grid are for features"]);
    for words in [
        "features WEIGHTS --grid 2 --fit 40 -o o",
        "features WEIGHTS --grid 2 --multi-scale -o o",
        "eval knn WEIGHTS --grid 2 --patches 2",
        "eval linear WEIGHTS --grid 2 --crop-scale 0.1,1",
        "eval knn --features train --test-features test --grid 2",
    ] {
        is_refused(folder, words, "--grid");
    }
}

#[test]
fn retrieval_needs_every_image_and_copies_leave_a_row_out() {
    let root = faulty();
    let folder = root.path();
    let retrieval = "retrieval WEIGHTS --dataset roxford5k --data roxford5k --fit 40";
    let result = measured(folder, &format!("{retrieval} --pictures found.png"));
    let sheet = image::open(folder.join("found.png")).unwrap();
    // The query's gap is wider.
    let (width, height) = sheet_size(5, 2);
    assert_eq!((sheet.width(), sheet.height()), (width + 16, height));
    // By trapezoids: the second query's only match has rank 1, (0 / 1 + 1 / 2) / 2.
    assert_eq!(result["medium"]["average_precisions"], serde_json::json!([1.0, 0.25]));
    assert_eq!(result["easy"]["average_precisions"], serde_json::json!([1.0, null]));
    // The same numbers by way of files.
    for (split, out) in [("database", "d"), ("queries", "q")] {
        let data = "WEIGHTS --dataset roxford5k --data roxford5k --fit 40 --multi-scale";
        succeeds(folder, &format!("features {data} --split {split} -o {out}"));
    }
    let truth = r#"{"easy": [[0], []], "hard": [[1], [3]], "junk": [[2], []]}"#;
    write(folder, "truth.json", truth);
    let files = "retrieval --features d --test-features q --relevance truth.json";
    let files = measured(folder, files);
    for key in ["easy", "medium", "hard"] {
        assert_eq!(files[key], result[key]);
    }
    write(folder, "roxford5k/jpg/bodleian_000003.jpg", b"broken");
    let broken = run(folder, &format!("eval {retrieval}"));
    fails(&broken, 1, &["bodleian_000003.jpg", "the ground truth needs every image"]);

    let copies = "copy-detection WEIGHTS --dataset copydays --data copydays --stretch 32";
    let result = measured(folder, copies);
    let blocks = |result: &Value| -> Vec<(String, u64, f64)> {
        let block = |block: &Value| {
            let name = block["name"].as_str().unwrap().to_owned();
            (name, block["queries"].as_u64().unwrap(), block["map"].as_f64().unwrap())
        };
        result["blocks"].as_array().unwrap().iter().map(block).collect()
    };
    let wanted = ["strong", "jpegqual/75", "crops/10"].map(|name| (name.to_owned(), 2, 1.0));
    assert_eq!(blocks(&result), wanted);
    // Every image below the folder, whatever the folders in it are called.
    for class in ["train", "val", "0"] {
        for number in 0..11 {
            let file = format!("more/{class}/{number}.jpg");
            write(folder, &file, colour(&file, GREEN, number));
        }
    }
    write(folder, "more/loose.jpg", colour("loose.jpg", GREEN, 11));
    write(folder, "more/broken.jpg", b"broken");
    let more = measured(folder, &format!("{copies} --distractors more --whitening more"));
    assert_eq!((&more["distractors"], &more["whitened_by"]), (&34.into(), &34.into()));
    assert_eq!(more["source"]["unreadable images"], "3");
    fails(&run(folder, &format!("eval {copies} --strict")), 1, &["strong/200002.jpg"]);
    let other = "copy-detection WEIGHTS --dataset gtsrb --data gtsrb";
    fails(&run(folder, &format!("eval {other}")), 1, &["no copies", "copydays"]);
    let other = "retrieval WEIGHTS --dataset gtsrb --data gtsrb";
    fails(&run(folder, &format!("eval {other}")), 1, &["no ground truth", "roxford5k"]);
}

#[test]
fn all_takes_the_data_sets_that_are_there() {
    let root = faulty();
    let folder = root.path();
    planted(folder, "pets", "oxford-iiit-pet");
    // Nothing is in it.
    std::fs::create_dir(folder.join("pets")).unwrap();
    let small = "--no-augment --linear-epochs 1 --semi-epochs 1 --semi-percent 100 --fit 40";
    let output =
        run(folder, &format!("eval all WEIGHTS --data-root . {small} -o out --json o.json"));
    // Landmarks: none is broken. Pets have too little for nothing.
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value =
        serde_json::from_slice(&std::fs::read(folder.join("o.json")).unwrap()).unwrap();
    let entries = report["entries"].as_array().unwrap();
    let of = |data: &str, protocol: &str| {
        let is_it = |entry: &&Value| entry["data"] == data && entry["protocol"] == protocol;
        &entries.iter().find(is_it).unwrap_or_else(|| panic!("{data} {protocol}"))["result"]
    };
    assert_eq!(of("pets", "knn")["bank"], 2);
    // One protocol, one number.
    let retrieval = "retrieval WEIGHTS --dataset roxford5k --data roxford5k --fit 40";
    let alone = measured(folder, retrieval);
    assert_eq!(of("roxford5k", "retrieval")["medium"], alone["medium"]);
    let alone = measured(folder, "copy-detection WEIGHTS --dataset copydays --data copydays");
    assert_eq!(of("copydays", "copy-detection")["blocks"], alone["blocks"]);
    let alone = measured(folder, "kmeans WEIGHTS --dataset gtsrb --data gtsrb");
    assert_eq!(of("gtsrb", "kmeans")["scores"], alone["scores"]);
    let notes: Vec<&str> = report["skipped"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|skipped| skipped["why"].as_str().unwrap().contains("unreadable"))
        .map(|skipped| skipped["data"].as_str().unwrap())
        .collect();
    assert_eq!(notes, ["GTSRB, train", "GTSRB, test", "Copydays, strong"]);

    // Nothing to measure is said, with what was looked for.
    std::fs::create_dir(folder.join("none")).unwrap();
    let none = run(folder, "eval all WEIGHTS --data-root none -o out2");
    fails(&none, 1, &["none", "gtsrb", "oxford-iiit-pet", "copydays"]);
    let none =
        run(folder, "eval all WEIGHTS --data-root . --protocols linear --network pixels -o out2");
    fails(&none, 2, &["nothing to measure", "linear"]);
    assert!(!folder.join("out2").exists());
}
