//! Gaps opened and closed, rounds of the resync begun, and what follows from being blind.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use super::{Level, Warden};
use crate::audit::record::{self, HoldPhase, Record};
use crate::model::conversation::{Conversation, Participant};
use crate::model::ids::ConversationId;
use crate::model::recording::Action;
use crate::model::time::{Mono, Now, Wall};
use crate::policy::rule::WHEN_BLIND;
use crate::warden::book::{Busy, Call, Claim, Outlook};
use crate::warden::plan;
use crate::warden::sight::{Change, Subscription, WhenBlind};
use crate::warden::survey::{Closed, Gap, Untold};
use crate::wire::reply::{ANSWER_WAIT, RawAnswer};

/// A conversation is told of within this after it began; the clocks of platform and host may differ by some of it.
const FIRST_EVENT_WAIT: Duration = Duration::from_secs(20);

impl Warden {
    /// The span before the start is the first gap.
    pub(super) fn open_first_gap(&mut self, now: Now) {
        if let Some(from) = self.unheard_since.take() {
            self.open_gap(from, "start", now);
        }
    }

    pub(super) fn open_gap(&mut self, from: Wall, why: &str, now: Now) {
        if let Some(gap) = self.survey.open_gap(from, &self.book, now) {
            self.record(Record::GapOpened(record::GapOpened {
                gap: gap.gap,
                topics: "conversations".into(),
                from: gap.from,
                why: why.to_owned(),
            }));
        } else {
            self.note(Level::Warn, "very many gaps are open; what is missed now is counted to the newest");
        }
    }

    /// Closes what can be closed, and begins the next round where one is due.
    pub(super) fn go_on_with_resync(&mut self, now: Now) {
        self.survey.finish(now.mono);
        for Closed { gap: Gap { gap, from }, to, judged: conversations } in self.survey.closed_gaps() {
            self.note(Level::Info, format!("gap {gap} is closed: {conversations} conversations were judged"));
            self.record(Record::GapClosed(record::GapClosed { gap, from, to, conversations }));
        }
        if let Some(line) = self.survey.tell_progress(now.mono) {
            self.note(Level::Info, line);
        }
        if let Some(line) = self.survey.tell_overdue(now) {
            self.note(Level::Warn, line);
        }
        if self.sight.polls() {
            self.survey.poll(now.mono);
        }
        if self.settings.directory.is_nothing() {
            self.survey.nothing_to_hear(now.wall);
        }
        if self.survey.is_due(now.mono) && self.may_survey() {
            self.survey.begin(&self.directory.subscribed_queues(), &self.book, now.mono);
        }
    }

    /// Whether a round may begin: while the subscription comes up within its time, its own round follows. Where none is
    /// wanted, reads alone tell what has become of the conversations that others spoke of.
    pub(super) fn may_survey(&self) -> bool {
        self.session.is_live() || self.sight.polls() || self.settings.directory.is_nothing()
    }

    /// Looks whether anything is seen, and acts where that has changed.
    pub(super) fn watch_sight(&mut self, now: Now) {
        let unwanted = self.settings.directory.is_nothing();
        let up = unwanted || self.session.is_live();
        let subscription = if up { Subscription::Up } else { Subscription::Down };
        let span = |span: std::time::Duration| {
            humantime::format_duration(std::time::Duration::from_secs(span.as_secs())).to_string()
        };
        match self.sight.tick(subscription, now.mono) {
            None => {}
            Some(Change::Polls(lasted)) => {
                let message = format!(
                    "no working subscription for {}: events are missed, so live conversations are read in turn. \
                     See the log for why sockets fail, and /readyz for when they are back.",
                    span(lasted)
                );
                self.alert("blind", message, None);
            }
            Some(Change::GoesBlind(lasted)) => {
                let then = match self.sight.when_blind() {
                    WhenBlind::Leave => "recordings are left as they are (safety.when_blind = \"leave\")",
                    WhenBlind::Stop => {
                        "every live conversation is stopped as soon as a call gets through \
                         (safety.when_blind = \"stop\")"
                    }
                };
                let message = format!(
                    "nothing is seen of the platform for {}: neither events nor reads get through; {then}. \
                     Check the network and the platform's status.",
                    span(lasted)
                );
                self.alert("blind", message, None);
                self.align_outlooks(now);
            }
            Some(Change::PollsAgain) => {
                self.tell_sight("reads get through again: live conversations are read in turn".into());
            }
            Some(Change::Clears(lasted)) => {
                let message = format!("every topic is heard again after {}", span(lasted));
                self.tell_sight(message);
            }
        }
    }

    fn tell_sight(&mut self, message: String) {
        self.alert_at(Level::Info, "sight", message, None);
    }

    /// Holds every live conversation where all is blind and that asks for a stop; lets go of all where the
    /// settings no longer do.
    pub(super) fn align_outlooks(&mut self, now: Now) {
        let (from, to) = match (self.sight.stops(), self.sight.when_blind()) {
            (true, _) => (Outlook::Clear, Outlook::Blind),
            (false, WhenBlind::Leave) => (Outlook::Blind, Outlook::Returning),
            (false, WhenBlind::Stop) => return,
        };
        let concerned = |(id, call): (&ConversationId, &Call)| {
            (call.outlook == from && call.seen.is_some()).then(|| id.clone())
        };
        let ids: Vec<ConversationId> = self.book.iter().filter_map(concerned).collect();
        for id in ids {
            let Some(call) = self.book.get_mut(&id) else { continue };
            call.outlook = to;
            call.cause = (String::new(), String::new());
            if to == Outlook::Blind {
                let ours = |claim: &&Claim| claim.rule == WHEN_BLIND;
                let claim = call.claim.as_ref().filter(ours).map(|claim| claim.before);
                self.record(Record::Hold(record::Hold {
                    conversation: id.clone(),
                    rule: WHEN_BLIND.into(),
                    action: Action::Stop,
                    since: now.wall,
                    phase: HoldPhase::Held,
                    claim,
                }));
            }
            self.judge(&id, record::ConfirmedBy::Read, now);
        }
    }

    /// Takes the body in, and notes where it tells a change that no event has told.
    pub(super) fn take_body_and_compare(
        &mut self,
        id: &ConversationId,
        version: u64,
        answer: &RawAnswer,
        now: Now,
    ) -> Result<(), String> {
        let looks = |warden: &Self| {
            let call = warden.book.get(id).filter(|call| call.seen.is_some() && call.busy == Busy::Idle)?;
            let means = &warden.settings.means;
            let seen = &call.conversation;
            let told = (plan::observed(means, seen), seen.is_flagged(), seen.is_live());
            Some((call.version, told, particulars(seen)))
        };
        // What came while nothing was heard, or while events were shed, no event could tell.
        let unheard = |(seen, since): (Now, Now)| seen.mono < since.mono;
        let seen = self.book.get(id).and_then(|call| call.seen);
        let late = seen.zip(self.session.accepted_heard_since()).is_some_and(unheard);
        let owed = late || self.sheds() || self.survey.owes_look(id) || self.is_in_doubt(id);
        let before = looks(self);
        self.take_body(id, version, answer, now)?;
        if seen.is_none()
            && !owed
            && self.is_subscribed(id)
            && let Some(since) = self.begun_untold(id, now)
        {
            self.survey.changed_in_silence(id, Untold { since, found: now.mono });
        }
        let Some((version_now, told_now, particulars_now)) = looks(self) else { return Ok(()) };
        let read_before =
            self.book.get_mut(id).and_then(|call| call.read_particulars.replace(particulars_now));
        let Some((told_version, told, particulars)) = before else { return Ok(()) };
        // Events of some families leave out what a read tells, so particulars count only where they differ
        // from the last read too.
        let news = particulars != particulars_now && read_before.is_some_and(|read| read != particulars_now);
        let expected = owed || !self.session.is_live();
        let changed = told_version == version && version_now != version && (told != told_now || news);
        if changed
            && !expected
            && self.is_subscribed(id)
            && let Some(seen) = seen
        {
            // That look told how it was when it was asked for.
            let since = seen.mono - ANSWER_WAIT;
            self.survey.changed_in_silence(id, Untold { since, found: now.mono });
        }
        Ok(())
    }

    /// Whether events tell of this conversation: of one in a queue whose topic is refused, or in none yet, no event need
    /// tell.
    fn is_subscribed(&self, id: &ConversationId) -> bool {
        let Some(call) = self.book.get(id) else { return false };
        let named = |one: &Participant| {
            let ids = [one.queue.id.as_str(), one.user.as_str()];
            ids.into_iter().any(|id| !id.is_empty() && self.session.names(id))
        };
        call.conversation.participants.iter().any(named)
    }

    /// When a live conversation began, where every topic was heard then, and that is long enough ago for its first event.
    fn begun_untold(&self, id: &ConversationId, now: Now) -> Option<Mono> {
        let heard_since = self.session.heard_since()?;
        let call = self.book.get(id).filter(|call| call.conversation.is_live())?;
        let begun = call.conversation.start_time.filter(|begun| *begun >= heard_since.wall)?;
        (begun + FIRST_EVENT_WAIT <= now.wall).then(|| now.mono - now.wall.since(begun))
    }

    /// Where a change came without its event, the subscription is deaf though its socket lives: it is replaced,
    /// and what it may have missed is a gap. It may be deaf since it brought an event for the last time, and was so when
    /// that changed, which was after the look before.
    pub(super) fn replace_deaf_subscription(&mut self, now: Now) {
        let Some(Untold { since, found }) = self.survey.change_without_event(now.mono) else { return };
        self.note(Level::Warn, "a conversation changed without an event: the channels are replaced");
        self.count("recwarden_deaf_subscriptions_total");
        let from = self.session.renew(found, now).map_or(since, |brought| brought.min(since));
        self.open_gap(now.wall - now.mono.since(from), "a change came without its event", now);
    }
}

/// What rules can ask for beside the state and the flag, as a digest: participant data, the queue, and who is there.
fn particulars(conversation: &Conversation) -> u64 {
    let mut digest = DefaultHasher::new();
    for key in conversation.attribute_keys() {
        (key, conversation.attribute(key)).hash(&mut digest);
    }
    conversation.queue().map(|queue| queue.id.as_str()).hash(&mut digest);
    for leg in conversation.participants.iter().filter(|leg| leg.is_live()) {
        leg.id.as_str().hash(&mut digest);
    }
    digest.finish()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::recording::RecorderState;
    use crate::warden::bench::{Bench, PCI, Way, id, settings};
    use crate::warden::intake::unheard_since;
    use crate::warden::sight;
    use crate::wire::request::Request;

    const SECOND: Duration = Duration::from_secs(1);

    fn live(calls: usize) -> Bench {
        let mut bench = Bench::new(settings(), PCI).with_calls(calls, "off");
        bench.feed(super::super::Input::Timeout);
        bench.pass(SECOND * 10);
        assert_eq!((bench.kinds("gap.opened"), bench.kinds("gap.closed")), (1, 1));
        bench
    }

    #[test]
    fn a_gap_begins_when_the_last_text_came_though_it_was_taken_later() {
        let mut bench = live(1);
        let (socket, event, came) = (bench.socket(), bench.event(0), bench.now);
        bench.now = bench.now + SECOND * 20;
        bench.feed(super::super::Input::SocketText(socket, event, came));
        bench.lose_socket();
        let mut begun = Vec::new();
        for record in &bench.records {
            if let Record::GapOpened(gap) = record {
                begun.push(gap.from);
            }
        }
        assert_eq!(begun.last(), Some(&came.wall));
    }

    fn stops_when_blind() -> Bench {
        let sight = sight::Settings { when_blind: WhenBlind::Stop, ..sight::Settings::default() };
        let settings = super::super::Settings { sight, ..settings() };
        let mut bench = Bench::new(settings, PCI).with_calls(2, "off");
        bench.feed(super::super::Input::Timeout);
        bench.pass(SECOND * 10);
        bench
    }

    #[test]
    fn polling_takes_over_while_no_socket_can_be_had_and_what_it_finds_is_judged() {
        let mut bench = live(2);
        bench.sockets = Way::Shut;
        bench.lose_socket();
        bench.pass(SECOND * 29);
        assert_eq!(bench.alerts("blind").len(), 0);
        bench.set(1, "on");
        bench.pass(SECOND * 10);
        assert_eq!(bench.alerts("blind").len(), 1);
        assert_eq!(bench.state(1), RecorderState::Paused);
        assert_eq!(bench.kinds("confirmed"), 1);
        assert!(bench.warden.not_ready().is_some_and(|why| why.contains("read in turn")), "not ready");
        assert_eq!(bench.kinds("gap.closed"), 1, "the gap is open while nothing is heard");
        bench.sockets = Way::Open;
        bench.pass(SECOND * 60);
        assert_eq!((bench.kinds("gap.opened"), bench.kinds("gap.closed")), (2, 2));
        assert_eq!(bench.alerts("sight").len(), 1);
        assert_eq!(bench.warden.not_ready(), None);
    }

    #[test]
    fn what_was_to_be_stopped_blindly_is_stopped_by_the_next_process_though_nothing_can_be_read() {
        let mut bench = stops_when_blind();
        (bench.sockets, bench.api) = (Way::Shut, Way::Shut);
        bench.lose_socket();
        bench.pass(SECOND * 120);
        assert_eq!((bench.decisions().len(), bench.state(0)), (2, RecorderState::Active));
        let policy = bench.warden.policy.clone();
        (bench.api, bench.reads) = (Way::Open, Way::Shut);
        bench.die(policy);
        bench.pass(SECOND * 10);
        assert_eq!((bench.state(0), bench.state(1)), (RecorderState::Paused, RecorderState::Paused));
        (bench.sockets, bench.reads) = (Way::Open, Way::Open);
        bench.pass(SECOND * 120);
        assert_eq!((bench.state(0), bench.state(1)), (RecorderState::Active, RecorderState::Active));
        assert_eq!(bench.decisions().len(), 4, "each was stopped, and given back");
    }

    fn refuse_queries(bench: &mut Bench) {
        let query = |request: &Request| matches!(request, Request::ActivityQuery { .. });
        bench.refuses = Box::new(move |request| query(request).then_some((503, "{}")));
    }

    #[test]
    fn where_only_the_list_cannot_be_had_whoever_is_known_is_read_and_nobody_is_stopped() {
        let mut bench = stops_when_blind();
        refuse_queries(&mut bench);
        bench.sockets = Way::Shut;
        bench.lose_socket();
        bench.pass(SECOND * 40);
        bench.set(1, "on");
        bench.pass(SECOND * 120);
        assert_eq!((bench.state(0), bench.state(1)), (RecorderState::Active, RecorderState::Paused));
        assert_eq!(bench.decisions().len(), 1, "{:?}", bench.decisions());
        bench.sockets = Way::Open;
        bench.pass(SECOND * 120);
        assert_eq!(bench.kinds("gap.closed"), 1, "who began meanwhile is not known yet");
        bench.refuses = Box::new(|_| None);
        bench.pass(SECOND * 30);
        assert_eq!((bench.kinds("gap.opened"), bench.kinds("gap.closed")), (2, 2));
    }

    #[test]
    fn where_polling_fails_too_the_live_are_stopped_and_given_back_once_seen() {
        let mut bench = stops_when_blind();
        (bench.sockets, bench.reads) = (Way::Shut, Way::Shut);
        bench.lose_socket();
        bench.pass(SECOND * 59);
        assert_eq!(bench.decisions(), []);
        bench.pass(SECOND * 10);
        let stop = ("when_blind".to_owned(), Action::Stop, "blind".to_owned());
        assert_eq!(bench.decisions(), [stop.clone(), stop]);
        assert_eq!((bench.kinds("hold"), bench.alerts("blind").len()), (2, 2));
        assert_eq!((bench.state(0), bench.state(1)), (RecorderState::Paused, RecorderState::Paused));
        bench.reads = Way::Open;
        bench.pass(SECOND * 90);
        let back = ("when_blind".to_owned(), Action::Start, "released".to_owned());
        assert_eq!(bench.decisions()[2..], [back.clone(), back]);
        assert_eq!(bench.kinds("hold.ended"), 2);
        assert_eq!((bench.state(0), bench.state(1)), (RecorderState::Active, RecorderState::Active));
        assert_eq!(bench.kinds("decision"), bench.kinds("confirmed") + bench.kinds("superseded"));
    }

    /// More conversations than the resync's share of the rate reads in a minute: between two of its tokens no look
    /// goes out for longer than `blind_after`.
    #[test]
    fn polling_that_waits_for_its_share_of_the_rate_stops_nobody() {
        let sight = sight::Settings { when_blind: WhenBlind::Stop, ..sight::Settings::default() };
        let settings = super::super::Settings { sight, ..settings() };
        let mut bench = Bench::new(settings, PCI).with_calls(150, "off");
        bench.feed(super::super::Input::Timeout);
        bench.pass(SECOND * 300);
        bench.sockets = Way::Shut;
        bench.lose_socket();
        bench.pass(SECOND * 300);
        assert_eq!((bench.alerts("blind").len(), bench.decisions()), (1, vec![]));
    }

    #[test]
    fn a_platform_that_wants_to_be_asked_later_is_there_and_stops_nobody() {
        let mut bench = stops_when_blind();
        bench.refuses = Box::new(|request| {
            let looks = matches!(request, Request::GetConversation { .. } | Request::ActivityQuery { .. });
            looks.then_some((429, "{}"))
        });
        bench.sockets = Way::Shut;
        bench.lose_socket();
        bench.pass(SECOND * 300);
        assert_eq!((bench.alerts("blind").len(), bench.decisions()), (1, vec![]));
    }

    #[test]
    fn a_blind_stop_that_no_call_got_through_for_is_superseded_by_the_first_look() {
        let mut bench = stops_when_blind();
        (bench.sockets, bench.api) = (Way::Shut, Way::Shut);
        bench.lose_socket();
        bench.pass(SECOND * 120);
        assert_eq!((bench.kinds("decision"), bench.kinds("confirmed")), (2, 0));
        bench.api = Way::Open;
        bench.pass(SECOND * 120);
        assert_eq!((bench.state(0), bench.state(1)), (RecorderState::Active, RecorderState::Active));
        assert_eq!(bench.kinds("decision"), bench.kinds("confirmed") + bench.kinds("superseded"));
    }

    #[test]
    fn a_round_that_finds_nobody_ends_at_once() {
        let mut bench = Bench::new(settings(), PCI);
        bench.feed(super::super::Input::Timeout);
        bench.pass(Duration::from_millis(10));
        assert_eq!((bench.kinds("gap.opened"), bench.kinds("gap.closed")), (1, 1));
    }

    #[test]
    fn by_default_the_blind_leave_recordings_as_they_are() {
        let mut bench = live(2);
        (bench.sockets, bench.api) = (Way::Shut, Way::Shut);
        bench.lose_socket();
        bench.pass(SECOND * 300);
        assert_eq!(bench.alerts("blind").len(), 2);
        assert_eq!(bench.decisions(), []);
    }

    #[test]
    fn a_persons_order_stands_while_blind() {
        let mut bench = stops_when_blind();
        bench.order(0, 1, super::super::What::Set(Action::Start, None));
        (bench.sockets, bench.api) = (Way::Shut, Way::Shut);
        bench.lose_socket();
        bench.pass(SECOND * 90);
        assert_eq!(bench.decisions().len(), 1);
        assert_eq!(bench.warden.call(&id(0)).map(|call| call.rule), Some("directive".into()));
    }

    #[test]
    fn a_conversation_that_cannot_be_read_keeps_the_gap_open_and_is_named() {
        let mut bench = live(3);
        bench.unreadable.insert(id(1));
        bench.lose_socket();
        bench.pass(SECOND * 200);
        assert_eq!((bench.kinds("gap.opened"), bench.kinds("gap.closed")), (2, 1));
        bench.pass(SECOND * 400);
        let named = |bench: &Bench| {
            bench
                .notes
                .iter()
                .any(|note| note.message.contains("stays open") && note.message.contains(id(1).as_str()))
        };
        assert!(named(&bench), "{:?}", bench.notes);
        bench.tell(1);
        assert_eq!(bench.kinds("gap.closed"), 2, "an event tells what no read could");
        let Some(Record::GapClosed(closed)) = bench.records.iter().rfind(|one| one.kind() == "gap.closed")
        else {
            panic!("{:?}", bench.records.last());
        };
        let (lasted, open_for) = (closed.to.since(closed.from), bench.now.wall.since(closed.from));
        assert!(lasted < SECOND * 60 && open_for >= SECOND * 600, "nothing was missed since: {lasted:?}");
    }

    #[test]
    fn a_long_round_tells_from_time_to_time_how_far_it_is() {
        let mut bench = Bench::new(settings(), PCI).with_calls(100, "off");
        let left = |bench: &Bench| {
            bench.warden.view(0, bench.now).resync.map_or(0, |round| round.total - round.read)
        };
        bench.feed(super::super::Input::Timeout);
        let mut seen = Vec::new();
        for _ in 0..6 {
            bench.pass(SECOND * 30);
            seen.push(left(&bench));
        }
        assert!(seen[0] > 50 && seen.is_sorted_by(|one, next| one >= next), "{seen:?}");
        assert_eq!((bench.kinds("gap.closed"), seen[5]), (1, 0));
        let lines = bench.notes.iter().filter_map(|note| note.message.strip_prefix("resync: "));
        let lines: Vec<&str> = lines.collect();
        assert!((2..=5).contains(&lines.len()), "each half a minute while it runs: {lines:?}");
        assert!(
            lines.iter().all(|one| one.ends_with(" of 100 conversations are read, 1 gaps are open")),
            "{lines:?}"
        );
        assert!(lines.iter().all(|one| !one.starts_with("0 ")), "{lines:?}");
    }

    #[test]
    fn blind_seconds_count_each_conversation_from_the_gaps_begin_until_it_is_judged() {
        let mut bench = live(2);
        let before = bench.warden.survey.blind_for(bench.now.mono);
        bench.sockets = Way::Shut;
        bench.lose_socket();
        bench.pass(SECOND * 20);
        let after = bench.warden.survey.blind_for(bench.now.mono) - before;
        assert!((SECOND * 40..SECOND * 80).contains(&after), "{after:?}");
        bench.sockets = Way::Open;
        bench.pass(SECOND * 60);
        let closed = bench.warden.survey.blind_for(bench.now.mono);
        bench.pass(SECOND * 60);
        assert_eq!(bench.warden.survey.blind_for(bench.now.mono), closed);
    }

    fn deaf(bench: &Bench) -> usize {
        let deaf = |record: &&Record| matches!(record, Record::GapOpened(gap) if gap.why.contains("without its event"));
        bench.records.iter().filter(deaf).count()
    }

    fn newest_gap(bench: &Bench) -> Option<Wall> {
        let from = |record: &Record| if let Record::GapOpened(gap) = record { Some(gap.from) } else { None };
        bench.records.iter().rev().find_map(from)
    }

    #[test]
    fn a_call_that_began_while_its_queue_was_heard_and_that_no_event_told_shows_a_deaf_subscription() {
        let mut bench = live(1);
        bench.pass(SECOND * 100);
        bench.begin(1);
        bench.pass(SECOND * 400);
        assert_eq!((deaf(&bench), bench.kinds("gap.opened"), bench.kinds("gap.closed")), (1, 2, 2));
        bench.pass(SECOND * 1_000);
        assert_eq!(deaf(&bench), 1, "it is known now");
    }

    #[test]
    fn a_call_that_an_event_told_or_whose_event_may_still_come_shows_no_deaf_subscription() {
        let mut bench = live(1);
        bench.pass(SECOND * 100);
        bench.begin(1);
        bench.tell(1);
        // The next round finds it some ten seconds old.
        bench.pass(SECOND * 180);
        bench.begin(2);
        bench.pass(SECOND * 15);
        let known = bench.warden.call(&id(2)).is_some();
        bench.tell(2);
        bench.pass(SECOND * 1_000);
        assert_eq!((known, deaf(&bench), bench.kinds("gap.opened")), (true, 0, 1));
    }

    #[test]
    fn an_order_whose_effect_only_a_read_shows_and_an_end_that_no_event_told_show_a_deaf_subscription() {
        let mut bench = live(2);
        bench.set(0, "on");
        bench.tell(0);
        bench.pass(SECOND * 30);
        assert_eq!((bench.kinds("confirmed"), deaf(&bench)), (1, 1), "its event did not come");
        bench.pass(SECOND * 90);
        bench.ended.insert(id(1));
        bench.pass(SECOND * 330);
        assert_eq!((bench.warden.call(&id(1)).is_none(), deaf(&bench)), (true, 2));
    }

    #[test]
    fn an_end_whose_event_comes_late_shows_no_deaf_subscription() {
        let mut bench = live(2);
        bench.ended.insert(id(1));
        while bench.warden.call(&id(1)).is_some() {
            bench.pass(SECOND);
        }
        bench.pass(SECOND * 5);
        bench.tell(1);
        bench.pass(SECOND * 330);
        assert_eq!(deaf(&bench), 0);
    }

    /// Found by the simulation: the gap began one interval before it was noticed.
    #[test]
    fn the_gap_of_a_deaf_subscription_begins_with_the_last_event_that_came() {
        let mut bench = live(2);
        bench.pass(SECOND * 100);
        bench.tell(0);
        let brought = bench.now.wall;
        bench.pass(SECOND * 700);
        assert_eq!(deaf(&bench), 0, "nothing has changed");
        bench.set(1, "on");
        bench.pass(SECOND * 330);
        let from = newest_gap(&bench);
        assert_eq!((deaf(&bench), from), (1, Some(brought)));
    }

    #[test]
    fn the_gap_of_a_deaf_subscription_begins_before_the_change_however_long_it_was_not_read() {
        let mut bench = live(2);
        bench.pass(SECOND * 100);
        bench.refuses =
            Box::new(|request| matches!(request, Request::GetConversation { .. }).then_some((503, "{}")));
        bench.set(1, "on");
        let changed = bench.now.wall;
        bench.pass(SECOND * 1_000);
        bench.tell(0);
        bench.refuses = Box::new(|_| None);
        bench.pass(SECOND * 400);
        assert_eq!(deaf(&bench), 1);
        assert!(newest_gap(&bench).is_some_and(|from| from < changed), "{:?}", newest_gap(&bench));
    }

    /// Found by reading: the channels were replaced over and over, and gaps told of where nothing was missed.
    #[test]
    fn a_call_in_a_queue_whose_topic_is_refused_shows_no_deaf_subscription() {
        let mut bench = live(2);
        let topic = crate::wire::topic::Topic::new("v2.routing.queues.q1.conversations");
        let reason = "no permission".to_owned();
        bench.warden.session.newly_rejected(vec![crate::wire::reply::Rejected { topic, reason }]);
        bench.set(0, "on");
        bench.pass(SECOND * 500);
        assert_eq!((deaf(&bench), bench.kinds("confirmed")), (0, 1), "reads tell of it");
    }

    /// A call each read of which fails for now, which no round gets to the end of.
    fn one_that_cannot_be_read(settings: crate::warden::Settings) -> Bench {
        let mut bench = Bench::new(settings, PCI).with_calls(3, "off");
        bench.feed(super::super::Input::Timeout);
        bench.pass(SECOND * 10);
        bench.refuses = Box::new(|request| {
            let fails =
                matches!(request, Request::GetConversation { conversation } if *conversation == id(0));
            fails.then_some((503, "{}"))
        });
        bench
    }

    /// Found by reading: the round went on for ever, and nobody else was read again.
    #[test]
    fn one_whose_reads_all_fail_for_now_keeps_no_round_from_its_end() {
        let mut bench = one_that_cannot_be_read(settings());
        bench.pass(SECOND * 400);
        bench.set(1, "on");
        bench.pass(SECOND * 700);
        assert_eq!(bench.state(1), RecorderState::Paused, "a round has found it");
        bench.lose_socket();
        bench.pass(SECOND * 700);
        assert!(bench.kinds("gap.closed") < bench.kinds("gap.opened"), "somebody is owed a look");
        bench.refuses = Box::new(|_| None);
        bench.pass(SECOND * 400);
        assert_eq!(bench.kinds("gap.closed"), bench.kinds("gap.opened"));
    }

    /// Found by reading: each read that was still tried failed, so that nothing was taken to be seen.
    #[test]
    fn one_whose_reads_all_fail_for_now_stops_nobody_else_while_others_can_be_read() {
        let sight = sight::Settings { when_blind: WhenBlind::Stop, ..sight::Settings::default() };
        let mut bench = one_that_cannot_be_read(crate::warden::Settings { sight, ..settings() });
        bench.sockets = Way::Shut;
        bench.lose_socket();
        bench.pass(SECOND * 600);
        assert_eq!([0, 1, 2].map(|number| bench.state(number)), [RecorderState::Active; 3]);
        bench.refuses =
            Box::new(|request| matches!(request, Request::GetConversation { .. }).then_some((503, "{}")));
        bench.pass(SECOND * 100);
        assert_eq!(
            [0, 1, 2].map(|number| bench.state(number)),
            [RecorderState::Paused; 3],
            "that calls can be listed shows of none how it is"
        );
    }

    /// Found by reading: what came after a socket had gone silent, and before the last record, was in no gap.
    #[test]
    fn the_gap_of_a_death_begins_before_the_last_record() {
        let mut bench = live(1);
        bench.pass(SECOND * 300);
        bench.set(0, "on");
        bench.tell(0);
        bench.pass(SECOND * 20);
        let last = bench.history().last().expect("a record");
        bench.die(bench.warden.policy.clone());
        assert_eq!(newest_gap(&bench), Some(last - SECOND * 60));
    }

    #[test]
    fn what_has_started_and_told_no_gap_has_heard_nothing() {
        let at = |seconds| Wall::from_micros(0) + SECOND * seconds;
        let started = |unheard_since| {
            Record::DaemonStarted(record::DaemonStarted {
                version: String::new(),
                epoch: 1,
                pid: None,
                dry_run: false,
                cut: None,
                unheard_since,
            })
        };
        let gap = |seconds| {
            let (topics, why) = (String::new(), String::new());
            Record::GapOpened(record::GapOpened { gap: 1, topics, from: at(seconds), why })
        };
        let mut history = crate::audit::history::History::default();
        assert_eq!(unheard_since(&history, at(0)), None);
        let mut since = |seconds, record: &Record| {
            assert_eq!(history.take(at(seconds), record), None);
            unheard_since(&history, at(seconds + 5))
        };
        assert_eq!(since(100, &started(None)), Some(at(100)), "nobody was there before");
        assert_eq!(since(101, &gap(100)), Some(at(100)));
        assert_eq!(since(190, &gap(185)), Some(at(130)));
        assert_eq!(since(500, &started(Some(at(130)))), Some(at(130)));
        assert_eq!(since(600, &started(Some(at(130)))), Some(at(130)), "the one before has told of none");
        assert_eq!(since(601, &gap(130)), Some(at(600)));
        let (about, message) = (record::CLOCK_ALERT.to_owned(), String::new());
        let set = Record::Alert(record::Alert { about, message, conversation: None });
        assert_eq!(since(610, &set), Some(at(550)), "by this clock nobody knows when it began");
        assert_eq!(unheard_since(&history, at(400)), Some(at(340)), "the clock was set back by 210 s");
        assert_eq!(history.take(at(620), &started(Some(at(615)))), None);
        assert_eq!(unheard_since(&history, at(400)), Some(at(395)));
    }

    /// Found by the simulation: whoever took the call, nothing else had changed whenever it was read.
    #[test]
    fn an_agent_who_comes_in_silence_shows_a_deaf_subscription() {
        let mut bench = live(1);
        bench.pass(SECOND * 600);
        assert_eq!(deaf(&bench), 0);
        if let Some(there) = bench.calls.get_mut(&id(0)) {
            there.agents.insert("second".to_owned(), RecorderState::None);
        }
        bench.pass(SECOND * 600);
        assert_eq!(deaf(&bench), 1);
    }

    #[test]
    fn participant_data_that_changes_in_silence_shows_a_deaf_subscription() {
        let mut bench = live(2);
        bench.pass(SECOND * 310);
        bench.set(1, "on");
        bench.pass(SECOND * 330);
        assert_eq!(bench.state(1), RecorderState::Paused);
        assert_eq!(deaf(&bench), 1);
        assert_eq!((bench.kinds("gap.opened"), bench.kinds("gap.closed")), (2, 2));
    }
}
