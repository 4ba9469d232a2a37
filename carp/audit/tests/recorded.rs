//! Replays every computation recorded from PyTorch and compares.

#[path = "common/fixtures.rs"]
mod fixtures;

use std::path::Path;

use fixtures::fixtures;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use tensor::Cpu;

#[test]
fn pytorch_agrees_on_every_fixture() {
    let files = fixtures(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
    let mut kinds = std::collections::BTreeSet::new();
    let mut failures = Vec::new();
    for file in &files {
        let report = audit::audit(file, &Cpu).unwrap_or_else(|error| panic!("{error}"));
        assert!(!report.comparisons.is_empty(), "{} compares nothing", file.display());
        for comparison in report.comparisons.iter().filter(|comparison| !comparison.passed()) {
            failures.push(format!("{}: {comparison:?}", file.display()));
        }
        kinds.insert(report.kind);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let all = [
        "adamw",
        "avg_pool2d",
        "batch_norm",
        "carp_loss",
        "carp_loss_embeddings",
        "carp_step",
        "conv2d",
        "gelu",
        "lars",
        "linear",
        "max_pool2d",
        "method_loss",
        "relu",
        "resnet",
        "schedule",
        "sgd",
        "weight_norm_linear",
    ];
    assert_eq!(kinds.iter().map(String::as_str).collect::<Vec<_>>(), all);
}

/// Writes a record of `y = max(x, 0)` with the given header and extra tensors.
fn record(header: &str, tensors: &[(&str, Vec<usize>, Vec<f32>)]) -> tempfile::NamedTempFile {
    let bytes: Vec<Vec<u8>> =
        tensors.iter().map(|t| t.2.iter().flat_map(|x| x.to_le_bytes()).collect()).collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
        (*name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
    });
    let metadata = [("carp.audit".to_owned(), header.to_owned())].into();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), safetensors::serialize(views, Some(metadata)).unwrap()).unwrap();
    file
}

/// A fixture with another header, or with other tensors.
fn changed(
    name: &str,
    change: impl FnOnce(&mut String, &mut Vec<(String, Vec<usize>, Vec<u8>, Dtype)>),
) -> tempfile::NamedTempFile {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/audit");
    let bytes = std::fs::read(folder.join(name)).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let mut header = header.metadata().as_ref().unwrap()["carp.audit"].clone();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = |(name, view): (&str, TensorView)| {
        (name.to_owned(), view.shape().to_vec(), view.data().to_vec(), view.dtype())
    };
    let mut tensors = tensors.iter().map(tensor).collect();
    change(&mut header, &mut tensors);
    let views = tensors.iter().map(|(name, shape, bytes, dtype)| {
        (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap())
    });
    let metadata = [("carp.audit".to_owned(), header)].into();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), safetensors::serialize(views, Some(metadata)).unwrap()).unwrap();
    file
}

#[test]
fn counters_are_those_of_the_networks_batch_norms() {
    for (fixture, stem) in [
        ("carp_step-sgd.safetensors", "student.backbone.bn1."),
        ("resnet-18-cifar.safetensors", "w.bn1."),
    ] {
        let with = |name: String| {
            let counter = (name, vec![], 5i64.to_le_bytes().to_vec(), Dtype::I64);
            changed(fixture, |_, tensors| {
                tensors.retain(|(name, ..)| *name != counter.0);
                tensors.push(counter);
            })
        };
        let file = with(format!("in.{stem}num_batches_tracked"));
        assert!(audit::audit(file.path(), &Cpu).is_ok());
        for other in ["anything.", "bn9.", "conv1."] {
            let name = format!("in.{}num_batches_tracked", stem.replace("bn1.", other));
            let file = with(name.clone());
            let error = audit::audit(file.path(), &Cpu).unwrap_err().to_string();
            assert!(error.contains(&format!("{name} is of no batch norm")), "{error}");
        }
    }
}

/// The replay is wrong then, not the record.
#[test]
fn a_replay_that_is_not_finite_has_failed() {
    let file = changed("carp_step-sgd.safetensors", |header, _| {
        let mut json: serde_json::Value = serde_json::from_str(header).unwrap();
        for rate in json["settings"]["lr"].as_array_mut().unwrap() {
            *rate = 1e30.into();
        }
        *header = json.to_string();
    });
    let report = audit::audit(file.path(), &Cpu).unwrap();
    assert!(!report.passed());
    let line = report.ended.unwrap();
    assert!(line.contains("not finite in step 2: the first is "), "{line}");
}

const RELU: &str = r#"{"kind": "relu", "settings": {}, "tolerance": {"abs": 1e-6, "rel": 1e-5}}"#;

#[test]
fn an_output_out_of_tolerance_is_seen() {
    let x = || ("in.x", vec![3], vec![-1.0, 0.5, 2.0]);
    let audit = |want: Vec<f32>| {
        let file = record(RELU, &[x(), ("out.y", vec![3], want)]);
        audit::audit(file.path(), &Cpu).unwrap()
    };
    assert!(audit(vec![0.0, 0.5, 2.0]).passed());
    assert!(audit(vec![0.0, 0.5, 2.00002]).passed());
    let report = audit(vec![0.0, 0.5, 2.0001]);
    assert!(!report.passed());
    assert!((report.comparisons[0].error - 1e-4).abs() < 1e-6, "{report:?}");
    assert!(!audit(vec![0.0, f32::NAN, 2.0]).passed());
}

#[test]
fn invalid_records_are_one_line_that_names_the_fault() {
    let x = || ("in.x", vec![3], vec![-1.0, 0.5, 2.0]);
    let y = || ("out.y", vec![3], vec![0.0, 0.5, 2.0]);
    let tolerance = r#""tolerance": {"abs": 0, "rel": 0}"#;
    let other = |kind: &str, settings: &str| {
        format!(r#"{{"kind": "{kind}", "settings": {settings}, {tolerance}}}"#)
    };
    let pool = |settings: &str| other("max_pool2d", settings);
    let resnet = |width: u64| {
        let sizes = format!(r#""width": {width}, "in_channels": 1, "training": true"#);
        other("resnet", &format!(r#"{{"arch": "resnet18", "stem": "cifar", {sizes}}}"#))
    };
    let image = || ("in.x", vec![1, 1, 4, 4], vec![0.0; 16]);
    let cases = [
        (other("rellu", "{}"), vec![x(), y()], "unknown kind \"rellu\""),
        (other("relu", r#"{"slope": 1}"#), vec![x(), y()], "settings.slope is not known"),
        (RELU.into(), vec![y()], "in.x is missing"),
        (RELU.into(), vec![x(), ("in.z", vec![1], vec![1.0])], "in.z is not known"),
        (RELU.into(), vec![x(), ("out.z", vec![1], vec![1.0])], "out.z is not known"),
        (RELU.into(), vec![x(), ("out.grad_x", vec![3], vec![0.0; 3])], "out.grad_x"),
        (RELU.into(), vec![x(), ("x", vec![1], vec![1.0])], "should start with in. or out."),
        (RELU.into(), vec![x(), ("out.y", vec![1], vec![0.0])], "should be [3]"),
        (pool(r#"{"kernel": 2, "stride": 1}"#), vec![x()], "setting padding is missing"),
        (
            pool(r#"{"kernel": "2", "stride": 1, "padding": 0}"#),
            vec![x()],
            "setting kernel is \"2\", should be a whole number",
        ),
        (pool(r#"{"kernel": 2, "stride": 1, "padding": 0}"#), vec![x()], "is not [N,H,W,C]"),
        (r#"{"kind": "relu", "tolerance": {"abs": 0}}"#.into(), vec![x()], "tolerance.rel"),
        (other("method_loss", r#"{"method": "byol"}"#), vec![x()], "unknown method \"byol\""),
        (other("method_loss", "{}"), vec![x()], "setting method is missing, should be a string"),
        (
            other("method_loss", r#"{"method": "sela_labels", "lambda": 25, "tolerance": 0.1}"#),
            vec![("in.logits", vec![3], vec![0.0; 3])],
            "in.logits is [3], should be [N,K]",
        ),
        (
            other(
                "method_loss",
                r#"{"method": "dino", "student_temperature": 0.1, "teacher_temperature": 0.04,
                    "centre_momentum": 0.9}"#,
            ),
            vec![
                ("in.student", vec![2, 3, 1], vec![0.0; 6]),
                ("in.teacher", vec![2, 2, 1], vec![0.0; 4]),
                ("in.centre", vec![1], vec![0.0]),
            ],
            "in.teacher is [2,2,K], should be [2,3,K]",
        ),
        (RELU.into(), vec![("in.x", vec![2, 0], vec![])], "in.x is [2, 0]: it has no elements"),
        (
            r#"{"kind": "relu", "tolerance": {"abs": 0, "rel": 0, "max": 1}}"#.into(),
            vec![x()],
            "unknown key \"max\"",
        ),
        (resnet(0), vec![image()], "setting width is 0, should be 1 to 16"),
        (resnet(1 << 63), vec![image()], "setting width is 9223372036854775808, should be 1 to"),
        (resnet(16), vec![image()], "in.w.conv1.weight is missing"),
        (
            other(
                "schedule",
                r#"{"base": 1, "final": 0, "steps": 4294967296, "warmup_steps": 0,
                    "warmup_start": 0}"#,
            ),
            vec![("out.values", vec![3], vec![0.0; 3])],
            "setting steps is 4294967296, should be 1 to 3",
        ),
        (
            other("linear", "{}"),
            vec![
                ("in.x", vec![3, 5], vec![0.0; 15]),
                ("in.weight", vec![3, 4], vec![0.0; 12]),
                ("in.bias", vec![3], vec![0.0; 3]),
            ],
            "matmul: [3, 5]",
        ),
        ("[]".into(), vec![x()], "not a JSON object"),
        ("{".into(), vec![x()], "not JSON"),
    ];
    for (header, tensors, part) in cases {
        let file = record(&header, &tensors);
        let error = audit::audit(file.path(), &Cpu).unwrap_err().to_string();
        assert!(error.contains(part), "{part:?} is not in {error:?}");
        assert!(error.starts_with(file.path().to_str().unwrap()), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    let op = |kernel: &str| other("op", &format!(r#"{{"kernel": {kernel}, "layer": "a"}}"#));
    let gather = op(r#"{"GatherRows": {"columns": 1}}"#);
    let (x0, y0) = (("in.x.0", vec![3], vec![1.0; 3]), ("out.y.0", vec![3], vec![0.0; 3]));
    for (header, tensors, part) in [
        (op(r#"{"Gather": 3}"#), vec![x0.clone(), y0.clone()], "setting kernel is {\"Gather\""),
        (op("\"Copy\""), vec![x0.clone()], "in.x and out.y of [3] and [] elements: no Copy"),
        (op("\"Copy\""), vec![y0.clone()], "no Copy"),
        (gather, vec![x0.clone(), ("in.x.1", vec![3], vec![0.0; 3]), y0.clone()], "indices"),
        (op("\"Copy\""), vec![x0, ("in.y.0", vec![1], vec![0.0]), y0], "in.y.0 and out.y.0"),
    ] {
        let file = record(&header, &tensors);
        let error = audit::audit(file.path(), &Cpu).unwrap_err().to_string();
        assert!(error.contains(part) && error.lines().count() == 1, "{error}");
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"not safetensors").unwrap();
    let error = audit::audit(file.path(), &Cpu).unwrap_err().to_string();
    assert!(error.contains("not a safetensors file"), "{error}");
}

/// Ops with indices and with values updated in place, through a file and back.
#[test]
fn an_op_is_replayed_from_its_file() {
    use autograd::graph::DType;
    use autograd::{Operand, RecordedOp};
    use tensor::Kernel;

    let numbers = |data: &[f32]| Operand {
        dtype: DType::F32,
        bits: data.iter().map(|number| number.to_bits()).collect(),
    };
    let indices = Operand { dtype: DType::U32, bits: vec![2, 0] };
    let gather = RecordedOp {
        kernel: Kernel::GatherRows { columns: 2 },
        layer: "a".to_owned(),
        place: 0,
        inputs: vec![numbers(&[1.0, 2.0, 3.0, 4.0, f32::INFINITY, 6.0]), indices],
        before: vec![None],
        outputs: vec![numbers(&[f32::INFINITY, 6.0, 1.0, 2.0])],
    };
    // teacher = m teacher + (1 - m) student
    let ema = RecordedOp {
        kernel: Kernel::Ema,
        inputs: vec![numbers(&[0.75]), numbers(&[4.0, 8.0])],
        before: vec![Some(numbers(&[0.0, 16.0]))],
        outputs: vec![numbers(&[1.0, 14.0])],
        ..gather.clone()
    };
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("op.safetensors");
    let audited = |op: &RecordedOp| {
        audit::write_op(&file, op).unwrap();
        audit::audit(&file, &Cpu).unwrap()
    };
    for op in [&gather, &ema] {
        let report = audited(op);
        assert!(report.passed() && report.comparisons.len() == 1, "{report:?}");
    }
    let report = audited(&gather);
    assert_eq!(report.comparisons[0].non_finite, Some((0, f64::INFINITY)));
    let mut changed = ema;
    changed.outputs[0].bits[1] ^= 1;
    let report = audited(&changed);
    assert!(!report.passed() && report.comparisons[0].non_finite.is_none(), "{report:?}");
    // An index beyond the rows.
    let mut beyond = gather;
    beyond.inputs[1].bits[0] = 3;
    audit::write_op(&file, &beyond).unwrap();
    let error = audit::audit(&file, &Cpu).unwrap_err().to_string();
    assert!(error.contains("in.x.1 should be indices that the kernel takes"), "{error}");
}
