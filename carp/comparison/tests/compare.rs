//! Comparisons of seconds: stopped and gone on with, extended, refused, and tested on the test set.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use carp::config::Config;
use carp::error::Result;
use carp::train::TrainEvent;
use comparison::budget::Budget;
use comparison::compare::{Event, compare, with_held_out};
use comparison::evaluate::TestedOn;
use comparison::plan::Request;
use comparison::report::Report;
use comparison::setting::Setting;
use comparison::table::markdown;
use tempfile::TempDir;
use tensor::Cpu;

fn request(budget: Budget, settings: &[&str]) -> Request {
    let sets = [
        ("data.train_size", "60"),
        ("data.test_size", "20"),
        ("train.batch_size", "16"),
        ("model.width", "4"),
        ("views.local_count", "0"),
    ];
    let sets = sets.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let setting = |text: &&str| {
        let setting: Setting = text.parse().unwrap();
        let sets = [&sets[..], &setting.changes].concat();
        let mut config = Config::load("minimal", &sets).unwrap();
        config.data = with_held_out(&config.data, config.seed).unwrap();
        (setting, config)
    };
    let settings = settings.iter().map(setting).collect();
    Request { settings, budget, seeds: 1, measurements: 3 }
}

/// Compares until this many steps are done; also returns the steps that were done.
fn until(
    steps: usize,
    (request, tested_on): (&Request, TestedOn),
    folder: &Path,
) -> Result<(Option<Report>, usize)> {
    let done = AtomicUsize::new(0);
    let mut show = |event: Event| {
        if let Event::Train(TrainEvent::Step(_)) = event {
            done.fetch_add(1, Ordering::Relaxed);
        }
    };
    let report = compare(
        (request, tested_on),
        folder,
        &Cpu,
        &|| done.load(Ordering::Relaxed) == steps,
        &mut show,
    )?;
    Ok((report, done.into_inner()))
}

/// A report without what no two runs share: time.
fn timeless(mut report: Report) -> Report {
    for row in &mut report.rows {
        for run in &mut row.runs {
            (run.seconds, run.images_per_second) = (0.0, 0.0);
            run.curve.iter_mut().for_each(|point| point.seconds = 0.0);
        }
        row.statistics.retain(|key, _| key != "seconds" && key != "images_per_second");
    }
    report
}

const TWO: [&str; 2] = ["base", "plain:model.entropy_term=false,model.fixed_partition=true"];

#[test]
fn a_comparison_that_was_stopped_ends_like_one_that_was_not() {
    let temp = TempDir::new().unwrap();
    let (whole, parts) = (temp.path().join("whole"), temp.path().join("parts"));
    // 16 images, 2 views for the student and 2 for the teacher: two steps.
    let mut request = request(Budget::Passes(128), &TWO);
    request.seeds = 2;
    let asked = (&request, TestedOn::HeldOut);
    let (expected, steps) = until(usize::MAX, asked, &whole).unwrap();
    let expected = expected.unwrap();
    assert_eq!(steps, 8);
    for row in &expected.rows {
        assert_eq!((row.steps, row.runs.len()), (2, 2));
        assert_eq!(row.runs[0].passes, 128);
        // 60 images, 6 of them held out: 3 steps an epoch.
        assert_eq!(row.runs[0].epochs, 2.0 / 3.0);
        let knn = row.runs.iter().map(|run| run.scores.knn).sum::<f64>() / 2.0;
        assert!((row.mean("knn").unwrap() - 100.0 * knn).abs() < 1e-9);
        // The last measurement of a run is the evaluation's.
        for run in &row.runs {
            assert_eq!(run.curve.last().unwrap().knn, run.scores.knn);
        }
    }
    assert_ne!(
        expected.rows[0].runs[0].scores.weights_sha256,
        expected.rows[1].runs[0].scores.weights_sha256
    );

    // In the first step of the second run, in the last one of the third.
    let mut done = Vec::new();
    for steps in [3, 3] {
        let (report, steps) = until(steps, asked, &parts).unwrap();
        assert!(report.is_none());
        done.push(steps);
    }
    let (report, rest) = until(usize::MAX, asked, &parts).unwrap();
    assert_eq!((done, rest), (vec![3, 3], 2));
    assert_eq!(timeless(report.unwrap()), timeless(expected.clone()));
    // What is written is what is returned, but for what files leave out.
    let read = Report::read(&parts.join("held-out.json")).unwrap();
    assert_eq!(markdown(&timeless(read)), markdown(&timeless(expected)));
    // Nothing is left to do.
    assert_eq!(until(usize::MAX, asked, &parts).unwrap().1, 0);
}

#[test]
fn a_comparison_grows_but_does_not_change() {
    let temp = TempDir::new().unwrap();
    let one = request(Budget::Passes(64), &TWO[..1]);
    let both = request(Budget::Passes(64), &TWO);
    assert_eq!(until(9, (&one, TestedOn::HeldOut), temp.path()).unwrap().1, 1);
    let (report, steps) = until(9, (&both, TestedOn::HeldOut), temp.path()).unwrap();
    assert_eq!((report.unwrap().rows.len(), steps), (2, 1));

    let refused = |request: &Request, parts: [&str; 2]| {
        let error = until(9, (request, TestedOn::HeldOut), temp.path()).err().unwrap().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    };
    refused(&request(Budget::Epochs(1), &TWO), ["a budget of 64 images", "--out"]);
    let other = ["base:model.width=8"];
    refused(&request(Budget::Passes(64), &other), ["base", "another model.width"]);
    refused(&request(Budget::Passes(64), &["x", "x"]), ["two settings", "x"]);
    let large = ["x:train.batch_size=55"];
    refused(&request(Budget::Passes(64), &large), ["train.batch_size is 55", "54 images"]);
}

#[test]
fn the_test_set_is_only_looked_at_on_request() {
    let temp = TempDir::new().unwrap();
    let request = request(Budget::Seconds(0.001), &TWO[..1]);
    let (held_out, steps) = until(99, (&request, TestedOn::HeldOut), temp.path()).unwrap();
    assert!(steps >= 1 && !temp.path().join("test.json").exists());
    // The same run, on other images.
    let (test, steps) = until(99, (&request, TestedOn::Test), temp.path()).unwrap();
    let (held_out, test) = (held_out.unwrap(), test.unwrap());
    assert_eq!(steps, 0);
    assert_eq!(held_out.rows[0].steps, test.rows[0].steps);
    let sha = |report: &Report| report.rows[0].runs[0].scores.weights_sha256.clone();
    assert_eq!(sha(&held_out), sha(&test));
    // Of 6 and of 20 images.
    let is_share = |report: &Report, images: f64| {
        let right = report.rows[0].runs[0].scores.knn * images;
        (right - right.round()).abs() < 1e-9
    };
    assert!(is_share(&held_out, 6.0) && is_share(&test, 20.0));
    assert!(markdown(&test).contains("tested on the test set"));
}

/// MoCo v3's authors evaluate the student. Scores that do not say of which network they are were the teacher's.
#[test]
fn a_run_is_evaluated_with_its_methods_network() {
    let temp = TempDir::new().unwrap();
    let request = request(Budget::Passes(128), &["base", "moco:method.name=moco-v3"]);
    let evaluated = || {
        let (report, _) = until(99, (&request, TestedOn::HeldOut), temp.path()).unwrap();
        report.unwrap().rows.into_iter().map(|mut row| row.runs.remove(0)).collect::<Vec<_>>()
    };
    let runs = evaluated();
    let networks: Vec<&str> = runs.iter().map(|run| &*run.scores.network).collect();
    assert_eq!(networks, ["teacher", "student"]);
    assert!(runs.iter().all(|run| run.curve.last().unwrap().knn == run.scores.knn));
    for name in ["base", "moco"] {
        let path = temp.path().join(name).join("seed-0/held-out.json");
        let text = std::fs::read_to_string(&path).unwrap();
        let earlier = text.lines().filter(|line| !line.contains("\"network\""));
        let earlier = earlier.map(|line| match line.contains("\"knn\"") {
            true => "\"knn\": 2.0,",
            false => line,
        });
        std::fs::write(&path, earlier.collect::<Vec<_>>().join("\n")).unwrap();
    }
    let again: Vec<f64> = evaluated().iter().map(|run| run.scores.knn).collect();
    assert_eq!(again, [2.0, runs[1].scores.knn]);
}

#[test]
fn a_run_that_diverges_is_a_failure_and_the_others_go_on() {
    let temp = TempDir::new().unwrap();
    let settings = ["wild:optimizer.base_lr=1e30,optimizer.name=sgd", "base"];
    let request = request(Budget::Passes(256), &settings);
    for _ in 0..2 {
        let (report, _) = until(99, (&request, TestedOn::HeldOut), temp.path()).unwrap();
        let report = report.unwrap();
        assert!(report.rows[0].failures[0].contains("not finite"), "{report:?}");
        assert_eq!((report.rows[0].runs.len(), report.rows[1].runs.len()), (0, 1));
        assert!(markdown(&report).contains("\n- wild failed: "), "{}", markdown(&report));
    }
}
