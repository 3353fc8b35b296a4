//! What a simulation is to be: its seed, its traffic, its limits, its faults.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::sim::faults::Faults;
use crate::sim::org::Taping;

/// The permissions that the operations of this simulator ask for (GENESYS.md 2.1, 3.1, 3.2).
pub const PERMISSIONS: [&str; 8] = [
    "analytics:conversationDetail:view",
    "analytics:queueObservation:view",
    "conversation:communication:view",
    "conversation:recording:pauseOthers",
    "conversation:recording:snippetRecord",
    "directory:user:view",
    "routing:queue:view",
    "recording:recording:view",
];

/// Whether the simulator offers `POST /api/v2/conversations/{id}/recordings`, which the public API lacks
/// (GENESYS.md 2.1) and a gateway may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Gateway {
    /// The operation is there.
    #[default]
    Offered,
    /// The path has only `GET`, as on the public API.
    Absent,
}

/// Who plays, where it is not the standard organisation with its callers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cast {
    /// Queues, and whether the platform records their calls by itself; none: the standard ones.
    pub queues: Vec<(String, Taping)>,
    /// What happens in calls beside what always does.
    pub scenes: Vec<Scene>,
}

/// Something that happens in a call for a while: participant data, a flag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scene {
    /// The queue that it happens in; none: any.
    pub queue: Option<String>,
    /// Participant data that is set, and emptied at its end.
    pub attributes: Vec<(String, String)>,
    /// Whether the agent flags the conversation.
    pub flag: Flag,
    /// Who calls whom; none: either.
    pub way: Option<Way>,
}

/// Whether a scene has a flag in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flag {
    /// It has.
    Raised,
    /// It has not.
    #[default]
    Down,
}

/// Who calls whom in a scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The customer the centre.
    In,
    /// An agent the customer.
    Out,
}

/// What a simulation is to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// All chance comes from it.
    pub seed: u64,
    /// How many calls are live at once, about.
    pub calls: usize,
    /// How many of them are in progress from the start, instead of coming in one after the other.
    pub in_progress: usize,
    /// How much faster than life the callers and agents are: 1 is life, 20 ends a call in half a minute.
    pub pace: f64,
    /// How long a caller and an agent talk in the mean, at pace 1.
    pub talk: Duration,
    /// How many scenes a talk may have beyond the few that it usually has.
    pub more_scenes: usize,
    /// How often an agent presses pause or resume by hand: the share of calls.
    pub agent_pauses: f64,
    /// How long an accepted recording order takes to be applied: at least and at most.
    pub apply_delay: (Duration, Duration),
    /// The pulse of every socket: 30 s on the platform (GENESYS.md 4.3).
    pub heartbeat: Duration,
    /// How long an access token is good for: 24 h by default, 5 min to 48 h (GENESYS.md 1).
    pub token_lifetime: Duration,
    /// How long a channel lives without a new subscription: 24 h (GENESYS.md 4.2).
    pub channel_lifetime: Duration,
    /// Requests of one token in one minute: 300 (GENESYS.md 6).
    pub requests_per_minute: u32,
    /// The id of the OAuth client.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// What it may do.
    pub permissions: BTreeSet<String>,
    /// Whether the gateway's operation is there.
    pub gateway: Gateway,
    /// Who plays.
    pub cast: Cast,
    /// Queues that are made while it runs: when, and their names.
    pub new_queues: Vec<(Duration, &'static str)>,
    /// Users, by address, who leave the lists while it runs, or come back to them: when, and who.
    pub turning_users: Vec<(Duration, &'static str)>,
    /// What goes wrong.
    pub faults: Faults,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            seed: 1,
            calls: 10,
            in_progress: 0,
            pace: 1.0,
            talk: Duration::from_secs(180),
            more_scenes: 0,
            agent_pauses: 0.0,
            apply_delay: (Duration::from_millis(20), Duration::from_millis(150)),
            heartbeat: Duration::from_secs(30),
            token_lifetime: Duration::from_secs(86_400),
            channel_lifetime: Duration::from_secs(86_400),
            requests_per_minute: 300,
            client_id: "5e7a1c9e-0000-4000-8000-00000000c11e".to_owned(),
            client_secret: "simulated-secret".to_owned(),
            permissions: PERMISSIONS.iter().map(|&name| name.to_owned()).collect(),
            gateway: Gateway::Offered,
            cast: Cast::default(),
            new_queues: Vec::new(),
            turning_users: Vec::new(),
            faults: Faults::default(),
        }
    }
}
