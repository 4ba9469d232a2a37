//! Pickles written by Python (`tools/golden_data.py`), and hostile ones.

use std::path::{Path, PathBuf};

use pickle::{Item, Node, Pickle};

fn fixture(name: &str) -> (PathBuf, Vec<u8>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/data").join(name);
    let bytes = std::fs::read(&path).unwrap();
    (path, bytes)
}

fn texts(item: Item) -> Vec<String> {
    item.items().unwrap().map(|item| item.text().unwrap().to_owned()).collect()
}

/// Asserts a one-line error with all `parts`.
fn fails(bytes: &[u8], parts: &[&str]) {
    let error = Pickle::read(Path::new("x.pkl"), bytes);
    let error = error.err().expect("should be refused").to_string();
    assert_eq!(error.lines().count(), 1, "{error}");
    for part in parts.iter().chain(&["x.pkl: pickle, offset "]) {
        assert!(error.contains(part), "{part:?} is not in {error:?}");
    }
}

#[test]
fn every_protocol_gives_the_same_ground_truth() {
    let names = (0..6).flat_map(|protocol| {
        [format!("gnd_{protocol}.pkl"), format!("gnd_foreign_{protocol}.pkl")]
    });
    for name in names.chain(["gnd_numpy_2.pkl".into(), "gnd_numpy_4.pkl".into()]) {
        let (path, bytes) = fixture(&name);
        let pickle = Pickle::read(&path, &bytes).unwrap();
        assert_eq!(pickle.end(), bytes.len());
        let root = pickle.root();
        assert_eq!(texts(root.get("imlist").unwrap())[3], "bodleian_000003");
        assert_eq!(
            texts(root.get("qimlist").unwrap()),
            ["all_souls_000013", "bodleian_000107"],
            "{name}"
        );
        let gnd: Vec<Item> = root.get("gnd").unwrap().items().unwrap().collect();
        let numbers = |query: usize, key: &str| gnd[query].get(key).unwrap().numbers().unwrap();
        assert_eq!(numbers(0, "bbx"), [2.5, 1.0, 10.5, 8.0], "{name}");
        assert_eq!(numbers(1, "bbx"), [0.0, 0.0, 12.0, 9.0], "{name}");
        assert_eq!((numbers(0, "easy"), numbers(1, "hard")), (vec![0.0], vec![3.0]), "{name}");
        assert!(numbers(1, "easy").is_empty(), "{name}");
    }
}

#[test]
fn foreign_objects_are_named_and_opaque() {
    for protocol in 0..6 {
        let (path, bytes) = fixture(&format!("gnd_foreign_{protocol}.pkl"));
        let pickle = Pickle::read(&path, &bytes).unwrap();
        let beside: Vec<Item> = pickle.root().get("beside").unwrap().items().unwrap().collect();
        let class = |at: usize| beside[at].class().unwrap();
        assert!(class(0).starts_with("numpy.random._pickle."), "{}", class(0));
        let classes = [1, 2, 3, 4, 5].map(class);
        let [point, settings, partial] =
            ["__main__.Point", "__main__.Settings", "functools.partial"];
        assert_eq!(classes, ["datetime.datetime", "__main__.Color", point, settings, partial]);
        // A dictionary to Python, but what its class makes of the pairs is not known.
        let settings = beside[4];
        assert!(settings.pairs().is_none() && settings.get("lr").is_none(), "{protocol}");
        assert_eq!(settings.kind(), "an object of __main__.Settings");
        assert_eq!(*beside[8].node(), Node::HugeInt);
        assert_eq!(beside[9].bytes().as_deref(), Some(&[0, 0xff][..]), "protocol {protocol}");
        assert_eq!(beside[10].bytes().as_deref(), Some(&[][..]), "protocol {protocol}");
        assert_eq!(beside[11].bytes().as_deref(), Some(&[][..]), "protocol {protocol}");
        assert!(beside[12].array().is_none(), "dates are no numbers");
        assert!(beside[13].text().unwrap().starts_with("a lone surrogate: \u{fffd}"));
    }
}

#[test]
fn values_of_every_protocol() {
    for protocol in 0..6 {
        let (path, bytes) = fixture(&format!("values_{protocol}.pkl"));
        let pickle = Pickle::read(&path, &bytes).unwrap();
        let mut items = pickle.root().items().unwrap();
        let mut next = || items.next().unwrap();
        assert_eq!(*next().node(), Node::None);
        assert_eq!(*next().node(), Node::Bool(true));
        assert_eq!(*next().node(), Node::Bool(false));
        for int in [-1, 255, 65_536, -(1 << 40), 1 << 100] {
            assert_eq!(next().int(), Some(int), "protocol {protocol}");
        }
        assert_eq!(next().float(), Some(1.5));
        if protocol >= 3 {
            assert_eq!(next().bytes().as_deref(), Some(&[0, 0xff][..]));
        }
        assert_eq!(next().text(), Some("h\u{e9}\u{20ac}\n\\u"), "protocol {protocol}");
        for tuple in [&[][..], &[1], &[1, 2, 3, 4]] {
            let item = next();
            let ints: Vec<i128> = item.items().unwrap().map(|i| i.int().unwrap()).collect();
            assert_eq!((ints.as_slice(), &*item.kind()), (tuple, "a tuple"));
        }
        if protocol >= 4 {
            assert_eq!(next().get("a").unwrap().items().unwrap().len(), 2);
        }
        if protocol == 5 {
            assert_eq!(next().bytes().as_deref(), Some(&b"xy"[..]));
            assert_eq!(next().items().unwrap().next().unwrap().int(), Some(7));
        }
        assert!(items.next().is_none());
    }
}

#[test]
fn what_torch_save_writes() {
    let (path, bytes) = fixture("torch.pkl");
    let pickle = Pickle::read(&path, &bytes).unwrap();
    let root = pickle.root();
    assert_eq!(root.get("epoch").unwrap().int(), Some(400));
    assert_eq!(root.get("big").unwrap().int(), Some(0x1950_a86a_20f9_469c_fc6c));
    let weights = root.get("state_dict").unwrap();
    assert_eq!(weights.call().unwrap().0, ("collections", "OrderedDict"));
    let names: Vec<_> = weights.pairs().unwrap().map(|(name, _)| name.text().unwrap()).collect();
    assert_eq!(names, ["conv1.weight", "fc.bias"]);
    assert!(weights.state().unwrap().get("_metadata").is_some());

    let (global, args) = weights.get("fc.bias").unwrap().call().unwrap();
    assert_eq!(global, ("torch._utils", "_rebuild_tensor_v2"));
    let args: Vec<Item> = args.items().unwrap().collect();
    let storage: Vec<Item> = args[0].persistent().unwrap().items().unwrap().collect();
    assert_eq!(storage[0].text(), Some("storage"));
    assert_eq!(storage[1].global(), Some(("torch", "FloatStorage")));
    assert_eq!((storage[2].text(), storage[4].int()), (Some("0"), Some(14)));
    let shape: Vec<i128> = args[2].items().unwrap().map(|i| i.int().unwrap()).collect();
    assert_eq!(shape, [3, 4]);
}

#[test]
fn code_is_never_run_but_named() {
    let ran = std::env::temp_dir().join(format!("a-pickle-has-run-{}", std::process::id()));
    let touch = format!("touch {}", ran.display());
    // os.system("touch ...") by every kind of call, of a call's result, and with named arguments.
    let old = format!("S'{touch}'\n");
    let new = [b"X", &(touch.len() as u32).to_le_bytes()[..], touch.as_bytes()].concat();
    let cases: [(Vec<u8>, &str); 8] = [
        (format!("cos\nsystem\n({old}tR.").into(), "os.system"),
        (format!("({old}ios\nsystem\n.").into(), "os.system"),
        (format!("(cos\nsystem\n{old}o.").into(), "os.system"),
        ([b"\x80\x04\x8c\x02os\x8c\x06system\x93", &new[..], b"\x85R."].concat(), "os.system"),
        ([b"\x80\x02cbuiltins\neval\n", &new[..], b"\x85\x81."].concat(), "builtins.eval"),
        ([b"\x80\x04cos\nsystem\n", &new[..], b"\x85}\x92."].concat(), "os.system"),
        (format!("cfunctools\npartial\n(cos\nsystem\ntR({old}tR.").into(), "functools.partial"),
        (
            format!("\u{80}\x02\u{82}\x07({old}tR.").chars().map(|c| c as u8).collect(),
            "copyreg.extension 7",
        ),
    ];
    for (bytes, class) in cases {
        let pickle = Pickle::read(Path::new("x.pkl"), &bytes).unwrap();
        assert_eq!(pickle.root().class().as_deref(), Some(class));
        assert!(pickle.root().items().is_none() && pickle.root().pairs().is_none());
        assert!(pickle.root().bytes().is_none() && pickle.root().array().is_none());
    }
    assert!(!ran.exists(), "it was run");
    // Calls of calls of calls are no way to make a reader search for long.
    let deep = [b"cos\nsystem\n", &b")R".repeat(100_000)[..], b"."].concat();
    let pickle = Pickle::read(Path::new("x.pkl"), &deep).unwrap();
    assert_eq!(pickle.all().filter_map(Item::class).count(), 9);
    // A name is one short line whatever the file calls it.
    let long = [b"\x80\x04\x8c\x02a\n\x8c\xff", &[b'b'; 255][..], b"\x93)R."].concat();
    let pickle = Pickle::read(Path::new("x.pkl"), &long).unwrap();
    let class = pickle.root().class().unwrap();
    assert!(class.starts_with("a\\n.bbb") && class.len() < 110, "{class}");
}

#[test]
fn a_short_file_cannot_ask_for_endless_values() {
    let endless = [b"(", &vec![b'N'; 5 << 20][..], b"t."].concat();
    fails(&endless, &["more than 4194304 opcodes"]);
}

/// Many references to one long value cost what they are, not what it is.
#[test]
fn what_is_referred_to_often_is_not_read_often() {
    let pickle = |bytes: &[u8], check: &dyn Fn(Item)| {
        check(Pickle::read(Path::new("x"), bytes).unwrap().root());
    };
    let many = |value: &[u8]| [b"](", value, b"q\0", &b"h\0".repeat(50_000), b"e."].concat();
    let start = std::time::Instant::now();
    // Arrays of a million bytes where numbers should be, written as Python 3 writes them for 2.
    let array = |size: i32, text: &[u8]| {
        let shape = [b"J", &size.to_le_bytes()[..], b"\x85"].concat();
        let start =
            b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\x01b\x87R(K\x01";
        let dtype = b"cnumpy\ndtype\nU\x02u1K\0K\x01\x87R(K\x03U\x01|NNNK\0K\0K\0tb\x89";
        let bytes = [b"c_codecs\nencode\nX", &(text.len() as u32).to_le_bytes()[..], text].concat();
        [&start[..], &shape, dtype, &bytes, b"X\x06\0\0\0latin1\x86Rtb"].concat()
    };
    pickle(&many(&array(1_000_000, &[b'a'; 1_000_000])), &|list| assert_eq!(list.numbers(), None));
    pickle(&[&array(3, "a\u{e9}b".as_bytes()), &b"."[..]].concat(), &|array| {
        assert_eq!(array.numbers(), Some(vec![97.0, 233.0, 98.0]));
    });
    // The state of an array, and the name of a global, with a million parts.
    let long = [
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\x01b\x87R(",
        &[b'N'; 1_000_000][..],
        b"tb",
    ];
    pickle(&many(&long.concat()), &|list| assert_eq!(list.numbers(), None));
    let name = [b"V", &[b'a'; 1_000_000][..], b"\nq\0"].concat();
    fails(&[b"(", &name[..], &b"h\0h\0\x93".repeat(50_000), b"t."].concat(), &["not a short text"]);
    // Texts longer in all than the file.
    let text =
        |length: usize| [b"T", &(length as u32).to_le_bytes()[..], &b"a".repeat(length)].concat();
    pickle(&many(&text(4096)), &|list| assert_eq!(list.texts(), None));
    pickle(&many(&text(1)), &|list| assert_eq!(list.texts().unwrap().len(), 50_001));
    assert!(start.elapsed() < std::time::Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn faults_are_named_with_their_offset() {
    let cases: [(&[u8], &str); 19] = [
        (b"", "offset 0: truncated: 1 bytes expected, 0 left"),
        (b"K", "offset 0: truncated"),
        (b"K\x01", "offset 2: truncated"),
        (b"\x80\x09N.", "protocol 9 is unknown"),
        (b"\x97.", "opcode 0x97 is not supported"),
        (b".", "offset 0: the stack is empty"),
        (b"(.", "offset 1: the stack is empty"),
        (b"N(0R.", "offset 3: the stack is empty"),
        (b"t.", "offset 0: no mark is open"),
        (b"h\x05.", "the memo has no 5"),
        (b"X\xff\xff\xff\x7fab", "offset 0: truncated: 2147483647 bytes expected, 2 left"),
        (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffab", "truncated"),
        (b"\x8b\xff\xff\xff\xff", "truncated"),
        (b"\x95\x10\0\0\0\0\0\0\0N.", "offset 0: truncated: a frame of 16 bytes"),
        (b"Ione\n.", "\"one\" is not a number"),
        (b"S'ab\n.", "a string without its quotes"),
        (b"V\\u12g4\n.", "broken \\u escape"),
        (b"](Ne(Ns.", "offset 6: the stack is empty"),
        (b"}(Nu.", "a key without a value"),
    ];
    for (bytes, part) in cases {
        fails(bytes, &[part]);
    }
    fails(b"NNa.", &["elements for something that is not a list"]);
    fails(b"]Nb.", &["a state for something that is not an object"]);
}

#[test]
fn no_prefix_and_no_flipped_bit_panics() {
    for name in ["gnd_numpy_2.pkl", "values_5.pkl", "values_0.pkl", "torch.pkl"] {
        let (path, bytes) = fixture(name);
        for length in 0..bytes.len() {
            assert!(Pickle::read(&path, &bytes[..length]).is_err());
        }
        let mut bytes = bytes;
        for bit in 0..8 * bytes.len() {
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(pickle) = Pickle::read(&path, &bytes) {
                let _ = pickle.root().numbers();
            }
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn a_list_may_hold_itself_and_grow_without_end() {
    // A list that is its own element, and one doubled by reference 40 times.
    let pickle = Pickle::read(Path::new("x"), b"]q\0h\0a.").unwrap();
    assert_eq!(pickle.root().items().unwrap().next().unwrap().kind(), "a list");
    let mut bytes = b"]".to_vec();
    for place in 0..40 {
        bytes.extend([b'q', place, b']', b'h', place, b'a', b'h', place, b'a']);
    }
    bytes.push(b'.');
    let pickle = Pickle::read(Path::new("x"), &bytes).unwrap();
    assert_eq!(pickle.root().items().unwrap().len(), 2);
}
