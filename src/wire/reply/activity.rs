//! The answer to an activity query: which conversations are live.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{BodyError, parse};
use crate::model::ids::ConversationId;

/// Live conversations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// Each once.
    pub conversations: Vec<ConversationId>,
    /// Whether the platform cut the list short.
    pub truncated: bool,
}

/// Reads the answer to an activity query.
///
/// # Errors
/// Where the body is not one.
pub fn activity(body: &str) -> Result<Activity, BodyError> {
    #[derive(Deserialize)]
    struct Written {
        #[serde(default)]
        results: Vec<WrittenResult>,
    }
    #[derive(Deserialize)]
    struct WrittenResult {
        #[serde(default)]
        entities: Vec<WrittenActivity>,
        #[serde(default)]
        truncated: bool,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct WrittenActivity {
        #[serde(default)]
        conversation_id: Option<String>,
    }
    let written: Written = parse("an activity query", body)?;
    let truncated = written.results.iter().any(|one| one.truncated);
    let ids: BTreeSet<ConversationId> = written
        .results
        .into_iter()
        .flat_map(|one| one.entities)
        .filter_map(|one| one.conversation_id.map(ConversationId::new))
        .collect();
    Ok(Activity { conversations: ids.into_iter().collect(), truncated })
}
