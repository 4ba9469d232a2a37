//! The page against the files it was made from.

use std::path::{Path, PathBuf};

use carp::config::Config;
use report::page::page;
use report::run::Depth;
use serde_json::Value;
use tempfile::TempDir;
use tensor::Cpu;

/// A run's folder with so many steps, every tenth with a number that the others lack.
fn folder(temp: &TempDir, name: &str, steps: usize) -> PathBuf {
    let folder = temp.path().join(name);
    std::fs::create_dir(&folder).unwrap();
    let config = Config::load("minimal", &[]).unwrap();
    std::fs::write(folder.join("config.toml"), config.to_toml()).unwrap();
    let line = |step: usize| {
        let noise = (step as f64 * 12.9898).sin();
        let rank = if step.is_multiple_of(10) { ",\"effective_rank\":17.25" } else { "" };
        format!(
            "{{\"step\":{step},\"epoch\":{},\"loss\":{},\"consistency\":{},\"entropy\":{},\"lr\":{},\
             \"teacher_momentum\":{},\"images_per_second\":{},\"waiting\":{}{rank}}}\n",
            step as f64 / 46.0,
            4.0 + noise as f32,
            3.5 + noise as f32,
            0.25 * noise as f32,
            2.5 / step as f64,
            1.0 - 0.05 / step as f64,
            1000.0 + 100.0 * noise,
            1e-6 * noise.abs(),
        )
    };
    let knn = format!("{{\"step\":{steps},\"knn\":0.625}}\n");
    let metrics: String = (1..=steps).map(line).chain([knn]).collect();
    std::fs::write(folder.join("metrics.jsonl"), metrics).unwrap();
    let result = "{\n  \"knn_before\": 0.25,\n  \"knn_after\": 0.625,\n  \"weights_sha256\": \"a</script>b\"\n}\n";
    std::fs::write(folder.join("result.json"), result).unwrap();
    folder
}

fn made(folders: &[PathBuf]) -> (String, Value) {
    let page = page(folders, Depth::Files, &Cpu).unwrap();
    let (_, data) = page.split_once("<script type=\"application/json\" id=\"data\">").unwrap();
    let (data, _) = data.split_once("</script>").unwrap();
    let data = serde_json::from_str(data).unwrap();
    (page, data)
}

fn lines(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_number_is_that_of_the_files() {
    let temp = TempDir::new().unwrap();
    let folder = folder(&temp, "one", 10_000);
    let (page, data) = made(std::slice::from_ref(&folder));
    let run = &data[0];
    let (knn, steps): (Vec<Value>, Vec<Value>) =
        lines(&folder).into_iter().partition(|line| line.get("knn").is_some());
    let columns = run["metrics"]["steps"].as_object().unwrap();
    assert_eq!((columns.len(), &columns["step"]), (10, &run["metrics"]["steps"]["step"]));
    for (name, column) in columns {
        let want: Vec<Value> = steps.iter().map(|line| line[name].clone()).collect();
        assert_eq!(column, &Value::from(want), "{name}");
    }
    assert_eq!(run["metrics"]["knn"]["knn"], Value::from(vec![knn[0]["knn"].clone()]));
    let result = std::fs::read_to_string(folder.join("result.json")).unwrap();
    assert_eq!(run["result"], serde_json::from_str::<Value>(&result).unwrap());
    // The preset's blocks have 32 prototypes.
    assert_eq!(run["collapse"].as_f64(), Some(32_f64.ln()));
    assert!(page.len() < 5_000_000, "{} bytes", page.len());
}

#[test]
fn the_page_asks_for_nothing_from_elsewhere() {
    let temp = TempDir::new().unwrap();
    let (page, _) = made(&[folder(&temp, "one", 3)]);
    for asks in ["src=\"http", "href=\"http", "url(http", "@import", "fetch(", "XMLHttpRequest"] {
        assert!(!page.contains(asks), "{asks}");
    }
    // Text of a run does not end the element it is in.
    assert_eq!(page.matches("</script>").count(), 3);
}

#[test]
fn many_runs_share_the_room() {
    let temp = TempDir::new().unwrap();
    let folders = ["a", "b", "c"].map(|name| folder(&temp, name, 10_000));
    let (page, data) = made(&folders);
    assert!(page.len() < 5_000_000, "{} bytes", page.len());
    for (run, folder) in data.as_array().unwrap().iter().zip(&folders) {
        assert_eq!(run["name"].as_str(), folder.to_str());
        assert_eq!(run["method"], "carp");
        let kept = run["metrics"]["steps"]["step"].as_array().unwrap().len();
        assert!((1000..=3400).contains(&kept), "{kept}");
        assert_eq!(run["metrics"]["lines"].as_u64(), Some(10_000));
    }
}

#[test]
fn a_run_of_a_method_without_terms_has_no_line_of_collapse() {
    let temp = TempDir::new().unwrap();
    let folder = folder(&temp, "one", 1);
    std::fs::write(folder.join("metrics.jsonl"), "{\"step\":1,\"loss\":2.5}\n").unwrap();
    std::fs::remove_file(folder.join("result.json")).unwrap();
    let (_, data) = made(&[folder]);
    assert_eq!((&data[0]["collapse"], &data[0]["result"]), (&Value::Null, &Value::Null));
    assert_eq!(data[0]["metrics"]["steps"].as_object().unwrap().len(), 2);
}

#[test]
fn a_folder_that_is_no_runs_is_an_error_of_one_line() {
    let temp = TempDir::new().unwrap();
    for folders in [vec![], vec![temp.path().to_owned()]] {
        let error = page(&folders, Depth::Files, &Cpu).unwrap_err().to_string();
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}
