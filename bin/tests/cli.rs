//! The command as a user runs it: small runs, and one clear line per mistake.

mod common;

use std::path::Path;
use std::process::Command;

use common::{carp, fails, pictures, result, stdout, train, train_command};
use tempfile::TempDir;

#[test]
fn a_run_writes_its_folder_and_repeats_to_the_bit() {
    let temp = TempDir::new().unwrap();
    let mut digests = Vec::new();
    for (name, threads) in [("a", "1"), ("b", "2"), ("c", "3"), ("d", "8")] {
        let output = train(temp.path(), &["--out", name, "--threads", threads]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let config = std::fs::read_to_string(temp.path().join(name).join("config.toml")).unwrap();
        assert!(config.contains(&format!("\nthreads = {threads}\n")), "{config}");
        let text = stdout(&output);
        for part in ["raw pixels", "before training", "after training", "SHA-256"] {
            assert!(text.contains(part), "{text}");
        }
        let result = result(&temp.path().join(name));
        for key in [
            "knn_before",
            "knn_after",
            "knn_pixels",
            "steps",
            "seconds",
            "images_per_second",
            "planned_peak_bytes",
            "peak_rss_bytes",
        ] {
            assert!(result[key].as_f64().is_some_and(|x| x >= 0.0), "{key}: {result}");
        }
        assert_eq!(result["steps"], 8);
        digests.push(result["weights_sha256"].as_str().unwrap().to_owned());
    }
    assert!(digests.windows(2).all(|pair| pair[0] == pair[1]), "{digests:?}");
    for file in ["config.toml", "metrics.jsonl", "checkpoint.safetensors", "neighbours.png"] {
        assert!(temp.path().join("a").join(file).is_file(), "{file}");
    }
    let metrics = std::fs::read_to_string(temp.path().join("a/metrics.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> =
        metrics.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().filter(|line| line["loss"].is_number()).count(), 8);
    assert_eq!(lines.iter().filter(|line| line["knn"].is_number()).count(), 2);

    let knn = carp(temp.path(), &["eval", "knn", "a", "-k", "5"]);
    let wanted = 100.0 * result(&temp.path().join("a"))["knn_after"].as_f64().unwrap();
    assert!(stdout(&knn).contains(&format!("{wanted:.2}")), "{}", stdout(&knn));

    let again = train(temp.path(), &["--out", "a"]);
    fails(&again, 2, &["a holds a checkpoint", "--resume"]);
}

#[test]
fn a_resumed_run_ends_with_the_same_bits() {
    let temp = TempDir::new().unwrap();
    for optimizer in ["lars", "adamw"] {
        let name = format!("optimizer.name={optimizer}");
        let (whole, parts) = (format!("{optimizer}-whole"), format!("{optimizer}-parts"));
        let more = ["--set", &name, "--set", "train.accumulation=3"];
        assert!(train(temp.path(), &[&more[..], &["--out", &whole]].concat()).status.success());
        // The same run, killed by a signal that lets it finish its step.
        let long = [&more[..], &["--out", &parts, "--set", "data.train_size=64"]].concat();
        let mut command = train_command(temp.path(), &long);
        let child = command.stdout(std::process::Stdio::null()).spawn().unwrap();
        interrupt_once_it_runs(&temp.path().join(&parts), child);
        // However far it got, resuming ends where the whole run did.
        if !temp.path().join(&parts).join("result.json").exists() {
            let output = carp(temp.path(), &["train", "--resume", &parts]);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        let (whole, parts) = (temp.path().join(whole), temp.path().join(parts));
        assert_eq!(result(&whole)["weights_sha256"], result(&parts)["weights_sha256"]);
        let steps = |folder: &Path| -> Vec<String> {
            let text = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
            let numbers = |line: &str| {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                format!("{} {} {}", line["step"], line["loss"], line["knn"])
            };
            text.lines().map(numbers).collect()
        };
        assert_eq!(steps(&whole), steps(&parts));
    }
}

/// Sends Ctrl-C as soon as the first step is logged, and waits for the end.
fn interrupt_once_it_runs(folder: &Path, mut child: std::process::Child) {
    let metrics = folder.join("metrics.jsonl");
    while child.try_wait().unwrap().is_none() {
        if std::fs::metadata(&metrics).is_ok_and(|file| file.len() > 0) {
            let pid = child.id().to_string();
            assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    assert!(child.wait().unwrap().success());
}

#[test]
fn wrong_settings_are_one_line_with_exit_code_2() {
    let temp = TempDir::new().unwrap();
    let set = |set: &str| train(temp.path(), &["--out", "x", "--set", set]);
    fails(&set("model.widht=8"), 2, &["unknown key", "model.widht", "model.width"]);
    fails(&set("model.width=wide"), 2, &["model.width", "string", "integer"]);
    fails(&set("model.width=0"), 2, &["model.width is 0", "at least 1"]);
    fails(&set("train.prefetch=1000000000000"), 2, &["train.prefetch is 1000000000000", "65536"]);
    fails(&set("model.prototypes=4611686018427387904"), 2, &["at most 16777216"]);
    fails(&set("model.partition_size=0"), 2, &["model.partition_size is 0", "1 to"]);
    fails(&set("model.partition_size=41"), 2, &["model.partition_size is 41", "40"]);
    fails(&set("model.arch=resnet19"), 2, &["resnet19", "resnet18"]);
    fails(&set("teacher.momentum=1.5"), 2, &["teacher.momentum is 1.5", "0 to 1"]);
    fails(&set("views.global1.scale=[0.5,0.1]"), 2, &["scale", "low <= high"]);
    fails(&set("train.batch_size=65"), 2, &["train.batch_size is 65", "64 images"]);
    fails(&set("data=3"), 2, &["data is a section"]);
    fails(&set(&format!("{}a=1", "a.".repeat(50_000))), 2, &["the key a.a.a", "50001 parts"]);
    fails(&carp(temp.path(), &["train", "--preset", "shape"]), 2, &["shape", "shapes"]);
    fails(&set("data.partition=2"), 2, &["data.partition = 2: data.kind shapes has no partitions"]);
    for none in ["", "."] {
        let preset = carp(temp.path(), &["train", "--preset", none]);
        fails(&preset, 2, &[&format!("unknown preset {none:?}; presets: shapes, ")]);
    }
    let methods = ["plan", "--method", "dino", "--set", "method.name=swav"];
    fails(&carp(temp.path(), &methods), 2, &["--method dino and --set method.name=swav", "one"]);
    let none = ["bench", "loss", "--prototypes", "0"];
    fails(&carp(temp.path(), &none), 2, &["--prototypes is 0, should be at least 1"]);
    let small_batch = train(
        temp.path(),
        &["--out", "x", "--set", "train.batch_size=1", "--set", "views.local.size=16"],
    );
    assert!(small_batch.status.success() || small_batch.status.code() == Some(2));
    let one = [
        "--set",
        "train.batch_size=1",
        "--set",
        "views.local_count=0",
        "--set",
        "views.global2.size=24",
        "--set",
        "views.global1.size=16",
    ];
    let one = train(temp.path(), &[&["--out", "y"][..], &one].concat());
    fails(&one, 2, &["batch_norm", "one value per channel", "larger batch"]);
    std::fs::write(temp.path().join("bad.toml"), "[model]\nwitdh = 3\n").unwrap();
    let preset = carp(temp.path(), &["train", "--preset", "bad.toml"]);
    fails(&preset, 2, &["bad.toml", "model.witdh", "model.width"]);
    assert!(!temp.path().join("runs").exists(), "a refused run left a folder");
}

#[test]
fn numbers_that_nothing_could_hold_are_refused() {
    let temp = TempDir::new().unwrap();
    let carp = |args: &[&str]| carp(temp.path(), args);
    let many = "18446744073709551615";
    for (args, option, most) in [
        (&["eval", "few-shot", "none", "--draws"][..], "--draws", "4096"),
        (&["eval", "copy-detection", "none", "--stretch"], "--stretch", "8192"),
        (&["features", "none", "-o", "x", "--resize"], "--resize", "8192"),
        (&["features", "none", "-o", "x", "--size"], "--size", "8192"),
        (&["bench", "loss", "--views"], "--views", "256"),
        (&["bench", "loss", "--batch"], "--batch", "65536"),
        (&["bench", "loss", "--prototypes"], "--prototypes", "16777216"),
        (&["bench", "gemm", "--threads"], "--threads", "4096"),
        (&["data", "check", "copydays", ".", "--threads"], "--threads", "4096"),
        (&["audit", "none", "--threads"], "--threads", "4096"),
        (&["train", "--threads"], "--threads", "4096"),
    ] {
        let told = format!("{option} is {many}, should be at most {most}");
        fails(&carp(&[args, &[many]].concat()), 2, &[&told]);
    }
    assert!(train(temp.path(), &["--out", "x", "--set", "train.epochs=1"]).status.success());
    let features = |more: &[&str]| carp(&[&["features", "x", "-o", "f"], more].concat());
    fails(&features(&["--batch-size", many]), 2, &["--batch-size is", "at most 65536"]);
    let images = ["--size", "8192", "--resize", "8192"];
    let whole = [&images[..], &["--batch-size", "65536"]].concat();
    fails(&features(&whole), 1, &["are needed, this machine has"]);
    let pixels = [&images[..], &["--network", "pixels"]].concat();
    fails(&features(&pixels), 1, &["are needed, this machine has", "features of 64 images"]);
}

#[test]
fn options_that_would_be_ignored_are_refused() {
    let temp = TempDir::new().unwrap();
    let features = ["features", "none", "-o", "x"];
    let [fit, stretch] = [["--fit", "8"], ["--stretch", "8"]];
    for (args, more, told) in [
        (&features[..], &[&stretch[..], &["--size", "4"]].concat()[..], "cannot be used with"),
        (&features, &[&stretch[..], &["--resize", "20"]].concat(), "cannot be used with"),
        (&features, &[&stretch[..], &["--filter", "bilinear"]].concat(), "cannot be used with"),
        (&features, &[&fit[..], &["--resize", "20"]].concat(), "cannot be used with"),
        (&features, &[&fit[..], &["--size", "4"]].concat(), "cannot be used with"),
        (&features, &[&fit[..], &["--batch-size", "0"]].concat(), "cannot be used with"),
        (&features, &["--multi-scale", "--layer", "layer3"], "cannot be used with"),
        (&features, &["--network", "pixels", "--layer", "layer3"], "raw pixels have no --layer"),
        (&["bench", "step"], &["--loss-variant", "unfused"], "leave out --loss-variant"),
        (&["bench", "step"], &["--memory-budget", "1GiB"], "leave out --memory-budget"),
        (&["bench", "step"], &["--method", "dino"], "not dino's: add --breakdown"),
        (&["bench", "fuse"], &["--memory-budget", "1GiB"], "leave out --memory-budget"),
        (&["plan", "--loss-variant", "unfused"], &["--fuse", "none"], "all passes"),
        (&["plan", "--loss-variant", "unfused"], &["--set", "train.fuse=none"], "all passes"),
        (&["plan", "--set", "model.loss_variant=unfused"], &["--fuse", "none"], "all passes"),
        (&["ptx", "run", "softmax"], &["--save", "1=x.npy"], "--save is for FILE.ptx:KERNEL"),
        (&["ptx", "check", "softmax"], &["--arg", "7"], "--arg is for FILE.ptx:KERNEL"),
        (&["ptx", "view", "softmax"], &["--grid", "1"], "--grid is for FILE.ptx:KERNEL"),
        (&["ptx", "trace", "softmax"], &["--block", "32"], "--block is for FILE.ptx:KERNEL"),
        (&["ptx", "roofline", "softmax"], &["--preset", "none"], "cannot be used with"),
        (&["train", "--resume", "x"], &["--threads", "1"], "cannot be used with"),
    ] {
        let output = carp(temp.path(), &[args, more].concat());
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.code() == Some(2) && error.contains(told),
            "{args:?} {more:?}: {error}"
        );
    }
    assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 0);
}

#[test]
fn wrong_files_are_one_line_with_exit_code_1() {
    let temp = TempDir::new().unwrap();
    let missing = carp(temp.path(), &["train", "--preset", "none.toml"]);
    fails(&missing, 1, &["none.toml"]);
    let folder = carp(temp.path(), &["train", "--preset", "folder", "--data", "nowhere"]);
    fails(&folder, 1, &["nowhere", "no such folder"]);
    let none = carp(temp.path(), &["train", "--preset", "cifar10"]);
    fails(&none, 2, &["cifar10 needs a folder", "--data"]);
    assert!(!temp.path().join("runs").exists(), "a run that cannot start left a folder");
    std::fs::write(temp.path().join("cut.safetensors"), [7; 100]).unwrap();
    let cut = carp(temp.path(), &["eval", "knn", "cut.safetensors"]);
    fails(&cut, 1, &["cut.safetensors", "safetensors"]);
}

#[test]
fn presets_nested_without_end_are_one_line() {
    let temp = TempDir::new().unwrap();
    let deep = 100_000;
    for text in [
        format!("[model]\nwidth = {}", "[".repeat(deep)),
        format!("model = {}", "{a=".repeat(deep)),
        format!("{}a = 1", "a.".repeat(deep)),
        format!("[{}a]", "a.".repeat(deep)),
    ] {
        std::fs::write(temp.path().join("deep.toml"), text).unwrap();
        fails(&carp(temp.path(), &["train", "--preset", "deep.toml"]), 2, &["deep.toml, line "]);
    }
}

#[test]
fn images_too_few_to_hold_any_out_are_trained_on() {
    let temp = TempDir::new().unwrap();
    pictures(&temp.path().join("data/a"), 0..4);
    pictures(&temp.path().join("data/b"), 4..8);
    let data = ["--preset", "folder", "--data", "data", "--out", "x"];
    let run = train(temp.path(), &[&data[..], &["--set", "train.batch_size=4"]].concat());
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    assert!(stdout(&run).contains("no labelled images are held out"), "{}", stdout(&run));
    let result = result(&temp.path().join("x"));
    assert!(result["steps"] == 4 && result["knn_after"].is_null(), "{result}");
    let knn = carp(temp.path(), &["eval", "knn", "x", "-k", "1"]);
    fails(&knn, 2, &["data", "split test has no images"]);
    let linear = carp(temp.path(), &["eval", "linear", "x"]);
    fails(&linear, 2, &["data", "too few images to hold any out"]);
}

#[test]
fn a_loss_that_is_not_finite_names_its_origin_and_keeps_the_checkpoint() {
    let temp = TempDir::new().unwrap();
    let output = train(
        temp.path(),
        &[
            "--out",
            "x",
            // Or a convolution's sums would be the first, and no value that lasts.
            "--fuse",
            "none",
            "--set",
            "optimizer.name=sgd",
            "--set",
            "optimizer.base_lr=1e30",
            "--set",
            "optimizer.final_lr=1e30",
        ],
    );
    fails(&output, 1, &["the loss is not finite in step 2", "by batch_norm of student", "base_lr"]);
    assert!(!temp.path().join("x/result.json").exists());
    assert!(stdout(&output).contains("replay it with: carp audit x/non-finite.safetensors"));
    let audit = stdout(&carp(temp.path(), &["audit", "x/non-finite.safetensors"]));
    assert!(audit.contains("(op, 5 outputs)\n       y.4[0] is "), "{audit}");
}

#[test]
fn weights_that_are_not_finite_are_not_saved() {
    let temp = TempDir::new().unwrap();
    // The loss is looked at before the update: only the weights tell what the last step did.
    let one = ["--out", "x", "--set", "optimizer.name=sgd", "--set", "train.epochs=1"];
    let one = [&one[..], &["--set", "data.train_size=16"]].concat();
    let folder = temp.path().join("x");
    let refused = |sets: [&str; 4], parts: &[&str]| {
        let sets = sets.map(|set| ["--set", set]);
        let output = train(temp.path(), &[&one[..], sets.as_flattened()].concat());
        fails(&output, 1, &[&["a weight is not finite in step 1", "base_lr"], parts].concat());
        assert!(stdout(&output).contains("nothing was saved"), "{output:?}");
        let written = |name: &str| folder.join(name).exists();
        assert!(!written("checkpoint.safetensors") && !written("result.json"));
        written("non-finite.safetensors")
    };
    let decay = ["optimizer.weight_decay=1e38", "optimizer.final_weight_decay=1e38"];
    let [lr, last] = ["optimizer.base_lr=1e300", "optimizer.final_lr=1e300"];
    assert!(!refused([lr, last, decay[0], decay[1]], &["is input lr"]));
    let [lr, last] = ["optimizer.base_lr=1e10", "optimizer.final_lr=1e10"];
    let first = "student.backbone.conv1.weight by sgd of optimizer";
    assert!(refused([lr, last, decay[0], decay[1]], &[first]));
    let audit = stdout(&carp(temp.path(), &["audit", "x/non-finite.safetensors"]));
    assert!(audit.contains("y.0[") && audit.contains("inf"), "{audit}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_step_that_no_machine_has_memory_for_is_refused_at_once() {
    let temp = TempDir::new().unwrap();
    let sets = ["model.prototypes=16777216", "model.bottleneck=65536", "optimizer.name=sgd"];
    let sets = sets.map(|set| ["--set", set]);
    let output = train(temp.path(), &[&["--out", "x"][..], sets.as_flattened()].concat());
    fails(&output, 1, &["TiB are needed, this machine has", "GiB", "set model.prototypes, model."]);
    assert!(!temp.path().join("x").exists());
}

#[test]
fn a_run_on_a_relative_folder_resumes_from_elsewhere() {
    let temp = TempDir::new().unwrap();
    for (class, numbers) in [("a", 0..6), ("b", 6..12)] {
        pictures(&temp.path().join("data").join(class), numbers);
    }
    let data = ["--preset", "folder", "--data", "data", "--out", "x"];
    let run = train(temp.path(), &[&data[..], &["--set", "train.batch_size=4"]].concat());
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let elsewhere = TempDir::new().unwrap();
    let folder = temp.path().join("x");
    std::fs::remove_file(folder.join("result.json")).unwrap();
    let again = carp(elsewhere.path(), &["train", "--resume", folder.to_str().unwrap()]);
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
}

#[test]
fn trace_plan_and_audit_print_what_they_say() {
    let temp = TempDir::new().unwrap();
    let trace = stdout(&carp(temp.path(), &["trace"]));
    for part in ["conv2d", "student.backbone.layer4.1.conv2", "streaming_loss", "backward", "FLOP"]
    {
        assert!(trace.contains(part), "{part} is not in the trace");
    }
    assert!(trace.contains("winograd2_grad_weight"), "{trace}");
    let direct = stdout(&carp(temp.path(), &["trace", "--conv", "direct"]));
    assert!(direct.contains("conv2d_grad_weight") && !direct.contains("winograd"), "{direct}");
    let plan = stdout(&carp(temp.path(), &["plan", "--svg", "map.svg"]));
    assert!(plan.contains("arena") && plan.contains("lower bound"), "{plan}");
    let svg = std::fs::read_to_string(temp.path().join("map.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));

    let small = ["--set", "model.width=4", "--set", "train.batch_size=8", "--rounds", "1"];
    let step = [&["bench", "step", "--breakdown", "--picture", "roof"][..], &small].concat();
    let table = stdout(&carp(temp.path(), &step));
    for part in ["of limit", "conv2d", "batch_norm", "other kinds", "GB/s (a = b + s c"] {
        assert!(table.contains(part), "{part} is not in {table}");
    }
    assert!(temp.path().join("roof.svg").is_file() && temp.path().join("roof.png").is_file());

    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/audit");
    let file = std::fs::read_dir(fixture).unwrap().next().unwrap().unwrap().path();
    let good = carp(temp.path(), &["audit", file.to_str().unwrap()]);
    assert_eq!(good.status.code(), Some(0));
    assert!(stdout(&good).starts_with("ok"), "{}", stdout(&good));
    let bad = carp(temp.path(), &["audit", "none.safetensors"]);
    fails(&bad, 2, &["none.safetensors"]);
}

/// The numbers of a row of `bench loss --device emulate`: launches, instructions, transactions.
fn counts(table: &str, variant: &str) -> [u64; 3] {
    let row = table.lines().find(|line| line.split_whitespace().next() == Some(variant));
    let mut words = row.unwrap_or_else(|| panic!("no {variant} in {table}")).split_whitespace();
    words.next();
    [(); 3].map(|()| words.next().unwrap().parse().unwrap())
}

#[test]
fn emulated_kernels_train_and_show_what_fusion_saves() {
    let temp = TempDir::new().unwrap();
    let run = train(temp.path(), &["--device", "emulate", "--out", "e", "--set", "train.epochs=1"]);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    assert!(temp.path().join("e/checkpoint.safetensors").exists());

    let sizes = ["--views", "4", "--batch", "16", "--dim", "64", "--partition-size", "64"];
    let mut args = vec!["bench", "loss", "--device", "emulate", "--prototypes", "256"];
    args.extend(sizes);
    let bench = carp(temp.path(), &args);
    assert!(bench.status.success(), "{}", String::from_utf8_lossy(&bench.stderr));
    let table = stdout(&bench);
    let [unfused, softmax, streaming] =
        ["unfused", "fused-softmax", "streaming"].map(|variant| counts(&table, variant));
    let [launches, _, transactions] = [0, 1, 2];
    assert!(unfused[launches] > 5 * softmax[launches].max(streaming[launches]), "{table}");
    assert!(unfused[transactions] > softmax[transactions], "{table}");
    assert!(softmax[transactions] > streaming[transactions], "{table}");
    let json = carp(temp.path(), &[&args[..], &["--json", "x.json"]].concat());
    fails(&json, 2, &["--json"]);
}

#[test]
fn a_device_that_is_not_there_is_one_line_and_no_run_folder() {
    let temp = TempDir::new().unwrap();
    let unknown = carp(temp.path(), &["train", "--device", "gpu"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("cpu, cuda:0 or emulate"));
    // With the feature, libcuda or the 1000th GPU is missing: not the user's mistake.
    let missing = carp(temp.path(), &["train", "--device", "cuda:999"]);
    if cfg!(any(feature = "cuda", feature = "cust")) {
        fails(&missing, 1, &["cuda:999"]);
    } else {
        fails(&missing, 2, &["cuda:999", "--features cuda"]);
    }
    assert!(!temp.path().join("runs").exists(), "a refused run left a folder");
}
