//! Every way in which a tree can be broken, and its error.

use std::path::Path;

use datasets::catalogue::check::check;
use datasets::catalogue::{ALL, of_name};

use super::trees::{an_image, fixture, flat_imagenet, picture, tree, write};
use super::{config, contents, fails, open};

/// The image files among them.
fn of_files() -> impl Iterator<Item = &'static str> {
    let whole = ["stl10", "cifar10", "cifar100"];
    ALL.iter().map(|set| set.name).filter(move |name| !whole.contains(name))
}

/// The lines of a check about broken images.
fn broken(name: &str, folder: &Path) -> Vec<String> {
    let set = of_name(name).unwrap();
    let report = check(set, &config(set, folder), |_| {}).unwrap();
    assert!(!report.is_good());
    report.splits.into_iter().flat_map(|split| split.broken).collect()
}

#[test]
fn each_missing_file_is_named() {
    for set in &ALL {
        let (temp, index) = tree(set.name);
        for path in index {
            let moved = temp.path().join("moved away");
            std::fs::rename(&path, &moved).unwrap();
            // The training folders are listed with their contents.
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            fails(contents(set.name, temp.path()), &[&name]);
            std::fs::rename(&moved, &path).unwrap();
        }
        contents(set.name, temp.path()).unwrap();
        let none = temp.path().join("none");
        fails(contents(set.name, &none), &["none: no such folder", set.archives[0], set.page]);
    }
    let (temp, _) = tree("pets");
    std::fs::remove_file(temp.path().join("annotations/test.txt")).unwrap();
    let parts = ["annotations/test.txt: no such file or folder", "annotations.tar.gz"];
    fails(contents("pets", temp.path()), &parts);
}

#[test]
fn counts_that_are_not_official_are_reported() {
    for set in &ALL {
        let (temp, _) = tree(set.name);
        let report = check(set, &config(set, temp.path()), |_| {}).unwrap();
        assert!(!report.is_good(), "{}", set.name);
        assert_eq!(report.splits.len(), set.parts.len());
        for (split, part) in report.splits.iter().zip(set.parts) {
            assert_eq!((split.name, split.expected), (part.name, part.images));
            assert!(split.broken.is_empty(), "{:?}", split.broken);
            match split.found {
                Some(found) => assert!(found < 10 && !split.is_complete()),
                None => assert!(part.optional && split.is_complete()),
            }
        }
        assert_eq!(report.expected_classes, set.classes);
    }
}

#[test]
fn broken_cut_and_missing_images_are_listed() {
    for name in of_files() {
        let (temp, _) = tree(name);
        let path = temp.path().join(an_image(name));
        let good = std::fs::read(&path).unwrap();
        // VOC, Oxford and others may list an image in one split only: one line each.
        let one = |what: &str| {
            let lines = broken(name, temp.path());
            assert_eq!(lines.len(), 1, "{name}, {what}: {lines:?}");
            let file = path.file_name().unwrap().to_string_lossy().into_owned();
            assert!(lines[0].contains(&file) && lines[0].lines().count() == 1, "{}", lines[0]);
            lines[0].clone()
        };
        std::fs::write(&path, b"no picture").unwrap();
        assert!(one("no picture").contains("cannot be decoded"));
        for length in [0, 20, good.len() / 2, good.len() - 2] {
            std::fs::write(&path, &good[..length]).unwrap();
            one("cut off");
        }
        std::fs::remove_file(&path).unwrap();
        // Files found by listing folders cannot be missing, only uncounted.
        if !matches!(name, "imagenet" | "country211" | "copydays") {
            one("missing");
        }
    }
    // Trailing bytes, as some cameras write, are fine.
    let (temp, _) = tree("pets");
    let image = [picture(image::ImageFormat::Jpeg), vec![0; 64]].concat();
    write(temp.path(), "images/Abyssinian_1.jpg", image);
    let set = of_name("pets").unwrap();
    let report = check(set, &config(set, temp.path()), |_| {}).unwrap();
    assert!(report.splits.iter().all(|split| split.broken.is_empty()));
}

#[test]
fn labels_out_of_range_are_named() {
    let edit = |name: &str, file: &str, content: &[u8], parts: &[&str]| {
        let (temp, _) = tree(name);
        write(temp.path(), file, content);
        fails(contents(name, temp.path()), parts);
    };
    let index = "annotations/test.txt";
    edit("pets", index, b"# comment\n\nAbyssinian_2 38 1 1\n", &[index, "line 3", "1 to 37"]);
    edit("pets", index, b"Abyssinian_2\n", &[index, "line 1", "\"Abyssinian_2\""]);
    edit("pets", index, b"\n", &[index, "has no lines"]);
    edit("pets", index, b"\xff\xfe", &[index, "UTF-8"]);
    let index = "fgvc-aircraft-2013b/data/images_variant_test.txt";
    edit("aircraft", index, b"0000003 707\n", &[index, "line 1", "variants.txt"]);
    let index = "food-101/meta/test.txt";
    edit("food101", index, b"baby_back_ribs/4\nbread/1\n", &[index, "line 2", "classes.txt"]);
    edit("dtd", "dtd/labels/test1.txt", b"banded", &["test1.txt", "line 1", "CLASS/FILE"]);
    edit("stl10", "stl10_binary/test_y.bin", &[1, 11], &["test_y.bin", "label 10 of image 1"]);
    let name = "cifar-10-batches-bin/test_batch.bin";
    edit("cifar10", name, &[10; 3073], &["test_batch.bin", "label 10 of image 0"]);
    edit("cifar100", "cifar-100-binary/test.bin", &[100; 3074], &["test.bin", "label 100"]);
    edit("country211", "country211/valid/XX/1.jpg", b"", &["valid", "class folder \"XX\""]);
    edit("copydays", "strong/999901.jpg", b"", &["999901.jpg", "no original begins with 9999"]);

    // In .mat files: class 3 becomes 9 of 3, image 5 becomes 99 of 6, label 102 becomes 103.
    let patch = |fixture_name: &str, from: &[u8], to: &[u8]| {
        let mut bytes = fixture(fixture_name);
        let at = bytes.windows(from.len()).rposition(|part| part == from).unwrap();
        bytes[at..at + to.len()].copy_from_slice(to);
        bytes
    };
    let name = "cars_test_annos_withlabels.mat";
    let bytes = patch(name, &[2, 0, 1, 0, 3, 0, 0, 0], &[2, 0, 1, 0, 9, 0, 0, 0]);
    edit("cars", name, &bytes, &[name, "annotations(2).class should be from 1 to 3"]);
    let bytes = patch("setid.mat", &[3, 0, 5, 0, 4, 0], &[3, 0, 99, 0, 4, 0]);
    edit("flowers102", "setid.mat", &bytes, &["setid.mat", "tstid(2) is 99, should be 1 to 6"]);
    let bytes = patch("imagelabels.mat", &[77, 1, 102], &[77, 1, 103]);
    let parts = ["imagelabels.mat", "labels(3) is 103, should be 1 to 102"];
    edit("flowers102", "imagelabels.mat", &bytes, &parts);
}

#[test]
fn bad_xml_is_named_with_its_line() {
    let index = "VOCdevkit/VOC2007/Annotations/000003.xml";
    let (temp, _) = tree("voc2007");
    let refuse = |content: &str, parts: &[&str]| {
        write(temp.path(), index, content);
        fails(contents("voc2007", temp.path()), &[&["000003.xml"], parts].concat());
    };
    refuse("<annotation>\n<object></annotation>", &["broken XML", "2:"]);
    refuse("", &["broken XML"]);
    refuse("<annotation/>\n<annotation/>", &["broken XML", "line 2", "a second root"]);
    refuse("<annotation>\n<object>", &["broken XML", "line 2", "end of its root"]);
    let object = "<annotation>\n<object><name>dragon</name></object></annotation>";
    refuse(object, &["line 2", "\"dragon\" is not one of the 20 classes"]);
    let object =
        "<annotation><object><name>dog</name><difficult>2</difficult></object></annotation>";
    refuse(object, &["line 1", "difficult is \"2\""]);
    // Exploding entities are not expanded.
    let bomb =
        "<!DOCTYPE a [<!ENTITY b \"bbbb\"><!ENTITY c \"&b;&b;\">]><annotation>&c;</annotation>";
    refuse(bomb, &["broken XML"]);
    // Attributes and namespaces cost what they are long: comparing each with each took minutes.
    let attributes: String = (0..50_000).map(|i| format!(" xmlns:a{i}=\"u{i}\"")).collect();
    let object = "<object><name>dog</name></object>";
    let depth = 50_000;
    let (opened, closed) = ("<b xmlns:z=\"1\">".repeat(depth), "</b>".repeat(depth));
    let long = format!("<annotation{attributes}>{opened}{closed}{object}</annotation>");
    write(temp.path(), index, &long);
    let start = std::time::Instant::now();
    let voc = contents("voc2007", temp.path()).unwrap();
    assert!(start.elapsed() < std::time::Duration::from_secs(10), "{:?}", start.elapsed());
    let shown = open(&voc, "test").shown(0).unwrap().to_vec();
    assert_eq!(shown.iter().filter(|&&shown| shown == 1).count(), 1);
}

#[test]
fn a_ground_truth_that_refers_to_itself_is_refused() {
    let (temp, index) = tree("roxford5k");
    let refuse = |bytes: &[u8], part: &str| {
        std::fs::write(&index[0], bytes).unwrap();
        fails(contents("roxford5k", temp.path()), &[part]);
    };
    // A thousand queries with the same ground truth of a thousand images: a million in 9 KB.
    let lists = b"}(U\x06imlist](U\x01aeU\x07qimlist](";
    let numbers = [b"](", &b"K\0".repeat(1000)[..], b"e"].concat();
    let query = [b"}(U\x03bbx](K\0K\0K\0K\0eU\x04easy", &numbers[..], b"U\x04hard]U\x04junk]u"];
    let gnd = [b"eU\x03gnd](", &query.concat()[..], b"q\0", &b"h\0".repeat(999), b"eu."].concat();
    let queries = b"U\x01a".repeat(1000);
    refuse(&[&lists[..], &queries, &gnd].concat(), "refers to the same lists too many times");
    // A name of four kilobytes for each of a thousand images.
    let name = [b"T\0\x10\0\0", &[b'a'; 4096][..], b"q\0", &b"h\0".repeat(999)].concat();
    refuse(&[b"}(U\x06imlist](", &name[..], b"eu."].concat(), "should be a list of names");
}

#[test]
fn bad_json_is_named_with_its_line() {
    let (temp, _) = tree("inat2018");
    let refuse = |content: &str, parts: &[&str]| {
        write(temp.path(), "val2018.json", content);
        fails(contents("inat2018", temp.path()), &[&["val2018.json"], parts].concat());
    };
    refuse("{\"images\": [\n{]", &["broken JSON", "line 2 column 2"]);
    refuse("{\"images\": []}", &["broken JSON", "annotations"]);
    let json = |annotations: &str| {
        format!(
            "{{\"images\": [{{\"id\": 1, \"file_name\": \"a.jpg\"}}], \"categories\": \
             [{{\"id\": 4, \"name\": \"x\"}}], \"annotations\": [{annotations}]}}"
        )
    };
    refuse(&json(""), &["image 1 has no annotation"]);
    let annotation = r#"{"image_id": 1, "category_id": 5}"#;
    refuse(&json(annotation), &["category 5 of image 1 is not listed"]);
    refuse(&json(r#"{"image_id": -1, "category_id": 5}"#), &["broken JSON", "line 1", "-1"]);
}

#[test]
fn bad_rows_are_named_with_their_line() {
    let (temp, _) = tree("gtsrb");
    let header = "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId\n";
    let good = "00000.ppm;24;16;5;5;20;12;16\n";
    let refuse = |rows: &str, parts: &[&str]| {
        write(temp.path(), "GT-final_test.csv", format!("{header}{rows}"));
        fails(contents("gtsrb", temp.path()), &[&["GT-final_test.csv"], parts].concat());
    };
    refuse(&format!("{good}00001.ppm;24;16;5;5;20;12;43\n"), &["line 3", "\"43\"", "0..43"]);
    refuse(&format!("{good}00001.ppm;24;16;5\n"), &["line 3"]);
    refuse(&format!("{good}{good}00001.ppm;24;16;5;5;20;12;\n"), &["line 4", "class \"\""]);
    refuse("", &["has no rows"]);
    // The csv inside the archive of test images ends with a corner of the box.
    let boxes = "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2\n00000.ppm;24;16;5;5;20;12\n";
    write(temp.path(), "GT-final_test.csv", boxes);
    fails(contents("gtsrb", temp.path()), &["GT-final_test.csv", "line 1", "no column ClassId"]);

    let flat = |csv: &str, parts: &[&str]| {
        let temp = flat_imagenet(&[("LOC_val_solution.csv", csv.as_bytes())]);
        fails(contents("imagenet", temp.path()), parts);
    };
    let csv = "ImageId,PredictionString\nILSVRC2012_val_00000001,n02119789 1 2 3 4\n";
    flat(csv, &["val_00000002.JPEG", "LOC_val_solution.csv has no row for it"]);
    let strange = format!("{csv}ILSVRC2012_val_00000002,n00000000 1 2 3 4\n");
    flat(&strange, &["LOC_val_solution.csv: line 3", "\"n00000000\" is not in train"]);
    flat(&format!("{csv}a,b,c\n"), &["LOC_val_solution.csv: line 3"]);

    let devkit = |truth: &[u8], parts: &[&str]| {
        let name = "data/ILSVRC2012_validation_ground_truth.txt";
        let temp = flat_imagenet(&[(name, truth), ("data/meta.mat", &fixture("meta.mat"))]);
        fails(contents("imagenet", temp.path()), parts);
    };
    devkit(b"1\n2\n", &["val_00000003.JPEG", "ground_truth.txt has no line for it"]);
    devkit(b"1\n2\n3\n", &["ground_truth.txt: line 3", "\"3\""]);
    devkit(b"1\n2\n1001\n", &["ground_truth.txt: line 3", "\"1001\""]);
    let neither = flat_imagenet(&[]);
    let parts = ["ground_truth.txt", "ILSVRC2012_devkit_t12.tar.gz", "LOC_val_solution.csv"];
    fails(contents("imagenet", neither.path()), &parts);
}

#[test]
fn a_pickle_that_runs_code_is_never_run() {
    for name in ["roxford5k", "rparis6k"] {
        let (temp, index) = tree(name);
        let marker = temp.path().join("was run");
        let refuse = |bytes: &[u8], parts: &[&str]| {
            std::fs::write(&index[0], bytes).unwrap();
            fails(contents(name, temp.path()), parts);
            assert!(!marker.exists());
        };
        let command = format!("cposix\nsystem\n(S'touch \"{}\"'\ntR.", marker.display());
        refuse(command.as_bytes(), &["imlist is an object of posix.system (offset", "a dict"]);
        let good = fixture("gnd_2.pkl");
        let hidden = [&good[..good.len() - 1], b"cbuiltins\nexec\n."].concat();
        let offset = format!("offset {}", good.len() - 1);
        refuse(&hidden, &[&offset, "is a global", "a dict"]);
        refuse(&good[..good.len() / 2], &["truncated"]);
        refuse(b"}.", &["has no imlist"]);
        refuse(b"}(S'imlist'\nK\x05u.", &["imlist is an int", "should be a list of names"]);
        let lists = b"}(S'imlist'\n(S'a'\nlS'qimlist'\n(S'b'\nlS'gnd'\n";
        let refuse_gnd = |gnd: &[u8], parts: &[&str]| refuse(&[&lists[..], gnd].concat(), parts);
        refuse_gnd(
            &[&command.as_bytes()[..command.len() - 1], b"u."].concat(),
            &["gnd is an object of posix.system", "a list"],
        );
        refuse_gnd(b"]u.", &["gnd has 0 entries for the 1 of qimlist"]);
        refuse_gnd(b"(}lu.", &["has no gnd[0].bbx"]);
        refuse_gnd(b"(}(S'bbx'\n(I1\nI2\nlulu.", &["gnd[0].bbx has 2 numbers, should have 4"]);
        let query = b"(}(S'bbx'\n(I1\nI2\nI3\nI4\nlS'hard'\n]S'junk'\n]S'easy'\n(I1\nlulu.";
        refuse_gnd(query, &["gnd[0].easy: 1 is out of range 0..1"]);
    }
}
