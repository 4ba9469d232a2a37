//! Files written by PyTorch (`tools/golden_weights.py`), whole, damaged and hostile.

use std::path::{Path, PathBuf};

use weights::{Format, StoredTensor, WeightsFile};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/weights").join(name)
}

#[test]
fn a_pickle_that_runs_a_program_is_refused() {
    let line = WeightsFile::open(&fixture("hostile.pth")).err().unwrap().to_string();
    assert!(
        line.contains("pickle, offset 204: refused") && line.contains("posix.system"),
        "{line}"
    );
    assert_eq!(line.lines().count(), 1);
}

/// Reads all numbers of a file.
fn read_all(path: &Path) -> files::Result<usize> {
    let mut file = WeightsFile::open(path)?;
    let names: Vec<String> = file.tensors().iter().map(|tensor| tensor.name.clone()).collect();
    names.iter().map(|name| file.read(name).map(|numbers| numbers.len())).sum()
}

#[test]
fn whole_files_of_every_format_are_read() {
    for (name, format) in [
        ("torchvision.pth", Format::TorchZip),
        ("moco_v2.pth.tar", Format::TorchLegacy),
        ("sequential.safetensors", Format::SafeTensors),
    ] {
        let file = WeightsFile::open(&fixture(name)).unwrap();
        assert_eq!(file.format(), format, "{name}");
        let elements = |tensor: &StoredTensor| tensor.shape.iter().product::<usize>();
        let told: usize = file.tensors().iter().map(elements).sum();
        assert_eq!(read_all(&fixture(name)).unwrap(), told, "{name}");
        assert!(told > 1000, "{name} holds {told} numbers");
    }
}

/// Reads a file with these bytes; the error is one line that names the file.
fn refused(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.pth");
    std::fs::write(&path, bytes).unwrap();
    let line = read_all(&path).expect_err("should be refused").to_string();
    assert!(line.contains("damaged.pth") && line.lines().count() == 1, "{line}");
    line
}

#[test]
fn damaged_files_are_one_line() {
    let zip = std::fs::read(fixture("torchvision.pth")).unwrap();
    for length in [4, 100, zip.len() / 2, zip.len() - 30] {
        let line = refused(&zip[..length]);
        assert!(line.contains("not a whole zip archive"), "{line}");
    }
    // One bit of one number: the archive's checksum catches it.
    let mut flipped = zip.clone();
    let at = zip.len() / 2;
    flipped[at] ^= 1;
    refused(&flipped);
    let legacy = std::fs::read(fixture("moco_v2.pth.tar")).unwrap();
    for length in [1, 50, 3000, legacy.len() / 2, legacy.len() - 1] {
        refused(&legacy[..length]);
    }
    let other = std::fs::read(fixture("sequential.safetensors")).unwrap();
    for length in [0, 5, 100, other.len() / 2, other.len() - 1] {
        refused(&other[..length]);
    }
    assert!(refused(b"\x89PNG at all, not weights").contains("neither a safetensors nor"));
    assert!(refused(b"\x80\x04K\x01.").contains("not from torch.save"));
    let tar = [vec![b'a'; 257], b"ustar".to_vec(), vec![0; 600]].concat();
    assert!(refused(&tar).contains("before PyTorch 0.4"));
}
