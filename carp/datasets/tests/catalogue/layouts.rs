//! Reading each layout.

use std::path::Path;

use datasets::catalogue::{ALL, Query, of_kind, of_name, table};
use datasets::{DataConfig, Reading};

use super::trees::{cifar_pickle, fixture, flat_imagenet, tree, write};
use super::{config, contents, fails, labelled, open};

/// (file, label) pairs, as from `labelled`.
fn images(expected: &[(&str, u32)]) -> Vec<(String, u32)> {
    expected.iter().map(|&(file, label)| (file.to_owned(), label)).collect()
}

#[test]
fn there_are_17_and_settings_know_them() {
    let names: Vec<&str> = ALL.iter().map(|set| set.name).collect();
    let expected = [
        "imagenet",
        "stl10",
        "pets",
        "aircraft",
        "cars",
        "flowers102",
        "food101",
        "country211",
        "gtsrb",
        "cifar10",
        "cifar100",
        "dtd",
        "voc2007",
        "inat2018",
        "roxford5k",
        "rparis6k",
        "copydays",
    ];
    assert_eq!(names, expected);
    for set in &ALL {
        let section = serde_json::json!({ "kind": set.name, "train": "train+val" });
        let config: DataConfig = serde_json::from_value(section).unwrap();
        assert_eq!((config.kind, config.channels()), (set.kind, 3));
        assert_eq!(config.train.as_deref(), Some("train+val"));
        assert_eq!(of_kind(set.kind).unwrap().name, set.name);
        // The usual split names exist, with the official counts.
        let named = |name: &str| name.is_empty() || set.parts.iter().any(|part| part.name == name);
        assert!(named(set.train) && named(set.test) && named(set.pretrain), "{}", set.name);
        assert!(set.parts.iter().all(|part| !part.images.is_empty() && part.images[0] > 0));
    }
    fails(of_name("food-101"), &["unknown data set \"food-101\"", "did you mean \"food101\""]);
    fails(of_name("mnist5000"), &["unknown data set", "imagenet, stl10, pets"]);
}

#[test]
fn every_layout_opens_from_its_folder_with_every_image() {
    for set in &ALL {
        let (temp, _) = tree(set.name);
        let contents = contents(set.name, temp.path()).unwrap();
        for split in &contents.splits {
            assert!(set.parts.iter().any(|part| part.name == split.name), "{}", split.name);
            let data = open(&contents, split.name);
            assert!(!data.is_empty() && data.len() == split.len());
            assert_eq!(data.name(), format!("{}, {}", set.title, split.name));
            for index in 0..data.len() {
                let image = data.image(index).unwrap();
                assert_eq!(image.pixels.len(), image.height * image.width * 3);
                assert!(data.label(index).is_none_or(|l| (l as usize) < data.classes().len()));
            }
        }
        for part in set.parts.iter().filter(|part| !part.optional) {
            assert!(contents.split(part.name).is_some(), "{} of {}", part.name, set.name);
        }
        // As opened by a run: labelled splits if there is one class per image.
        let splits = config(set, temp.path()).open(0).unwrap();
        let is_single = !matches!(set.name, "voc2007" | "roxford5k" | "rparis6k");
        assert_eq!((splits.train.is_some(), splits.test.is_some()), (is_single, is_single));
        assert_eq!(splits.pretrain.len(), contents.split(set.pretrain).unwrap().len());
    }
}

#[test]
fn imagenet_with_folders_or_a_flat_list() {
    let (temp, _) = tree("imagenet");
    let folders = contents("imagenet", temp.path()).unwrap();
    assert_eq!(folders.classes, ["n02100735", "n02119789"]);
    let val = [("ILSVRC2012_val_00000001.JPEG", 0), ("ILSVRC2012_val_00000002.JPEG", 1)];
    assert_eq!(labelled(&folders, "val"), images(&val));

    // The devkit's number 1 is n02119789, 2 is n02100735.
    let flat = [(val[0].0, 0), (val[1].0, 1), ("ILSVRC2012_val_00000003.JPEG", 1)];
    let truth = "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt";
    let meta = fixture("meta.mat");
    let devkit =
        flat_imagenet(&[(truth, b"2\n1\n1\n"), ("ILSVRC2012_devkit_t12/data/meta.mat", &meta)]);
    assert_eq!(labelled(&contents("imagenet", devkit.path()).unwrap(), "val"), images(&flat));
    let beside =
        flat_imagenet(&[(truth.rsplit_once('/').unwrap().1, b"2\n1\n1\n"), ("meta.mat", &meta)]);
    assert_eq!(labelled(&contents("imagenet", beside.path()).unwrap(), "val"), images(&flat));

    let csv = "ImageId,PredictionString\n\
        ILSVRC2012_val_00000003,n02119789 85 1 499 272 \n\
        ILSVRC2012_val_00000001,n02100735 131 0 499 254 n02100735 1 2 3 4 \n\
        ILSVRC2012_val_00000002,n02119789 1 2 3 4 \n";
    let kaggle = flat_imagenet(&[("LOC_val_solution.csv", csv.as_bytes())]);
    assert_eq!(labelled(&contents("imagenet", kaggle.path()).unwrap(), "val"), images(&flat));
}

#[test]
fn pets_aircraft_and_food() {
    let (temp, _) = tree("pets");
    let pets = contents("pets", temp.path()).unwrap();
    let trainval = [("Abyssinian_1.jpg", 0), ("yorkshire_terrier_10.jpg", 36)];
    assert_eq!(labelled(&pets, "trainval"), images(&trainval));
    assert_eq!((&*pets.classes[0], &*pets.classes[36]), ("Abyssinian", "yorkshire_terrier"));

    let (temp, _) = tree("aircraft");
    // The archive's folder itself works too.
    let aircraft = contents("aircraft", &temp.path().join("fgvc-aircraft-2013b/data")).unwrap();
    assert_eq!(labelled(&aircraft, "trainval"), images(&[("0000001.jpg", 1), ("0000002.jpg", 2)]));
    assert_eq!(aircraft.classes, ["707-320", "F/A-18", "DC-9-30 B"]);

    let (temp, _) = tree("food101");
    let food = contents("food101", temp.path()).unwrap();
    assert_eq!(labelled(&food, "train"), images(&[("1.jpg", 0), ("3.jpg", 1), ("2.jpg", 0)]));
}

#[test]
fn cars_in_both_layouts_and_flowers() {
    let (temp, _) = tree("cars");
    let cars = contents("cars", temp.path()).unwrap();
    let train = [("00001.jpg", 2), ("00002.jpg", 0), ("00003.jpg", 1)];
    assert_eq!(labelled(&cars, "train"), images(&train));
    assert_eq!(labelled(&cars, "test"), images(&[("00001.jpg", 1), ("00002.jpg", 2)]));
    assert_eq!(cars.classes[1], "Acura RL Sedan 2012");

    write(temp.path(), "cars_annos.mat", fixture("cars_annos.mat"));
    let cars = contents("cars", temp.path()).unwrap();
    assert_eq!(labelled(&cars, "train"), images(&[("000001.jpg", 0), ("000003.jpg", 1)]));
    assert_eq!(labelled(&cars, "test"), images(&[("000002.jpg", 2)]));
    let file = open(&cars, "test").file(0).unwrap().to_owned();
    assert_eq!(file, temp.path().join("car_ims/000002.jpg"));

    let (temp, _) = tree("flowers102");
    let flowers = contents("flowers102", temp.path()).unwrap();
    let (train, val) = ([("image_00006.jpg", 8), ("image_00001.jpg", 76)], ("image_00002.jpg", 0));
    assert_eq!(labelled(&flowers, "train"), images(&train));
    assert_eq!(labelled(&flowers, "train+val"), images(&[train[0], train[1], val]));
    let test = [("image_00003.jpg", 101), ("image_00005.jpg", 4), ("image_00004.jpg", 4)];
    assert_eq!(labelled(&flowers, "test"), images(&test));
    // The setting.
    let chosen = DataConfig {
        train: Some("train + val".to_owned()),
        ..config(of_name("flowers102").unwrap(), temp.path())
    };
    let splits = chosen.open(0).unwrap();
    assert_eq!((splits.train.unwrap().len(), splits.pretrain.len()), (3, 3));
    let held_out = DataConfig { held_out: 1, ..chosen.clone() }.open(0).unwrap();
    assert_eq!((held_out.pretrain.len(), held_out.test.unwrap().len()), (2, 1));
    let unknown = DataConfig { test: Some("valid".to_owned()), ..chosen };
    fails(unknown.open(0), &["Flowers-102 has no split \"valid\"", "train, val, test"]);
}

#[test]
fn country211_gtsrb_and_dtd() {
    let (temp, _) = tree("country211");
    let country = contents("country211", temp.path()).unwrap();
    let train = [("1.jpg", 0), ("1.jpg", 1), ("2.jpg", 1)];
    assert_eq!(labelled(&country, "train"), images(&train));
    assert_eq!(country.split("valid").unwrap().len(), 2);

    let (temp, _) = tree("gtsrb");
    let signs = contents("gtsrb", temp.path()).unwrap();
    let train = [("00000_00000.ppm", 0), ("00000_00000.ppm", 42), ("00000_00001.ppm", 42)];
    assert_eq!(labelled(&signs, "train"), images(&train));
    assert_eq!(labelled(&signs, "test"), images(&[("00000.ppm", 16), ("00001.ppm", 1)]));
    assert_eq!((signs.classes.len(), &*signs.classes[42]), (43, "00042"));

    let (temp, _) = tree("dtd");
    let textures = contents("dtd", temp.path()).unwrap();
    assert_eq!(labelled(&textures, "test"), images(&[("braided_0003.jpg", 1)]));
    assert_eq!(textures.classes, ["banded", "braided"]);
    let set = of_name("dtd").unwrap();
    let partition = |partition| DataConfig { partition, ..config(set, temp.path()) };
    let second = set.contents(&partition(2)).unwrap();
    assert_eq!(
        labelled(&second, "train"),
        images(&[("braided_0003.jpg", 1), ("banded_0001.jpg", 0)])
    );
    fails(set.contents(&partition(3)), &["train3.txt"]);
    fails(set.contents(&partition(11)), &["data.partition = 11", "1 to 10"]);
}

#[test]
fn cifar_of_python() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("cifar-10-batches-py");
    let planes: Vec<u8> = [1u8, 2, 3].into_iter().flat_map(|value| [value; 1024]).collect();
    for batch in 1..=5 {
        let bytes = cifar_pickle("labels", &[batch], &planes);
        write(&root, &format!("data_batch_{batch}"), bytes);
    }
    write(&root, "test_batch", cifar_pickle("labels", &[9, 0], &planes.repeat(2)));
    let names = "airplane automobile bird cat deer dog frog horse ship truck";
    let mut meta = b"\x80\x02}U\x0blabel_names](".to_vec();
    for name in names.split(' ') {
        meta.extend([&[b'U', name.len() as u8], name.as_bytes()].concat());
    }
    write(&root, "batches.meta", [&meta, &b"es."[..]].concat());
    let cifar = contents("cifar10", folder.path()).unwrap();
    assert_eq!(cifar.classes[9], "truck");
    let (train, test) = (open(&cifar, "train"), open(&cifar, "test"));
    assert_eq!((train.len(), train.label(4), test.label(0)), (5, Some(5), Some(9)));
    assert_eq!(test.image(1).unwrap().pixels[..6], [1, 2, 3, 1, 2, 3]);

    write(&root, "test_batch", cifar_pickle("labels", &[9, 10], &planes.repeat(2)));
    fails(contents("cifar10", folder.path()), &["test_batch", "label 10 of image 1", "0..10"]);
    write(&root, "test_batch", cifar_pickle("labels", &[9, -1], &planes.repeat(2)));
    fails(contents("cifar10", folder.path()), &["test_batch", "label -1 of image 1"]);
    write(&root, "test_batch", cifar_pickle("labels", &[9], &planes.repeat(2)));
    fails(contents("cifar10", folder.path()), &["test_batch", "1 labels for 2 images"]);
    write(&root, "test_batch", cifar_pickle("Labels", &[9], &planes));
    fails(contents("cifar10", folder.path()), &["test_batch", "has no \"labels\""]);
    write(&root, "test_batch", b"\x80\x02cos\nsystem\nU\x02ls\x85R.");
    fails(
        contents("cifar10", folder.path()),
        &["test_batch", "is an object of os.system", "\"data\""],
    );
    // A value of any class beside the wanted ones is read past.
    let batch = cifar_pickle("labels", &[9, 0], &planes.repeat(2));
    let beside = b"U\x07made_oncdatetime\ndate\nU\x04\x07\xe7\x0c\x0a\x85Ru.";
    write(&root, "test_batch", [&batch[..batch.len() - 2], beside].concat());
    assert_eq!(open(&contents("cifar10", folder.path()).unwrap(), "test").label(0), Some(9));

    let hundred = folder.path().join("cifar-100-python");
    write(&hundred, "train", cifar_pickle("fine_labels", &[99], &planes));
    write(&hundred, "test", cifar_pickle("fine_labels", &[42], &planes));
    let cifar = contents("cifar100", folder.path()).unwrap();
    assert_eq!((open(&cifar, "test").label(0), cifar.classes.len()), (Some(42), 100));
}

#[test]
fn voc_has_several_labels_and_the_difficult_ones_are_0() {
    let (temp, _) = tree("voc2007");
    let voc = contents("voc2007", temp.path()).unwrap();
    let shown = |split: &str, index: usize| {
        let data = open(&voc, split);
        assert_eq!(data.label(index), None);
        let shown = data.shown(index).unwrap();
        assert_eq!(shown.len(), 20);
        let named = voc.classes.iter().zip(shown).filter(|&(_, &shown)| shown >= 0);
        named.map(|(class, &shown)| (class.clone(), shown)).collect::<Vec<_>>()
    };
    assert_eq!(shown("trainval", 0), [("dog".to_owned(), 1), ("person".to_owned(), 1)]);
    assert_eq!(shown("trainval", 1), [("aeroplane".to_owned(), 1), ("tvmonitor".to_owned(), 0)]);
    assert_eq!(shown("test", 0), [("chair".to_owned(), 0)]);
    let all = voc.dataset("trainval+test", Reading { strict: true, cache: 0 }).unwrap();
    assert_eq!((all.len(), all.shown(2)), (3, open(&voc, "test").shown(0)));
}

#[test]
fn inat_by_image_id_and_category() {
    let (temp, _) = tree("inat2018");
    let inat = contents("inat2018", temp.path()).unwrap();
    assert_eq!(labelled(&inat, "train"), images(&[("a.jpg", 1), ("b.jpg", 0)]));
    assert_eq!(labelled(&inat, "val"), images(&[("c.jpg", 0)]));
    assert_eq!(inat.classes, ["0", "1"]);
    let names = r#"[{"id": 0, "name": "Quercus robur"}, {"id": 1, "name": "Parus major"}]"#;
    write(temp.path(), "categories.json", names);
    let inat = contents("inat2018", temp.path()).unwrap();
    assert_eq!(inat.classes, ["Quercus robur", "Parus major"]);
}

#[test]
fn oxford_and_paris_with_boxes_easy_hard_and_junk() {
    for name in ["roxford5k", "rparis6k"] {
        let (temp, index) = tree(name);
        let expected = [
            Query { bbx: [2.5, 1.0, 10.5, 8.0], easy: vec![0], hard: vec![1], junk: vec![2] },
            Query { bbx: [0.0, 0.0, 12.0, 9.0], easy: vec![], hard: vec![3], junk: vec![] },
        ];
        for pickle in [
            "gnd_0.pkl",
            "gnd_2.pkl",
            "gnd_4.pkl",
            "gnd_numpy_2.pkl",
            "gnd_foreign_2.pkl",
            "gnd_foreign_5.pkl",
        ] {
            std::fs::write(&index[0], fixture(pickle)).unwrap();
            let benchmark = contents(name, temp.path()).unwrap();
            assert_eq!(benchmark.queries, expected, "{pickle}");
            let file = |split: &str, index: usize| {
                let data = open(&benchmark, split);
                data.file(index).unwrap().file_stem().unwrap().to_string_lossy().into_owned()
            };
            assert_eq!(file("queries", 1), "bodleian_000107");
            assert_eq!(file("database", 2), "oxford_000002");
        }
    }
}

#[test]
fn copydays_copies_know_their_originals() {
    let (temp, _) = tree("copydays");
    let copydays = contents("copydays", temp.path()).unwrap();
    assert_eq!(copydays.classes, ["2000", "2001"]);
    let strong = [("200001.jpg", 0), ("200002.jpg", 0), ("200101.jpg", 1)];
    assert_eq!(labelled(&copydays, "strong"), images(&strong));
    let names: Vec<&str> = copydays.splits.iter().map(|split| split.name).collect();
    assert_eq!(names, ["original", "strong", "jpegqual/75", "crops/10"]);
    // Unpacked without a folder for the originals, and with the archive's other names.
    let root = temp.path();
    for image in ["200000.jpg", "200100.jpg"] {
        std::fs::rename(root.join("original").join(image), root.join(image)).unwrap();
    }
    std::fs::remove_dir(root.join("original")).unwrap();
    std::fs::rename(root.join("jpegqual"), root.join("jpeg")).unwrap();
    let copydays = contents("copydays", root).unwrap();
    assert_eq!(labelled(&copydays, "original"), images(&[("200000.jpg", 0), ("200100.jpg", 1)]));
    assert_eq!(copydays.split("jpegqual/75").unwrap().len(), 2);
}

#[test]
fn the_page_of_the_documentation_is_the_table() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/datasets.md");
    let written = std::fs::read_to_string(page).unwrap();
    assert!(written == table::markdown(), "docs/datasets.md: carp data list --markdown > it");
    for set in &ALL {
        for text in [table::plain(), table::markdown()] {
            let parts = [set.name, set.title, set.page, set.archives[0], set.layout[0]];
            assert!(parts.iter().all(|part| text.contains(part)), "{}", set.name);
        }
    }
    let text = table::plain();
    assert!(text.contains("train 39209 or 26640, test 12630"), "{text}");
    assert!(text.contains("original 157, strong 229, jpegqual/* 9 x 157, crops/* 9 x 157"));
}
