//! Who plays in a drill: queues and scenes that make a policy's rules match.

use std::collections::BTreeSet;

use crate::model::conversation::Direction;
use crate::model::recording::Action;
use crate::policy::analysis::{self, Candidate};
use crate::policy::subject::Facts;
use crate::sim::org::Taping;
use crate::sim::plan::{Cast, Flag, Scene, Way};

/// Who plays, and what other systems push meanwhile.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Casting {
    /// Queues and scenes.
    pub cast: Cast,
    /// Facts, each with the queue whose calls they are pushed for; none: any.
    pub facts: Vec<(Option<String>, Facts)>,
}

impl Casting {
    /// From the rules of a policy, and the queues that are subscribed.
    ///
    /// The platform records every call by itself, but those of queues that rules only start: there is
    /// something to do for them so.
    pub fn of(rules: &[Candidate], subscribed: &[String]) -> Self {
        let mut queues: BTreeSet<String> = BTreeSet::new();
        let (mut started, mut stopped) = (BTreeSet::new(), BTreeSet::new());
        let mut casting = Self::default();
        for rule in rules {
            let named: BTreeSet<String> =
                rule.queue.iter().flatten().filter_map(|text| analysis::concrete(text)).collect();
            match rule.terms.action {
                Action::Start => started.extend(named.clone()),
                Action::Stop => stopped.extend(named.clone()),
            }
            queues.extend(named);
            casting.add(rule, &mut queues);
        }
        let globs = subscribed.iter().filter(|one| *one != "*");
        queues.extend(globs.filter_map(|one| analysis::concrete(one)));
        let taping = |name: &String| {
            let only_started = started.contains(name) && !stopped.contains(name);
            if only_started { Taping::Silent } else { Taping::Recorded }
        };
        casting.cast.queues = queues.iter().map(|name| (name.clone(), taping(name))).collect();
        casting
    }

    /// The scene in which a rule holds, where one is found.
    fn add(&mut self, rule: &Candidate, queues: &mut BTreeSet<String>) {
        let Some(witness) = analysis::witness(rule) else { return };
        let call = &witness.conversation;
        let queue = call.queue().map(|queue| queue.name.clone());
        queues.extend(queue.clone());
        if !witness.facts.is_empty() {
            self.facts.push((queue.clone(), witness.facts.clone()));
        }
        let set = call.customer().into_iter().flat_map(|one| one.attributes.clone());
        self.cast.scenes.push(Scene {
            queue,
            attributes: set.filter(|(_, value)| !value.is_empty()).collect(),
            flag: if call.is_flagged() { Flag::Raised } else { Flag::Down },
            way: rule.direction.map(|way| match way {
                Direction::Inbound => Way::In,
                Direction::Outbound => Way::Out,
            }),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::compile::Compiler;

    #[test]
    fn queues_and_scenes_come_from_the_rules() {
        let mut compiler = Compiler::default();
        let rules = "[[rule]]\nname = \"card\"\nqueue = [\"Card *\", \"Payments\"]\nattribute = { pci = \"on\" }\naction = \"stop\"\n\
                     [[rule]]\nname = \"desk\"\nqueue = \"Desk\"\ndirection = \"outbound\"\naction = \"start\"\n\
                     [[rule]]\nname = \"vip\"\nwhen = 'facts.vip == true && flagged'\naction = \"stop\"\n";
        assert_eq!(compiler.add_file("r", rules), []);
        let casting = Casting::of(compiler.rules(), &["*".to_owned(), "Sales*".to_owned()]);
        let queues: Vec<(&str, Taping)> =
            casting.cast.queues.iter().map(|(name, taping)| (name.as_str(), *taping)).collect();
        let [silent, taped] = [Taping::Silent, Taping::Recorded];
        assert_eq!(queues, [("Card 1", taped), ("Desk", silent), ("Payments", taped), ("Sales1", taped)]);
        let [card, desk, vip] = casting.cast.scenes.as_slice() else { panic!("three scenes") };
        assert_eq!(card.attributes, [("pci".to_owned(), "on".to_owned())]);
        assert_eq!((desk.queue.as_deref(), desk.way), (Some("Desk"), Some(Way::Out)));
        assert_eq!((vip.flag, casting.facts.len()), (Flag::Raised, 1));
    }
}
