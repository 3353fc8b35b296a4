//! The recording of one conversation as it would be: what really happened, with the imagined calls laid
//! over it. See the parent's documentation for the model.

use std::collections::BTreeMap;

use crate::model::conversation::Conversation;
use crate::model::ids::ParticipantId;
use crate::model::recording::{Action, Observed, RecorderState};
use crate::wire::request::{Request, SnippetKind, Switch};

/// The policy recording, and the recorders of single legs that imagined calls have touched.
#[derive(Clone, Debug, Default)]
pub(super) struct Tape {
    recording: Option<Track<Observed>>,
    legs: BTreeMap<(ParticipantId, Recorder), Track<RecorderState>>,
    last: Change,
}

/// What the last snapshot told of the policy recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Change {
    /// None, one of the platform's own, or one that our calls explain.
    #[default]
    Explained,
    /// Somebody else changed it.
    SomebodyElse,
}

/// A recorder of one leg that has an operation of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Recorder {
    Adhoc,
    Snippet,
}

/// One recorder: as it was last captured, as it would be without us, and what our calls made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Track<S> {
    captured: S,
    natural: S,
    ours: Option<S>,
}

impl<S: Copy + PartialEq> Track<S> {
    fn new(captured: S) -> Self {
        Self { captured, natural: captured, ours: None }
    }

    /// A captured change that comes to what our calls made is theirs; any other is someone else's, and what
    /// our calls made is gone.
    fn see(&mut self, new: S) -> Change {
        if std::mem::replace(&mut self.captured, new) == new || self.ours == Some(new) {
            return Change::Explained;
        }
        self.natural = new;
        self.ours = None;
        Change::SomebodyElse
    }

    /// Our call makes this of it.
    fn obey(&mut self, wanted: S) {
        self.ours = (self.natural != wanted).then_some(wanted);
    }
}

impl Track<Observed> {
    /// As [`Track::see`], but the platform's own suspension comes over our pause and goes again without
    /// changing whose it is.
    fn see_recording(&mut self, new: Observed) -> Change {
        let comes = new == Observed::Suspended;
        let goes = self.captured == Observed::Suspended && new != Observed::None;
        if self.ours.is_none() || self.captured == new || !(comes || goes) {
            return self.see(new);
        }
        self.captured = new;
        // Where our own pause shows behind the suspension, what it paused goes on below it.
        self.natural = if self.ours == Some(new) { Observed::Active } else { new };
        Change::Explained
    }

    fn imagined(&self) -> Observed {
        match (self.ours, self.natural) {
            (Some(Observed::Active), Observed::Suspended) => Observed::Suspended,
            (Some(ours), _) => ours,
            (None, natural) => natural,
        }
    }
}

impl Tape {
    /// What a captured snapshot says. `conversation` becomes as it would be.
    pub(super) fn see(&mut self, conversation: &mut Conversation) {
        let seen = conversation.observed();
        self.last = self.recording.get_or_insert_with(|| Track::new(seen)).see_recording(seen);
        for ((leg, recorder), track) in &mut self.legs {
            if let Some(state) = recorder_of(conversation, leg, *recorder) {
                track.see(*state);
            }
        }
        self.write(conversation);
    }

    /// The platform does what a request asks for, at once.
    pub(super) fn obey(&mut self, request: &Request, conversation: &mut Conversation) {
        let seen = conversation.observed();
        let recording = self.recording.get_or_insert_with(|| Track::new(seen));
        if let Request::SetRecordingState { state, .. } = request {
            let active = *state == RecorderState::Active;
            recording.obey(if active { Observed::Active } else { Observed::Paused });
        } else if let Request::RecordingsAction { action, .. } = request {
            let start = *action == Action::Start;
            recording.obey(if start { Observed::Active } else { Observed::None });
        } else if let Request::Snippet { participant, kind, record, .. } = request {
            let recorder = match kind {
                SnippetKind::Adhoc => Recorder::Adhoc,
                SnippetKind::Snippet => Recorder::Snippet,
            };
            let wanted = if *record == Switch::On { RecorderState::Active } else { RecorderState::None };
            let now = recorder_of(conversation, participant, recorder).map(|state| *state);
            let new = || Track::new(now.unwrap_or_default());
            self.legs.entry((participant.clone(), recorder)).or_insert_with(new).obey(wanted);
        }
        self.write(conversation);
    }

    /// The conversation without what our calls made of it.
    pub(super) fn natural(&self, mut natural: Conversation) -> Conversation {
        if let Some(track) = &self.recording
            && track.natural != natural.observed()
        {
            set(&mut natural, track.natural);
        }
        for ((leg, recorder), track) in &self.legs {
            if let Some(state) = recorder_of(&mut natural, leg, *recorder) {
                *state = track.natural;
            }
        }
        natural
    }

    /// The policy recording is as the next snapshot says, whatever our calls made of it.
    pub(super) fn begin_anew(&mut self) {
        self.recording = None;
    }

    /// Whether the last snapshot told that somebody else changed the recording.
    pub(super) fn was_somebody_else(&self) -> bool {
        self.last == Change::SomebodyElse
    }

    /// Whether our calls changed something that still is as they made it.
    pub(super) fn is_ours(&self) -> bool {
        self.recording.is_some_and(|track| track.ours.is_some())
            || self.legs.values().any(|track| track.ours.is_some())
    }

    fn write(&self, conversation: &mut Conversation) {
        if let Some(imagined) = self.recording.map(|track| track.imagined())
            && imagined != conversation.observed()
        {
            set(conversation, imagined);
        }
        for ((leg, recorder), track) in &self.legs {
            if let Some(state) = recorder_of(conversation, leg, *recorder) {
                *state = track.ours.unwrap_or(track.natural);
            }
        }
    }
}

fn recorder_of<'c>(
    conversation: &'c mut Conversation,
    leg: &ParticipantId,
    recorder: Recorder,
) -> Option<&'c mut RecorderState> {
    let leg = conversation.participants.iter_mut().find(|one| one.id == *leg)?;
    Some(match recorder {
        Recorder::Adhoc => &mut leg.recorders.adhoc,
        Recorder::Snippet => &mut leg.recorders.snippet,
    })
}

/// Writes a state of the policy recording into the conversation and into the legs that have one.
fn set(conversation: &mut Conversation, state: Observed) {
    let (recorder, secure) = match state {
        Observed::Active => (RecorderState::Active, false),
        Observed::Paused => (RecorderState::Paused, true),
        Observed::Suspended => (RecorderState::Paused, false),
        Observed::None | Observed::Unknown => (RecorderState::None, false),
    };
    conversation.recording_state = Some(recorder);
    conversation.secure_pause = secure;
    for leg in conversation.participants.iter_mut().filter(|one| one.is_live()) {
        if leg.recording_state != RecorderState::None {
            leg.recording_state = recorder;
            leg.secure_pause = secure;
            leg.recording = recorder == RecorderState::Active;
        }
        if leg.recorders.customer_experience != RecorderState::None {
            leg.recorders.customer_experience = recorder;
        }
    }
}
