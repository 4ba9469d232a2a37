//! Memory budgets and the plan of a run.

mod common;

use common::{carp, fails, result, stdout, train};
use tempfile::TempDir;

/// The bytes in the line of `carp plan` that begins with `name`.
fn planned(text: &str, name: &str) -> usize {
    let line = text.lines().find(|line| line.starts_with(name)).expect(text);
    let words: Vec<&str> = line.split_whitespace().collect();
    let unit = words.iter().position(|word| *word == "B").expect(line);
    words[unit - 1].parse().expect(line)
}

#[test]
fn a_run_within_a_budget_ends_with_the_same_weights() {
    let temp = TempDir::new().unwrap();
    let deep = ["--set", "model.arch=resnet50", "--set", "train.batch_size=32"];
    let run = |name: &str, budget: &[&str]| {
        let output = train(temp.path(), &[&deep[..], &["--out", name], budget].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        (result(&temp.path().join(name)), stdout(&output))
    };
    let (free, said) = run("free", &[]);
    assert!(!said.contains("run twice"), "{said}");
    let all = free["planned_peak_bytes"].as_u64().unwrap();
    let budget = format!("{}B", all * 6 / 10);
    let (bound, said) = run("bound", &["--memory-budget", &budget]);
    assert!(said.contains("ops run twice"), "{said}");
    assert!(bound["planned_peak_bytes"].as_u64().unwrap() <= all * 6 / 10);
    assert_eq!(bound["weights_sha256"], free["weights_sha256"]);

    // A resumed run may have another budget; its settings are kept.
    std::fs::remove_file(temp.path().join("free/result.json")).unwrap();
    let resume = ["train", "--resume", "free", "--memory-budget", &budget];
    let output = carp(temp.path(), &resume);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let again = result(&temp.path().join("free"));
    assert_eq!(again["weights_sha256"], free["weights_sha256"]);
    assert!(again["planned_peak_bytes"].as_u64().unwrap() <= all * 6 / 10);
}

#[test]
fn the_plan_of_a_budget_has_its_price_and_its_map() {
    let temp = TempDir::new().unwrap();
    let plan = |more: &[&str]| carp(temp.path(), &[&["plan"], more].concat());
    let all = planned(&stdout(&plan(&[])), "arena");
    let budget = format!("{}B", all * 3 / 4);
    let output = plan(&["--memory-budget", &budget, "--svg", "map.svg"]);
    let text = stdout(&output);
    assert!(planned(&text, "arena") <= all * 3 / 4, "{text}");
    assert!(text.contains("ops run twice") && text.contains("FLOP more"), "{text}");
    let map = std::fs::read_to_string(temp.path().join("map.svg")).unwrap();
    assert!(map.contains("results made anew"));
    // The parts of a run add up.
    let part = |name: &str| planned(&text, name);
    let during = part("batches of views") + part("k-NN features");
    let end = 2 * part("k-NN features") + part("k-NN of raw pixels");
    let beside = part("images") + part("k-NN network") + part("program");
    let sum = part("arena") + beside + during.max(end);
    assert_eq!(part("peak of a run"), sum);
}

/// SeLa v2's labels take a double for each of 3,000 images and 500 prototypes, and little more.
#[test]
fn the_work_before_an_epoch_is_planned() {
    let temp = TempDir::new().unwrap();
    let plan = |method: &str| {
        let sets = [
            "data.train_size=3000",
            "train.batch_size=8",
            "model.prototypes=500",
            "model.bottleneck=16",
            "knn.batch_size=64",
        ];
        let sets = sets.map(|set| ["--set", set]);
        let method = ["plan", "--method", method];
        stdout(&carp(temp.path(), &[&method, sets.as_flattened()].concat()))
    };
    let labels = planned(&plan("sela-v2"), "before an epoch");
    assert!((12_000_000..12_600_000).contains(&labels), "{labels}");
    assert!(!plan("swav").contains("before an epoch"));
    // PCL v2's network takes as many images at once as k-NN's here, and has a head.
    let text = plan("pcl-v2");
    let [network, knn] =
        ["network before an epoch", "k-NN network"].map(|name| planned(&text, name));
    assert!((knn..knn + (1 << 20)).contains(&network), "{text}");
    let part = |name: &str| planned(&text, name);
    let during =
        part("batches of views") + part("k-NN features") + part("before an epoch") + network;
    let end = 2 * part("k-NN features") + part("k-NN of raw pixels");
    let always = part("arena") + part("images") + knn + part("program");
    assert_eq!(part("peak of a run"), always + during.max(end), "{text}");
}

#[test]
fn the_plan_is_of_the_device() {
    let temp = TempDir::new().unwrap();
    let plan = |command: &str, more: &[&str]| {
        carp(temp.path(), &[&[command, "--preset", "minimal"], more].concat())
    };
    // A card has the arenas in memory of its own.
    let [host, card] = ["emulate", "cuda:0"].map(|name| stdout(&plan("plan", &["--device", name])));
    assert_eq!(planned(&host, "arena"), planned(&card, "arena"));
    let arenas = planned(&host, "arena") + planned(&host, "k-NN network");
    assert_eq!(planned(&card, "peak of a run"), planned(&host, "peak of a run") - arenas);
    assert!(!card.contains("k-NN network"), "{card}");
    for command in ["plan", "trace"] {
        let bf16 = ["--numerics", "bf16"];
        fails(&plan(command, &bf16), 2, &["train.numerics", "bf16: the CPU computes exactly"]);
        assert!(plan(command, &[&bf16[..], &["--device", "emulate"]].concat()).status.success());
    }
}

#[test]
fn built_in_images_are_counted_and_not_drawn() {
    let temp = TempDir::new().unwrap();
    let plan = |sets: &[&str]| {
        let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
        let output = carp(temp.path(), &[&["plan", "--preset", "minimal"], &sets[..]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        stdout(&output)
    };
    // 3 bytes for each of 32 x 32 pixels, and a header each.
    let images = planned(&plan(&["data.train_size=4000000000"]), "images");
    assert!((4_000_000_000 * 3072..4_000_000_000 * 3200).contains(&images), "{images}");
    // What is held out, is a part of them, and in place of the 64 others.
    let held_out = planned(&plan(&["data.train_size=3000", "data.held_out=1000"]), "images");
    assert_eq!(held_out, 3 * planned(&plan(&["data.train_size=936"]), "images"));
}

#[test]
#[cfg(target_os = "linux")]
fn a_run_that_no_machine_has_memory_for_names_what_takes_most() {
    let temp = TempDir::new().unwrap();
    let refused = |sets: &[&str], parts: &[&str]| {
        let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
        let output = train(temp.path(), &[&["--out", "x"], &sets[..]].concat());
        fails(&output, 1, &[&["are needed, this machine has"], parts].concat());
        assert!(!temp.path().join("x").exists());
    };
    let many = ["data.train_size=4000000000", "knn.bank=64"];
    refused(&many, &["TiB, for images: set data.train_size"]);
    let batches = ["train.prefetch=65536", "views.local_count=256", "views.local.size=64"];
    refused(&batches, &["for batches of views: set train.prefetch"]);
    refused(
        &["views.global1.size=8192", "model.width=64"],
        &["for the step's results: set train.batch_size or the views' sizes"],
    );
    let labels = ["method.name=sela-v2", "model.prototypes=65536", "data.train_size=4000000"];
    refused(&labels, &["for the work before an epoch: set model.prototypes"]);
    let wide = train(temp.path(), &["--out", "x", "--set", "model.width=4096"]);
    fails(&wide, 2, &["model.width: too large for optimizer.name = lars: student.backbone.layer4"]);
    let compare = ["compare", "--run", "base", "--set", many[0], "--set", many[1]];
    fails(&carp(temp.path(), &compare), 1, &["are needed, this machine has", "data.train_size"]);
}

#[test]
fn a_budget_that_is_too_small_names_the_smallest() {
    let temp = TempDir::new().unwrap();
    let plan = |budget: &str| carp(temp.path(), &["plan", "--memory-budget", budget]);
    let refused = plan("1MiB");
    fails(&refused, 2, &["memory_budget", "1.0 MiB is too little", "the smallest that works is"]);
    let line = String::from_utf8_lossy(&refused.stderr).into_owned();
    let (_, rest) = line.split_once("the smallest that works is ").unwrap();
    let smallest = rest.split(';').next().unwrap();
    let output = plan(smallest);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let kib: usize = smallest.trim_end_matches("KiB").parse().unwrap();
    assert!(planned(&stdout(&output), "arena") <= 1024 * kib);
    let unknown = ["plan", "--set", "train.memory_budget=lots"];
    fails(&carp(temp.path(), &unknown), 2, &["\"lots\"", "such as 512MiB"]);
}
