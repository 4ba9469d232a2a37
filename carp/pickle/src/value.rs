//! Values of a pickle, in one table.

use std::borrow::Cow;

/// A value of a pickle; the numbers are indices into the table.
#[derive(Clone, Debug, PartialEq)]
pub enum Node<'a> {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer of at most 16 bytes.
    Int(i128),
    /// A longer integer, such as the state of a random generator; its value is not kept.
    HugeInt,
    /// A float.
    Float(f64),
    /// A string; a lone surrogate, which Python allows, is U+FFFD.
    Text(Cow<'a, str>),
    /// Bytes, or a Python 2 string.
    Bytes(Cow<'a, [u8]>),
    /// A list.
    List(Vec<usize>),
    /// A tuple.
    Tuple(Vec<usize>),
    /// A set.
    Set(Vec<usize>),
    /// A dictionary, in file order; of equal keys the last one counts.
    Dict(Vec<(usize, usize)>),
    /// A Python function or class.
    Global(Box<Global<'a>>),
    /// Something stored outside the pickle, such as a PyTorch storage: its key.
    Persistent(usize),
    /// What a call would have created.
    Object(Box<Object>),
}

/// A Python function or class.
#[derive(Clone, Debug, PartialEq)]
pub struct Global<'a> {
    /// Such as `collections`.
    pub module: Cow<'a, str>,
    /// Such as `OrderedDict`.
    pub name: Cow<'a, str>,
}

/// A call that was recorded, not made; the numbers are indices into the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// What would be called: mostly a [`Node::Global`], rarely the result of another call.
    pub callable: usize,
    /// Its arguments, mostly a tuple.
    pub args: usize,
    /// The state that the result would then be given.
    pub state: Option<usize>,
    /// Elements appended to it.
    pub items: Vec<usize>,
    /// Keys and values put into it.
    pub pairs: Vec<(usize, usize)>,
}

/// Bytes of the longest Python 2 string that is read as a text.
const LONGEST_TEXT: usize = 1 << 12;
/// Characters of a class's name in messages.
const LONGEST_NAME: usize = 100;
/// Calls of results of calls that a class's name is looked for through.
const DEEPEST_CALL: usize = 8;
/// The classes whose objects are nothing but the elements or pairs put into them.
const CONTAINERS: [(&str, &str); 3] =
    [("collections", "OrderedDict"), ("collections", "defaultdict"), ("collections", "deque")];

/// All values of a pickle.
pub struct Pickle<'a> {
    pub(crate) nodes: Vec<Node<'a>>,
    /// Offset of the opcode that created each.
    pub(crate) offsets: Vec<usize>,
    pub(crate) root: usize,
    pub(crate) end: usize,
}

/// One value of a pickle.
#[derive(Clone, Copy)]
pub struct Item<'p> {
    pickle: &'p Pickle<'p>,
    at: usize,
}

impl<'a> Pickle<'a> {
    /// The root value.
    pub fn root(&self) -> Item<'_> {
        Item { pickle: self, at: self.root }
    }

    /// All values, in creation order, even those no longer referred to.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = Item<'_>> {
        (0..self.nodes.len()).map(|at| Item { pickle: self, at })
    }

    /// Bytes read; another pickle may follow.
    pub fn end(&self) -> usize {
        self.end
    }
}

impl<'p> Item<'p> {
    /// The value itself.
    pub fn node(self) -> &'p Node<'p> {
        &self.pickle.nodes[self.at]
    }

    /// Offset of the opcode that created it, for messages.
    pub fn offset(self) -> usize {
        self.pickle.offsets[self.at]
    }

    /// Its index, in creation order.
    pub fn index(self) -> usize {
        self.at
    }

    /// Its type, for messages.
    pub fn kind(self) -> Cow<'static, str> {
        let kind = match self.node() {
            Node::None => "None",
            Node::Bool(_) => "a bool",
            Node::Int(_) | Node::HugeInt => "an int",
            Node::Float(_) => "a float",
            Node::Text(_) => "a str",
            Node::Bytes(_) => "bytes",
            Node::List(_) => "a list",
            Node::Tuple(_) => "a tuple",
            Node::Set(_) => "a set",
            Node::Dict(_) => "a dict",
            Node::Global(_) => "a global",
            Node::Persistent(_) => "a persistent id",
            Node::Object(_) => match self.class() {
                Some(class) => return format!("an object of {class}").into(),
                None => "an object",
            },
        };
        kind.into()
    }

    /// The value of an int.
    pub fn int(self) -> Option<i128> {
        match *self.node() {
            Node::Int(value) => Some(value),
            _ => None,
        }
    }

    /// The value of a float or an int.
    pub fn float(self) -> Option<f64> {
        match *self.node() {
            Node::Float(value) => Some(value),
            Node::Int(value) => Some(value as f64),
            _ => None,
        }
    }

    /// The value of a string, or of a short Python 2 string in UTF-8: names and keys, which any
    /// number of values can refer to, are checked at each look.
    pub fn text(self) -> Option<&'p str> {
        match self.node() {
            Node::Text(text) => Some(text),
            Node::Bytes(bytes) if bytes.len() <= LONGEST_TEXT => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// The strings in a list or tuple; `None` if they are longer in all than the pickle, as only
    /// references to the same ones can be.
    pub fn texts(self) -> Option<Vec<String>> {
        let mut left = self.pickle.end;
        let text = |item: Item<'p>| {
            let text = item.text()?;
            left = left.checked_sub(text.len())?;
            Some(text.to_owned())
        };
        self.items()?.map(text).collect()
    }

    /// The value of bytes or a bytearray, including those that older protocols write as calls.
    pub fn bytes(self) -> Option<Cow<'p, [u8]>> {
        self.bytes_if(|_| true)
    }

    /// The same, `None` for another length: bytes written as text are converted only if they can
    /// have it.
    pub(crate) fn bytes_of_length(self, length: usize) -> Option<Cow<'p, [u8]>> {
        // A code point below 256 takes one or two bytes of UTF-8.
        let bytes = self.bytes_if(|text| (text.div_ceil(2)..=text).contains(&length))?;
        (bytes.len() == length).then_some(bytes)
    }

    fn bytes_if(self, is_wanted: impl Fn(usize) -> bool) -> Option<Cow<'p, [u8]>> {
        if let Node::Bytes(bytes) = self.node() {
            return Some(Cow::Borrowed(bytes));
        }
        let (("builtins" | "__builtin__", kind @ ("bytes" | "bytearray")), args) = self.call()?
        else {
            return self.latin1(is_wanted);
        };
        if args.items()?.len() == 0 {
            return Some(Cow::Borrowed(&[]));
        }
        match args.exactly() {
            Some([bytes]) if kind == "bytearray" => match bytes.node() {
                Node::Bytes(bytes) => Some(Cow::Borrowed(bytes)),
                _ => bytes.latin1(is_wanted),
            },
            _ => self.latin1(is_wanted),
        }
    }

    /// Bytes written as a call on the text of the same code points.
    fn latin1(self, is_wanted: impl Fn(usize) -> bool) -> Option<Cow<'p, [u8]>> {
        let (("_codecs", "encode") | ("builtins" | "__builtin__", "bytearray"), args) =
            self.call()?
        else {
            return None;
        };
        let mut args = args.items()?;
        let (text, encoding) = (args.next()?.text()?, args.next()?.text()?);
        if !matches!(encoding, "latin1" | "latin-1") || !is_wanted(text.len()) {
            return None;
        }
        text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect::<Option<_>>().map(Cow::Owned)
    }

    /// Elements of a list, tuple or set, or of an object such as a `deque`. All other objects are
    /// opaque: what their classes would make of their elements is not known.
    pub fn items(self) -> Option<impl ExactSizeIterator<Item = Item<'p>>> {
        match self.node() {
            Node::List(items) | Node::Tuple(items) | Node::Set(items) => Some(items),
            _ => self.container().map(|object| &object.items),
        }
        .map(|items| items.iter().map(move |&at| self.to(at)))
    }

    /// The elements, if there are N of them.
    pub(crate) fn exactly<const N: usize>(self) -> Option<[Item<'p>; N]> {
        let items = self.items().filter(|items| items.len() == N)?;
        items.collect::<Vec<_>>().try_into().ok()
    }

    /// Keys and values of a dictionary, or of an object such as an `OrderedDict`. All other objects
    /// are opaque.
    pub fn pairs(self) -> Option<impl ExactSizeIterator<Item = (Item<'p>, Item<'p>)>> {
        match self.node() {
            Node::Dict(pairs) => Some(pairs),
            _ => self.container().map(|object| &object.pairs),
        }
        .map(|pairs| pairs.iter().map(move |&(key, value)| (self.to(key), self.to(value))))
    }

    /// The value for a key of a dictionary or object.
    pub fn get(self, key: &str) -> Option<Item<'p>> {
        let (mut found, pairs) = (None, self.pairs()?);
        for (name, value) in pairs {
            let is_key = match name.node() {
                Node::Text(text) => text == key,
                Node::Bytes(bytes) => **bytes == *key.as_bytes(),
                _ => false,
            };
            if is_key {
                found = Some(value);
            }
        }
        found
    }

    /// Module and name of a global.
    pub fn global(self) -> Option<(&'p str, &'p str)> {
        match self.node() {
            Node::Global(global) => Some((&global.module, &global.name)),
            _ => None,
        }
    }

    /// For an object: the global that would be called, and its arguments.
    pub fn call(self) -> Option<((&'p str, &'p str), Item<'p>)> {
        let object = self.object()?;
        Some((self.to(object.callable).global()?, self.to(object.args)))
    }

    /// For an object: the state that it would be given.
    pub fn state(self) -> Option<Item<'p>> {
        self.object()?.state.map(|at| self.to(at))
    }

    /// For an object: the qualified name of its class or of the function that would have made it,
    /// such as `datetime.datetime`; one short line.
    pub fn class(self) -> Option<String> {
        let mut item = self.to(self.object()?.callable);
        if let Some((("copyreg" | "copy_reg", "_reconstructor" | "__newobj__"), args)) = self.call()
        {
            item = args.items()?.next()?;
        }
        // What is called can be made by a call itself, such as one of functools.partial.
        for _ in 0..DEEPEST_CALL {
            let Node::Object(object) = item.node() else { break };
            item = item.to(object.callable);
        }
        let (module, name) = item.global()?;
        let letters = module.chars().chain(['.']).chain(name.chars()).take(LONGEST_NAME);
        Some(letters.flat_map(char::escape_debug).collect())
    }

    /// For a persistent id: its key.
    pub fn persistent(self) -> Option<Item<'p>> {
        match *self.node() {
            Node::Persistent(key) => Some(self.to(key)),
            _ => None,
        }
    }

    fn object(self) -> Option<&'p Object> {
        match self.node() {
            Node::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The object, if it is one of [`CONTAINERS`].
    fn container(self) -> Option<&'p Object> {
        let (class, _) = self.call()?;
        self.object().filter(|_| CONTAINERS.contains(&class))
    }

    fn to(self, at: usize) -> Item<'p> {
        Item { pickle: self.pickle, at }
    }
}
