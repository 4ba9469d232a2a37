//! Reads the pickles inside PyTorch's files, without executing anything.
//!
//! A pickle is a program for a small stack machine. This one knows the opcodes that `torch.save`
//! uses (protocol 2) and a fixed list of globals; a "call" of one of them builds plain data: a
//! tensor's description, a dictionary, or an opaque mark for what no weights are made of. Any other
//! opcode or global is refused with its name and its offset in the pickle.
//!
//! Objects lie in one list and refer to each other by number, so that no nesting, however deep,
//! can exhaust the machine's stack.

use std::collections::HashMap;
use std::io::Read;

use super::dtype::DType;

/// Number of an object in a [`Pickle`].
pub type Id = usize;

/// What a pickle can hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    /// `None`.
    None,
    /// A truth value.
    Bool(bool),
    /// A whole number of up to 64 bits.
    Int(i64),
    /// A whole number of more bits.
    BigInt(Vec<u8>),
    /// A real number.
    Float(f64),
    /// A string.
    Text(String),
    /// Bytes, or a string of Python 2.
    Bytes(Vec<u8>),
    /// A tuple.
    Tuple(Vec<Id>),
    /// A list.
    List(Vec<Id>),
    /// A dictionary, in order.
    Dict(Vec<(Id, Id)>),
    /// One of the known globals.
    Global(Global),
    /// A reference to a storage outside of the pickle: PyTorch's tuple about it.
    Persistent(Id),
    /// A view of a storage.
    Tensor(TensorView),
    /// Something that holds no weights, with the name of its class.
    Opaque(&'static str),
}

/// A tensor before its numbers are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorView {
    /// The storage, an [`Object::Persistent`].
    pub storage: Id,
    /// First element in the storage.
    pub offset: usize,
    /// Lengths of the dimensions.
    pub shape: Vec<usize>,
    /// Elements from one index to the next, per dimension.
    pub strides: Vec<usize>,
}

/// A global that a pickle may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Global {
    /// Makes a tensor: (storage, offset, shape, strides, ...).
    RebuildTensor,
    /// Makes a parameter: (tensor, ...).
    RebuildParameter,
    /// Makes a dictionary.
    OrderedDict,
    /// The type of a storage.
    Storage(DType),
    /// Anything else that is known to be harmless and is not looked at.
    Opaque(&'static str),
}

/// What checkpoints hold beside weights: settings, random states, counters.
const OPAQUE: [&str; 36] = [
    "argparse.Namespace",
    "types.SimpleNamespace",
    "collections.defaultdict",
    "collections.Counter",
    "pathlib.PosixPath",
    "pathlib.PurePosixPath",
    "_codecs.encode",
    "__builtin__.set",
    "__builtin__.complex",
    "__builtin__.bytearray",
    "__builtin__.dict",
    "__builtin__.int",
    "__builtin__.float",
    "__builtin__.list",
    "builtins.dict",
    "builtins.int",
    "builtins.float",
    "builtins.list",
    "numpy.ndarray",
    "numpy.dtype",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
    "torch.Size",
    "torch.device",
    "torch.float64",
    "torch.float32",
    "torch.float16",
    "torch.bfloat16",
    "torch.int64",
    "torch.int32",
    "torch.int16",
    "torch.int8",
    "torch.uint8",
    "torch.bool",
];

fn global(name: &str) -> Option<Global> {
    let dtype = match name {
        "torch._utils._rebuild_tensor" | "torch._utils._rebuild_tensor_v2" => {
            return Some(Global::RebuildTensor);
        }
        "torch._utils._rebuild_parameter" => return Some(Global::RebuildParameter),
        "collections.OrderedDict" => return Some(Global::OrderedDict),
        "torch.DoubleStorage" => DType::F64,
        "torch.FloatStorage" => DType::F32,
        "torch.HalfStorage" => DType::F16,
        "torch.BFloat16Storage" => DType::BF16,
        "torch.LongStorage" => DType::I64,
        "torch.IntStorage" => DType::I32,
        "torch.ShortStorage" => DType::I16,
        "torch.CharStorage" => DType::I8,
        "torch.ByteStorage" => DType::U8,
        "torch.BoolStorage" => DType::Bool,
        _ => return OPAQUE.iter().find(|known| **known == name).map(|k| Global::Opaque(k)),
    };
    Some(Global::Storage(dtype))
}

/// Names of opcodes that are not understood, for the message.
fn opcode_name(code: u8) -> &'static str {
    match code {
        b'0' => "POP",
        b'1' => "POP_MARK",
        b'2' => "DUP",
        b'F' => "FLOAT",
        b'I' => "INT",
        b'L' => "LONG",
        b'P' => "PERSID",
        b'S' => "STRING",
        b'V' => "UNICODE",
        b'd' => "DICT",
        b'g' => "GET",
        b'i' => "INST",
        b'l' => "LIST",
        b'o' => "OBJ",
        b'p' => "PUT",
        0x82 => "EXT1",
        0x83 => "EXT2",
        0x84 => "EXT4",
        0x8c => "SHORT_BINUNICODE",
        0x8d => "BINUNICODE8",
        0x8e => "BINBYTES8",
        0x8f => "EMPTY_SET",
        0x90 => "ADDITEMS",
        0x91 => "FROZENSET",
        0x92 => "NEWOBJ_EX",
        0x93 => "STACK_GLOBAL",
        0x94 => "MEMOIZE",
        0x95 => "FRAME",
        0x96 => "BYTEARRAY8",
        0x97 => "NEXT_BUFFER",
        0x98 => "READONLY_BUFFER",
        _ => "no opcode of Python",
    }
}

/// A pickle that has been read: its objects, and which of them is the whole.
pub struct Pickle {
    objects: Vec<Object>,
    root: Id,
}

impl Pickle {
    /// Reads one pickle and stops behind its STOP.
    ///
    /// # Errors
    /// What is wrong and at which offset from where reading began.
    pub fn read(input: &mut dyn Read) -> Result<Pickle, String> {
        let mut machine = Machine {
            input,
            offset: 0,
            objects: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        };
        let root = machine.run()?;
        Ok(Pickle { objects: machine.objects, root })
    }

    /// The whole.
    pub fn root(&self) -> &Object {
        &self.objects[self.root]
    }

    /// All objects, also those that nothing refers to any more.
    pub fn all(&self) -> &[Object] {
        &self.objects
    }

    /// An object by its number.
    pub fn get(&self, id: Id) -> &Object {
        &self.objects[id]
    }
}

struct Machine<'a> {
    input: &'a mut dyn Read,
    /// Bytes read so far.
    offset: u64,
    objects: Vec<Object>,
    stack: Vec<Id>,
    /// Heights of the stack where MARK stood.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl Machine<'_> {
    fn run(&mut self) -> Result<Id, String> {
        loop {
            let at = self.offset;
            let [code] = self.bytes()?;
            if code == b'.' {
                return self.pop(at);
            }
            self.step(code, at)?;
        }
    }

    /// One opcode, which stood at `at`.
    fn step(&mut self, code: u8, at: u64) -> Result<(), String> {
        match code {
            // PROTO: later protocols show themselves by their opcodes.
            0x80 => {
                self.bytes::<1>()?;
            }
            b'N' => self.push(Object::None),
            0x88 => self.push(Object::Bool(true)),
            0x89 => self.push(Object::Bool(false)),
            // BININT, BININT1, BININT2
            b'J' => {
                let bytes = self.bytes()?;
                self.push(Object::Int(i32::from_le_bytes(bytes).into()));
            }
            b'K' => {
                let [byte] = self.bytes()?;
                self.push(Object::Int(byte.into()));
            }
            b'M' => {
                let bytes = self.bytes()?;
                self.push(Object::Int(u16::from_le_bytes(bytes).into()));
            }
            // LONG1, LONG4
            0x8a => {
                let [length] = self.bytes()?;
                self.long(length.into())?;
            }
            0x8b => {
                let length = self.length()?;
                self.long(length)?;
            }
            // BINFLOAT
            b'G' => {
                let bytes = self.bytes()?;
                self.push(Object::Float(f64::from_be_bytes(bytes)));
            }
            // BINUNICODE
            b'X' => {
                let length = self.length()?;
                let bytes = self.many(length)?;
                let text = String::from_utf8(bytes)
                    .map_err(|_| format!("the text at offset {at} is not UTF-8"))?;
                self.push(Object::Text(text));
            }
            // SHORT_BINSTRING, BINSTRING, SHORT_BINBYTES, BINBYTES
            b'U' | b'C' => {
                let [length] = self.bytes()?;
                let bytes = self.many(length.into())?;
                self.push(Object::Bytes(bytes));
            }
            b'T' | b'B' => {
                let length = self.length()?;
                let bytes = self.many(length)?;
                self.push(Object::Bytes(bytes));
            }
            b'}' => self.push(Object::Dict(vec![])),
            b']' => self.push(Object::List(vec![])),
            b')' => self.push(Object::Tuple(vec![])),
            b'(' => self.marks.push(self.stack.len()),
            // TUPLE, TUPLE1, TUPLE2, TUPLE3
            b't' => {
                let items = self.pop_mark(at)?;
                self.push(Object::Tuple(items));
            }
            0x85..=0x87 => {
                let count = usize::from(code - 0x84);
                let mut items = vec![0; count];
                for item in items.iter_mut().rev() {
                    *item = self.pop(at)?;
                }
                self.push(Object::Tuple(items));
            }
            // APPEND, APPENDS, SETITEM, SETITEMS
            b'a' => {
                let item = self.pop(at)?;
                self.append(vec![item], at)?;
            }
            b'e' => {
                let items = self.pop_mark(at)?;
                self.append(items, at)?;
            }
            b's' => {
                let value = self.pop(at)?;
                let key = self.pop(at)?;
                self.set_items(&[key, value], at)?;
            }
            b'u' => {
                let items = self.pop_mark(at)?;
                self.set_items(&items, at)?;
            }
            // BINPUT, LONG_BINPUT, BINGET, LONG_BINGET
            b'q' => {
                let [key] = self.bytes()?;
                self.put(key.into(), at)?;
            }
            b'r' => {
                let bytes = self.bytes()?;
                self.put(u32::from_le_bytes(bytes), at)?;
            }
            b'h' => {
                let [key] = self.bytes()?;
                self.fetch(key.into(), at)?;
            }
            b'j' => {
                let bytes = self.bytes()?;
                self.fetch(u32::from_le_bytes(bytes), at)?;
            }
            // GLOBAL
            b'c' => {
                let name = format!("{}.{}", self.line(at)?, self.line(at)?);
                let known = global(&name).ok_or_else(|| {
                    format!(
                        "it names {name} at offset {at}: no weights need that, refused (keep the \
                         state dict alone: torch.save(model.state_dict(), FILE))"
                    )
                })?;
                self.push(Object::Global(known));
            }
            // REDUCE, NEWOBJ, BUILD
            b'R' | 0x81 => {
                let arguments = self.pop(at)?;
                let callee = self.pop(at)?;
                let made = self.call(callee, arguments, at)?;
                self.push(made);
            }
            b'b' => {
                self.pop(at)?;
                // Attributes of dictionaries and parameters, such as a state dict's versions of
                // its layers, say nothing of the weights.
                match self.objects[self.top(at)?] {
                    Object::Dict(_) | Object::Tensor(_) | Object::Opaque(_) => {}
                    _ => return Err(format!("BUILD at offset {at} of plain data")),
                }
            }
            // BINPERSID
            b'Q' => {
                let id = self.pop(at)?;
                self.push(Object::Persistent(id));
            }
            _ => {
                let name = opcode_name(code);
                return Err(format!(
                    "opcode {code:#04x} ({name}) at offset {at} is none that torch.save writes"
                ));
            }
        }
        Ok(())
    }

    /// What `callee(*arguments)` would be; nothing is called.
    fn call(&self, callee: Id, arguments: Id, at: u64) -> Result<Object, String> {
        let Object::Global(callee) = self.objects[callee] else {
            return Err(format!("a call at offset {at} of what is no global"));
        };
        let Object::Tuple(arguments) = &self.objects[arguments] else {
            return Err(format!("a call at offset {at} without a tuple of arguments"));
        };
        let bad = || format!("a tensor at offset {at} has arguments of another kind");
        match callee {
            Global::Opaque(name) => Ok(Object::Opaque(name)),
            Global::OrderedDict if arguments.is_empty() => Ok(Object::Dict(vec![])),
            Global::OrderedDict => self.dict_of_pairs(arguments[0], at),
            Global::RebuildParameter => {
                let tensor = arguments.first().map(|&id| &self.objects[id]);
                match tensor {
                    Some(tensor @ Object::Tensor(_)) => Ok(tensor.clone()),
                    _ => Err(bad()),
                }
            }
            Global::RebuildTensor => {
                let &[storage, offset, shape, strides, ..] = &arguments[..] else {
                    return Err(bad());
                };
                let Object::Persistent(_) = self.objects[storage] else { return Err(bad()) };
                let view = TensorView {
                    storage,
                    offset: self.size(offset).ok_or_else(bad)?,
                    shape: self.sizes(shape).ok_or_else(bad)?,
                    strides: self.sizes(strides).ok_or_else(bad)?,
                };
                if view.shape.len() != view.strides.len() {
                    return Err(bad());
                }
                Ok(Object::Tensor(view))
            }
            Global::Storage(_) => {
                Err(format!("a storage is made at offset {at} inside the pickle"))
            }
        }
    }

    /// Python 2 wrote ordered dictionaries as a list of pairs.
    fn dict_of_pairs(&self, list: Id, at: u64) -> Result<Object, String> {
        let Object::List(items) = &self.objects[list] else {
            return Err(format!("the dictionary at offset {at} is made of no list"));
        };
        let pair = |&item: &Id| match &self.objects[item] {
            Object::List(pair) | Object::Tuple(pair) if pair.len() == 2 => Ok((pair[0], pair[1])),
            _ => Err(format!("the dictionary at offset {at} is made of no pairs")),
        };
        Ok(Object::Dict(items.iter().map(pair).collect::<Result<_, _>>()?))
    }

    fn size(&self, id: Id) -> Option<usize> {
        match self.objects[id] {
            Object::Int(size) => usize::try_from(size).ok(),
            _ => None,
        }
    }

    fn sizes(&self, id: Id) -> Option<Vec<usize>> {
        let Object::Tuple(items) = &self.objects[id] else { return None };
        items.iter().map(|&item| self.size(item)).collect()
    }

    fn push(&mut self, object: Object) {
        self.objects.push(object);
        self.stack.push(self.objects.len() - 1);
    }

    fn pop(&mut self, at: u64) -> Result<Id, String> {
        let top = self.top(at)?;
        self.stack.pop();
        Ok(top)
    }

    /// The object on top, above the last MARK.
    fn top(&self, at: u64) -> Result<Id, String> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let top = self.stack[floor.min(self.stack.len())..].last();
        top.copied().ok_or_else(|| format!("the stack is empty at offset {at}"))
    }

    /// The objects above the last MARK, which goes too.
    fn pop_mark(&mut self, at: u64) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().ok_or_else(|| format!("no mark at offset {at}"))?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn append(&mut self, new: Vec<Id>, at: u64) -> Result<(), String> {
        let top = self.top(at)?;
        match &mut self.objects[top] {
            Object::List(items) => items.extend(new),
            Object::Opaque(_) => {}
            _ => return Err(format!("APPEND at offset {at} to what is no list")),
        }
        Ok(())
    }

    fn set_items(&mut self, new: &[Id], at: u64) -> Result<(), String> {
        let top = self.top(at)?;
        let pairs = new.chunks_exact(2);
        match &mut self.objects[top] {
            Object::Dict(items) if pairs.remainder().is_empty() => {
                items.extend(pairs.map(|pair| (pair[0], pair[1])));
            }
            Object::Opaque(_) => {}
            _ => return Err(format!("SETITEM at offset {at} of what is no dictionary")),
        }
        Ok(())
    }

    fn put(&mut self, key: u32, at: u64) -> Result<(), String> {
        let top = self.top(at)?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn fetch(&mut self, key: u32, at: u64) -> Result<(), String> {
        let object = self.memo.get(&key);
        let object = object.ok_or_else(|| format!("no object {key} to get at offset {at}"))?;
        self.stack.push(*object);
        Ok(())
    }

    /// A whole number of `length` bytes, two's complement.
    fn long(&mut self, length: usize) -> Result<(), String> {
        let bytes = self.many(length)?;
        let object = if bytes.len() <= 8 {
            let sign = if bytes.last().is_some_and(|byte| byte & 0x80 != 0) { 0xff } else { 0 };
            let mut full = [sign; 8];
            full[..bytes.len()].copy_from_slice(&bytes);
            Object::Int(i64::from_le_bytes(full))
        } else {
            Object::BigInt(bytes)
        };
        self.push(object);
        Ok(())
    }

    /// A length of four bytes.
    fn length(&mut self) -> Result<usize, String> {
        self.bytes().map(|bytes| u32::from_le_bytes(bytes) as usize)
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        let at = self.offset;
        self.input.read_exact(&mut bytes).map_err(|_| format!("cut short at offset {at}"))?;
        self.offset += N as u64;
        Ok(bytes)
    }

    /// `length` bytes; no more memory is taken than there are bytes, whatever a length claims.
    fn many(&mut self, length: usize) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        let read = (&mut *self.input).take(length as u64).read_to_end(&mut bytes);
        if read.is_err() || bytes.len() < length {
            return Err(format!("cut short at offset {}", self.offset));
        }
        self.offset += length as u64;
        Ok(bytes)
    }

    /// Text up to the end of the line, at most 256 bytes.
    fn line(&mut self, at: u64) -> Result<String, String> {
        let mut line = Vec::new();
        loop {
            let [byte] = self.bytes()?;
            if byte == b'\n' {
                break;
            }
            line.push(byte);
            if line.len() > 256 {
                return Err(format!("the global's name at offset {at} does not end"));
            }
        }
        String::from_utf8(line).map_err(|_| format!("the global's name at offset {at} is no text"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Pickle, String> {
        Pickle::read(&mut &bytes[..])
    }

    fn refused(bytes: &[u8]) -> String {
        read(bytes).err().expect("should be refused")
    }

    #[test]
    fn plain_data_is_read() {
        // pickle.dumps({"a": [1, -2, 300, 70000, 2**40, 1.5, True, None], "b": (1, 2)}, 2)
        let bytes = b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01]q\x02(K\x01J\xfe\xff\xff\xffM\x2c\x01\
            J\x70\x11\x01\x00\x8a\x06\x00\x00\x00\x00\x00\x01G?\xf8\x00\x00\x00\x00\x00\x00\x88N\
            eX\x01\x00\x00\x00bq\x03K\x01K\x02\x86q\x04u.";
        let pickle = read(bytes).unwrap();
        let Object::Dict(items) = pickle.root() else { panic!("{:?}", pickle.root()) };
        assert_eq!(pickle.get(items[0].0), &Object::Text("a".to_owned()));
        let Object::List(list) = pickle.get(items[0].1) else { panic!("no list") };
        let list: Vec<&Object> = list.iter().map(|&id| pickle.get(id)).collect();
        let int = Object::Int;
        assert_eq!(
            list,
            [
                &int(1),
                &int(-2),
                &int(300),
                &int(70000),
                &int(1 << 40),
                &Object::Float(1.5),
                &Object::Bool(true),
                &Object::None
            ]
        );
        let Object::Tuple(pair) = pickle.get(items[1].1) else { panic!("no tuple") };
        assert_eq!((pickle.get(pair[0]), pickle.get(pair[1])), (&int(1), &int(2)));
    }

    #[test]
    fn code_is_refused_by_name_and_offset() {
        // What pickle.dumps writes for an object whose __reduce__ is (os.system, ("true",)).
        let line = refused(b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00true\x85R.");
        assert!(line.contains("posix.system at offset 2"), "{line}");
        for name in ["builtins\neval", "__builtin__\ngetattr", "os\nsystem", "torch\nload"] {
            let bytes = [b"\x80\x02c", name.as_bytes(), b"\n."].concat();
            assert!(refused(&bytes).contains(&name.replace('\n', ".")), "{name}");
        }
        // Names in other clothes: a dotted class, a call of what is no global, a storage's type.
        assert!(
            refused(b"\x80\x02ctorch._utils\n_rebuild_tensor_v2.__globals__\n.").contains("._")
        );
        assert!(refused(b"\x80\x02K\x01)R.").contains("a call at offset 4 of what is no global"));
        assert!(refused(b"\x80\x02ctorch\nFloatStorage\n)R.").contains("a storage is made"));
        for (code, name) in [(0x93, "STACK_GLOBAL"), (b'i', "INST"), (0x95, "FRAME"), (0xff, "no")]
        {
            let line = refused(&[0x80, 2, code]);
            assert!(line.contains(name) && line.contains("at offset 2"), "{line}");
        }
    }

    #[test]
    fn broken_pickles_are_refused() {
        for (bytes, part) in [
            (&b""[..], "cut short at offset 0"),
            (b"\x80\x02X\xff\xff\xff\xffabc", "cut short at offset 7"),
            (b"\x80\x02.", "the stack is empty at offset 2"),
            (b"\x80\x02h\x05.", "no object 5"),
            (b"\x80\x02u.", "no mark"),
            (b"\x80\x02K\x01K\x02a.", "no list"),
            (b"\x80\x02}(K\x01u.", "no dictionary"),
            (b"\x80\x02K\x01(\x85.", "the stack is empty"),
            (b"\x80\x02X\x01\x00\x00\x00\xff.", "not UTF-8"),
            (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.", "arguments of another kind"),
            (b"\x80\x02K\x01Nb.", "BUILD at offset 5"),
        ] {
            let line = refused(bytes);
            assert!(line.contains(part), "{line} instead of {part}");
        }
        let endless = [b"\x80\x02c".to_vec(), vec![b'a'; 5000]].concat();
        assert!(refused(&endless).contains("does not end"));
    }

    #[test]
    fn deep_nesting_needs_no_deep_stack() {
        let bytes = [b"\x80\x02N".to_vec(), vec![0x85; 1_000_000], b".".to_vec()].concat();
        assert!(matches!(read(&bytes).unwrap().root(), Object::Tuple(_)));
        // A list that holds itself.
        let pickle = read(b"\x80\x02]q\x00h\x00a.").unwrap();
        let Object::List(items) = pickle.root() else { panic!("no list") };
        assert_eq!(pickle.get(items[0]), pickle.root());
    }
}
