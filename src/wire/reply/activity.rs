//! The answer to an activity query: which conversations are live.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{BodyError, parse};
use crate::model::ids::ConversationId;

/// Reads the answer to an activity query: each conversation once, whether it stands as a group or as an entity.
///
/// # Errors
/// Where the body is not one.
pub fn activity(body: &str) -> Result<BTreeSet<ConversationId>, BodyError> {
    #[derive(Deserialize)]
    struct Written {
        #[serde(default)]
        results: Vec<WrittenResult>,
    }
    #[derive(Deserialize)]
    struct WrittenResult {
        #[serde(default)]
        group: Option<Named>,
        #[serde(default)]
        entities: Option<Vec<Named>>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Named {
        #[serde(default)]
        conversation_id: Option<String>,
    }
    let written: Written = parse("an activity query", body)?;
    let named = |one: WrittenResult| one.group.into_iter().chain(one.entities.into_iter().flatten());
    let ids = written.results.into_iter().flat_map(named).filter_map(|one| one.conversation_id);
    Ok(ids.map(ConversationId::new).collect())
}
