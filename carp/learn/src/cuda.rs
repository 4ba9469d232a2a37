//! CUDA C++ to PTX by NVIDIA's compiler NVRTC, where Python has it: a package of PyPI that needs no GPU.

use std::env::var_os;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use files::{Error, Result};

/// What calls the compiler.
const SCRIPT: &str = include_str!("../../../tools/nvrtc.py");
/// Its exit code where there is no NVRTC.
const MISSING: i32 = 3;
const OPTIONS: [&str; 3] = ["--gpu-architecture=compute_80", "--generate-line-info", "--std=c++17"];

/// Pythons that may have NVRTC: that of the virtual environment which `NVRTC_VENV` names, or the first
/// in the search path.
fn python() -> PathBuf {
    match var_os("NVRTC_VENV") {
        Some(folder) => Path::new(&folder).join("bin/python"),
        None => PathBuf::from("python3"),
    }
}

fn run(name: &str, source: &str) -> std::io::Result<Output> {
    let mut child = Command::new(python())
        .args(["-c", SCRIPT, name])
        .args(OPTIONS)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    // If it has ended, its exit code says why.
    let _ = child.stdin.take().map(|mut input| input.write_all(source.as_bytes()));
    child.wait_with_output()
}

/// The PTX of a source. The inner error: what the compiler says.
///
/// # Errors
/// There is no NVRTC.
pub fn compile(name: &str, source: &str) -> Result<std::result::Result<String, String>> {
    let output = run(name, source).ok().filter(|output| output.status.code() != Some(MISSING));
    let Some(output) = output else {
        return Err(Error::Usage(format!(
            "{name} needs NVIDIA's compiler, without a GPU: python3 -m venv nvrtc; \
             nvrtc/bin/pip install nvidia-cuda-nvrtc-cu12; export NVRTC_VENV=$PWD/nvrtc; or fill the gap \
             of the .ptx file"
        )));
    };
    let text = |bytes| String::from_utf8_lossy(bytes).trim_end().to_owned();
    Ok(match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&output.stderr)),
    })
}
