//! A configuration with rules: it is compiled, or every mistake has its place in the text.

#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use recwarden::model::conversation::Conversation;
use recwarden::model::document::Diagnostic;
use recwarden::policy::compile::Compiler;
use recwarden::policy::subject::{Facts, Subject};
use recwarden::settings::{Credentials, Source};

static SOURCE: LazyLock<Source> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("recwarden-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for the configuration");
    Source {
        path: folder.join("main.toml"),
        environment: BTreeMap::new(),
        credentials: Credentials::Unneeded,
    }
});

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut compiler = Compiler::default();
    let mistakes = compiler.add_file("rules.toml", text);
    mistakes.iter().for_each(|one| is_placed(one, text));
    if mistakes.is_empty() {
        compiler.analyse(1000).iter().for_each(|one| is_placed(one, text));
        let (conversation, facts) = (Conversation::default(), Facts::new());
        drop(compiler.finish().matches(Subject { conversation: &conversation, facts: &facts, topic: "" }));
    }
    std::fs::write(&SOURCE.path, text).expect("the configuration is written");
    if let Err(mistakes) = SOURCE.load() {
        assert!(!mistakes.is_empty(), "a refusal says why");
        drop(mistakes.iter().map(ToString::to_string).collect::<Vec<_>>());
    }
});

fn is_placed(one: &Diagnostic, text: &str) {
    assert!(one.line >= 1 && one.line <= text.matches('\n').count() + 1, "{one}");
    assert!(one.column >= 1 && !one.to_string().is_empty(), "{one}");
}
