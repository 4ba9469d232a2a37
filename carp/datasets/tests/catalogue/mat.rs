//! `.mat` files written by SciPy, and broken ones.

use super::trees::{fixture, tree};
use super::{contents, fails};

#[test]
fn truncated_files_are_named_at_any_length() {
    let (temp, _) = tree("cars");
    for (name, at) in [
        ("cars_meta.mat", "devkit/cars_meta.mat"),
        ("cars_train_annos.mat", "devkit/cars_train_annos.mat"),
        ("cars_test_annos_withlabels.mat", "cars_test_annos_withlabels.mat"),
    ] {
        let bytes = fixture(name);
        for length in (0..bytes.len()).step_by(5) {
            std::fs::write(temp.path().join(at), &bytes[..length]).unwrap();
            // The last bytes may be padding.
            if length + 8 <= bytes.len() {
                fails(contents("cars", temp.path()), &[name]);
            } else {
                let _ = contents("cars", temp.path());
            }
        }
        std::fs::write(temp.path().join(at), &bytes[..140]).unwrap();
        fails(contents("cars", temp.path()), &[name, "offset 136", "truncated", "4 left"]);
        std::fs::write(temp.path().join(at), &bytes[..100]).unwrap();
        fails(contents("cars", temp.path()), &[name, "truncated: 100 bytes", "128"]);
        std::fs::write(temp.path().join(at), bytes).unwrap();
    }
    contents("cars", temp.path()).unwrap();
}

#[test]
fn no_flipped_bit_panics() {
    let (temp, _) = tree("cars");
    let path = temp.path().join("cars_test_annos_withlabels.mat");
    let mut bytes = fixture("cars_test_annos_withlabels.mat");
    for at in 124..bytes.len() {
        let bit = 1 << (at % 8);
        bytes[at] ^= bit;
        std::fs::write(&path, &bytes).unwrap();
        if let Err(error) = contents("cars", temp.path()) {
            assert_eq!(error.to_string().lines().count(), 1);
        }
        bytes[at] ^= bit;
    }
}

#[test]
fn other_files_are_refused() {
    let (temp, _) = tree("flowers102");
    let path = temp.path().join("setid.mat");
    let good = fixture("setid.mat");
    let refuse = |bytes: &[u8], parts: &[&str]| {
        std::fs::write(&path, bytes).unwrap();
        fails(contents("flowers102", temp.path()), &[&["setid.mat"], parts].concat());
    };
    refuse(&[b"MATLAB 7.3 MAT-file".to_vec(), vec![0; 200]].concat(), &["7.3 (HDF5)", "-v7"]);
    let mut big_endian = good.clone();
    big_endian[126..128].copy_from_slice(b"MI");
    refuse(&big_endian, &["little-endian", "offset 126"]);
    refuse(&good[..128], &["has no array \"trnid\""]);
    let mut renamed = good.clone();
    let at = renamed.windows(5).position(|name| name == b"trnid").unwrap();
    renamed[at] = b'T';
    refuse(&renamed, &["has no array \"trnid\" (it has Trnid, valid, tstid)"]);
    refuse(&fixture("cars_meta.mat"), &["has no array \"trnid\" (it has class_names)"]);
    // An invalid zlib stream.
    let zlib = [&good[..128], &[15, 0, 0, 0, 4, 0, 0, 0, 1, 2, 3, 4]].concat();
    refuse(&zlib, &["broken zlib"]);
    // Small elements that unpack to more than any index together, and one that does alone.
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, &vec![0; 17 << 20]).unwrap();
    let packed = packed.finish().unwrap();
    let element = [&[15, 0, 0, 0], &(packed.len() as u32).to_le_bytes()[..], &packed].concat();
    refuse(&[&good[..128], &element.repeat(4)].concat(), &["unpacks to more than"]);
    refuse(&[&good[..128], &element].concat(), &["unpacks to more than"]);
}
