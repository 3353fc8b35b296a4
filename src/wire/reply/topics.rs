//! The topics that the platform offers, and what each needs (GENESYS.md 4.1).

use serde::Deserialize;

use super::{BodyError, parse};
use crate::wire::topic::Topic;

/// Who may subscribe to a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Whoever has the permissions.
    Anyone,
    /// A person who is logged in; an OAuth client with client credentials is none.
    UsersOnly,
}

/// One kind of topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedTopic {
    /// Its name with `{id}` where an id stands.
    pub template: String,
    /// Permissions that it needs.
    pub permissions: Vec<String>,
    /// Who may subscribe to it.
    pub who: Who,
}

impl OfferedTopic {
    /// Whether `topic` is of this kind.
    pub fn covers(&self, topic: &Topic) -> bool {
        let mut named = topic.as_str().split('.');
        let fits = |wanted: &str| {
            named.next().is_some_and(|part| {
                (wanted.starts_with('{') && !part.is_empty()) || wanted.eq_ignore_ascii_case(part)
            })
        };
        self.template.split('.').all(fits) && named.next().is_none()
    }
}

/// Reads the list of offered topics.
///
/// # Errors
/// Where the body is not one.
pub fn offered_topics(body: &str) -> Result<Vec<OfferedTopic>, BodyError> {
    #[derive(Deserialize)]
    struct Written {
        entities: Vec<WrittenTopic>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct WrittenTopic {
        id: String,
        #[serde(default)]
        requires_permissions: Option<Vec<String>>,
        #[serde(default)]
        requires_current_user: Option<bool>,
    }
    let written: Written = parse("the list of topics", body)?;
    let offered = |one: WrittenTopic| OfferedTopic {
        template: one.id,
        permissions: one.requires_permissions.unwrap_or_default(),
        who: if one.requires_current_user == Some(true) { Who::UsersOnly } else { Who::Anyone },
    };
    Ok(written.entities.into_iter().map(offered).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_covers_the_topics_that_put_an_id_in_its_place() {
        let body = r#"{"entities":[{"id":"v2.users.{id}.conversations","requiresPermissions":["a:b:c"],"requiresCurrentUser":true},{"id":"v2.x"}]}"#;
        let offered = offered_topics(body).expect("a list");
        let covers = |name: &str| offered[0].covers(&Topic::new(name));
        assert!(covers("v2.Users.1f.conversations"));
        assert!(!covers("v2.users.1f.conversations.calls") && !covers("v2.users..conversations"));
        assert!(!covers("v2.users.1f"));
        assert_eq!((offered[0].who, offered[1].who), (Who::UsersOnly, Who::Anyone));
    }
}
