//! The parser of the `cel` crate, kept within bounds, and its complaints in our words.

use cel::common::ast::{IdedExpr, SourceInfo};
use cel::{Env, ParseError};

use super::Mistake;
use crate::model::lookalike;

use super::layout::{BRACKETS, DEPTH, Layout};

/// The stack that parser and checker get: `BRACKETS` times 200 KiB and `DEPTH` times 10 KiB in a debug
/// build are 8 MiB (measured), and that twice. Only what is used of it takes memory.
const STACK: usize = 16 * 1024 * 1024;

/// Runs `compile` where its recursion has room, whatever the caller's own stack is.
pub(super) fn with_room<T: Send>(
    source: &str,
    compile: impl FnOnce() -> Result<T, Vec<Mistake>> + Send,
) -> Result<T, Vec<Mistake>> {
    let failed = |why: &str| vec![Mistake::new(0..source.len(), format!("cannot compile it: {why}"))];
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().name("expression".into()).stack_size(STACK);
        match builder.spawn_scoped(scope, compile) {
            Ok(thread) => thread.join().unwrap_or_else(|_| Err(failed("the parser panicked"))),
            Err(error) => Err(failed(&format!("the system gives no thread for it: {error}"))),
        }
    })
}

/// Parses; macros stay calls, so that every part keeps its place in the text.
pub(super) fn parse(source: &str, layout: &Layout<'_>) -> Result<(IdedExpr, SourceInfo), Vec<Mistake>> {
    if source.trim().is_empty() {
        let empty = Mistake::new(0..source.len(), "the expression is empty");
        return Err(vec![empty.help("leave `when` out where there is no condition")]);
    }
    // An environment without a library has no macros either; ours are in `check::macros`.
    let parser = Env::default()
        .parser()
        .enable_optional_syntax(false)
        .enable_ident_escape_syntax(true)
        .max_recursion_depth(u16::try_from(2 * (BRACKETS + DEPTH)).unwrap_or(u16::MAX));
    parser.parse_with_source_info(source).map_err(|found| {
        // What follows the first complaint is the parser finding its feet again.
        let first = found.errors.iter().min_by_key(|error| error.pos);
        vec![first.map_or_else(
            || Mistake::new(0..source.len(), "this is not an expression"),
            |error| complaint(source, layout, error),
        )]
    })
}

fn complaint(source: &str, layout: &Layout<'_>, error: &ParseError) -> Mistake {
    let position = |number: isize| usize::try_from(number).unwrap_or(0);
    let span = match error.pos {
        (0, _) => 0..source.len(),
        (line, column) => layout.place(position(line), position(column)),
    };
    let seen = &source[span.clone()];
    let mistake = |message: String| Mistake::new(span.clone(), message);
    let text = error.msg.trim_start_matches("Syntax error: ");
    let is_token = ["token recognition", "mismatched", "extraneous", "no viable", "missing"]
        .iter()
        .any(|begin| text.starts_with(begin));
    if let Some(help) = instead_of(seen) {
        return mistake(format!("`{seen}` is not an operator")).help(help);
    }
    let before = source[..span.start].trim_end();
    if seen == ">" && before.ends_with('<') {
        let whole = before.len() - 1..span.end;
        return Mistake::new(whole, "`<>` is not an operator").help("compare with `!=`");
    }
    if let Some(word) = ["not", "NOT"].into_iter().find(|word| before.ends_with(word)) {
        let at = before.len() - word.len()..before.len();
        return Mistake::new(at, format!("`{word}` is not an operator")).help("write `!`");
    }
    if let Some(lookalike) = lookalike::find(seen).filter(|one| one.at == 0) {
        return mistake(format!("`{}` is unexpected here", seen.escape_debug())).help(lookalike.to_string());
    }
    if seen.is_empty() || text.starts_with("Incomplete `ExprContext`") {
        return Mistake::new(source.len()..source.len(), "the expression ends before it is complete");
    }
    if text.starts_with("token recognition") && seen.contains(['"', '\'']) {
        return mistake("this text is not written as one".into())
            .help("it ends with the quote that it begins with; a backslash in it is written `\\\\`");
    }
    if is_token {
        return mistake(format!("`{seen}` is unexpected here"));
    }
    match text.strip_prefix("reserved identifier: ") {
        Some(word) => mistake(format!("`{word}` is a reserved word")),
        None => mistake(text.to_owned()),
    }
}

fn instead_of(seen: &str) -> Option<&'static str> {
    Some(match seen {
        "=" => "compare with `==`",
        "&" | "and" | "AND" => "write `&&`",
        "|" | "or" | "OR" => "write `||`",
        "not" | "NOT" => "write `!`",
        _ => return None,
    })
}
