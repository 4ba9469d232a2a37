//! The house rules that a program can check: files that do not use each other in circles, and their
//! lengths.
//!
//! Circles: within a crate no file uses another that uses it back, directly or through others.
//! A file has an arrow to every file that defines something it names by a path. A re-export (`pub
//! use`) is followed to its definition. A `mod.rs` has arrows to its children, so a child that
//! names something defined in its `mod.rs` closes a circle. Test modules are ignored.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The module path from the crate's root, such as `["optim", "lars"]`.
type Module = Vec<String>;

/// A file of a crate.
#[derive(Default)]
struct File {
    path: PathBuf,
    /// Child modules in files of their own.
    children: Vec<String>,
    /// Imports: local name and path.
    imports: BTreeMap<String, Vec<String>>,
    /// Paths of `use path::*`.
    globs: Vec<Vec<String>>,
    /// All other paths.
    paths: Vec<Vec<String>>,
    /// Names of items.
    items: BTreeSet<String>,
}

/// Words, `::` and single characters, without comments, string and character literals, and
/// lifetimes.
fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let find = |from: usize, end: &str| {
        let end: Vec<char> = end.chars().collect();
        (from..chars.len()).find(|&at| chars[at..].starts_with(&end)).unwrap_or(chars.len())
    };
    let (mut all, mut at) = (Vec::new(), 0);
    while at < chars.len() {
        let rest = &chars[at..];
        let start = at;
        match rest {
            ['/', '/', ..] => at = find(at, "\n"),
            ['/', '*', ..] => at = find(at, "*/") + 2,
            ['r', '"', ..] => at = find(at + 2, "\"") + 1,
            ['r', '#', '"', ..] => at = find(at + 3, "\"#") + 2,
            ['"', ..] => {
                at += 1;
                while at < chars.len() && chars[at] != '"' {
                    at += if chars[at] == '\\' { 2 } else { 1 };
                }
                at += 1;
            }
            ['\'', '\\', ..] => at = find(at + 3, "'") + 1,
            ['\'', _, '\'', ..] => at += 3,
            [':', ':', ..] => {
                all.push("::".to_owned());
                at += 2;
            }
            [c, ..] if is_word(*c) => {
                at += rest.iter().take_while(|&&c| is_word(c)).count();
                all.push(chars[start..at].iter().collect());
            }
            [c, ..] => {
                if !c.is_whitespace() {
                    all.push(c.to_string());
                }
                at += 1;
            }
            [] => {}
        }
    }
    all
}

/// The tokens without `#[cfg(test)]` modules.
fn without_tests(tokens: Vec<String>) -> Vec<String> {
    let test = ["#", "[", "cfg", "(", "test", ")", "]", "mod"];
    let (mut kept, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        if tokens[at..].iter().take(test.len()).eq(test.iter()) {
            at += test.len() + 1;
            let mut depth = usize::from(tokens[at] == "{");
            while depth > 0 {
                at += 1;
                depth = match tokens[at].as_str() {
                    "{" => depth + 1,
                    "}" => depth - 1,
                    _ => depth,
                };
            }
        } else {
            kept.push(tokens[at].clone());
        }
        at += 1;
    }
    kept
}

/// Collects the paths of a `use` tree with their names; returns the tokens after it.
fn tree<'t>(
    mut rest: &'t [String],
    prefix: &[String],
    found: &mut Vec<(String, Vec<String>)>,
) -> &'t [String] {
    let mut path = prefix.to_vec();
    loop {
        match rest[0].as_str() {
            "{" => {
                rest = &rest[1..];
                while rest[0] != "}" {
                    rest = tree(rest, &path, found);
                    rest = if rest[0] == "," { &rest[1..] } else { rest };
                }
                return &rest[1..];
            }
            "::" => rest = &rest[1..],
            "as" => {
                found.push((rest[1].clone(), path));
                return &rest[2..];
            }
            "," | ";" | "}" => {
                let name = path.last().cloned().unwrap_or_default();
                found.push((name, path));
                return rest;
            }
            // `self` after something is that something.
            "self" if !path.is_empty() => rest = &rest[1..],
            word => {
                path.push(word.to_owned());
                rest = &rest[1..];
            }
        }
    }
}

fn parse(path: &Path) -> File {
    const ITEMS: [&str; 9] =
        ["fn", "struct", "enum", "trait", "type", "const", "static", "union", "mod"];
    let tokens = without_tests(tokens(&std::fs::read_to_string(path).unwrap()));
    let mut file = File { path: path.to_owned(), ..File::default() };
    let mut rest = &tokens[..];
    while let [first, after @ ..] = rest {
        rest = after;
        match (first.as_str(), after) {
            // Not the `use<>` of a type.
            ("use", [next, ..]) if next != "<" => {
                let mut found = Vec::new();
                rest = tree(after, &[], &mut found);
                for (name, mut path) in found {
                    if name == "*" {
                        path.pop();
                        file.globs.push(path);
                    } else {
                        file.imports.insert(name, path);
                    }
                }
            }
            ("mod", [name, end, ..]) if end == ";" => file.children.push(name.clone()),
            (word, [name, ..]) if ITEMS.contains(&word) => {
                file.items.insert(name.clone());
            }
            (_, [colons, ..]) if colons == "::" => {
                let mut path = vec![first.clone()];
                while let [colons, name, after @ ..] = rest
                    && colons == "::"
                    && name.chars().all(|c| c.is_alphanumeric() || c == '_')
                {
                    path.push(name.clone());
                    rest = after;
                }
                file.paths.push(path);
            }
            _ => {}
        }
    }
    file
}

/// The files of a crate by module.
struct Crate(BTreeMap<Module, File>);

impl Crate {
    fn read(root: &Path) -> Crate {
        let mut files = BTreeMap::new();
        let mut open = vec![(vec![], root.to_owned())];
        while let Some((module, path)) = open.pop() {
            let file = parse(&path);
            let folder = match module.last() {
                Some(name) if path.ends_with(format!("{name}.rs")) => path.with_extension(""),
                _ => path.parent().unwrap().to_owned(),
            };
            for child in &file.children {
                let flat = folder.join(format!("{child}.rs"));
                let path = if flat.exists() { flat } else { folder.join(child).join("mod.rs") };
                open.push(([&module[..], std::slice::from_ref(child)].concat(), path));
            }
            files.insert(module, file);
        }
        Crate(files)
    }

    /// The module whose file defines what `path` names inside `module`; none for another crate's
    /// item or a module itself.
    fn definition(&self, module: &[String], path: &[String]) -> Option<Module> {
        let file = self.0.get(module)?;
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => self.inside(&[], rest, 0),
            "self" => self.inside(module, rest, 0),
            "super" => match rest.first() {
                Some(next) if next == "super" => self.definition(module.split_last()?.1, rest),
                _ => self.inside(module.split_last()?.1, rest, 0),
            },
            _ if file.children.contains(first) || file.imports.contains_key(first) => {
                self.inside(module, path, 0)
            }
            _ => None,
        }
    }

    fn inside(&self, module: &[String], path: &[String], depth: usize) -> Option<Module> {
        assert!(depth < 20, "an endless import in {module:?}");
        let file = self.0.get(module)?;
        let (first, rest) = path.split_first()?;
        if file.children.contains(first) {
            return self.inside(&[module, std::slice::from_ref(first)].concat(), rest, depth + 1);
        }
        if let Some(target) = file.imports.get(first) {
            let whole = [&target[..], rest].concat();
            // `use a::a` would name itself: look an import up where it comes from.
            return match target.first().map(String::as_str) {
                Some("crate" | "self" | "super") => self.definition(module, &whole),
                Some(name) if file.children.iter().any(|child| child == name) => {
                    self.inside(module, &whole, depth + 1)
                }
                _ => None,
            };
        }
        if first == "*" || file.items.contains(first) {
            return Some(module.to_vec());
        }
        let from_glob = file.globs.iter().find_map(|glob| {
            let whole = [&glob[..], path].concat();
            let found = match glob.first()?.as_str() {
                "crate" | "self" | "super" => self.definition(module, &whole),
                name if file.children.iter().any(|child| child == name) => {
                    self.inside(module, &whole, depth + 1)
                }
                _ => None,
            }?;
            self.0[&found].items.contains(first).then_some(found)
        });
        Some(from_glob.unwrap_or_else(|| module.to_vec()))
    }

    fn arrows(&self) -> BTreeMap<&Module, BTreeSet<Module>> {
        let of = |(module, file): (&'_ Module, &'_ File)| {
            let globs = file.globs.iter().map(|glob| [&glob[..], &["*".to_owned()]].concat());
            let named = file.imports.values().chain(&file.paths).cloned().chain(globs);
            let mut to: BTreeSet<Module> =
                named.filter_map(|path| self.definition(module, &path)).collect();
            to.extend(
                file.children.iter().map(|c| [&module[..], std::slice::from_ref(c)].concat()),
            );
            to.remove(module);
            to
        };
        self.0.iter().map(|(module, file)| (module, of((module, file)))).collect()
    }

    /// Groups of files that all reach each other.
    fn circles(&self) -> BTreeSet<Vec<&Path>> {
        let arrows = self.arrows();
        let reach = |from: &Module| {
            let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
            while let Some(module) = open.pop() {
                for next in &arrows[module] {
                    if seen.insert(next) {
                        open.push(next);
                    }
                }
            }
            seen
        };
        let reached: BTreeMap<&Module, BTreeSet<&Module>> =
            self.0.keys().map(|module| (module, reach(module))).collect();
        let circle = |module: &&Module| {
            let back = reached[*module].iter().filter(|other| reached[**other].contains(*module));
            back.map(|other| self.0[*other].path.as_path()).collect::<Vec<_>>()
        };
        reached.keys().map(circle).filter(|circle| !circle.is_empty()).collect()
    }
}

/// The crates of the workspace.
fn members(root: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let list = text.split_once("\nmembers = [").unwrap().1.split_once(']').unwrap().0;
    list.split(',').map(|name| name.trim().trim_matches('"').to_owned()).collect()
}

#[test]
fn no_file_uses_another_that_uses_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (mut crates, mut circles) = (0, String::new());
    for member in members(&root).iter().filter(|name| !name.is_empty()) {
        let source = root.join(member).join("src");
        let top = ["lib.rs", "main.rs"].map(|name| source.join(name));
        let read = Crate::read(top.iter().find(|path| path.exists()).unwrap());
        crates += 1;
        for circle in read.circles() {
            let names = circle.iter().map(|path| path.strip_prefix(&root).unwrap().display());
            circles +=
                &format!("{member}: {:?}\n", names.map(|n| n.to_string()).collect::<Vec<_>>());
        }
    }
    assert!(crates > 10 && circles.is_empty(), "circles of files:\n{circles}");
}

/// The check itself finds a circle through a third file and one with a `mod.rs`, but none where a
/// `mod.rs` only re-exports.
#[test]
fn circles_are_seen() {
    let temp = tempfile::tempdir().unwrap();
    let circles = |files: &[(&str, &str)]| {
        for (name, text) in files {
            let path = temp.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Crate::read(&temp.path().join("lib.rs")).circles().len()
    };
    let hands_on = [
        ("lib.rs", "mod a;\nmod b;\nmod c;"),
        ("a/mod.rs", "mod x;\nmod y;\npub use self::x::X;\npub use y::*;"),
        ("a/x.rs", "use super::Y;\npub struct X(Y);"),
        ("a/y.rs", "pub struct Y;\n#[cfg(test)]\nmod tests { use super::super::X; }"),
        ("b.rs", "use crate::a::X; // crate::c::C\npub struct B(X);"),
        ("c.rs", "pub struct C(crate::b::B);"),
    ];
    assert_eq!(circles(&hands_on), 0);
    assert_eq!(circles(&[("a/y.rs", "use crate::c;\npub struct Y(c::C);")]), 1);
    assert_eq!(circles(&hands_on), 0);
    let defines = "mod x;\nmod y;\npub use self::x::X;\npub struct Y;";
    assert_eq!(circles(&[("a/mod.rs", defines)]), 1);
}

/// ARCHITECTURE.md has the reason of each file that is longer than CONTRIBUTING.md wants it, and of no
/// other.
#[test]
fn long_files_have_a_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let (_, list) = text.split_once("\nThe files over 400 lines").unwrap();
    let (_, list) = list.split_once(":\n").unwrap();
    let quoted = list.split('`').skip(1).step_by(2);
    let listed: BTreeSet<&str> = quoted.filter(|name| name.ends_with(".rs")).collect();
    let (mut long, mut open) = (BTreeSet::new(), vec![root.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                open.push(path);
            } else if name.ends_with(".rs")
                && std::fs::read_to_string(&path).unwrap().lines().count() > 400
            {
                long.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    assert_eq!(listed, long.iter().map(String::as_str).collect());
}
