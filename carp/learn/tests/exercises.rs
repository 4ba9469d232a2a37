//! Every exercise: the gap as shipped fails with a helpful line, the solution passes, and mistakes
//! that are often made are named.

use std::path::{Path, PathBuf};

use learn::Verdict;
use learn::catalogue::{EXERCISES, find};
use learn::exercise::{Check, Exercise, fill};
use learn::kernel_check::{self, Program};
use learn::picture::picture;
use learn::rust_check::{Attempt, compile};
use tempfile::TempDir;

/// Writes a file per text and checks all Rust ones as one program.
fn verdicts(attempts: &[(&Exercise, String)]) -> Vec<Verdict> {
    let temp = TempDir::new().unwrap();
    let path = |number: usize, exercise: &Exercise| -> PathBuf {
        temp.path().join(format!("{number:03}-{}.{}", exercise.name, exercise.extension()))
    };
    let mut rust = Vec::new();
    for (number, (exercise, text)) in attempts.iter().enumerate() {
        std::fs::write(path(number, exercise), text).unwrap();
        if let Check::Rust(check) = exercise.check {
            rust.push((path(number, exercise), check));
        }
    }
    let compiled: Vec<Attempt<'_>> =
        rust.iter().map(|(file, check)| Attempt { file, check }).collect();
    let program = match compiled.is_empty() {
        true => None,
        false => Some(
            compile(&compiled, temp.path(), &temp.path().join("build"))
                .unwrap()
                .unwrap_or_else(|message| panic!("{message}")),
        ),
    };
    let mut next = 0;
    let verdict = |(number, (exercise, text)): (usize, &(&Exercise, String))| match exercise.check {
        Check::Rust(_) => {
            next += 1;
            program.as_ref().unwrap().run(next - 1).unwrap()
        }
        Check::Kernel(case) => {
            let file = path(number, exercise);
            let name = file.file_name().unwrap().to_str().unwrap();
            kernel_check::check(&case(), Program { name, ptx: text, cuda: None })
        }
    };
    attempts.iter().enumerate().map(verdict).collect()
}

#[test]
fn gaps_fail_and_solutions_pass() {
    let all = || EXERCISES.iter();
    let gaps: Vec<_> = all().map(|exercise| (exercise, exercise.text.to_owned())).collect();
    let solved: Vec<_> =
        all().map(|exercise| (exercise, fill(exercise.text, exercise.solution))).collect();
    let both = verdicts(&[gaps, solved].concat());
    let (gaps, solved) = both.split_at(EXERCISES.len());
    for ((exercise, gap), solved) in all().zip(gaps).zip(solved) {
        let line = gap.as_ref().unwrap_err();
        println!("{}: {line}", exercise.name);
        assert!(!line.is_empty(), "{}: no word about what is missing", exercise.name);
        assert_eq!(solved, &Ok(()), "{}", exercise.name);
    }
}

/// Solutions with one part replaced, and what their verdicts must say.
const MISTAKES: &[(&str, &str, &str, &str)] = &[
    ("matmul", "b[l * n + j]", "b[j * k + l]", "as if it were transposed"),
    (
        "convolution",
        "(out * r + dr) * s + ds",
        "(out * r + r - 1 - dr) * s + s - 1 - ds",
        "the window was flipped",
    ),
    ("derivatives", "vec![dy * y]", "vec![y]", "a factor dy is missing"),
    ("derivatives", "dy * x[1], dy * x[0]", "dy * x[0], dy * x[1]", "has the other input"),
    ("reverse", "d[input] += dx", "d[input] = dx", "gets two contributions"),
    ("matmul-gradient", "da[i * k + l] +=", "da[i * k + l] -=", "only the sign is wrong"),
    ("matmul-gradient", "b[l * n + j]", "b[l * n]", "da with m, n, k = 2, 3, 2"),
    ("bias-gradient", "*sum += dy", "*sum = *dy", "dbias of 2 rows of 2, against central"),
    ("lifetimes", "lives[input].1 = at;", "let _ = input;", "reading a value prolongs its life"),
    ("planner", "gap >= blocks[block].len", "gap > 0", "share memory while both are alive"),
    ("planner", "Some((gap, end))", "None", "no two blocks share memory"),
    (
        "planner",
        "best.is_none_or(|(smallest, _)| gap < smallest)",
        "best.is_none()",
        "a larger one taken than the smallest",
    ),
    ("fusion", "\n            && reads(list, add.output) == 1", "", "v2 is read again later"),
    ("softmax", "(x - max).exp()", "x.exp()", "subtract the row's maximum first"),
    ("softmax", "exp / sum", "exp * 1.0", "all are 3 times what they should be"),
    ("softmax-gradient", "y * (dy - mean)", "y * dy", "the inner product is missing"),
    ("softmax-gradient", "y * (dy - mean)", "y * (1.0 - y) * dy", "the matrix's diagonal alone"),
    ("partition", "chunks_exact", "chunks", "only whole blocks count"),
    ("partition", "logits[prototype]).collect", "logits[prototype / 2 * 2]).collect", "got"),
    ("consistency", ".filter(|&j| j != i)", "", "the pairs with i = j are in it"),
    ("consistency", "d.clamp(EPS, 1.0 - EPS)", "d", "without the clamp, -ln 0 is infinite"),
    ("consistency", " / ((2 * views - 2) * batch) as f64", "", "this is the sum"),
    (
        "consistency-gradient",
        "ds[c] += p[c] * (1.0 - q[c] / d)",
        "ds[c] -= q[c] / d",
        "this is the gradient with respect to p",
    ),
    ("consistency-gradient", "ds[c] +=", "ds[c] =", "their parts add up"),
    (
        "consistency-gradient",
        "(EPS..=1.0 - EPS).contains(&d)",
        "true",
        "the clamp is constant there",
    ),
    ("entropy", "(size as f64).ln() + sum", "sum", "ln N is missing"),
    ("entropy-gradient", "+ inside(m)", "+ 1.0", "no 1 in g there"),
    ("online-softmax", "self.sum *= (self.max - max).exp();", "", "belongs to the old maximum"),
    ("streaming-loss", "*dz += x", "*dz = x", "every block adds to dz"),
    ("streaming-loss", "value / blocks", "value", "this is the sum over blocks"),
    ("relu", "    @%outside bra DONE;\n", "", "1000 numbers: out of bounds"),
    ("relu", "max.f32", "min.f32", "max, not min"),
    ("relu", "max.f32 ", "mox.f32 ", "relu.ptx:"),
    ("coalescing", "64", "65", "give each its own place"),
    (
        "warp-sum",
        "    shfl.sync.down.b32 %other, %value, 1, 31, 0xffffffff;
    add.f32 %value, %value, %other;
",
        "",
        "with distance 1, is missing",
    ),
    (
        "warp-sum",
        "    shfl.sync.down.b32 %other, %value, 16, 31, 0xffffffff;\n    add.f32 %value, %value, %other;\n",
        "",
        "with distance 16, is missing",
    ),
    ("block-sum", "    bar.sync 0;\n", "", "bar.sync 0 belongs between"),
    (
        "block-sum",
        "    bar.sync 0;\n    setp.ge.u32 %idle, %thread, %half;\n    @%idle bra NEXT;\n",
        "    setp.ge.u32 %idle, %thread, %half;\n    @%idle bra NEXT;\n    bar.sync 0;\n",
        "keep it out of branches that only some take",
    ),
    ("block-sum", "st.shared.f32 [%mine]", "st.shared.f32 [%mine+2]", "misaligned"),
    ("transpose", "    bar.sync 0;\n", "", "barrier"),
    (
        "transpose",
        "%tx, 132, %tile;\n    mad.lo.u32 %place, %ty, 4",
        "%ty, 132, %tile;\n    mad.lo.u32 %place, %tx, 4",
        "but not turned",
    ),
    ("bank-conflicts", "132", "120", "race"),
    ("tiled-matmul", "    bar.sync 0;\n    mov.u32", "    mov.u32", "barrier"),
    ("tiled-matmul", "PRODUCT;\n    bar.sync 0;", "PRODUCT;", "race"),
    ("tiled-matmul", "%l, 16;", "%l, 17;", "tiled-matmul.ptx:"),
    ("row-softmax", "    mul.f32 %exp, %exp, 0f3FB8AA3B;\n", "", "multiply by log2 e before ex2"),
    (
        "row-softmax",
        "sub.f32 %exp, %value, %m;",
        "mov.f32 %exp, %value;",
        "subtract the row's maximum first",
    ),
    ("fused-loss", "0fBF317218", "0f3F317218", "the sign is wrong"),
    (
        "fused-loss",
        "    mul.f32 %value, %value, 0fBF317218;",
        "    neg.f32 %value, %value;",
        "multiply by ln 2",
    ),
];

/// Answers of another kind than the solutions, and what their verdicts must say.
const OTHERS: &[(&str, &str, &str)] = &[
    (
        "strides",
        "let mut s = vec![1; shape.len()];
         for axis in 1..shape.len() { s[axis] = s[axis - 1] * shape[axis - 1]; }
         s",
        "the last axis is the contiguous one",
    ),
    ("strides", "loop {}", "no end after"),
    (
        "planner",
        "offsets[block] = placed.iter().map(|&at| blocks[at].len).sum();",
        "no two blocks share",
    ),
    (
        "transpose",
        "mad.lo.u32 %i, %column, 64, %row;
         mul.wide.u32 %offset, %i, 4;
         add.u64 %y, %y, %offset;
         st.global.f32 [%y], %value;",
        "right, but it takes 6144 transactions of 32 bytes for its stores, 8.0 times the 768",
    ),
    ("warp-sum", "bra FOREVER;\nFOREVER:\nbra FOREVER;", "a loop does not end"),
];

#[test]
fn mistakes_are_named() {
    let mut attempts = Vec::new();
    let mut expected = Vec::new();
    for &(name, part, instead, words) in MISTAKES {
        let exercise = find(name).unwrap();
        assert!(exercise.solution.contains(part), "{name}: no {part:?} in its solution");
        attempts
            .push((exercise, fill(exercise.text, &exercise.solution.replacen(part, instead, 1))));
        expected.push(words);
    }
    for &(name, answer, words) in OTHERS {
        let exercise = find(name).unwrap();
        attempts.push((exercise, fill(exercise.text, answer)));
        expected.push(words);
    }
    let mut wrong = String::new();
    for (((exercise, _), verdict), words) in attempts.iter().zip(verdicts(&attempts)).zip(expected)
    {
        let found = verdict.err().unwrap_or_else(|| "passed".to_owned());
        println!("{}: {found}", exercise.name);
        if !found.contains(words) {
            wrong += &format!("{}: {words:?} is not in: {found}\n", exercise.name);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// In CUDA C++, where NVRTC is at hand (`tools/ptx.sh` installs it, `NVRTC_VENV` says where).
#[test]
fn gaps_in_cuda_fail_and_solutions_pass() {
    let temp = TempDir::new().unwrap();
    let file = temp.path().join("k.cu");
    let verdict = |exercise: &Exercise, text: &str| {
        std::fs::write(&file, text).unwrap();
        learn::check::check(exercise, &file, temp.path(), temp.path())
    };
    let kernels = EXERCISES.iter().filter_map(|exercise| Some((exercise, exercise.cuda.as_ref()?)));
    let mut count = 0;
    for (exercise, cuda) in kernels {
        let gap = match verdict(exercise, cuda.text) {
            Ok(gap) => gap.unwrap_err(),
            Err(error) => {
                assert!(
                    error.to_string().contains("pip install nvidia-cuda-nvrtc-cu12"),
                    "{error}"
                );
                println!("skipped: {error}");
                return;
            }
        };
        println!("{}: {gap}", exercise.name);
        assert!(!gap.contains("error:") && !gap.contains("warning"), "{}: {gap}", exercise.name);
        let solved = verdict(exercise, &fill(cuda.text, cuda.solution)).unwrap();
        assert_eq!(solved, Ok(()), "{}", exercise.name);
        count += 1;
    }
    assert_eq!(count, 9);
    // A mistake is named by the line of the source, and the compiler's words come as they are.
    let exercise = find("block-sum").unwrap();
    let cuda = exercise.cuda.as_ref().unwrap();
    let racy = fill(cuda.text, cuda.solution.trim_start().trim_start_matches("__syncthreads();"));
    let race = verdict(exercise, &racy).unwrap().unwrap_err();
    assert!(race.contains("k.cu:2") && race.contains("__syncthreads() belongs between"), "{race}");
    let wrong = verdict(exercise, &fill(cuda.text, "wrong")).unwrap().unwrap_err();
    assert!(
        wrong.contains("k.cu(") && wrong.contains("identifier \"wrong\" is undefined"),
        "{wrong}"
    );
}

#[test]
fn the_docs_list_them() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/learn.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    for (place, exercise) in EXERCISES.iter().enumerate() {
        let row = format!("| {} | `{}` | {} |\n", place + 1, exercise.name, exercise.title());
        assert!(docs.contains(&row), "docs/learn.md has no row {row}");
    }
}

/// `carp learn picture` of an exercise draws the pictures in `docs/learn.md`.
#[test]
fn the_docs_pictures_are_drawn_so() {
    let exercise = find("coalescing").unwrap();
    let Check::Kernel(case) = exercise.check else { panic!("a kernel") };
    let texts = [exercise.text.to_owned(), fill(exercise.text, exercise.solution)];
    for (text, file) in texts.iter().zip(["learn-before.svg", "learn-after.svg"]) {
        let drawn =
            picture(&case(), Program { name: "21-coalescing.ptx", ptx: text, cuda: None }).unwrap();
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(file);
        assert_eq!(std::fs::read_to_string(docs).unwrap(), drawn, "{file} is of another time");
    }
}
