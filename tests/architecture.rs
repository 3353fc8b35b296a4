//! Holds the line of the map in `src/lib.rs`: a module imports only modules above it, and what is
//! marked `*` is pure. Each fault is told in one sentence.
//!
//! The checker reads tokens, not types. It sees every path that begins with `crate`, `super`, `self`
//! or the name of a child module, in a `use` or in an expression, outside of `#[cfg(test)]`. What a
//! macro puts together out of pieces is beyond it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The most lines of a file before its tests: what one sitting reads.
const MOST_LINES: usize = 400;
/// Names that say nothing of what is inside.
const VAGUE: [&str; 6] = ["common", "helper", "helpers", "misc", "util", "utils"];
/// Files that were longer when this line was drawn. A file is taken off once it is divided, and none is put on.
const STILL_TOO_LONG: [&str; 0] = [];
/// Paths, crates first, with which a module would reach the world outside.
const OUTSIDE: [&str; 17] = [
    "axum",
    "dotenvy",
    "fastrand",
    "getrandom",
    "rand",
    "reqwest",
    "rustix",
    "sd_notify",
    "signal_hook",
    "std::env",
    "std::fs",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "tokio",
    "tokio_tungstenite",
];
/// Clocks and sources of chance, however they are reached.
const CLOCKS_AND_DICE: [&str; 6] =
    ["Instant", "OsRng", "RandomState", "SystemTime", "ThreadRng", "thread_rng"];
/// What a pure module may do all the same: its parser recurses, so it is given a stack of its own and waited
/// for; what comes out depends on what goes in alone.
const ALLOWED: [(&str, &str); 1] = [("policy::expression", "std::thread")];
/// Calls that read a clock or roll dice on types that are otherwise plain values.
const IMPURE_CALLS: [(&str, &str); 5] = [
    ("Timestamp", "now"),
    ("Zoned", "now"),
    ("Uuid", "now_v7"),
    ("Uuid", "new_v4"),
    ("SigningKey", "generate"),
];

/// One file under `src/`, by its path from there.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// `policy/decide.rs` is `policy::decide`, `policy/mod.rs` is `policy`.
    fn module(&self) -> String {
        let stem = self.path.trim_end_matches(".rs");
        stem.strip_suffix("/mod").unwrap_or(stem).replace('/', "::")
    }
}

/// A row of the map.
struct Row {
    module: String,
    pure: bool,
}

/// The rows in reading order.
struct Map(Vec<Row>);

impl Map {
    /// From the table under `# The map` in the module docs.
    fn read(lib: &str) -> Self {
        let docs = lib.lines().filter_map(|line| line.strip_prefix("//!")).map(str::trim);
        let table = docs.skip_while(|line| *line != "# The map").skip(1);
        let rows = table.take_while(|line| !line.starts_with("# ")).filter(|line| line.starts_with('|'));
        Self(rows.filter_map(|row| row.split('|').nth(2)).flat_map(Self::read_cell).collect())
    }

    /// A cell holds one or more of `` `a::b` ``, each with a star behind it where it is pure.
    fn read_cell(cell: &str) -> Vec<Row> {
        let pieces: Vec<&str> = cell.split('`').skip(1).collect();
        let read =
            |name: &str, behind: &str| Row { module: name.replace('/', "::"), pure: behind.contains('*') };
        pieces
            .chunks(2)
            .filter_map(|pair| Some(read(pair.first()?, pair.get(1).copied().unwrap_or_default())))
            .collect()
    }

    fn row(&self, index: usize) -> (&str, bool) {
        self.0.get(index).map_or(("", false), |row| (row.module.as_str(), row.pure))
    }

    /// The row that `path` leads into: the longest that is the beginning of it.
    fn leads_into(&self, path: &str) -> Option<usize> {
        let fitting = self.0.iter().enumerate().filter(|(_, row)| is_within(path, &row.module));
        fitting.max_by_key(|(_, row)| row.module.len()).map(|(index, _)| index)
    }

    /// The row that a file belongs to: its own, or that of a parent which the map does not divide.
    fn owner(&self, module: &str) -> Option<usize> {
        let index = self.leads_into(module)?;
        let (owner, _) = self.row(index);
        let divided = self.0.iter().any(|row| row.module != owner && is_within(&row.module, owner));
        (owner == module || !divided).then_some(index)
    }
}

fn is_within(path: &str, module: &str) -> bool {
    path.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// A word, `::`, or one mark; comments, strings, characters and lifetimes are left out.
#[derive(Clone)]
struct Token {
    text: String,
    line: usize,
}

impl Token {
    fn is_word(&self) -> bool {
        self.text.starts_with(is_word_char)
    }
}

fn is_word_char(one: char) -> bool {
    one == '_' || one.is_alphanumeric()
}

fn tokens(text: &str) -> Vec<Token> {
    let mut rest = text;
    let mut line = 1;
    let mut found = Vec::new();
    while let Some(first) = rest.chars().next() {
        let length = skipped(rest).unwrap_or_else(|| {
            let length = match first {
                ':' if rest.starts_with("::") => 2,
                one if is_word_char(one) => rest.find(|one| !is_word_char(one)).unwrap_or(rest.len()),
                one => one.len_utf8(),
            };
            if !first.is_whitespace() {
                found.push(Token { text: rest[..length].to_owned(), line });
            }
            length
        });
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    found
}

/// How long the comment, string, character or lifetime is that `rest` begins with.
fn skipped(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(block_comment(rest));
    }
    if let Some(name) = rest.strip_prefix("r#").filter(|name| name.starts_with(is_word_char)) {
        return Some(rest.len() - name.len());
    }
    let prefix = ["br", "cr", "r", "b", "c"].iter().find(|prefix| rest.starts_with(**prefix));
    let prefix = prefix.map_or(0, |prefix| prefix.len());
    let body = &rest[prefix..];
    let hashes = body.len() - body.trim_start_matches('#').len();
    if body[hashes..].starts_with('"') && (hashes == 0 || rest[..prefix].ends_with('r')) {
        let start = prefix + hashes + 1;
        if rest[..prefix].ends_with('r') {
            let end = format!("\"{}", "#".repeat(hashes));
            return Some(rest[start..].find(&end).map_or(rest.len(), |at| start + at + end.len()));
        }
        return Some(start + up_to(&rest[start..], '"'));
    }
    let quoted = rest.strip_prefix('\'')?;
    let mut ahead = quoted.chars();
    match (ahead.next(), ahead.next()) {
        (Some('\\'), _) => Some(1 + up_to(quoted, '\'')),
        (Some(one), Some('\'')) => Some(2 + one.len_utf8()),
        (Some(_) | None, _) => Some(1 + quoted.find(|one| !is_word_char(one)).unwrap_or(quoted.len())),
    }
}

/// The length up to and with the first `end` that no backslash hides.
fn up_to(text: &str, end: char) -> usize {
    let mut hidden = false;
    let at = text.char_indices().find(|(_, one)| {
        let found = *one == end && !hidden;
        hidden = *one == '\\' && !hidden;
        found
    });
    at.map_or(text.len(), |(at, _)| at + end.len_utf8())
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(one) = text[at..].chars().next() {
        if text[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if text[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
        } else {
            at += one.len_utf8();
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// What stands at `at`, or nothing past the end.
fn text_at(tokens: &[Token], at: usize) -> &str {
    tokens.get(at).map_or("", |token| token.text.as_str())
}

/// A file with its tests taken out.
#[derive(Default)]
struct Code {
    tokens: Vec<Token>,
    /// The line where the module of its tests begins.
    tests_at: Option<usize>,
    /// Child modules in files of their own, and those that are there for tests alone.
    children: BTreeSet<String>,
    test_children: BTreeSet<String>,
    /// Those that nobody outside can name.
    private_children: BTreeSet<String>,
}

impl Code {
    fn read(text: &str) -> Self {
        let all = tokens(text);
        let mut code = Self::default();
        let mut at = 0;
        while at < all.len() {
            let end = attribute_end(&all, at);
            if is_for_tests(&all[at..end]) {
                let whole_file = text_at(&all, at + 1) == "!";
                let after = if whole_file { all.len() } else { item_end(&all, end) };
                code.leave_out(&all[at..after]);
                at = after;
            } else {
                let next = end.max(at + 1);
                code.tokens.extend_from_slice(&all[at..next]);
                at = next;
            }
        }
        code.children = code.tokens.windows(3).filter_map(declared).collect();
        let hidden = |four: &[Token]| {
            let open = matches!(text_at(four, 0), "pub" | ")");
            declared(&four[1..]).filter(|_| !open)
        };
        code.private_children = code.tokens.windows(4).filter_map(hidden).collect();
        code.private_children.extend(code.tokens.get(..3).and_then(declared));
        code
    }

    fn leave_out(&mut self, item: &[Token]) {
        let head = item.iter().position(|token| token.text == "{" || token.text == ";");
        let is_module = head.is_some_and(|head| head >= 2 && text_at(item, head - 2) == "mod");
        if is_module && self.tests_at.is_none() {
            self.tests_at = item.first().map(|token| token.line);
        }
        if is_module {
            self.test_children.extend(item.windows(3).filter_map(declared));
        }
    }

    /// Whether there is nothing in it but `mod x;`.
    fn only_lists_modules(&self) -> bool {
        let mut at = 0;
        while at < self.tokens.len() {
            let end = attribute_end(&self.tokens, at);
            let listing =
                ["pub", "(", "crate", "super", ")", "mod", ";"].contains(&text_at(&self.tokens, at));
            let named = at > 0 && text_at(&self.tokens, at - 1) == "mod";
            if end == at && !listing && !named {
                return false;
            }
            at = end.max(at + 1);
        }
        true
    }
}

/// `mod x;` declares the file `x`.
fn declared(three: &[Token]) -> Option<String> {
    (text_at(three, 0) == "mod" && text_at(three, 2) == ";").then(|| text_at(three, 1).to_owned())
}

/// The end of the attribute that begins at `at`; `at` itself where none does.
fn attribute_end(tokens: &[Token], at: usize) -> usize {
    let open = if text_at(tokens, at + 1) == "!" { at + 2 } else { at + 1 };
    if text_at(tokens, at) != "#" || text_at(tokens, open) != "[" {
        return at;
    }
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "[" => depth += 1,
            "]" if depth == 1 => return index + 1,
            "]" => depth -= 1,
            _ => {}
        }
    }
    tokens.len()
}

/// `#[test]` and `#[cfg(test)]`, but neither `not(test)` nor `any(test, ...)`.
fn is_for_tests(attribute: &[Token]) -> bool {
    let words: Vec<&str> =
        attribute.iter().filter(|token| token.is_word()).map(|token| token.text.as_str()).collect();
    let conditional = words.first() == Some(&"cfg") && words.contains(&"test");
    words == ["test"] || conditional && !words.contains(&"not") && !words.contains(&"any")
}

/// The end of the item that begins at `at`: its closing brace or its semicolon.
fn item_end(tokens: &[Token], at: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(at) {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" if depth == 0 => return index,
            "}" if depth == 1 => return index + 1,
            "}" | ")" | "]" => depth -= 1,
            ";" if depth == 0 => return index + 1,
            _ => {}
        }
    }
    tokens.len()
}

/// A path as it is written, and where it leads inside this crate, if it does.
struct Mention {
    written: String,
    leads_to: Option<String>,
    line: usize,
}

/// Every path of the code outside of tests.
fn mentions(code: &Code, module: &str) -> Vec<Mention> {
    let tokens = &code.tokens;
    let mut found = Vec::new();
    let mut inline: Vec<(String, usize)> = Vec::new();
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                inline.pop_if(|(_, opened_at)| *opened_at == depth);
            }
            "mod" if text_at(tokens, at + 2) == "{" => {
                inline.push((text_at(tokens, at + 1).to_owned(), depth));
                at += 1;
            }
            _ if token.is_word() && begins_a_path(tokens, at) => {
                let mut paths = Vec::new();
                let next = use_tree(tokens, at, &[], &mut paths);
                let within: Vec<&str> =
                    module.split("::").chain(inline.iter().map(|(name, _)| name.as_str())).collect();
                found.extend(paths.iter().map(|path| Mention {
                    written: path.join("::"),
                    leads_to: resolve(path, module, &within, &code.children),
                    line: token.line,
                }));
                at = next;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Not a field or method, not the rest of a path, not the place in `pub(in path)`.
fn begins_a_path(tokens: &[Token], at: usize) -> bool {
    let back = |steps: usize| at.checked_sub(steps).map_or("", |at| text_at(tokens, at));
    if text_at(tokens, at) == "use" {
        return false;
    }
    match back(1) {
        "." => back(2) == ".",
        "::" => back(2) == "use" || !(back(2) == ">" || back(2).starts_with(is_word_char)),
        "in" => !(back(2) == "(" && back(3) == "pub"),
        _ => true,
    }
}

/// Collects the paths of the tree that begins at `at`, and says where it ends.
fn use_tree(tokens: &[Token], mut at: usize, stem: &[String], paths: &mut Vec<Vec<String>>) -> usize {
    let goes_on =
        |at: usize| matches!(text_at(tokens, at), "{" | "*") || tokens.get(at).is_some_and(Token::is_word);
    let mut path = stem.to_vec();
    while text_at(tokens, at) != "{" {
        path.push(text_at(tokens, at).to_owned());
        at += 1;
        if text_at(tokens, at) != "::" || !goes_on(at + 1) {
            paths.push(path);
            return at;
        }
        at += 1;
    }
    at += 1;
    while at < tokens.len() && text_at(tokens, at) != "}" {
        at = if goes_on(at) { use_tree(tokens, at, &path, paths) } else { at + 1 };
        if text_at(tokens, at) == "as" {
            at += 2;
        }
    }
    at + 1
}

/// The full path inside this crate, with the first segment below the crate in front.
fn resolve(path: &[String], module: &str, within: &[&str], children: &BTreeSet<String>) -> Option<String> {
    let (first, rest) = path.split_first().filter(|(_, rest)| !rest.is_empty())?;
    let supers = path.iter().take_while(|part| *part == "super").count();
    let (base, rest): (Vec<&str>, &[String]) = match first.as_str() {
        "crate" => (vec![], rest),
        "self" => (within.to_vec(), rest),
        "super" => (within[..within.len().saturating_sub(supers)].to_vec(), &path[supers..]),
        child if children.contains(child) => (module.split("::").collect(), path),
        _ => return None,
    };
    let below = rest.iter().map(String::as_str).filter(|part| !matches!(*part, "self" | "*"));
    Some(base.into_iter().chain(below).collect::<Vec<_>>().join("::"))
}

/// The module whose private part this is; a public module is its own.
fn public_face<'a>(module: &'a str, private: &BTreeSet<String>) -> &'a str {
    let within = |hidden: &&String| is_within(module, hidden);
    let outermost = private.iter().filter(within).min_by_key(|hidden| hidden.len());
    let parent = outermost.and_then(|hidden| hidden.rfind("::"));
    parent.map_or(module, |end| &module[..end])
}

/// Everything that is wrong with a source tree, a sentence each.
fn faults(sources: &[Source]) -> Vec<String> {
    let lib = sources.iter().find(|source| source.path == "lib.rs");
    let map = Map::read(lib.map_or("", |lib| &lib.text));
    if map.0.is_empty() {
        return vec!["src/lib.rs holds no map: a table below `# The map` in its module docs".to_owned()];
    }
    let mut faults = map.repeated();
    let codes: Vec<(&Source, Code)> =
        sources.iter().map(|source| (source, Code::read(&source.text))).collect();
    let for_tests: Vec<String> = codes
        .iter()
        .flat_map(|(source, code)| {
            code.test_children.iter().map(|child| format!("{}::{child}", source.module()))
        })
        .collect();
    let private: BTreeSet<String> = codes
        .iter()
        .flat_map(|(source, code)| {
            code.private_children.iter().map(|child| format!("{}::{child}", source.module()))
        })
        .collect();
    let mut edges = BTreeSet::new();
    for (source, code) in codes.iter().filter(|(source, _)| source.path != "lib.rs") {
        faults.extend(vague_name(&source.path));
        let module = source.module();
        if for_tests.iter().any(|tests| is_within(&module, tests)) {
            continue;
        }
        faults.extend(too_long(source, code));
        match map.owner(public_face(&module, &private)) {
            Some(owner) => faults.extend(map.judge(source, code, owner, &mut edges)),
            None if module == "main" || code.only_lists_modules() => {}
            None => faults.push(format!(
                "src/{}: `{module}` is not in the map: give it a row in src/lib.rs, above all that import it",
                source.path
            )),
        }
    }
    faults.extend(map.circles(&edges));
    faults
}

impl Map {
    fn repeated(&self) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let again = self.0.iter().filter(|row| !seen.insert(&row.module));
        again.map(|row| format!("src/lib.rs: the map has `{}` twice", row.module)).collect()
    }

    /// What one file of the module `owner` does that its row does not allow.
    fn judge(
        &self,
        source: &Source,
        code: &Code,
        owner: usize,
        edges: &mut BTreeSet<(usize, usize)>,
    ) -> Vec<String> {
        let (name, pure) = self.row(owner);
        let mut faults = BTreeSet::new();
        for mention in mentions(code, &source.module()) {
            let place = format!("src/{}:{}: `{name}`", source.path, mention.line);
            let Some(path) = &mention.leads_to else {
                let outside = reaches_outside(&mention.written)
                    .filter(|what| pure && !ALLOWED.contains(&(name, what.as_str())));
                faults.extend(outside.map(|what| {
                    format!("{place} is pure (`*`) but reaches for `{what}`: take it as an argument")
                }));
                continue;
            };
            if is_within(path, name) && self.leads_into(path) == Some(owner) {
                continue;
            }
            let Some(target) = self.leads_into(path) else {
                let written = &mention.written;
                faults.insert(format!("{place} names `{written}`, which leads to no module of the map"));
                continue;
            };
            let (other, other_pure) = self.row(target);
            edges.insert((owner, target));
            if target > owner {
                faults.insert(format!("{place} imports `{other}`, which stands below it in the map"));
            }
            if pure && !other_pure {
                faults.insert(format!("{place} is pure (`*`) but imports `{other}`, which is not"));
            }
        }
        faults.into_iter().collect()
    }

    /// Each circle once, told from its highest module on.
    fn circles(&self, edges: &BTreeSet<(usize, usize)>) -> Vec<String> {
        let mut told = BTreeSet::new();
        let mut faults = Vec::new();
        for (from, to) in edges {
            let Some(way) = shortest_way(edges, *to, *from) else { continue };
            if told.insert(way.iter().copied().collect::<BTreeSet<_>>()) {
                let names: Vec<&str> =
                    std::iter::once(*from).chain(way).map(|index| self.row(index).0).collect();
                faults.push(format!("a circle: `{}`", names.join("` imports `")));
            }
        }
        faults
    }
}

/// The modules from `start` to `goal`, both with.
fn shortest_way(edges: &BTreeSet<(usize, usize)>, start: usize, goal: usize) -> Option<Vec<usize>> {
    let mut came_from = BTreeMap::from([(start, start)]);
    let mut layer = vec![start];
    while !layer.is_empty() && !came_from.contains_key(&goal) {
        let mut next = Vec::new();
        for (from, to) in edges.iter().filter(|(from, _)| layer.contains(from)) {
            came_from.entry(*to).or_insert_with(|| {
                next.push(*to);
                *from
            });
        }
        layer = next;
    }
    let mut way = vec![goal];
    while let Some(last) = way.last().copied().filter(|last| *last != start) {
        way.push(*came_from.get(&last)?);
    }
    way.reverse();
    Some(way)
}

/// The part of a path that reads a clock, rolls dice or reaches the world outside.
fn reaches_outside(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split("::").collect();
    let door = OUTSIDE.iter().find(|door| is_within(path, door) && (door.contains("::") || parts.len() > 1));
    let clock = CLOCKS_AND_DICE.iter().find(|name| parts.contains(name));
    let call = IMPURE_CALLS.iter().find(|(owner, call)| parts.windows(2).any(|two| two == [*owner, *call]));
    let call = call.map(|(owner, call)| format!("{owner}::{call}"));
    clock.or(door).map(ToString::to_string).or(call)
}

fn vague_name(path: &str) -> Option<String> {
    let mut parts = path.trim_end_matches(".rs").split('/');
    let vague = parts.find(|part| VAGUE.contains(part))?;
    Some(format!("src/{path}: `{vague}` says nothing of what is inside: name it after what it does"))
}

fn too_long(source: &Source, code: &Code) -> Option<String> {
    let own = code.tests_at.map_or(usize::MAX, |line| line - 1);
    let lines: Vec<&str> = source.text.lines().take(own).collect();
    let length = lines.len() - lines.iter().rev().take_while(|line| line.trim().is_empty()).count();
    let told =
        format!("src/{}: {length} lines before its tests, {MOST_LINES} at most: divide it", source.path);
    match (length > MOST_LINES, STILL_TOO_LONG.contains(&source.path.as_str())) {
        (true, false) => Some(told),
        (false, true) => Some(format!("src/{}: no longer too long: take it off STILL_TOO_LONG", source.path)),
        (true, true) | (false, false) => None,
    }
}

fn sources_under(root: &Path, folder: &Path) -> std::io::Result<Vec<Source>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(sources_under(root, &path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let below = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            found.push(Source { path: below, text: fs::read_to_string(&path)? });
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

#[test]
fn the_sources_keep_to_the_map() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let sources = sources_under(&root, &root).expect("the sources can be read");
    let faults = faults(&sources);
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

mod the_checker {
    use super::*;

    const MAP: &str = "//! # The map\n//!\n//! | floor | module | in one sentence |\n//! | --- | --- | --- |\n\
        //! | 1 | `model::ids` * `model::time` * | a `|` |\n\
        //! | 2 | `policy::rule` * | rules |\n\
        //! | | `warden::book` * | book |\n\
        //! | | `warden` * | all |\n\
        //! | 3 | `io::clock` | clock |\n\
        //! | | `command` | commands |\n\
        //! # Other\n//! | | `model::ids` * | not of the map |\n";

    /// The faults of a tree with these files beside the map above.
    fn told(files: &[(&str, &str)]) -> Vec<String> {
        let lib = [("lib.rs", MAP)];
        let all = lib.iter().chain(files);
        let source = |(path, text): &(&str, &str)| Source { path: (*path).into(), text: (*text).into() };
        faults(&all.map(source).collect::<Vec<_>>())
    }

    /// One file, one fault: its sentence ends with `end`.
    #[track_caller]
    fn says(path: &str, text: &str, end: &str) {
        let told = told(&[(path, text)]);
        assert!(told.len() == 1 && told.iter().all(|one| one.contains(end)), "{path}: {text}\n{told:#?}");
    }

    #[track_caller]
    fn is_fine(path: &str, text: &str) {
        assert_eq!(told(&[(path, text)]), Vec::<String>::new(), "{path}: {text}");
    }

    #[test]
    fn an_import_from_below_upward_is_named_with_its_place() {
        let told = told(&[("model/ids.rs", "//! Ids.\n\nuse crate::policy::rule::Rule;\n")]);
        let fault =
            "src/model/ids.rs:3: `model::ids` imports `policy::rule`, which stands below it in the map";
        assert_eq!(told, [fault]);
    }

    #[test]
    fn every_way_to_write_an_import_is_seen() {
        let below = "imports `warden::book`, which stands below it";
        for text in [
            "use crate::{model::time::Now, warden::{book::{self, Book as B}}};",
            "use {std::fmt, crate::warden::book};",
            "pub use super::super::warden::book::*;",
            "fn f() -> crate::warden::book::Book { todo() }",
            "fn f() { let x = 0..crate::warden::book::LAST; }",
            "mod inner { use super::super::super::warden::book; }",
            "mod inner { fn f() { if true {} } } use super::super::warden::book;",
            "#[cfg(not(test))] use crate::warden::book;",
            "#[cfg(any(test, unix))] use crate::warden::book;",
            "use crate::r#warden::book;",
            "fn f<'a>(x: &'a str) { (b'\"', '\\'', \"\\\"\", r#\"\"\"#, 'c'); crate::warden::book::f::<u8>(x) }",
            "impl Trait for (crate::warden::book::Book,) {}",
        ] {
            says("policy/rule.rs", text, below);
        }
        says(
            "warden/book.rs",
            "use super::Warden;",
            "`warden::book` imports `warden`, which stands below it",
        );
        says("policy/rule/deep.rs", "use super::super::super::warden::book;", below);
    }

    #[test]
    fn what_is_allowed_is_let_through() {
        for text in [
            "use crate::model::{ids, time::{self as t, Now}};",
            "use super::super::model::ids::Id;",
            "// crate::warden::book\n/* crate::warden /* nested */ crate::warden */ fn f() {}",
            "const X: &str = \"crate::warden::book\"; const Y: &str = r#\"crate::warden\"#;",
            "#[cfg(test)] mod tests { use crate::warden::book::Book; use std::time::Instant; }",
            "#[test] fn f() { crate::warden::book::f() } fn g() {}",
            "#[cfg(test)] use crate::warden::{book, Warden};",
            "pub(in crate::policy) fn f(self, rand: u8) { self.tokio.rand(rand) }",
            "mod inner { use super::Rule; } use self::inner::X; use crate::policy::rule::deep::Y;",
        ] {
            is_fine("policy/rule.rs", text);
        }
        is_fine("warden.rs", "pub mod book;\npub use book::Book;\nuse crate::policy::rule::Rule;");
        is_fine("model.rs", "//! Words.\n\n#[doc(hidden)]\npub mod ids;\npub(crate) mod time;\n");
        is_fine("policy/rule/deep/deeper.rs", "use super::super::Rule; use crate::policy::rule;");
        is_fine("command/run.rs", "use super::Options; use crate::io::clock; use std::fs;");
        is_fine("main.rs", "fn main() { recwarden::command::main() }");
    }

    #[test]
    fn a_child_module_that_stands_below_its_parent_is_seen_without_crate_in_front() {
        let map = MAP.replace("`warden::book` * | book", "`warden` * | all").replacen(
            "`warden` * | all |\n//! | 3",
            "`warden::book` * | book |\n//! | 3",
            1,
        );
        let sources = [
            Source { path: "lib.rs".into(), text: map },
            Source { path: "warden.rs".into(), text: "mod book; use book::Book;".into() },
        ];
        let fault = "src/warden.rs:1: `warden` imports `warden::book`, which stands below it in the map";
        assert_eq!(faults(&sources), [fault]);
    }

    #[test]
    fn a_module_that_the_map_does_not_hold_is_a_fault() {
        says("model/extra.rs", "fn f() {}", "`model::extra` is not in the map");
        says("warden/dice.rs", "fn f() {}", "`warden::dice` is not in the map");
        says("model.rs", "pub mod ids; pub use ids::Id;", "`model` is not in the map");
        says(
            "policy/rule.rs",
            "use crate::model;",
            "names `crate::model`, which leads to no module of the map",
        );
        says("policy/rule.rs", "use crate::*;", "names `crate::*`, which leads to no module of the map");
        says("policy/rule.rs", "use super::*;", "names `super::*`, which leads to no module of the map");
    }

    #[test]
    fn a_circle_is_told_once_beside_the_import_that_makes_it() {
        let told = told(&[
            ("model/ids.rs", "use crate::warden::book::A;"),
            ("policy/rule.rs", "use crate::model::ids::A;"),
            ("warden/book.rs", "use crate::policy::rule::A;"),
        ]);
        let upward =
            "src/model/ids.rs:1: `model::ids` imports `warden::book`, which stands below it in the map";
        let circle =
            "a circle: `model::ids` imports `warden::book` imports `policy::rule` imports `model::ids`";
        assert_eq!(told, [upward, circle]);
    }

    #[test]
    fn a_pure_module_reaches_for_no_clock_dice_file_or_runtime() {
        for (text, what) in [
            ("use std::time::{Duration, Instant};", "`Instant`"),
            ("fn f() { std::time::SystemTime::now(); }", "`SystemTime`"),
            ("use ::std::{fmt, fs::File};", "`std::fs`"),
            ("use std::net;", "`std::net`"),
            ("fn f() { std::env::var(\"X\"); }", "`std::env`"),
            ("fn f() { tokio::spawn(x); }", "`tokio`"),
            ("#[tokio::main] fn f() {}", "`tokio`"),
            ("use rand::rngs::OsRng;", "`OsRng`"),
            ("fn f() { rand::random::<u8>() }", "`rand`"),
            ("fn f() { uuid::Uuid::now_v7() }", "`Uuid::now_v7`"),
            ("fn f() { Timestamp::now() }", "`Timestamp::now`"),
            ("use crate::io::clock::Clock;", "stands below it"),
        ] {
            let told = told(&[("policy/rule.rs", text)]);
            assert!(told.iter().any(|one| one.contains(what)), "{text}\n{told:#?}");
        }
        is_fine("io/clock.rs", "use std::time::Instant; use tokio::time;");
        says("policy/rule/deep.rs", "use std::fs;", "`policy::rule` is pure (`*`) but reaches for `std::fs`");
    }

    #[test]
    fn purity_holds_for_what_a_pure_module_imports() {
        let map = "//! # The map\n//! | 1 | `io::clock` | clock |\n//! | | `warden` * | all |";
        let sources = [
            Source { path: "lib.rs".into(), text: map.into() },
            Source { path: "warden.rs".into(), text: "use crate::io::clock::Clock;".into() },
        ];
        let fault = "src/warden.rs:1: `warden` is pure (`*`) but imports `io::clock`, which is not";
        assert_eq!(faults(&sources), [fault]);
    }

    #[test]
    fn a_file_may_have_400_lines_before_its_tests() {
        let body = "fn f() {}\n".repeat(400);
        is_fine("policy/rule.rs", &body);
        is_fine("policy/rule.rs", &format!("{body}\n#[cfg(test)]\nmod tests {{\n{body}}}\n"));
        let long = format!("#[cfg(test)] fn g() {{}}\n{body}\n#[cfg(test)]\nmod tests {{}}\n");
        says("policy/rule.rs", &long, "src/policy/rule.rs: 401 lines before its tests, 400 at most");
        says("main.rs", &format!("{body}fn main() {{}}\n"), "src/main.rs: 401 lines");
    }

    #[test]
    fn a_file_of_tests_alone_is_measured_by_none_of_it() {
        let tests = "use crate::warden::book; use std::fs;\n".repeat(500);
        let parent = "#[cfg(test)]\n#[path = \"x\"]\nmod tests;\n";
        let all = told(&[("policy/rule.rs", parent), ("policy/rule/tests.rs", &tests)]);
        assert_eq!(all, Vec::<String>::new());
    }

    #[test]
    fn a_name_that_says_nothing_is_refused() {
        for path in ["command/utils.rs", "command/helpers.rs", "command/common.rs", "command/misc/x.rs"] {
            says(path, "", "says nothing of what is inside");
        }
    }

    #[test]
    fn a_missing_or_repeated_map_is_a_fault_of_its_own() {
        let lib = |text: &str| faults(&[Source { path: "lib.rs".into(), text: text.into() }]);
        assert!(lib("//! | 1 | `model::ids` * | ids |").iter().all(|one| one.contains("holds no map")));
        assert_eq!(lib("//! no map").len(), 1);
        let twice = "//! # The map\n//! | 1 | `a` * `a` | twice |";
        assert_eq!(lib(twice), ["src/lib.rs: the map has `a` twice"]);
    }
}
