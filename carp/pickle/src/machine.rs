//! The stack machine that runs a pickle; opcodes as in Python's `pickletools`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Display;

use crate::literals::{unescape, unquote};
use crate::program::{Program, Result};
use crate::value::{Global, Node, Object, Pickle};

/// The most opcodes: far above any file's, and values of less than 300 MB.
const MOST: usize = 1 << 22;
/// The most bytes of the name of a global or of its module: each mention keeps a copy.
const LONGEST_GLOBAL: usize = 255;

struct Machine<'a> {
    program: Program<'a>,
    nodes: Vec<Node<'a>>,
    offsets: Vec<usize>,
    stack: Vec<usize>,
    /// Heights of the stack at the open marks.
    marks: Vec<usize>,
    memo: HashMap<usize, usize>,
}

/// Runs the program to its STOP.
pub fn run(bytes: &[u8]) -> Result<Pickle<'_>> {
    let mut machine = Machine {
        program: Program::new(bytes),
        nodes: vec![],
        offsets: vec![],
        stack: vec![],
        marks: vec![],
        memo: HashMap::new(),
    };
    for _ in 0..MOST {
        if let Some(root) = machine.step()? {
            let Machine { program, nodes, offsets, .. } = machine;
            return Ok(Pickle { nodes, offsets, root, end: program.at() });
        }
    }
    machine.fault(format!("more than {MOST} opcodes"))
}

impl<'a> Machine<'a> {
    /// Runs one opcode; returns the root after STOP.
    fn step(&mut self) -> Result<Option<usize>> {
        match self.program.next_opcode()? {
            b'.' => return self.pop().map(Some),
            0x80 => {
                let protocol = self.program.take(1)?[0];
                if protocol > 5 {
                    return self.fault(format!("protocol {protocol} is unknown"));
                }
            }
            0x95 => {
                let length = self.program.length(8)?;
                if length > self.program.left() {
                    return self.fault(format!("truncated: a frame of {length} bytes"));
                }
            }

            b'N' => self.push(Node::None),
            0x88 => self.push(Node::Bool(true)),
            0x89 => self.push(Node::Bool(false)),
            b'I' => self.int_line()?,
            b'L' => {
                let line = self.program.line()?;
                self.decimal(line.strip_suffix('L').unwrap_or(line))?;
            }
            b'F' => {
                let line = self.program.line()?;
                self.number(line.parse().map(Node::Float), line)?;
            }
            b'J' => {
                let bytes = self.program.take(4)?.try_into().expect("four bytes");
                self.push(Node::Int(i32::from_le_bytes(bytes).into()));
            }
            b'K' => self.int(1)?,
            b'M' => self.int(2)?,
            0x8a => self.long(1)?,
            0x8b => self.long(4)?,
            b'G' => {
                let bytes = self.program.take(8)?.try_into().expect("eight bytes");
                self.push(Node::Float(f64::from_be_bytes(bytes)));
            }

            b'S' => match unquote(self.program.line()?) {
                Ok(text) => self.push(Node::Bytes(Cow::Owned(text))),
                Err(detail) => return self.fault(detail),
            },
            b'V' => match unescape(self.program.raw_line()?) {
                Ok(text) => self.push(Node::Text(Cow::Owned(text))),
                Err(detail) => return self.fault(detail),
            },
            b'U' | b'C' => self.byte_string(1)?,
            b'T' | b'B' => self.byte_string(4)?,
            0x8e | 0x96 => self.byte_string(8)?,
            0x8c => self.text(1)?,
            b'X' => self.text(4)?,
            0x8d => self.text(8)?,

            b'(' => self.marks.push(self.stack.len()),
            b']' => self.push(Node::List(vec![])),
            b')' => self.push(Node::Tuple(vec![])),
            b'}' => self.push(Node::Dict(vec![])),
            0x8f => self.push(Node::Set(vec![])),
            b'l' => {
                let items = self.pop_mark()?;
                self.push(Node::List(items));
            }
            b't' => {
                let items = self.pop_mark()?;
                self.push(Node::Tuple(items));
            }
            0x91 => {
                let items = self.pop_mark()?;
                self.push(Node::Set(items));
            }
            b'd' => {
                let items = self.pop_mark()?;
                let pairs = self.pairs(&items)?;
                self.push(Node::Dict(pairs));
            }
            count @ 0x85..=0x87 => {
                let count = usize::from(count - 0x84);
                let mut items: Vec<usize> =
                    (0..count).map(|_| self.pop()).collect::<Result<_>>()?;
                items.reverse();
                self.push(Node::Tuple(items));
            }
            b'a' => {
                let item = self.pop()?;
                self.append(&[item])?;
            }
            b'e' | 0x90 => {
                let items = self.pop_mark()?;
                self.append(&items)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.put(&[key, value])?;
            }
            b'u' => {
                let items = self.pop_mark()?;
                self.put(&items)?;
            }

            b'0' if self.marks.last() == Some(&self.stack.len()) => drop(self.marks.pop()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_mark()?),
            b'2' => self.stack.push(self.top()?),
            b'p' => {
                let key = self.memo_line()?;
                self.memoize(key)?;
            }
            b'q' => {
                let key = self.program.length(1)?;
                self.memoize(key)?;
            }
            b'r' => {
                let key = self.program.length(4)?;
                self.memoize(key)?;
            }
            0x94 => self.memoize(self.memo.len())?,
            b'g' => {
                let key = self.memo_line()?;
                self.recall(key)?;
            }
            b'h' => {
                let key = self.program.length(1)?;
                self.recall(key)?;
            }
            b'j' => {
                let key = self.program.length(4)?;
                self.recall(key)?;
            }

            b'c' => {
                let (module, name) = (self.program.line()?, self.program.line()?);
                self.global(Cow::Borrowed(module), Cow::Borrowed(name));
            }
            0x93 => {
                let (name, module) = (self.pop_text()?, self.pop_text()?);
                self.global(module, name);
            }
            // The registry of short names is Python's own; what a number means is not in the file.
            bytes @ 0x82..=0x84 => {
                let number = self.program.length(1 << (bytes - 0x82))?;
                self.global(Cow::Borrowed("copyreg"), Cow::Owned(format!("extension {number}")));
            }
            b'R' | 0x81 => {
                let (args, callable) = (self.pop()?, self.pop()?);
                self.call(callable, args);
            }
            // No call whose result is known has named arguments.
            0x92 => {
                let (_named, args, callable) = (self.pop()?, self.pop()?, self.pop()?);
                self.call(callable, args);
            }
            b'o' => {
                let mut items = self.pop_mark()?;
                if items.is_empty() {
                    return self.fault("the stack is empty");
                }
                let callable = items.remove(0);
                let args = self.add(Node::Tuple(items));
                self.call(callable, args);
            }
            b'i' => {
                let items = self.pop_mark()?;
                let args = self.add(Node::Tuple(items));
                let (module, name) = (self.program.line()?, self.program.line()?);
                self.global(Cow::Borrowed(module), Cow::Borrowed(name));
                let callable = self.pop()?;
                self.call(callable, args);
            }
            b'b' => {
                let state = self.pop()?;
                let top = self.top()?;
                let Node::Object(object) = &mut self.nodes[top] else {
                    return self.fault("a state for something that is not an object");
                };
                object.state = Some(state);
            }
            b'Q' => {
                let key = self.pop()?;
                self.push(Node::Persistent(key));
            }
            b'P' => {
                let line = self.program.line()?;
                let key = self.add(Node::Text(Cow::Borrowed(line)));
                self.push(Node::Persistent(key));
            }
            unknown => return self.fault(format!("opcode {unknown:#04x} is not supported")),
        }
        Ok(None)
    }

    fn fault<T>(&self, detail: impl Display) -> Result<T> {
        self.program.fault(detail)
    }

    fn add(&mut self, node: Node<'a>) -> usize {
        self.nodes.push(node);
        self.offsets.push(self.program.opcode());
        self.nodes.len() - 1
    }

    fn push(&mut self, node: Node<'a>) {
        let at = self.add(node);
        self.stack.push(at);
    }

    fn top(&self) -> Result<usize> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.last() {
            Some(&top) if self.stack.len() > floor => Ok(top),
            _ => self.fault("the stack is empty"),
        }
    }

    fn pop(&mut self) -> Result<usize> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// Pops everything down to the last mark, and the mark.
    fn pop_mark(&mut self) -> Result<Vec<usize>> {
        match self.marks.pop() {
            Some(height) => Ok(self.stack.split_off(height)),
            None => self.fault("no mark is open"),
        }
    }

    fn pop_text(&mut self) -> Result<Cow<'a, str>> {
        let top = self.pop()?;
        match &self.nodes[top] {
            Node::Text(text) if text.len() <= LONGEST_GLOBAL => Ok(text.clone()),
            _ => self.fault("a global whose name is not a short text"),
        }
    }

    /// Pushes a value parsed from a line.
    fn number<E>(&mut self, value: std::result::Result<Node<'a>, E>, line: &str) -> Result<()> {
        match value {
            Ok(node) => self.push(node),
            Err(_) => return self.fault(format!("{line:?} is not a number")),
        }
        Ok(())
    }

    /// Protocol 0 writes booleans as the integers 00 and 01.
    fn int_line(&mut self) -> Result<()> {
        let line = self.program.line()?;
        let value = match line {
            "00" => false,
            "01" => true,
            _ => return self.decimal(line),
        };
        self.push(Node::Bool(value));
        Ok(())
    }

    fn decimal(&mut self, line: &str) -> Result<()> {
        let digits = line.strip_prefix('-').unwrap_or(line);
        let is_huge = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
        let value = match line.parse() {
            Err(_) if is_huge => Ok(Node::HugeInt),
            value => value.map(Node::Int),
        };
        self.number(value, line)
    }

    fn int(&mut self, bytes: usize) -> Result<()> {
        let value = self.program.length(bytes)?;
        self.push(Node::Int(value as i128));
        Ok(())
    }

    /// A signed little-endian integer preceded by its length.
    fn long(&mut self, length_bytes: usize) -> Result<()> {
        let length = self.program.length(length_bytes)?;
        let bytes = self.program.take(length)?;
        if length > 16 {
            self.push(Node::HugeInt);
            return Ok(());
        }
        let sign = if bytes.last().is_some_and(|&byte| byte >= 0x80) { 0xff } else { 0 };
        let mut wide = [sign; 16];
        wide[..length].copy_from_slice(bytes);
        self.push(Node::Int(i128::from_le_bytes(wide)));
        Ok(())
    }

    fn byte_string(&mut self, length_bytes: usize) -> Result<()> {
        let length = self.program.length(length_bytes)?;
        let bytes = self.program.take(length)?;
        self.push(Node::Bytes(Cow::Borrowed(bytes)));
        Ok(())
    }

    fn text(&mut self, length_bytes: usize) -> Result<()> {
        let length = self.program.length(length_bytes)?;
        let text = String::from_utf8_lossy(self.program.take(length)?);
        self.push(Node::Text(text));
        Ok(())
    }

    /// Alternating keys and values.
    fn pairs(&self, items: &[usize]) -> Result<Vec<(usize, usize)>> {
        let (pairs, []) = items.as_chunks::<2>() else {
            return self.fault("a key without a value");
        };
        Ok(pairs.iter().map(|&[key, value]| (key, value)).collect())
    }

    /// Appends to the top of the stack.
    fn append(&mut self, new: &[usize]) -> Result<()> {
        let top = self.top()?;
        match &mut self.nodes[top] {
            Node::List(items) | Node::Set(items) => items.extend(new),
            Node::Object(object) => object.items.extend(new),
            _ => return self.fault("elements for something that is not a list"),
        }
        Ok(())
    }

    /// Adds keys and values to the top of the stack.
    fn put(&mut self, items: &[usize]) -> Result<()> {
        let new = self.pairs(items)?;
        let top = self.top()?;
        match &mut self.nodes[top] {
            Node::Dict(pairs) => pairs.extend(new),
            Node::Object(object) => object.pairs.extend(new),
            _ => return self.fault("keys for something that is not a dict"),
        }
        Ok(())
    }

    fn memo_line(&mut self) -> Result<usize> {
        let line = self.program.line()?;
        line.parse().or_else(|_| self.fault(format!("{line:?} is not a memo index")))
    }

    fn memoize(&mut self, key: usize) -> Result<()> {
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, key: usize) -> Result<()> {
        match self.memo.get(&key) {
            Some(&at) => self.stack.push(at),
            None => return self.fault(format!("the memo has no {key}")),
        }
        Ok(())
    }

    fn global(&mut self, module: Cow<'a, str>, name: Cow<'a, str>) {
        self.push(Node::Global(Box::new(Global { module, name })));
    }

    /// Records a call.
    fn call(&mut self, callable: usize, args: usize) {
        let object = Object { callable, args, state: None, items: vec![], pairs: vec![] };
        self.push(Node::Object(Box::new(object)));
    }
}
