//! Settings: presets, files and `--set`; each mistake is one line.

use carp::config::Config;
use carp::error::Error;
use carp::method::MethodConfig;
use carp::nn::{Arch, Stem};
use datasets::Filter;

const PRESETS: [&str; 6] = ["shapes", "fashion-mnist", "cifar10", "stl10", "folder", "imagenet"];

fn set(key: &str, value: &str) -> Result<Config, Error> {
    Config::load("shapes", &[(key.to_owned(), value.to_owned())])
}

/// Asserts a one-line usage error with all `parts`.
fn refused(result: Result<Config, Error>, parts: &[&str]) {
    let error = result.expect_err(&format!("accepted, though it should name {parts:?}"));
    let line = error.to_string();
    assert_eq!(error.exit_code(), 2, "{line}");
    assert_eq!(line.lines().count(), 1, "{line}");
    for part in parts {
        assert!(line.contains(part), "{part:?} is not in: {line}");
    }
}

fn in_file(text: &str) -> Result<Config, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("my.toml");
    std::fs::write(&path, text).unwrap();
    Config::load(path.to_str().unwrap(), &[])
}

#[test]
fn presets_are_right_and_survive_being_written() {
    for name in PRESETS {
        let config = Config::load(name, &[]).unwrap();
        assert_eq!(Config::parse(&config.to_toml(), "config.toml").unwrap(), config, "{name}");
        assert_eq!(in_file(&config.to_toml()).unwrap(), config, "{name}");
        assert_eq!(config.views.mean.len(), config.data.channels(), "{name}");
    }
    let paths = set("data.path", "/a b/c").unwrap();
    assert_eq!(Config::parse(&paths.to_toml(), "config.toml").unwrap(), paths);
}

#[test]
fn the_defaults_are_the_authors() {
    let config = in_file("").unwrap();
    let mut imagenet = Config::load("imagenet", &[]).unwrap();
    // k-NN's features fit an ordinary machine.
    (imagenet.knn.bank, imagenet.knn.queries) = (config.knn.bank, config.knn.queries);
    assert_eq!(imagenet, config);
    let model = &config.model;
    assert_eq!((model.arch, model.stem, model.width), (Arch::ResNet50, Stem::ImageNet, 64));
    assert!(model.zero_init_residual);
    assert_eq!((model.hidden, model.bottleneck), (2048, 256));
    assert_eq!((model.prototypes, model.partition_size), (65536, 512));
    assert_eq!(config.views.views().sizes(), [224, 224, 96, 96, 96, 96, 96, 96]);
    assert_eq!((config.optimizer.base_lr, config.optimizer.final_lr), (0.45, 0.0048));
    assert_eq!((config.teacher.momentum, config.teacher.final_momentum), (0.99, 1.0));
    assert_eq!((config.train.epochs, config.train.batch_size), (100, 32));
    assert_eq!((config.knn.k, config.knn.temperature), (20, 0.07));
    // 0.45 * (G B) / 256.
    let set = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let sets = [set("train.batch_size", "64"), set("train.accumulation", "8")];
    assert_eq!(Config::load("imagenet", &sets).unwrap().lr(), 0.9);
}

#[test]
fn single_settings_win_over_the_preset() {
    assert_eq!(set("model.width", "8").unwrap().model.width, 8);
    assert_eq!(set("seed", "7").unwrap().seed, 7);
    assert_eq!(set("optimizer.base_lr", "1").unwrap().optimizer.base_lr, 1.0);
    assert_eq!(set("model.arch", "resnet50").unwrap().model.arch, Arch::ResNet50);
    assert_eq!(set("model.arch", "\"resnet50\"").unwrap().model.arch, Arch::ResNet50);
    assert_eq!(set("views.mean", "[0, 0.5, 1]").unwrap().views.mean, [0.0, 0.5, 1.0]);
    assert_eq!(set("views.local.size", "16").unwrap().views.local.size, 16);
    // A folder name is never a number.
    for (value, path) in [("2024", "2024"), ("true", "true"), ("\"a b\"", "a b"), ("a/b", "a/b")] {
        assert_eq!(set("data.path", value).unwrap().data.path.unwrap(), std::path::Path::new(path));
    }
    // The last one wins.
    let sets = ["4", "5"].map(|value| ("model.width".to_owned(), value.to_owned()));
    assert_eq!(Config::load("shapes", &sets).unwrap().model.width, 5);
    // A file may be partial; the rest is the authors' defaults.
    let partial = in_file("[model]\nwidth = 3\n").unwrap();
    assert_eq!((partial.model.width, partial.model.hidden), (3, 2048));
}

#[test]
fn unknown_names_come_with_the_nearest() {
    let key = |given: &str, nearest: &str| refused(set(given, "3"), &["--set", given, nearest]);
    key("model.widht", "\"model.width\"");
    key("modle.width", "\"model.width\"");
    key("width", "\"model.width\"");
    key("Model.Width", "\"model.width\"");
    key("partition_siz", "\"model.partition_size\"");
    key("partition", "\"data.partition\"");
    key("views.locl.size", "\"views.local.size\"");
    key("data.pth", "\"data.path\"");
    key("sed", "\"seed\"");
    key("optimizer.lr", "\"optimizer.base_lr\"");
    for given in ["foo", "model.foo", "foo.width"] {
        let line = set(given, "3").unwrap_err().to_string();
        assert_eq!(line, format!("--set: unknown key {given:?}"));
    }
    refused(in_file("[modle]\nwidth = 3\n"), &["my.toml", "\"modle.width\"", "\"model.width\""]);
    refused(in_file("[model]\nwidht = 3\n"), &["my.toml", "\"model.widht\"", "\"model.width\""]);
    let preset = |given: &str, nearest: &str| {
        refused(Config::load(given, &[]), &[given, nearest, "presets: shapes, fashion-mnist"]);
    };
    preset("shape", "did you mean \"shapes\"");
    preset("FASHION", "did you mean \"fashion-mnist\"");
    preset("imagenett", "did you mean \"imagenet\"");
}

#[test]
fn values_of_a_wrong_kind_name_the_key_and_who_gave_them() {
    refused(set("model.width", "wide"), &["--set", "model.width", "string", "integer"]);
    refused(set("model.width", "-1"), &["--set: model.width = -1 should be 0 or more"]);
    let large = "18446744073709551616";
    refused(set("model.width", large), &[&format!("model.width = {large} has more than 64 bits")]);
    refused(set("model.zero_init_residual", "yes"), &["--set", "zero_init_residual", "boolean"]);
    refused(set("model.arch", "resnet19"), &["--set", "model.arch", "resnet19", "resnet34"]);
    refused(set("data.kind", "cifar"), &["--set", "data.kind", "cifar10"]);
    refused(set("optimizer.name", "adam"), &["--set", "optimizer.name", "adamw"]);
    refused(set("views.filter", "cubic"), &["--set", "views.filter", "bicubic"]);
    refused(set("train.conv", "fft"), &["--set", "train.conv", "winograd2"]);
    refused(set("views.global1.scale", "[1]"), &["--set", "views.global1.scale"]);
    refused(set("seed", "-1"), &["--set", "seed"]);
    refused(set("data", "3"), &["--set", "data is a section"]);
    refused(set("seed.x", "3"), &["--set", "seed is one setting"]);
    refused(in_file("[model]\nwidth = \"a\"\n"), &["my.toml", "model.width", "integer"]);
    refused(in_file("[model]\narch = \"resnet19\"\n"), &["my.toml", "model.arch", "resnet18"]);
    refused(in_file("seed = 1\n[model]\nwidth =\n"), &["my.toml", "line 3"]);
    refused(in_file("[model]\nwidth = 3\nwidth = 4\n"), &["my.toml", "line 3", "duplicate"]);
}

#[test]
fn values_out_of_range_name_the_key_the_value_and_the_range() {
    for (key, value, range) in [
        ("data.train_size", "0", "at least 1"),
        ("data.test_size", "0", "at least 1"),
        ("model.width", "0", "at least 1"),
        ("model.hidden", "0", "at least 1"),
        ("model.bottleneck", "0", "at least 1"),
        ("model.partition_size", "0", "1 to model.prototypes = 1024"),
        ("model.partition_size", "1025", "1 to model.prototypes = 1024"),
        ("model.prototypes", "0", "at least 1"),
        ("optimizer.base_lr", "0", "above 0"),
        ("optimizer.base_lr", "nan", "above 0"),
        ("optimizer.base_lr", "inf", "above 0"),
        ("optimizer.final_lr", "-1", "0 or more"),
        ("optimizer.warmup_start_lr", "-1", "0 or more"),
        ("optimizer.warmup_epochs", "9007199254740992", "0 to 16777216"),
        ("train.checkpoint_every_epochs", "9007199254740992", "0 to 16777216"),
        ("knn.every_epochs", "9007199254740992", "0 to 16777216"),
        ("optimizer.momentum", "1", "0 to below 1"),
        ("optimizer.weight_decay", "-1", "0 or more"),
        ("optimizer.final_weight_decay", "nan", "0 or more"),
        ("optimizer.eta", "0", "above 0"),
        ("optimizer.betas", "[0.9, 1.0]", "below 1"),
        ("optimizer.eps", "-1", "above 0"),
        ("teacher.momentum", "1.5", "0 to 1"),
        ("teacher.final_momentum", "-0.5", "0 to 1"),
        ("train.epochs", "0", "at least 1"),
        ("train.batch_size", "0", "at least 1"),
        ("train.accumulation", "0", "at least 1"),
        ("knn.k", "0", "at least 1"),
        ("knn.temperature", "0", "above 0"),
        ("knn.temperature", "inf", "above 0"),
        ("knn.batch_size", "0", "at least 1"),
        ("knn.size", "33", "1 to knn.resize = 20"),
        ("views.mean", "[0.5]", "as many numbers as the data has channels, 3"),
        ("views.std", "[0.5, 0.5, 0.0]", "above 0"),
        ("views.global1.size", "0", "at least 1"),
        ("views.global1.resize", "3", "0, or "),
        ("views.global2.scale", "[0.5, 0.1]", "low <= high"),
        ("views.global2.scale", "[0.5, 1.1]", "high <= 1"),
        ("views.local.scale", "[0.0, 0.1]", "0 < low"),
        ("views.local.blur_sigma", "[0.0, 0.1]", "0 < low"),
        ("views.local.blur_sigma", "[0.1, 1e9]", "high <= 1024"),
        ("views.local.hue", "0.6", "0 to 0.5"),
        ("views.local.contrast", "-1", "0 to 10"),
        ("views.global2.brightness", "1e10", "0 to 10"),
        ("views.global1.jitter", "1.5", "0 to 1"),
        ("views.global1.solarise", "nan", "0 to 1"),
    ] {
        refused(set(key, value), &[&format!("{key} is "), range]);
    }
    refused(set("teacher.momentum", "1.5"), &["teacher.momentum is 1.5, should be 0 to 1"]);
    // A number has the digits that it was given.
    refused(set("views.local.hue", "0.6"), &["views.local.hue is 0.6, should"]);
    // A block need not divide the prototypes.
    assert!(set("model.partition_size", "1000").is_ok());
    // The data decides the channels.
    refused(set("data.kind", "idx"), &["views.mean", "channels, 1"]);
}

/// What the preset says, where it is not the default.
#[test]
fn presets_for_imagenet_begin_as_the_authors_networks() {
    for method in MethodConfig::all() {
        let name = match method.name() {
            "carp" => "imagenet".to_owned(),
            name => format!("imagenet-{name}"),
        };
        let Config { model, train, optimizer, views, .. } = Config::load(&name, &[]).unwrap();
        let is_zero = ["carp", "barlow-twins", "vicreg", "moco-v3", "triplet"];
        assert_eq!(model.zero_init_residual, is_zero.contains(&method.name()), "{name}");
        let decays = ["pcl-v2", "infomin", "obow"];
        assert_eq!(optimizer.decay_vectors, decays.contains(&method.name()), "{name}");
        let is_bicubic = ["carp", "barlow-twins", "vicreg", "dino", "triplet"];
        let filter = match is_bicubic.contains(&method.name()) {
            true => Filter::Bicubic,
            false => Filter::Bilinear,
        };
        assert_eq!(views.filter, filter, "{name}");
        // Triplet's negatives are those of one GPU.
        let batches = (train.batch_size, train.accumulation);
        assert!(method.name() != "triplet" || batches == (196, 32), "{batches:?}");
    }
}

/// Every method has the authors' settings as a preset, and a recipe for the images of other presets.
#[test]
fn methods_have_presets_and_recipes() {
    for method in MethodConfig::all().iter().skip(1) {
        let name = method.name();
        let published = Config::load(&format!("imagenet-{name}"), &[]).unwrap();
        assert_eq!(published.method.name(), name);
        let chosen = [("method.name".to_owned(), name.to_owned())];
        let small = Config::load("shapes", &chosen).unwrap();
        assert_eq!(small.method.name(), name);
        // The data and the backbone stay the preset's, the rates do not.
        let shapes = Config::load("shapes", &[]).unwrap();
        assert_eq!((&small.data, small.model.width), (&shapes.data, shapes.model.width));
        assert_ne!(small.optimizer, shapes.optimizer, "{name}");
        // Settings survive as text, and a preset that names the method needs no recipe.
        assert_eq!(Config::parse(&small.to_toml(), "text").unwrap(), small);
        assert_eq!(Config::load(&format!("imagenet-{name}"), &chosen).unwrap(), published);
    }
}

/// The keys of a table and those inside it, with their values.
fn flattened(prefix: &str, table: &toml::Table) -> Vec<(String, String)> {
    let each = |(name, value): (&String, &toml::Value)| {
        let key = format!("{prefix}{name}");
        match value {
            toml::Value::Table(table) => flattened(&format!("{key}."), table),
            value => vec![(key, value.to_string())],
        }
    };
    table.iter().flat_map(each).collect()
}

/// In a table of its own; nothing else is in it.
#[test]
fn the_page_of_settings_has_every_key_of_every_method() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/settings.md");
    let page = std::fs::read_to_string(file).unwrap();
    let mut want = Vec::new();
    for method in MethodConfig::all() {
        let name = method.name();
        let table: toml::Table =
            Config { method, ..in_file("").unwrap() }.to_toml().parse().unwrap();
        let keys = flattened("method.", table["method"].as_table().unwrap());
        let own = keys.into_iter().filter(|(key, _)| key != "method.name");
        want.extend(own.map(|(key, value)| format!("| `{name}` | `{key}` | `{value}` |")));
    }
    let is_row = |line: &&str| line.matches(" | `method.").count() == 1 && line.starts_with("| `");
    let rows = page.lines().filter(is_row);
    let mut found: Vec<String> =
        rows.map(|line| line.split(" | ").take(3).collect::<Vec<_>>().join(" | ") + " |").collect();
    want.sort();
    found.sort();
    assert_eq!(found, want);
}

#[test]
fn the_page_of_settings_has_every_key_with_its_default() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/settings.md");
    let page = std::fs::read_to_string(file).unwrap();
    let defaults = in_file("").unwrap().to_toml().parse().unwrap();
    let lines = flattened("", &defaults).into_iter().map(|(key, value)| {
        match key.strip_prefix("views.").and_then(|key| key.split_once('.')) {
            // The kinds of views share a table.
            Some((_, setting)) => format!("| `{setting}` | "),
            None => format!("| `{key}` | `{value}` |"),
        }
    });
    let missing: Vec<String> = lines.filter(|line| !page.contains(line)).collect();
    assert!(missing.is_empty(), "docs/settings.md lacks:\n{}", missing.join("\n"));
}
