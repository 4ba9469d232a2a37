//! The reference, and the convolutions of the CPU, against PyTorch in f64: the cases in
//! `fixtures/audit`, recorded by `tools/golden.py`.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors};
use serde_json::Value;
use tensor::Kernel;
use tensor::geometry::{
    BatchNorm, Conv2d, ConvAlgorithm, Gemm, PartitionLoss, Pool2d, StreamingLoss,
};
use tensor::kernel::{AdamW, Unary};
use tensor::reference::run;

use crate::case::{Case, close};

/// A recorded computation.
struct Record {
    file: String,
    kind: String,
    settings: Value,
    /// Shape and elements; images and kernels are channels-last.
    tensors: BTreeMap<String, (Vec<usize>, Vec<f64>)>,
    /// Outputs checked so far.
    checked: RefCell<BTreeSet<String>>,
}

impl Record {
    fn read(path: &Path) -> Record {
        let bytes = std::fs::read(path).unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let audit: Value =
            serde_json::from_str(&header.metadata().as_ref().unwrap()["carp.audit"]).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let tensors = tensors.iter().map(|(name, view)| {
            let (bytes, shape) = (view.data(), view.shape());
            let x: Vec<f64> = match view.dtype() {
                Dtype::F32 => elements(bytes, |x| f64::from(f32::from_le_bytes(x))),
                Dtype::F64 => elements(bytes, f64::from_le_bytes),
                Dtype::I64 => elements(bytes, |x| i64::from_le_bytes(x) as f64),
                other => panic!("{name} is {other:?}"),
            };
            let x = channels_last(shape, x);
            (name.to_owned(), (shape.to_vec(), x))
        });
        Record {
            file: path.display().to_string(),
            kind: audit["kind"].as_str().unwrap().to_owned(),
            settings: audit["settings"].clone(),
            tensors: tensors.collect(),
            checked: RefCell::default(),
        }
    }

    fn number(&self, setting: &str) -> f64 {
        self.settings[setting].as_f64().unwrap_or_else(|| panic!("{}: {setting}", self.file))
    }

    fn count(&self, setting: &str) -> usize {
        self.number(setting) as usize
    }

    fn shape(&self, name: &str) -> &[usize] {
        &self.tensors[name].0
    }

    fn input(&self, name: &str) -> &[f64] {
        &self.tensors[&format!("in.{name}")].1
    }

    /// `[N,H,W,C]` from PyTorch's `[N,C,H,W]`.
    fn images(&self, name: &str) -> [usize; 4] {
        let &[n, c, h, w] = self.shape(name) else { panic!("{}: {name}", self.file) };
        [n, h, w, c]
    }

    /// Asserts that `got` is the output `name`, if the file has it. The file's numbers and the
    /// kernel's settings are rounded to f32.
    fn check(&self, name: &str, got: &[f64]) {
        let name = format!("out.{name}");
        let Some((_, want)) = self.tensors.get(&name) else { return };
        assert_eq!(got.len(), want.len(), "{}: {name}", self.file);
        let scale = want.iter().fold(0.0f64, |most, w| most.max(w.abs()));
        for (got, want) in got.iter().zip(want) {
            let close = (got - want).abs() <= 5e-7 * scale + 1e-12;
            assert!(close, "{}: {name} is {got}, not {want}; scale {scale}", self.file);
        }
        self.checked.borrow_mut().insert(name);
    }

    /// Runs a kernel and checks its outputs by their names.
    fn check_kernel<const N: usize>(
        &self,
        kernel: Kernel,
        inputs: &[&[f64]],
        names: [&str; N],
    ) -> [Vec<f64>; N] {
        let lens = names.map(|name| self.tensors[&format!("out.{name}")].1.len());
        let outputs = outputs(kernel, inputs, lens);
        names.iter().zip(&outputs).for_each(|(name, y)| self.check(name, y));
        outputs
    }

    /// Runs a kernel on the CPU and checks its output.
    fn check_cpu(&self, kernel: Kernel, inputs: [&[f64]; 2], name: &str) {
        let [a, b] = inputs.map(|x| x.iter().map(|&x| x as f32).collect::<Vec<_>>());
        let want = &self.tensors[&format!("out.{name}")].1;
        let got = Case::new(kernel).reads(a).reads(b).writes(want.len(), 0.0).run(None).remove(0);
        let got: Vec<f32> = got.into_iter().map(f32::from_bits).collect();
        close(&format!("{}: {kernel:?}", self.file), &got, want, 2e-6);
    }
}

fn elements<const N: usize>(bytes: &[u8], from: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    bytes.chunks_exact(N).map(|chunk| from(chunk.try_into().unwrap())).collect()
}

/// From `[..,N,C,H,W]` to `[..,N,H,W,C]`; tensors of fewer than four dimensions are unchanged.
fn channels_last(shape: &[usize], x: Vec<f64>) -> Vec<f64> {
    let &[.., _, c, h, w] = shape else { return x };
    let at = (0..x.len()).map(|i| {
        let (image, pixel, channel) = (i / (h * w * c), i / c % (h * w), i % c);
        (image * c + channel) * h * w + pixel
    });
    at.map(|at| x[at]).collect()
}

fn outputs<const N: usize>(kernel: Kernel, inputs: &[&[f64]], lens: [usize; N]) -> [Vec<f64>; N] {
    let mut outputs = lens.map(|len| vec![0.0; len]);
    run(&kernel, inputs, &mut outputs);
    outputs
}

fn conv2d(record: &Record) {
    let [x, weight] = ["in.x", "in.weight"].map(|name| record.images(name).into());
    let (stride, padding) = (record.count("stride"), record.count("padding"));
    let conv = Conv2d::new(x, weight, stride, padding).unwrap();
    let [x, weight, dy] = ["x", "weight", "grad_y"].map(|name| record.input(name));
    record.check_kernel(Kernel::Conv2d(conv), &[x, weight], ["y"]);
    record.check_kernel(Kernel::Conv2dGradInput(conv), &[dy, weight], ["grad_x"]);
    record.check_kernel(Kernel::Conv2dGradWeight(conv), &[x, dy], ["grad_weight"]);
    for conv in ConvAlgorithm::ALL.map(|algorithm| conv.by(algorithm)) {
        record.check_cpu(Kernel::Conv2d(conv), [x, weight], "y");
        record.check_cpu(Kernel::Conv2dGradInput(conv), [dy, weight], "grad_x");
        record.check_cpu(Kernel::Conv2dGradWeight(conv), [x, dy], "grad_weight");
    }
}

fn batch_norm(record: &Record) {
    let channels = record.shape("in.x")[1];
    let [x, weight, bias, dy] = ["x", "weight", "bias", "grad_y"].map(|name| record.input(name));
    let norm = BatchNorm {
        rows: x.len() / channels,
        channels,
        eps: record.number("eps") as f32,
        momentum: record.number("momentum") as f32,
        training: record.settings["training"].as_bool().unwrap(),
        residual: false,
        relu: false,
    };
    let mut outputs = [
        vec![0.0; x.len()],
        vec![0.0; channels],
        vec![0.0; channels],
        record.input("running_mean").to_vec(),
        record.input("running_var").to_vec(),
    ];
    run(&Kernel::BatchNorm(norm), &[x, weight, bias], &mut outputs);
    let [y, mean, inv_std, running_mean, running_var] = &outputs;
    record.check("y", y);
    record.check("running_mean", running_mean);
    record.check("running_var", running_var);
    let inputs = [x, y, dy, weight, mean, inv_std];
    let names = ["grad_x", "grad_weight", "grad_bias"];
    record.check_kernel(Kernel::BatchNormBackward(norm), &inputs, names);
}

fn activation(record: &Record) {
    let [x, dy] = ["x", "grad_y"].map(|name| record.input(name));
    if record.kind == "gelu" {
        record.check_kernel(Kernel::Unary(Unary::Gelu), &[x], ["y"]);
        record.check_kernel(Kernel::UnaryBackward(Unary::Gelu), &[x, dy], ["grad_x"]);
    } else {
        let [y] = record.check_kernel(Kernel::Unary(Unary::Relu), &[x], ["y"]);
        record.check_kernel(Kernel::UnaryBackward(Unary::Relu), &[&y, dy], ["grad_x"]);
    }
}

fn pool(record: &Record) {
    let [kernel, stride, padding] = ["kernel", "stride", "padding"].map(|name| record.count(name));
    let images = record.images("in.x").into();
    let pool = Pool2d::new("pool2d", images, kernel, stride, padding).unwrap();
    let [x, dy] = ["x", "grad_y"].map(|name| record.input(name));
    if record.kind == "max_pool2d" {
        let [y, argmax] = outputs(Kernel::MaxPool2d(pool), &[x], [dy.len(), dy.len()]);
        record.check("y", &y);
        record.check_kernel(Kernel::MaxPool2dBackward(pool), &[dy, &argmax], ["grad_x"]);
    } else {
        record.check_kernel(Kernel::AvgPool2d(pool), &[x], ["y"]);
        record.check_kernel(Kernel::AvgPool2dBackward(pool), &[dy], ["grad_x"]);
    }
}

/// y = x w^T + bias, dx = dy w, dw = dy^T x; w has length 1 row by row with weight norm.
fn linear(record: &Record) {
    let is_normed = record.kind == "weight_norm_linear";
    let weight = if is_normed { "weight_v" } else { "weight" };
    let &[n, k] = record.shape(&format!("in.{weight}")) else { panic!("{}", record.file) };
    let [x, weight, dy] = ["x", weight, "grad_y"].map(|name| record.input(name));
    let m = x.len() / k;
    let forward = Gemm { m, n, k, trans_a: false, trans_b: true };
    let by_x = Gemm { m, n: k, k: n, trans_a: false, trans_b: false };
    let by_weight = Gemm { m: n, n: k, k: m, trans_a: true, trans_b: false };
    if is_normed {
        let norm = Kernel::L2Normalize { columns: k, eps: 0.0 };
        let [w, norm] = outputs(norm, &[weight], [n * k, n]);
        record.check_kernel(Kernel::Gemm(forward), &[x, &w], ["y"]);
        record.check_kernel(Kernel::Gemm(by_x), &[dy, &w], ["grad_x"]);
        let [dw] = outputs(Kernel::Gemm(by_weight), &[dy, x], [n * k]);
        let backward = Kernel::L2NormalizeBackward { columns: k, eps: 0.0 };
        record.check_kernel(backward, &[&w, &norm, &dw], ["grad_weight_v"]);
    } else {
        record.check_kernel(Kernel::GemmBias(forward), &[x, weight, record.input("bias")], ["y"]);
        record.check_kernel(Kernel::Gemm(by_x), &[dy, weight], ["grad_x"]);
        record.check_kernel(Kernel::Gemm(by_weight), &[dy, x], ["grad_weight"]);
        record.check_kernel(Kernel::SumRows { rows: m, columns: n }, &[dy], ["grad_bias"]);
    }
}

fn loss(record: &Record) {
    let &[views, batch, width] = record.shape("in.student") else { panic!("{}", record.file) };
    let [student, teacher, permutation] =
        ["student", "teacher", "permutation"].map(|name| record.input(name));
    let prototypes = permutation.len();
    let loss = PartitionLoss::new(views, batch, prototypes, record.count("partition_size"));
    let loss = loss.unwrap();
    let [y, c, h] = if record.kind == "carp_loss" {
        let kernel = Kernel::PartitionLoss(loss);
        let lens = [1, 1, 1, student.len()];
        let [y, c, h, ds] = outputs(kernel, &[student, teacher, permutation], lens);
        record.check("grad_student", &ds);
        [y, c, h]
    } else {
        let kernel = Kernel::StreamingLoss(StreamingLoss { loss, dim: width, views_at_once: 1 });
        let [v, v_teacher] =
            ["student_prototypes", "teacher_prototypes"].map(|name| record.input(name));
        let inputs = [student, teacher, v, v_teacher, permutation];
        let [y, c, h, dz, dv] = outputs(kernel, &inputs, [1, 1, 1, student.len(), v.len()]);
        record.check("grad_student", &dz);
        record.check("grad_student_prototypes", &dv);
        [y, c, h]
    };
    record.check("consistency", &c);
    record.check("entropy", &h);
    assert_eq!(y[0], c[0] + h[0]);
}

fn optimizer(record: &Record) {
    let shape = record.shape("in.param");
    let lrs = record.settings["lr"].as_array().unwrap().iter().map(|lr| lr.as_f64().unwrap());
    let mut wd = [record.number("weight_decay")];
    let momentum = || record.number("momentum") as f32;
    let mut betas = [0.0; 2];
    let kernel = match record.kind.as_str() {
        "adamw" => {
            betas = [0, 1].map(|i| record.settings["betas"][i].as_f64().unwrap());
            let eps = record.number("eps") as f32;
            Kernel::AdamW(AdamW { betas: (betas[0], betas[1]), eps })
        }
        "lars" if shape.len() > 1 => {
            Kernel::Lars { momentum: momentum(), eta: record.number("eta") as f32, tensors: 1 }
        }
        kind => {
            // LARS neither scales nor decays 1-D tensors.
            if kind == "lars" {
                wd = [0.0];
            }
            Kernel::Sgd { momentum: momentum() }
        }
    };
    let param = record.input("param");
    let states = if record.kind == "adamw" { 2 } else { 1 };
    let mut outputs = vec![param.to_vec()];
    outputs.resize(1 + states, vec![0.0; param.len()]);
    let ranges = [0.0, param.len() as f64];
    for ((t, lr), grad) in (1..).zip(lrs).zip(record.input("grads").chunks(param.len())) {
        let correction = betas.map(|beta| 1.0 - beta.powi(t));
        let lr = [lr];
        let mut inputs: Vec<&[f64]> = vec![grad, &lr, &wd];
        match kernel {
            Kernel::Lars { .. } => inputs.push(&ranges),
            Kernel::AdamW(_) => inputs.push(&correction),
            _ => {}
        }
        run(&kernel, &inputs, &mut outputs);
    }
    record.check("param", &outputs[0]);
}

#[test]
fn pytorch_gives_the_same_numbers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/audit");
    let mut kinds = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let record = Record::read(&entry.unwrap().path());
        match record.kind.as_str() {
            "conv2d" => conv2d(&record),
            "batch_norm" => batch_norm(&record),
            "gelu" | "relu" => activation(&record),
            "max_pool2d" | "avg_pool2d" => pool(&record),
            "linear" | "weight_norm_linear" => linear(&record),
            "carp_loss" | "carp_loss_embeddings" => loss(&record),
            "sgd" | "lars" | "adamw" => optimizer(&record),
            // Whole models, composed losses, and records without a kernel.
            "resnet" | "carp_step" | "schedule" | "method_loss" => continue,
            other => panic!("{}: kind {other}", record.file),
        }
        let outputs = record.tensors.keys().filter(|name| name.starts_with("out."));
        assert!(outputs.eq(record.checked.borrow().iter()), "{}", record.file);
        kinds.insert(record.kind);
    }
    assert_eq!(kinds.len(), 13, "{kinds:?}");
}
