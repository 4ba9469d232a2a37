//! Files written by PyTorch (`tools/golden_weights.py`), whole, damaged and hostile.

use std::io::Write;
use std::path::{Path, PathBuf};

use weights::{Format, StoredTensor, WeightsFile};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/weights").join(name)
}

#[test]
fn a_pickle_that_runs_a_program_is_read_past() {
    let mut file = WeightsFile::open(&fixture("hostile.pth")).unwrap();
    assert_eq!(file.classes(), ["posix.system"]);
    assert_eq!(file.read("state_dict.conv1.weight").unwrap(), [0.0, 0.0]);
}

/// Tensors of every type and layout, beside objects of every sort: all that f32 can stand for is
/// read, the others are an error only where they are wanted.
#[test]
fn what_stands_beside_the_weights_is_named_and_read_past() {
    for name in ["beside.pth", "beside_deflated.pth", "beside_legacy.pth"] {
        let mut file = WeightsFile::open(&fixture(name)).unwrap();
        for class in [
            "__main__.Callback",
            "__main__.Color",
            "__main__.Point",
            "argparse.Namespace",
            "datetime.date",
            "datetime.datetime",
        ] {
            assert!(file.classes().iter().any(|found| found == class), "{name}: {class}");
        }
        let mut read = |tensor: &str| file.read(&format!("state_dict.{tensor}"));
        for integers in [
            "float64",
            "float32",
            "float16",
            "bfloat16",
            "float8_e4m3fn",
            "float8_e5m2",
            "int64",
            "int32",
            "int16",
            "int8",
            "uint64",
            "uint32",
            "uint16",
            "uint8",
        ] {
            assert_eq!(read(integers).unwrap(), [0.0, 1.0, 2.0, 3.0], "{name}: {integers}");
        }
        assert_eq!(read("bool").unwrap(), [0.0, 0.0, 1.0, 1.0]);
        assert_eq!(read("transposed").unwrap(), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        assert_eq!(read("part").unwrap(), [1.0, 2.0, 4.0, 5.0]);
        assert_eq!(read("expanded").unwrap(), [7.0, 7.0, 7.0, 8.0, 8.0, 8.0]);
        assert!(read("empty").unwrap().is_empty());
        for attributed in ["attributed", "attributed_tensor"] {
            assert_eq!(read(attributed).unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], "{name}");
        }
        for (tensor, kind) in [
            ("complex64", "complex64"),
            ("sparse", "sparse_coo"),
            ("sparse_rows", "sparse_csr"),
            ("quantized", "qint8"),
        ] {
            let line = read(tensor).unwrap_err().to_string();
            let part = format!("{tensor}: a {kind} tensor cannot be read as f32");
            assert!(line.contains(&part) && line.lines().count() == 1, "{line}");
        }
        let kind = |tensor: &str| {
            let found = file.find(&format!("state_dict.{tensor}")).unwrap();
            (found.type_name.clone(), found.shape.clone())
        };
        assert_eq!(kind("complex64"), ("complex64".to_owned(), vec![4]));
        assert_eq!(kind("sparse"), ("sparse_coo".to_owned(), vec![2, 3]));
        assert_eq!(kind("quantized"), ("qint8".to_owned(), vec![2, 3]));
        assert_eq!(kind("uint16"), ("u16".to_owned(), vec![4]));
        // Tensors of a callback are its own matter.
        assert!(file.tensors().iter().all(|tensor| tensor.name.starts_with("state_dict.")));
    }
}

/// A safetensors file of this header and so many bytes.
fn safetensors(header: &str, bytes: usize) -> tempfile::NamedTempFile {
    let length = (header.len() as u64).to_le_bytes();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), [&length[..], header.as_bytes(), &vec![0x40; bytes]].concat())
        .unwrap();
    file
}

#[test]
fn a_safetensors_type_that_is_not_known_is_no_fault_of_the_others() {
    let written = safetensors(
        r#"{"__metadata__":{"format":"pt","epoch":7},
            "a":{"dtype":"U16","shape":[1],"data_offsets":[0,2]},
            "b":{"dtype":"F3_NEWER","shape":[8],"data_offsets":[2,5]},
            "c":{"dtype":"C64","shape":[1],"data_offsets":[5,13]},
            "d":{"dtype":"F32","shape":[2],"data_offsets":[13,17]},
            "e":{"dtype":"F8_E5M2","shape":[2],"data_offsets":[17,19]}}"#,
        19,
    );
    let mut file = WeightsFile::open(written.path()).unwrap();
    assert_eq!((file.metadata("format"), file.metadata("epoch")), (Some("pt"), None));
    assert_eq!(file.read("a").unwrap(), [16448.0]);
    assert_eq!(file.read("e").unwrap(), [2.0, 2.0]);
    let mut fault = |name: &str| file.read(name).unwrap_err().to_string();
    assert!(fault("b").contains("\"F3_NEWER\" cannot be read as f32"));
    assert!(fault("c").contains("\"C64\" cannot be read as f32"));
    assert!(fault("d").contains("bytes 13 to 17"));
}

/// A torch.save file with this pickle and one storage of a number.
/// The length of its header begins with the byte that a pickle begins with.
#[test]
fn a_safetensors_file_may_look_like_a_pickle() {
    let header = format!("{:384}", r#"{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#);
    let written = safetensors(&header, 8);
    assert_eq!(std::fs::read(written.path()).unwrap()[0], 0x80);
    let mut file = WeightsFile::open(written.path()).unwrap();
    assert_eq!(file.format(), Format::SafeTensors);
    assert_eq!(file.read("x").unwrap().len(), 2);
}

fn torch_file(pickle: &[u8]) -> tempfile::NamedTempFile {
    torch_file_of(pickle, &[0, 0, 0x80, 0x3f])
}

fn torch_file_of(pickle: &[u8], numbers: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut zip = zip::ZipWriter::new(file.reopen().unwrap());
    for (name, bytes) in [("a/data.pkl", pickle), ("a/data/0", numbers)] {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
    file
}

/// The opcodes of a tensor of this storage's numbers, with this shape and these strides.
fn tensor(key: &str, shape: &[u8], strides: &[u8]) -> Vec<u8> {
    let start = b"ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\n";
    let storage = [b"U", &[key.len() as u8][..], key.as_bytes(), b"U\x03cpuK\x01tQK\0"].concat();
    [&start[..], &storage, shape, strides, b"\x89NtR"].concat()
}

#[test]
fn small_files_cannot_ask_for_too_much() {
    let one = tensor("0", b"(K\x01t", b"(K\x01t");
    let long = [b"(", &b"K\x01".repeat(200_000)[..], b"t"].concat();
    let many = |key: &[u8], count: usize| [b"h\x00", key].concat().repeat(count);
    let dict = |inside: &[u8]| [b"\x80\x02}(U\x01a", &one[..], inside, b"u."].concat();
    let key = [b"X", &1_000_000u32.to_le_bytes()[..], &vec![b'k'; 1_000_000], b"q\x00N"].concat();
    for (what, pickle) in [
        ("a key of a million bytes", dict(&[&key[..], &many(b"N", 6000)].concat())),
        (
            "a shape of 200000 dimensions",
            dict(
                &[b"U\x01b(", &tensor("0", &long, &long)[..], b"q\x00", &many(b"", 3000), b"t"]
                    .concat(),
            ),
        ),
        (
            "a list of lists",
            dict(
                &[
                    b"U\x01b](",
                    &b"K\x01".repeat(20_000)[..],
                    b"eq\x00",
                    &b"U\x01c]("[..],
                    &many(b"", 20_000),
                    b"e",
                ]
                .concat(),
            ),
        ),
        (
            "what is not there, or only poses as gigabytes",
            dict(
                &[
                    &b"U\x01b"[..],
                    &tensor("1", b"(K\x01t", b"(K\x01t"),
                    b"U\x01c",
                    &tensor("0", b"(J\xff\xff\xff\x7ft", b"(K\0t"),
                ]
                .concat(),
            ),
        ),
    ] {
        let written = torch_file(&pickle);
        let mut file = WeightsFile::open(written.path()).unwrap();
        assert_eq!(file.read("a").unwrap(), [1.0], "{what}");
        let names: Vec<String> = file.tensors().iter().map(|tensor| tensor.name.clone()).collect();
        for name in &names[1..] {
            assert!(file.read(name).is_err(), "{what}: {name}");
        }
    }
    // Dictionaries of dictionaries, four references to each: 4^12 ways to the tensor.
    let mut shared = [b"\x80\x02", &one[..], b"q\x00"].concat();
    for depth in 1..=12 {
        shared.extend(b"}(");
        for letter in b'a'..b'e' {
            shared.extend([b'U', 1, letter, b'h', depth - 1]);
        }
        shared.extend([b'u', b'q', depth]);
    }
    shared.push(b'.');
    let line = WeightsFile::open(torch_file(&shared).path()).err().unwrap().to_string();
    assert!(line.contains("shared too many times"), "{line}");
}

#[test]
fn compressed_files_cannot_ask_for_too_much() {
    let objects = [b"\x80\x02(", &[b'N'; 2 << 20][..], b"t."].concat();
    let line = WeightsFile::open(torch_file(&objects).path()).err().unwrap().to_string();
    assert!(line.contains("a/data.pkl unpacks to more than"), "{line}");
    // A layer of zeros is read; 70 MiB of them are not.
    for (mib, is_read) in [(4, true), (70, false)] {
        let count = (mib << 20) / 4;
        let size = [b"J", &(count as i32).to_le_bytes()[..]].concat();
        let start = b"ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x010U\x03cpu";
        let tensor = [&start[..], &size, b"tQK\0", &size, b"\x85K\x01\x85\x89NtR"].concat();
        let pickle = [b"\x80\x02}(U\x01a", &tensor[..], b"u."].concat();
        let file = torch_file_of(&pickle, &vec![0; mib << 20]);
        let numbers = WeightsFile::open(file.path()).unwrap().read("a");
        match numbers {
            Ok(numbers) => assert_eq!((is_read, numbers.len()), (true, count)),
            Err(error) => {
                assert!(!is_read && error.to_string().contains("that unpack to"), "{error}");
            }
        }
    }
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
