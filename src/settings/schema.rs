//! The JSON Schema of the configuration, the rules and their tests, for editors.
//!
//! It is written by hand, since it is documentation; a test reads every key of it with the settings'
//! reader, and every key that the reader knows must be in it, with the default that is in effect.

use serde_json::{Map, Value};

/// The schema as text: of a whole configuration.
const WHOLE: &str = include_str!("schema.json");

/// What a schema is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A configuration.
    Whole,
    /// A file that `policy.files` names: rules and tests only.
    Rules,
}

/// The schema (JSON Schema draft 7, which editors' TOML plug-ins understand).
///
/// # Errors
/// Where the text is no JSON, which the tests rule out.
pub fn schema(scope: Scope) -> serde_json::Result<Value> {
    let mut whole: Map<String, Value> = serde_json::from_str(WHOLE)?;
    if scope == Scope::Rules {
        whole.insert("title".into(), "recwarden: rules and rule tests".into());
        whole.insert("description".into(), "A file that policy.files names.".into());
        if let Some(properties) = whole.get_mut("properties").and_then(Value::as_object_mut) {
            properties.retain(|key, _| ["rule", "test"].contains(&key.as_str()));
        }
    }
    Ok(Value::Object(whole))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    use super::*;
    use crate::model::document::Document;
    use crate::policy::{example, file};
    use crate::settings::{Credentials, Source, read};

    fn whole() -> Value {
        schema(Scope::Whole).expect("JSON")
    }

    /// What a reference leads to.
    fn resolved<'s>(whole: &'s Value, part: &'s Value) -> &'s Value {
        let reference = part.get("$ref").or_else(|| part.pointer("/allOf/0/$ref"));
        match reference.and_then(Value::as_str) {
            Some(to) => {
                resolved(whole, whole.pointer(to.trim_start_matches('#')).expect("it leads somewhere"))
            }
            None => part,
        }
    }

    fn keys(whole: &Value, part: &Value) -> Vec<(String, Value)> {
        let properties = resolved(whole, part)["properties"].as_object().expect("properties").clone();
        properties.into_iter().collect()
    }

    /// A value in TOML that the schema allows.
    fn sample(whole: &Value, part: &Value) -> String {
        let given = part.get("default").or_else(|| part.pointer("/examples/0"));
        if let Some(value) = given {
            return toml(value);
        }
        let meant = resolved(whole, part);
        if let Some(word) = meant.pointer("/enum/0").or_else(|| meant.pointer("/anyOf/0/enum/0")) {
            return toml(word);
        }
        let definition = |name: &str| &whole["definitions"][name];
        if [definition("duration"), definition("span")].contains(&meant) {
            return "'5s'".into();
        }
        match meant.get("type").and_then(Value::as_str) {
            Some("boolean") => "true".into(),
            Some("integer") => "1".into(),
            Some("array") => format!("[{}]", sample(whole, &meant["items"])),
            Some("object") if meant.get("properties").is_some() => {
                let entry = |(key, part): &(String, Value)| format!("{key} = {}", sample(whole, part));
                let entries: Vec<String> = keys(whole, meant).iter().map(entry).collect();
                format!("{{ {} }}", entries.join(", "))
            }
            Some("object") => "{ key = 'text' }".into(),
            Some(_) | None => "'http://127.0.0.1'".into(),
        }
    }

    fn toml(value: &Value) -> String {
        match value {
            Value::Array(items) => format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", ")),
            Value::Object(entries) => {
                let entry = |(key, value): (&String, &Value)| format!("{key} = {}", toml(value));
                format!("{{ {} }}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
            }
            Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Null => value.to_string(),
        }
    }

    /// Every key of the schema, each with a value.
    fn everything() -> String {
        let whole = whole();
        let lines = keys(&whole, &whole)
            .into_iter()
            .map(|(key, part)| format!("{key} = {}\n", sample(&whole, &part)));
        lines.collect()
    }

    fn source() -> Source {
        Source { path: "x.toml".into(), environment: BTreeMap::new(), credentials: Credentials::Needed }
    }

    /// Reads as [`Source::load`] does; answers the document.
    fn read_all(text: &str) -> Document {
        let mut document = Document::new("x.toml", text);
        document.read(|root| {
            read::everything(root, &source(), Path::new(""));
            root.table("policy", file::policy);
            file::rules(root)
        });
        document
    }

    #[test]
    fn every_key_of_the_schema_is_one_that_the_reader_knows() {
        let text = everything();
        let mut found = read_all(&text).into_found();
        found.extend(example::read("x.toml", &text).1);
        let unfit: Vec<String> = found
            .iter()
            .filter(|one| one.message.contains("unknown key") || one.message.contains("must be"))
            .map(ToString::to_string)
            .collect();
        assert_eq!(unfit, Vec::<String>::new());
    }

    #[test]
    fn every_key_that_the_reader_knows_is_in_the_schema() {
        let whole = whole();
        let text = everything();
        let mut asked = read_all(&text).asked().clone();
        for (table, keys) in example::document(&text).asked() {
            asked.entry(table.clone()).or_default().extend(keys);
        }
        // The file itself, its tables, rules, tests, their steps and what is given and set in them.
        assert_eq!(asked.len(), keys(&whole, &whole).len() + 4, "{:?}", asked.keys());
        let of = |part: &Value| -> BTreeSet<String> {
            keys(&whole, part).into_iter().map(|(key, _)| key).collect()
        };
        for (table, asked) in asked {
            let known = match table.trim_matches(['[', ']']) {
                "the file" => of(&whole),
                "rule" | "test" => of(&whole["definitions"][table.trim_matches(['[', ']'])]),
                "steps" => of(&whole["definitions"]["step"]),
                "given" | "set" => of(&whole["definitions"]["change"]),
                name => of(&whole["properties"][name]),
            };
            // What is asked for only to say that it does not belong there.
            let asked: BTreeSet<String> = asked
                .into_iter()
                .filter(|key| !matches!(*key, "client_secret" | "secret"))
                .map(str::to_owned)
                .collect();
            assert_eq!(asked, known, "{table}");
        }
    }

    #[test]
    fn the_defaults_are_those_that_are_in_effect() {
        let whole = whole();
        let load = |text: &str| {
            let mut document = Document::new("x.toml", text);
            let variables = [
                ("GENESYS_REGION", "us-east-1"),
                ("GENESYS_CLIENT_ID", "c"),
                ("GENESYS_CLIENT_SECRET", "s"),
                ("RECWARDEN_WEBHOOK_SECRET", "s"),
            ];
            let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let source = Source { environment: variables.into(), ..source() };
            let read = document.read(|root| {
                let read = read::everything(root, &source, Path::new(""));
                (read, root.table("policy", file::policy).unwrap_or_default(), file::rules(root))
            });
            let (settings, policy, rules) = read.expect("TOML");
            let rules: Vec<String> = rules
                .iter()
                .map(|rule| format!("{:?}", (rule.priority, rule.until, rule.after, rule.mode, &rule.reason)))
                .collect();
            format!("{settings:#?} {:?} {rules:?}", policy.default.unwrap_or_default())
        };
        let mut defaults = String::new();
        let lines = |part: &Value, text: &mut String| {
            for (key, part) in keys(&whole, part) {
                if let Some(value) = part.get("default") {
                    *text += &format!("{key} = {}\n", toml(value));
                }
            }
        };
        for (name, part) in keys(&whole, &whole) {
            if part.get("properties").is_some() {
                defaults += &format!("[{name}]\n");
                lines(&part, &mut defaults);
            }
        }
        let rule = "[[rule]]\nname = 'a'\naction = 'stop'\n";
        defaults += rule;
        lines(&whole["definitions"]["rule"], &mut defaults);
        // A webhook is there only where its table is.
        assert_eq!(load(&format!("[webhook]\n{rule}")), load(&defaults), "{defaults}");
    }

    #[test]
    fn a_schema_of_rules_knows_no_settings() {
        let rules = schema(Scope::Rules).expect("JSON");
        let names: Vec<String> = keys(&rules, &rules).into_iter().map(|(key, _)| key).collect();
        assert_eq!(names, ["rule", "test"]);
    }
}
