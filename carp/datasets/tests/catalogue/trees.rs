//! Writes a handful of images of each data set in its official layout.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::{ImageFormat, Rgb, RgbImage};
use tempfile::TempDir;

/// A small image in a format.
pub fn picture(format: ImageFormat) -> Vec<u8> {
    let pixels = RgbImage::from_fn(24, 16, |x, y| Rgb([(9 * x) as u8, (11 * y) as u8, 77]));
    let mut bytes = Cursor::new(Vec::new());
    pixels.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

pub fn write(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// A file written by SciPy or Python (`tools/golden_data.py`).
pub fn fixture(name: &str) -> Vec<u8> {
    let mut above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let root = above.find(|folder| folder.join("fixtures/data").is_dir()).unwrap();
    std::fs::read(root.join("fixtures/data").join(name)).unwrap()
}

fn pictures(folder: &Path, names: &[&str]) {
    for name in names {
        let format = if name.ends_with(".ppm") { ImageFormat::Pnm } else { ImageFormat::Jpeg };
        write(folder, name, picture(format));
    }
}

/// The objects of a VOC annotation: (class, difficult).
fn annotation(objects: &[(&str, u8)]) -> String {
    let object = |(name, difficult): &(&str, u8)| {
        format!(
            "\t<object>\n\t\t<name>{name}</name>\n\t\t<pose>Left</pose>\n\
             \t\t<difficult>{difficult}</difficult>\n\
             \t\t<part><name>head</name></part>\n\t</object>\n"
        )
    };
    let objects: String = objects.iter().map(object).collect();
    format!("<annotation>\n\t<folder>VOC2007</folder>\n{objects}</annotation>\n")
}

/// Image files of the test split, in index order; the first is intact.
pub fn an_image(name: &str) -> &'static str {
    match name {
        "imagenet" => "val/n02119789/ILSVRC2012_val_00000002.JPEG",
        "pets" => "images/Abyssinian_2.jpg",
        "aircraft" => "fgvc-aircraft-2013b/data/images/0000003.jpg",
        "cars" => "cars_test/00002.jpg",
        "flowers102" => "jpg/image_00005.jpg",
        "food101" => "food-101/images/baby_back_ribs/4.jpg",
        "country211" => "country211/test/AE/1.jpg",
        "gtsrb" => "GTSRB/Final_Test/Images/00001.ppm",
        "dtd" => "dtd/images/braided/braided_0003.jpg",
        "voc2007" => "VOCdevkit/VOC2007/JPEGImages/000003.jpg",
        "inat2018" => "train_val2018/Plantae/5/c.jpg",
        "roxford5k" => "jpg/oxford_000002.jpg",
        "rparis6k" => "paris/oxford/oxford_000002.jpg",
        "copydays" => "strong/200101.jpg",
        _ => panic!("{name} is no files"),
    }
}

/// The folder and its index files.
pub fn tree(name: &str) -> (TempDir, Vec<PathBuf>) {
    let temp = TempDir::new().unwrap();
    let index: &[&str] = match name {
        "imagenet" => imagenet(temp.path()),
        "stl10" => stl10(temp.path()),
        "pets" => pets(temp.path()),
        "aircraft" => aircraft(temp.path()),
        "cars" => cars(temp.path()),
        "flowers102" => flowers102(temp.path()),
        "food101" => food101(temp.path()),
        "country211" => country211(temp.path()),
        "gtsrb" => gtsrb(temp.path()),
        "cifar10" => cifar10(temp.path()),
        "cifar100" => cifar100(temp.path()),
        "dtd" => dtd(temp.path()),
        "voc2007" => voc2007(temp.path()),
        "inat2018" => inat2018(temp.path()),
        "roxford5k" => revisited(temp.path(), "gnd_roxford5k.pkl", |_| "jpg".into()),
        "rparis6k" => revisited(temp.path(), "gnd_rparis6k.pkl", |image| {
            format!("paris/{}", image.split('_').next().unwrap())
        }),
        "copydays" => copydays(temp.path()),
        _ => panic!("no tree for {name}"),
    };
    let index = index.iter().map(|file| temp.path().join(file)).collect();
    (temp, index)
}

fn imagenet(root: &Path) -> &'static [&'static str] {
    pictures(root, &["train/n02100735/n02100735_1.JPEG", "train/n02119789/n02119789_7.JPEG"]);
    pictures(root, &["val/n02119789/ILSVRC2012_val_00000002.JPEG"]);
    pictures(root, &["val/n02100735/ILSVRC2012_val_00000001.JPEG"]);
    &["train", "val"]
}

/// The validation images in one folder, with the files of `index` next to it.
pub fn flat_imagenet(index: &[(&str, &[u8])]) -> TempDir {
    let temp = TempDir::new().unwrap();
    let root = temp.path();
    pictures(root, &["train/n02100735/n02100735_1.JPEG", "train/n02119789/n02119789_7.JPEG"]);
    for image in 1..=3 {
        pictures(root, &[&format!("val/ILSVRC2012_val_{image:08}.JPEG")]);
    }
    index.iter().for_each(|(name, bytes)| write(root, name, bytes));
    temp
}

fn stl10(root: &Path) -> &'static [&'static str] {
    for part in ["train", "test"] {
        write(root, &format!("stl10_binary/{part}_X.bin"), vec![7; 2 * 27_648]);
        write(root, &format!("stl10_binary/{part}_y.bin"), [2, 10]);
    }
    write(root, "stl10_binary/unlabeled_X.bin", vec![9; 3 * 27_648]);
    let names = "airplane\nbird\ncar\ncat\ndeer\ndog\nhorse\nmonkey\nship\ntruck\n";
    write(root, "stl10_binary/class_names.txt", names);
    &["stl10_binary/train_X.bin", "stl10_binary/train_y.bin", "stl10_binary/test_X.bin"]
}

fn pets(root: &Path) -> &'static [&'static str] {
    pictures(&root.join("images"), &["Abyssinian_1.jpg", "Abyssinian_2.jpg"]);
    pictures(&root.join("images"), &["yorkshire_terrier_10.jpg"]);
    write(root, "annotations/trainval.txt", "Abyssinian_1 1 1 1\nyorkshire_terrier_10 37 2 25\n");
    write(root, "annotations/test.txt", "Abyssinian_2 1 1 1\n");
    &["images", "annotations/trainval.txt", "annotations/test.txt"]
}

fn aircraft(root: &Path) -> &'static [&'static str] {
    let data = root.join("fgvc-aircraft-2013b/data");
    pictures(&data.join("images"), &["0000001.jpg", "0000002.jpg", "0000003.jpg"]);
    write(&data, "variants.txt", "707-320\nF/A-18\nDC-9-30 B\n");
    write(&data, "images_variant_trainval.txt", "0000001 F/A-18\n0000002 DC-9-30 B\n");
    write(&data, "images_variant_test.txt", "0000003 707-320\n");
    &[
        "fgvc-aircraft-2013b/data/images",
        "fgvc-aircraft-2013b/data/variants.txt",
        "fgvc-aircraft-2013b/data/images_variant_trainval.txt",
        "fgvc-aircraft-2013b/data/images_variant_test.txt",
    ]
}

fn cars(root: &Path) -> &'static [&'static str] {
    pictures(&root.join("cars_train"), &["00001.jpg", "00002.jpg", "00003.jpg"]);
    pictures(&root.join("cars_test"), &["00001.jpg", "00002.jpg"]);
    for name in ["cars_meta.mat", "cars_train_annos.mat"] {
        write(root, &format!("devkit/{name}"), fixture(name));
    }
    write(root, "cars_test_annos_withlabels.mat", fixture("cars_test_annos_withlabels.mat"));
    &[
        "cars_train",
        "cars_test",
        "devkit/cars_meta.mat",
        "devkit/cars_train_annos.mat",
        "cars_test_annos_withlabels.mat",
    ]
}

fn flowers102(root: &Path) -> &'static [&'static str] {
    for image in 1..=6 {
        pictures(root, &[&format!("jpg/image_{image:05}.jpg")]);
    }
    write(root, "imagelabels.mat", fixture("imagelabels.mat"));
    write(root, "setid.mat", fixture("setid.mat"));
    &["jpg", "imagelabels.mat", "setid.mat"]
}

fn food101(root: &Path) -> &'static [&'static str] {
    let root = root.join("food-101");
    pictures(&root.join("images"), &["apple_pie/1.jpg", "apple_pie/2.jpg", "baby_back_ribs/3.jpg"]);
    pictures(&root.join("images"), &["baby_back_ribs/4.jpg"]);
    write(&root, "meta/classes.txt", "apple_pie\nbaby_back_ribs\n");
    write(&root, "meta/train.txt", "apple_pie/1\nbaby_back_ribs/3\napple_pie/2\n");
    write(&root, "meta/test.txt", "baby_back_ribs/4\n");
    &[
        "food-101/images",
        "food-101/meta/classes.txt",
        "food-101/meta/train.txt",
        "food-101/meta/test.txt",
    ]
}

fn country211(root: &Path) -> &'static [&'static str] {
    for split in ["train", "valid", "test"] {
        let folder = root.join("country211").join(split);
        pictures(&folder, &["AD/1.jpg", "AE/1.jpg"]);
    }
    pictures(&root.join("country211/train"), &["AE/2.jpg"]);
    &["country211/train", "country211/valid", "country211/test"]
}

fn gtsrb(root: &Path) -> &'static [&'static str] {
    let header = "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId\n";
    let train = root.join("GTSRB/Final_Training/Images");
    pictures(&train, &["00000/00000_00000.ppm", "00042/00000_00000.ppm", "00042/00000_00001.ppm"]);
    let csv = format!("{header}00000_00000.ppm;24;16;5;5;20;12;0\n");
    write(&train, "00000/GT-00000.csv", csv);
    let rows = "00000_00000.ppm;24;16;5;5;20;12;42\r\n00000_00001.ppm;24;16;5;5;20;12;42\r\n";
    write(&train, "00042/GT-00042.csv", format!("{header}{rows}"));
    pictures(&root.join("GTSRB/Final_Test/Images"), &["00000.ppm", "00001.ppm"]);
    let rows = "00000.ppm;24;16;5;5;20;12;16\n00001.ppm;24;16;5;5;20;12;1\n";
    write(root, "GT-final_test.csv", format!("{header}{rows}"));
    &[
        "GTSRB/Final_Training",
        "GTSRB/Final_Training/Images/00042/GT-00042.csv",
        "GTSRB/Final_Test",
        "GT-final_test.csv",
    ]
}

/// Labels, then planes of red 1, green 2, blue 3.
fn cifar_record(labels: &[u8]) -> Vec<u8> {
    let planes = [1u8, 2, 3].into_iter().flat_map(|value| [value; 1024]);
    labels.iter().copied().chain(planes).collect()
}

fn cifar10(root: &Path) -> &'static [&'static str] {
    for batch in 1..=5 {
        let name = format!("cifar-10-batches-bin/data_batch_{batch}.bin");
        write(root, &name, cifar_record(&[batch]));
    }
    let records = [cifar_record(&[9]), cifar_record(&[0])].concat();
    write(root, "cifar-10-batches-bin/test_batch.bin", records);
    &["cifar-10-batches-bin/data_batch_4.bin", "cifar-10-batches-bin/test_batch.bin"]
}

fn cifar100(root: &Path) -> &'static [&'static str] {
    write(root, "cifar-100-binary/train.bin", cifar_record(&[19, 99]));
    write(root, "cifar-100-binary/test.bin", cifar_record(&[1, 42]));
    &["cifar-100-binary/train.bin", "cifar-100-binary/test.bin"]
}

/// A pickle of Python 2 as the Python versions hold: `images` of 3072 bytes each.
pub fn cifar_pickle(labels_key: &str, labels: &[i32], images: &[u8]) -> Vec<u8> {
    let text = |text: &str| [&b"U"[..], &[text.len() as u8], text.as_bytes()].concat();
    let mut bytes = b"\x80\x02}(".to_vec();
    bytes.extend(text(labels_key));
    bytes.extend(b"](");
    for label in labels {
        bytes.push(b'J');
        bytes.extend(label.to_le_bytes());
    }
    bytes.push(b'e');
    bytes.extend(text("data"));
    bytes.extend(b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85");
    bytes.extend([text("b"), b"\x87R(K\x01M".to_vec()].concat());
    let count = (images.len() / 3072) as u16;
    bytes.extend(count.to_le_bytes());
    bytes.extend(b"M\0\x0c\x86cnumpy\ndtype\n");
    bytes.extend([text("u1"), b"K\0K\x01\x87R(K\x03".to_vec(), text("|")].concat());
    bytes.extend(b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89T");
    bytes.extend((images.len() as u32).to_le_bytes());
    bytes.extend(images);
    bytes.extend(b"tbu.");
    bytes
}

fn dtd(root: &Path) -> &'static [&'static str] {
    let root = root.join("dtd");
    pictures(&root.join("images"), &["banded/banded_0001.jpg", "banded/banded_0002.jpg"]);
    pictures(&root.join("images"), &["braided/braided_0003.jpg"]);
    write(&root, "labels/train1.txt", "banded/banded_0002.jpg\n");
    write(&root, "labels/val1.txt", "banded/banded_0001.jpg\n");
    write(&root, "labels/test1.txt", "braided/braided_0003.jpg\n");
    write(&root, "labels/train2.txt", "braided/braided_0003.jpg\nbanded/banded_0001.jpg\n");
    write(&root, "labels/val2.txt", "banded/banded_0002.jpg\n");
    write(&root, "labels/test2.txt", "banded/banded_0002.jpg\n");
    &["dtd/images", "dtd/labels/train1.txt", "dtd/labels/val1.txt", "dtd/labels/test1.txt"]
}

fn voc2007(root: &Path) -> &'static [&'static str] {
    let root = root.join("VOCdevkit/VOC2007");
    pictures(&root.join("JPEGImages"), &["000001.jpg", "000002.jpg", "000003.jpg"]);
    let annotations = [
        ("000001", annotation(&[("dog", 0), ("person", 1), ("person", 0)])),
        ("000002", annotation(&[("tvmonitor", 1), ("aeroplane", 0)])),
        ("000003", annotation(&[("chair", 1), ("chair", 1)])),
    ];
    for (id, text) in annotations {
        write(&root, &format!("Annotations/{id}.xml"), text);
    }
    write(&root, "ImageSets/Main/trainval.txt", "000001\n000002\n");
    write(&root, "ImageSets/Main/test.txt", "000003\n");
    &[
        "VOCdevkit/VOC2007/JPEGImages",
        "VOCdevkit/VOC2007/Annotations/000003.xml",
        "VOCdevkit/VOC2007/ImageSets/Main/trainval.txt",
        "VOCdevkit/VOC2007/ImageSets/Main/test.txt",
    ]
}

fn inat2018(root: &Path) -> &'static [&'static str] {
    pictures(&root.join("train_val2018"), &["Aves/2761/a.jpg", "Plantae/5/b.jpg"]);
    pictures(&root.join("train_val2018"), &["Plantae/5/c.jpg"]);
    let json = |images: &str, annotations: &str| {
        format!(
            "{{\"info\": {{\"year\": 2018}},\n\"images\": [{images}],\n\"categories\": \
             [{{\"id\": 1, \"name\": \"1\"}}, {{\"id\": 0, \"name\": \"0\"}}],\n\
             \"annotations\": [{annotations}]}}"
        )
    };
    let train = json(
        r#"{"id": 7, "file_name": "train_val2018/Aves/2761/a.jpg", "width": 24},
           {"id": 9, "file_name": "train_val2018/Plantae/5/b.jpg", "height": 16}"#,
        r#"{"id": 1, "image_id": 9, "category_id": 0},
           {"id": 2, "image_id": 7, "category_id": 1}"#,
    );
    write(root, "train2018.json", train);
    let val = json(
        r#"{"id": 8, "file_name": "train_val2018/Plantae/5/c.jpg"}"#,
        r#"{"id": 3, "image_id": 8, "category_id": 0}"#,
    );
    write(root, "val2018.json", val);
    &["train_val2018", "train2018.json", "val2018.json"]
}

fn revisited(
    root: &Path,
    pickle: &str,
    folder: impl Fn(&str) -> String,
) -> &'static [&'static str] {
    let images = ["all_souls_000000", "all_souls_000001", "oxford_000002", "bodleian_000003"];
    for image in images.iter().chain(&["all_souls_000013", "bodleian_000107"]) {
        pictures(root, &[&format!("{}/{image}.jpg", folder(image))]);
    }
    write(root, pickle, fixture("gnd_2.pkl"));
    if pickle.contains("oxford") { &["gnd_roxford5k.pkl"] } else { &["gnd_rparis6k.pkl"] }
}

fn copydays(root: &Path) -> &'static [&'static str] {
    pictures(&root.join("original"), &["200000.jpg", "200100.jpg"]);
    pictures(&root.join("strong"), &["200001.jpg", "200002.jpg", "200101.jpg"]);
    pictures(&root.join("jpegqual/75"), &["200000.jpg", "200100.jpg"]);
    pictures(&root.join("crops/10"), &["200000.jpg", "200100.jpg"]);
    &["original", "strong"]
}
