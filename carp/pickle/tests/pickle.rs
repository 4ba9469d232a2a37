//! Pickles written by Python (`tools/golden_data.py`), and hostile ones.

use std::path::{Path, PathBuf};

use pickle::{Item, NUMPY_GLOBALS, Node, Pickle};

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
    let error = Pickle::read(Path::new("x.pkl"), bytes, &[("collections", "OrderedDict")]);
    let error = error.err().expect("should be refused").to_string();
    assert_eq!(error.lines().count(), 1, "{error}");
    for part in parts.iter().chain(&["x.pkl: pickle, offset "]) {
        assert!(error.contains(part), "{part:?} is not in {error:?}");
    }
}

#[test]
fn every_protocol_gives_the_same_ground_truth() {
    let names = (0..6).map(|protocol| format!("gnd_{protocol}.pkl"));
    for name in names.chain(["gnd_numpy_2.pkl".into(), "gnd_numpy_4.pkl".into()]) {
        let (path, bytes) = fixture(&name);
        let pickle = Pickle::read(&path, &bytes, &NUMPY_GLOBALS).unwrap();
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
fn values_of_every_protocol() {
    for protocol in 0..6 {
        let (path, bytes) = fixture(&format!("values_{protocol}.pkl"));
        let pickle = Pickle::read(&path, &bytes, &[]).unwrap();
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
            assert_eq!((ints.as_slice(), item.kind()), (tuple, "a tuple"));
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
    let globals = [
        ("collections", "OrderedDict"),
        ("torch._utils", "_rebuild_tensor_v2"),
        ("torch", "FloatStorage"),
    ];
    let pickle = Pickle::read(&path, &bytes, &globals).unwrap();
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

    // With one global fewer, the error names it.
    let error = Pickle::read(&path, &bytes, &globals[..2]).err().unwrap().to_string();
    assert!(error.contains("refused") && error.contains("torch.FloatStorage"), "{error}");
}

#[test]
fn code_is_refused_and_named() {
    let refused = ["refused", "nothing was run"];
    // os.system("touch /tmp/x") by every kind of call.
    let cases: [(&[u8], &str); 5] = [
        (b"cos\nsystem\n(S'touch x'\ntR.", "\"os.system\""),
        (b"(S'touch x'\nios\nsystem\n.", "\"os.system\""),
        (b"(cos\nsystem\nS'touch x'\no.", "\"os.system\""),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x01x\x85R.", "\"os.system\""),
        (b"\x80\x02cbuiltins\neval\nX\x01\x00\x00\x001\x85\x81.", "\"builtins.eval\""),
    ];
    for (bytes, global) in cases {
        fails(bytes, &[refused[0], refused[1], global]);
    }
    // Only the global itself is allowed, not its attributes, nor a call of a value.
    fails(b"\x80\x04\x8c\x0bcollections\x8c\x14OrderedDict.__init__\x93.", &refused);
    fails(b"S'os.system'\n(tR.", &["offset 15", "call of something other than an allowed global"]);
    fails(b"ccollections\nOrderedDict\n)R)R.", &["call of something other than an allowed global"]);
    // The offset is that of the opcode.
    fails(b"\x80\x02K\x01cposix\nsystem\n.", &["offset 4: ", "\"posix.system\""]);
}

#[test]
fn faults_are_named_with_their_offset() {
    let cases: [(&[u8], &str); 22] = [
        (b"", "offset 0: truncated: 1 bytes expected, 0 left"),
        (b"K", "offset 0: truncated"),
        (b"K\x01", "offset 2: truncated"),
        (b"\x80\x09N.", "protocol 9 is unknown"),
        (b"N\x82\x01.", "offset 1: opcode 0x82 is not supported"),
        (b"\x97.", "opcode 0x97 is not supported"),
        (b".", "offset 0: the stack is empty"),
        (b"(.", "offset 1: the stack is empty"),
        (b"N(0R.", "offset 3: the stack is empty"),
        (b"t.", "offset 0: no mark is open"),
        (b"h\x05.", "the memo has no 5"),
        (b"X\xff\xff\xff\x7fab", "offset 0: truncated: 2147483647 bytes expected, 2 left"),
        (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffab", "truncated"),
        (b"\x8b\xff\xff\xff\xff", "truncated"),
        (b"\x8a\x11aaaaaaaaaaaaaaaaa.", "an integer of 17 bytes"),
        (b"\x95\x10\0\0\0\0\0\0\0N.", "offset 0: truncated: a frame of 16 bytes"),
        (b"Ione\n.", "\"one\" is not a number"),
        (b"S'ab\n.", "a string without its quotes"),
        (b"V\\u12g4\n.", "broken \\u escape"),
        (b"\x8c\x01\xff.", "a text that is not UTF-8"),
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
            assert!(Pickle::read(&path, &bytes[..length], &NUMPY_GLOBALS).is_err());
        }
        let mut bytes = bytes;
        for bit in 0..8 * bytes.len() {
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(pickle) = Pickle::read(&path, &bytes, &NUMPY_GLOBALS) {
                let _ = pickle.root().numbers();
            }
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn a_list_may_hold_itself_and_grow_without_end() {
    // A list that is its own element, and one doubled by reference 40 times.
    let pickle = Pickle::read(Path::new("x"), b"]q\0h\0a.", &[]).unwrap();
    assert_eq!(pickle.root().items().unwrap().next().unwrap().kind(), "a list");
    let mut bytes = b"]".to_vec();
    for place in 0..40 {
        bytes.extend([b'q', place, b']', b'h', place, b'a', b'h', place, b'a']);
    }
    bytes.push(b'.');
    let pickle = Pickle::read(Path::new("x"), &bytes, &[]).unwrap();
    assert_eq!(pickle.root().items().unwrap().len(), 2);
}
