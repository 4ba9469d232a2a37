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
    /// A float.
    Float(f64),
    /// A string.
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
    Global {
        /// Such as `collections`.
        module: Cow<'a, str>,
        /// Such as `OrderedDict`.
        name: Cow<'a, str>,
    },
    /// Something stored outside the pickle, such as a PyTorch storage: its key.
    Persistent(usize),
    /// The object that a call of `global` would have created.
    Object {
        /// Index of the [`Node::Global`].
        global: usize,
        /// Index of the argument tuple.
        args: usize,
        /// Index of the state that it would then be given.
        state: Option<usize>,
        /// Elements appended to it.
        items: Vec<usize>,
        /// Keys and values put into it.
        pairs: Vec<(usize, usize)>,
    },
}

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
    pub fn all(&self) -> impl Iterator<Item = Item<'_>> {
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

    /// Its type, for messages.
    pub fn kind(self) -> &'static str {
        match self.node() {
            Node::None => "None",
            Node::Bool(_) => "a bool",
            Node::Int(_) => "an int",
            Node::Float(_) => "a float",
            Node::Text(_) => "a str",
            Node::Bytes(_) => "bytes",
            Node::List(_) => "a list",
            Node::Tuple(_) => "a tuple",
            Node::Set(_) => "a set",
            Node::Dict(_) => "a dict",
            Node::Global { .. } => "a global",
            Node::Persistent(_) => "a persistent id",
            Node::Object { .. } => "an object",
        }
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

    /// The value of a string, or of a Python 2 string in UTF-8.
    pub fn text(self) -> Option<&'p str> {
        match self.node() {
            Node::Text(text) => Some(text),
            Node::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// The value of bytes, including those that protocol 2 encodes as a call of `_codecs.encode`.
    pub fn bytes(self) -> Option<Cow<'p, [u8]>> {
        if let Node::Bytes(bytes) = self.node() {
            return Some(Cow::Borrowed(bytes));
        }
        let (("_codecs", "encode"), args) = self.call()? else { return None };
        let mut args = args.items()?;
        let (text, encoding) = (args.next()?.text()?, args.next()?.text()?);
        if encoding != "latin1" {
            return None;
        }
        text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect::<Option<_>>().map(Cow::Owned)
    }

    /// Elements of a list, tuple or set, or those appended to an object.
    pub fn items(self) -> Option<impl ExactSizeIterator<Item = Item<'p>>> {
        match self.node() {
            Node::List(items) | Node::Tuple(items) | Node::Set(items) => Some(items),
            Node::Object { items, .. } => Some(items),
            _ => None,
        }
        .map(|items| items.iter().map(move |&at| self.to(at)))
    }

    /// Keys and values of a dictionary, or of an object such as an `OrderedDict`.
    pub fn pairs(self) -> Option<impl ExactSizeIterator<Item = (Item<'p>, Item<'p>)>> {
        match self.node() {
            Node::Dict(pairs) | Node::Object { pairs, .. } => Some(pairs),
            _ => None,
        }
        .map(|pairs| pairs.iter().map(move |&(key, value)| (self.to(key), self.to(value))))
    }

    /// The value for a key of a dictionary or object.
    pub fn get(self, key: &str) -> Option<Item<'p>> {
        let (mut found, pairs) = (None, self.pairs()?);
        for (name, value) in pairs {
            if name.text() == Some(key) {
                found = Some(value);
            }
        }
        found
    }

    /// Module and name of a global.
    pub fn global(self) -> Option<(&'p str, &'p str)> {
        match self.node() {
            Node::Global { module, name } => Some((module, name)),
            _ => None,
        }
    }

    /// For an object: the global that would be called, and its argument tuple.
    pub fn call(self) -> Option<((&'p str, &'p str), Item<'p>)> {
        match *self.node() {
            Node::Object { global, args, .. } => Some((self.to(global).global()?, self.to(args))),
            _ => None,
        }
    }

    /// For an object: the state that it would be given.
    pub fn state(self) -> Option<Item<'p>> {
        match *self.node() {
            Node::Object { state, .. } => state.map(|at| self.to(at)),
            _ => None,
        }
    }

    /// For a persistent id: its key.
    pub fn persistent(self) -> Option<Item<'p>> {
        match *self.node() {
            Node::Persistent(key) => Some(self.to(key)),
            _ => None,
        }
    }

    fn to(self, at: usize) -> Item<'p> {
        Item { pickle: self.pickle, at }
    }
}
