//! What is told of a call to all who listen.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::World;
use crate::sim::call::Call;
use crate::sim::org::Org;
use crate::sim::shape::{self, Carrier};

impl World {
    /// Writes down how a call stands and tells all who listen.
    pub fn touch(&mut self, id: &str) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        call.note_truth(self.now.wall);
        if let Some(truth) = call.truth().last() {
            self.reactions.told(id, truth, &self.org, self.looked);
        }
        let mut subjects = BTreeSet::new();
        for party in &call.parties {
            subjects.extend(party.queue.as_ref().map(|queue| format!("v2.routing.queues.{queue}")));
            subjects.extend(party.user.as_ref().map(|user| format!("v2.users.{user}")));
        }
        let (whole, flat): (Vec<String>, Vec<String>) = subjects
            .iter()
            .map(|subject| (format!("{subject}.conversations"), format!("{subject}.conversations.calls")))
            .unzip();
        self.publish(id, &whole, shape::conversation);
        self.publish(id, &flat, shape::call_conversation);
    }

    fn publish(&mut self, id: &str, topics: &[String], write: fn(&Call, &Org, Carrier) -> Value) {
        let listeners = self.post.channels.listeners(topics, self.now.mono);
        let Some(call) = self.calls.get(id) else {
            return;
        };
        let heard = !listeners.is_empty();
        let body = if heard { write(call, &self.org, Carrier::Event).to_string() } else { String::new() };
        let mut copies: BTreeMap<&String, Vec<String>> = topics.iter().map(|topic| (topic, vec![])).collect();
        for (socket, topic) in &listeners {
            let (name, correlation) = (json!(topic), self.chance.uuid());
            let frame = format!(
                r#"{{"topicName":{name},"version":"2","eventBody":{body},"metadata":{{"CorrelationId":"{correlation}"}}}}"#
            );
            self.send_event(*socket, frame);
            copies.entry(topic).or_default().push(correlation);
        }
        for (topic, copies) in copies {
            self.post.note_issued(self.now.mono, topic, copies);
        }
    }
}
