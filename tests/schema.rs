//! The JSON Schema, held against the configurations and rules that this repository shows to its readers.

use recwarden::settings::schema::{Scope, schema};
use serde_json::Value;

fn json(value: &toml_span::Value<'_>) -> Value {
    if let Some(table) = value.as_table() {
        return Value::Object(table.iter().map(|(key, value)| (key.name.to_string(), json(value))).collect());
    }
    if let Some(items) = value.as_array() {
        return Value::Array(items.iter().map(json).collect());
    }
    let plain = value.as_str().map(Value::from).or_else(|| value.as_bool().map(Value::from));
    plain
        .or_else(|| value.as_integer().map(Value::from))
        .or_else(|| value.as_float().map(Value::from))
        .expect("a value")
}

/// What the schema says is wrong with a text.
fn mistakes(scope: Scope, text: &str) -> Vec<String> {
    let validator = jsonschema::validator_for(&schema(scope).expect("JSON")).expect("a schema");
    let value = json(&toml_span::parse(text).unwrap_or_else(|error| panic!("{error}:\n{text}")));
    validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// The blocks of TOML in a page.
fn blocks(page: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line.trim() == "```toml" {
            let block: Vec<&str> = lines.by_ref().take_while(|line| line.trim() != "```").collect();
            blocks.push(block.join("\n"));
        }
    }
    blocks
}

#[test]
fn the_examples_fit_the_schema() {
    let example = include_str!("../systemd/recwarden.toml");
    assert_eq!(mistakes(Scope::Whole, example), Vec::<String>::new());
    let page = blocks(include_str!("../README.md"));
    assert!(page.len() >= 2, "the README shows configurations");
    for block in page {
        assert_eq!(mistakes(Scope::Whole, &block), Vec::<String>::new(), "{block}");
    }
}

#[test]
fn what_the_reader_refuses_the_schema_refuses_too() {
    let rule = "[[rule]]\nname = \"a\"\naction = \"stop\"\n";
    assert_eq!(mistakes(Scope::Whole, rule), Vec::<String>::new());
    assert_eq!(mistakes(Scope::Rules, rule), Vec::<String>::new());
    for wrong in [
        "[[rule]]\nname = \"a\"\naction = \"halt\"\n",
        "[[rule]]\nname = \"A b\"\naction = \"stop\"\n",
        "[[rule]]\naction = \"stop\"\n",
        "[[rule]]\nname = \"a\"\naction = \"stop\"\nwhem = \"flagged\"\n",
        "[[rule]]\nname = \"a\"\naction = \"stop\"\nat_most = \"soon\"\n",
        "[[rule]]\nname = \"a\"\naction = \"stop\"\nat_most = \"15M\"\n",
        "[[rule]]\nname = \"a\"\naction = \"stop\"\nafter = \"1h 15M\"\n",
        "[[rule]]\nname = \"a\"\naction = \"stop\"\nattribute = { pci = 1 }\n",
        "[[test]]\nname = \"a\"\nsteps = [{ expct = \"stop\" }]\n",
        "[[rule]]\nname = \"a\"\naction = \"stop\"\nqueue = []\n",
        "[[rule]]\nname = \"a\"\naction = \"stop\"\nat_most = \"0s\"\n",
        "[[test]]\nname = \"a\"\nsteps = []\n",
        "[[test]]\nname = \"a\"\nsteps = [{ rule = \"a\" }]\n",
        "[[test]]\nname = \"a\"\nsteps = [{ for = \"10m\", expect = \"stop\" }]\n",
    ] {
        assert_ne!(mistakes(Scope::Rules, wrong), Vec::<String>::new(), "{wrong}");
    }
    for wrong in [
        "[limit]\n",
        "[limits]\naction_share = 2\n",
        "[audit]\nsync = \"never\"\n",
        "[genesys]\nclient_secret = \"x\"\n",
    ] {
        assert_ne!(mistakes(Scope::Whole, wrong), Vec::<String>::new(), "{wrong}");
    }
    assert_ne!(mistakes(Scope::Rules, "[limits]\n"), Vec::<String>::new(), "rules only");
}
