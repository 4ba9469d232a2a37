//! `carp ptx`: kernels of carp's and from files, arrays, limits and bounds.

mod common;

use std::path::Path;

use common::{carp, fails, stdout};
use tempfile::TempDir;

#[test]
fn one_kernel_is_run_checked_profiled_and_traced() {
    let temp = TempDir::new().unwrap();
    let profile = stdout(&carp(temp.path(), &["ptx", "profile", "add"]));
    assert!(
        profile.contains("DRAM bytes without a cache") && profile.contains("36000")
            // Loads from the L2 cache, and a sum.
            && profile.contains("critical path of the first block           204"),
        "{profile}"
    );
    let trace = stdout(&carp(temp.path(), &["ptx", "trace", "add", "--limit", "5"]));
    assert_eq!(trace.lines().filter(|line| line.starts_with("w0")).count(), 5, "{trace}");
    let trace =
        |place: [&str; 2]| carp(temp.path(), &[&["ptx", "trace", "softmax"], &place[..]].concat());
    fails(&trace(["--warp", "999"]), 2, &["--warp 999", "a block has warps 0 to"]);
    fails(&trace(["--in-block", "999999"]), 2, &["--in-block 999999", "the grid has blocks 0 to"]);
    assert!(stdout(&carp(temp.path(), &["ptx", "check", "softmax"])).contains("nothing found"));
    fails(&carp(temp.path(), &["ptx", "run", "nothing"]), 2, &["no kernel nothing", "softmax"]);

    let mutants =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../cuda-kernels/ptx-emulator/tests/mutants");
    let text = std::fs::read(mutants.join("off_by_one.ptx")).unwrap();
    std::fs::write(temp.path().join("k.ptx"), text).unwrap();
    let launch =
        ["--grid", "2", "--block", "64", "--arg", "u32:128", "--arg", "zeros:128", "--arg", "128"];
    let run =
        |command, kernel| carp(temp.path(), &[&["ptx", command, kernel][..], &launch].concat());
    assert!(stdout(&run("run", "k.ptx:healthy")).contains("parameter 1: "));
    // A negative number is a value, too: of a signed length, none.
    let none = [&launch[..launch.len() - 1], &["-1"]].concat();
    let none = carp(temp.path(), &[&["ptx", "run", "k.ptx:healthy"][..], &none].concat());
    assert!(none.status.success(), "{}", String::from_utf8_lossy(&none.stderr));
    fails(
        &run("check", "k.ptx:mutant"),
        1,
        &["out of bounds", "off_by_one.cu:8", "thread (0,0,0)"],
    );
    fails(&run("run", "k.ptx:other"), 2, &["no kernel other", "healthy, mutant"]);
    fails(&run("run", "none.ptx:other"), 1, &["none.ptx"]);
}

/// Stores its arguments' bits, each in 8 bytes.
const ARGUMENTS: &str = ".version 8.0
.target sm_80
.address_size 64
.visible .entry k(.param .u64 to, .param .u32 n, .param .f32 x, .param .b32 b, .param .u64 m,
    .param .f64 d)
{
    .reg .b32 %r<4>;
    .reg .b64 %rd<4>;
    ld.param.u64 %rd1, [to];
    ld.param.u32 %r1, [n];
    ld.param.b32 %r2, [x];
    ld.param.b32 %r3, [b];
    ld.param.u64 %rd2, [m];
    ld.param.b64 %rd3, [d];
    st.global.b32 [%rd1], %r1;
    st.global.b32 [%rd1+8], %r2;
    st.global.b32 [%rd1+16], %r3;
    st.global.b64 [%rd1+24], %rd2;
    st.global.b64 [%rd1+32], %rd3;
    ret;
}
";

#[test]
fn an_argument_has_the_type_of_its_parameter() {
    let temp = TempDir::new().unwrap();
    std::fs::write(temp.path().join("k.ptx"), ARGUMENTS).unwrap();
    let run = |args: [&str; 6]| {
        let args = args.map(|arg| ["--arg", arg]);
        let start = ["ptx", "run", "k.ptx:k", "--block", "1"];
        carp(temp.path(), &[&start[..], args.as_flattened()].concat())
    };
    let good = ["zeros:u64:5", "4294967295", "2", "0.5", "18446744073709551615", "2"];
    let [two, half, two64] = [0x4000_0000_u64, 0x3f00_0000, 0x4000_0000_0000_0000];
    let bits = |n: u64, b: u64, m: u64| format!("parameter 0: {n} {two} {b} {m} {two64}\n");
    let text = stdout(&run(good));
    assert!(text.ends_with(&bits(u32::MAX.into(), half, u64::MAX)), "{text}");
    // NVRTC declares a signed parameter as .u32, too; .b32 may be an integer.
    let text = stdout(&run([good[0], "-1", "2.0", "-2", "-1", "2"]));
    assert!(text.ends_with(&bits(u32::MAX.into(), 0xffff_fffe, u64::MAX)), "{text}");
    for (place, arg, part) in [
        (0, "0.5", ".u64, should be a whole number"),
        (1, "4294967304", "from -2147483648 to 4294967295"),
        (1, "0.5", ".u32, should be a whole number"),
        (1, "f32:3", ".u32, should be a number"),
        (2, "1e40", ".f32, which holds no number as large"),
        (3, "4294967296", "from -2147483648 to 4294967295"),
        (4, "18446744073709551616", "to 18446744073709551615"),
        (5, "zeros:3", ".f64, should be a number"),
    ] {
        let mut args = good;
        args[place] = arg;
        fails(&run(args), 2, &[&format!("--arg {arg}: argument {place} of the kernel is "), part]);
    }
    let none = carp(temp.path(), &["ptx", "run", "k.ptx:k"]);
    fails(&none, 2, &["k takes 6 arguments, 0 are given by --arg"]);
}

#[test]
fn a_warp_is_viewed() {
    let temp = TempDir::new().unwrap();
    assert_eq!(stdout(&carp(temp.path(), &["ptx", "view", "softmax"])), "view: softmax.html\n");
    let read = |name: &str| std::fs::read_to_string(temp.path().join(name)).unwrap();
    let text = read("softmax.html");
    assert!(text.contains("\"kernel\":\"softmax\"") && text.len() < 1_000_000, "{}", text.len());

    let mutants =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../cuda-kernels/ptx-emulator/tests/mutants");
    for extension in ["ptx", "cu"] {
        let name = format!("missing_barrier.{extension}");
        std::fs::copy(mutants.join(&name), temp.path().join(&name)).unwrap();
    }
    let view = |kernel: &str, more: &[&str]| {
        let start = ["ptx", "view", kernel, "-o", "k.html", "--grid", "2", "--block", "64"];
        let arrays = ["--arg", "f32:128", "--arg", "zeros:128", "--arg", "128"];
        carp(temp.path(), &[&start[..], &arrays, more].concat())
    };
    assert_eq!(stdout(&view("missing_barrier.ptx:healthy", &["--warp", "1"])), "view: k.html\n");
    let text = read("k.html");
    // The source is beside the PTX; the launch had nothing to find.
    assert!(text.contains("\"warp\":1") && text.contains("\"finding\":null"), "{text}");
    assert!(text.contains("\"name\":\"missing_barrier.cu\""), "{text}");
    let found = stdout(&view("missing_barrier.ptx:mutant", &[]));
    assert!(
        found.starts_with("found: mutant: ") && found.contains("missing_barrier.cu:"),
        "{found}"
    );
    let text = read("k.html");
    assert!(text.contains("\"kind\":\"race\"") && text.contains("\"warp\":1"), "{text}");
    fails(&view("missing_barrier.ptx:healthy", &["--warp", "2"]), 2, &["--warp 2", "warps 0 to 1"]);
    fails(&view("missing_barrier.ptx:healthy", &["--in-block", "2"]), 2, &["blocks 0 to 1"]);
    fails(&view("missing_barrier.ptx:none", &[]), 2, &["no kernel none"]);
}

/// `ramp.npy` is NumPy's (`tools/golden_ptx.py`).
#[test]
fn a_kernel_takes_and_gives_arrays() {
    let temp = TempDir::new().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let ramp = std::fs::read(root.join("fixtures/ptx/ramp.npy")).unwrap();
    std::fs::write(temp.path().join("x.npy"), &ramp).unwrap();
    let mutants = root.join("cuda-kernels/ptx-emulator/tests/mutants");
    std::fs::copy(mutants.join("race_between_blocks.ptx"), temp.path().join("k.ptx")).unwrap();
    let run = |command: &str, x: &str, more: &[&str]| {
        let shape = ["--grid", "2", "--block", "64", "--arg", x, "--arg", "empty:f32:128"];
        let start = ["ptx", command, "k.ptx:healthy"];
        carp(temp.path(), &[&start[..], &shape, &["--arg", "128"], more].concat())
    };
    let read = |name: &str| std::fs::read(temp.path().join(name)).unwrap();

    let save = ["--save", "0=again.npy", "--save", "1=y.npy", "--save", "1=y.safetensors"];
    assert!(stdout(&run("run", "x.npy", &save)).contains("parameter 1: -7 -6.75 -6.5"));
    let (header, data) = ramp.split_at(128);
    assert!(String::from_utf8_lossy(header).contains("'shape': (2, 64)"));
    assert_eq!(&read("again.npy")[128..], data);
    assert!(String::from_utf8_lossy(&read("again.npy")[..128]).contains("'shape': (2, 64"));
    assert_eq!(&read("y.npy")[128..], data);
    assert!(String::from_utf8_lossy(&read("y.npy")[..128]).contains("'shape': (128,)"));
    let file = read("y.safetensors");
    let tensors = safetensors::SafeTensors::deserialize(&file).unwrap();
    let y = tensors.tensor("p1").unwrap();
    assert_eq!((y.dtype(), y.shape(), y.data()), (safetensors::Dtype::F32, &[128][..], data));
    assert!(stdout(&run("check", "y.safetensors:p1", &[])).contains("nothing found"));

    fails(&run("run", "y.safetensors:p2", &[]), 1, &["no tensor p2", "p1"]);
    fails(&run("run", "none.npy", &[]), 1, &["none.npy"]);
    fails(&run("run", "x.npy", &["--save", "2=z.npy"]), 2, &["argument 2 is no buffer"]);
    let unknown = run("run", "x.npy", &["--arch", "sm_10"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("should be one of sm_80"));
    fails(&run("run", "x.npy", &["--shared", "120000"]), 1, &["at most 101376 on sm_86"]);
    assert!(run("run", "x.npy", &["--shared", "120000", "--arch", "sm_80"]).status.success());
    fails(
        &run("run", "x.npy", &["--shared", "60000", "--without-opt-in"]),
        1,
        &["60000 bytes", "must be asked for"],
    );
    // What nobody wrote must not be read.
    fails(&run("check", "empty:f32:128", &[]), 1, &["uninitialised global memory"]);

    std::fs::write(temp.path().join("bad.npy"), &ramp[..300]).unwrap();
    fails(&run("run", "bad.npy", &[]), 1, &["bad.npy", "172 bytes of data"]);
}

#[test]
fn a_roofline_bounds_a_kernel() {
    let temp = TempDir::new().unwrap();
    let text = stdout(&carp(temp.path(), &["ptx", "roofline", "gemm_64x64"]));
    assert!(text.contains("H100 SXM") && text.contains("Bounds, not measurements"), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("gemm_64x64 ")).count(), 1, "{text}");
}

#[test]
fn a_roofline_bounds_a_step() {
    let temp = TempDir::new().unwrap();
    let args = ["ptx", "roofline", "--preset", "minimal", "--numerics", "bf16"];
    let text = stdout(&carp(temp.path(), &args));
    let launches = |name: &str| {
        let row = text.lines().find(|line| line.split(' ').next() == Some(name));
        let row = row.unwrap_or_else(|| panic!("no {name} in {text}"));
        row.split_whitespace().nth(1).unwrap().parse::<u32>().unwrap()
    };
    // The first stage of batch norm's statistics is the convolutions', but for the head's.
    let [head, all] = ["statistics", "finish_statistics"].map(launches);
    assert!(head > 0 && all > head + 10 && launches("all") > 200, "{text}");
    assert!(!text.contains("statistics_bf16"), "{text}");
    assert!(text.contains("conv2d_bf16"), "{text}");
}
