//! A disk that may lose what was not made durable, tear what it was writing, fill up, and fail to sync.
//!
//! Appended data is kept from its beginning, as file systems order it, and may be followed by zeros where only
//! the new length was kept. Names are kept in the order in which they were given. What a failed sync left
//! clean in memory is not stored by the next one, unless it is written again.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};

use crate::audit::log::Disk;
use crate::sim::random::Chance;

/// What is wrong with the disk now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    #[default]
    None,
    /// It is full: a write stops somewhere.
    Full,
    /// It has become read-only.
    ReadOnly,
    /// Nothing can be made durable.
    SyncFails,
    /// The process dies within so many calls.
    Dies(u32),
    /// It has died: nothing is done any more.
    Dead,
}

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// It alone: what was written is there, durable or not.
    Killed,
    /// The machine loses its power: what was not durable may be gone, in part or whole.
    PowerLost,
}

#[derive(Clone, Debug, Default)]
struct Node {
    seen: Vec<u8>,
    safe: Vec<u8>,
    /// From where on what is seen has yet to be stored.
    dirty: Option<usize>,
}

#[derive(Clone, Debug)]
enum Naming {
    Made(String, usize),
    Renamed(String, String),
    Gone(String),
}

/// See the module's documentation.
#[derive(Clone, Debug)]
pub struct SimDisk {
    nodes: Vec<Node>,
    seen: BTreeMap<String, usize>,
    safe: BTreeMap<String, usize>,
    unsafe_names: Vec<Naming>,
    chance: Chance,
    /// What is wrong with it now.
    pub trouble: Trouble,
}

impl SimDisk {
    /// An empty disk.
    pub fn new(seed: u64) -> Self {
        Self {
            nodes: Vec::new(),
            seen: BTreeMap::new(),
            safe: BTreeMap::new(),
            unsafe_names: Vec::new(),
            chance: Chance::new(seed),
            trouble: Trouble::None,
        }
    }

    /// The process that used it ends; what the next one finds.
    pub fn outlive(&mut self, death: Death) {
        self.trouble = Trouble::None;
        for naming in std::mem::take(&mut self.unsafe_names) {
            // Once one is lost, all after it are.
            if death == Death::PowerLost && self.chance.strikes(0.5) {
                break;
            }
            apply(&mut self.safe, naming);
        }
        self.seen.clone_from(&self.safe);
        for node in &mut self.nodes {
            match death {
                Death::Killed => {
                    let same =
                        node.seen.iter().zip(&node.safe).take_while(|(seen, safe)| seen == safe).count();
                    node.dirty = (node.seen != node.safe).then_some(same);
                }
                Death::PowerLost => node.lose_power(&mut self.chance),
            }
        }
    }

    /// Whether the process died in the middle of a call.
    pub fn is_dead(&self) -> bool {
        self.trouble == Trouble::Dead
    }

    /// Whether a call goes through, is cut short, or does not begin.
    fn call(&mut self) -> io::Result<()> {
        match self.trouble {
            Trouble::Dies(0) => self.trouble = Trouble::Dead,
            Trouble::Dies(calls) => self.trouble = Trouble::Dies(calls - 1),
            Trouble::Dead => return Err(ErrorKind::Interrupted.into()),
            Trouble::None | Trouble::Full | Trouble::ReadOnly | Trouble::SyncFails => {}
        }
        Ok(())
    }

    /// A call that changes something.
    fn change(&mut self) -> io::Result<()> {
        self.call()?;
        match self.trouble {
            Trouble::ReadOnly => Err(ErrorKind::ReadOnlyFilesystem.into()),
            Trouble::Dead => Err(ErrorKind::Interrupted.into()),
            Trouble::None | Trouble::Full | Trouble::SyncFails | Trouble::Dies(_) => Ok(()),
        }
    }

    fn node(&mut self, name: &str) -> io::Result<&mut Node> {
        let at = self.seen.get(name).copied().ok_or(ErrorKind::NotFound)?;
        self.nodes.get_mut(at).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn name(&mut self, naming: Naming) {
        apply(&mut self.seen, naming.clone());
        self.unsafe_names.push(naming);
    }
}

impl Node {
    fn lose_power(&mut self, chance: &mut Chance) {
        if let Some(from) = self.dirty.take() {
            let fresh = self.seen.get(from..).unwrap_or_default().to_vec();
            self.safe.truncate(from);
            self.safe.resize(from, 0);
            let kept = chance.below(fresh.len() + 1);
            self.safe.extend(fresh.iter().take(kept));
            if chance.strikes(0.2) {
                self.safe.resize(from + fresh.len(), 0);
            }
        }
        self.seen.clone_from(&self.safe);
    }
}

fn apply(names: &mut BTreeMap<String, usize>, naming: Naming) {
    match naming {
        Naming::Made(name, node) => {
            names.insert(name, node);
        }
        Naming::Renamed(from, to) => {
            if let Some(node) = names.remove(&from) {
                names.insert(to, node);
            }
        }
        Naming::Gone(name) => {
            names.remove(&name);
        }
    }
}

impl Disk for SimDisk {
    fn names(&mut self) -> io::Result<Vec<String>> {
        self.call()?;
        Ok(self.seen.keys().cloned().collect())
    }

    fn is_there(&mut self, name: &str) -> bool {
        self.seen.contains_key(name)
    }

    fn read(&mut self, name: &str) -> io::Result<Vec<u8>> {
        self.call()?;
        self.node(name).map(|node| node.seen.clone())
    }

    fn write(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        match self.change() {
            // Who dies while writing has written a beginning.
            Err(error) if error.kind() == ErrorKind::Interrupted && self.seen.contains_key(name) => {}
            outcome => outcome?,
        }
        if !self.seen.contains_key(name) {
            self.nodes.push(Node::default());
            self.name(Naming::Made(name.to_owned(), self.nodes.len() - 1));
        }
        let cut_short = match self.trouble {
            Trouble::Full if !bytes.is_empty() => Some(ErrorKind::StorageFull),
            Trouble::Dead => Some(ErrorKind::Interrupted),
            Trouble::Full | Trouble::ReadOnly | Trouble::None | Trouble::SyncFails | Trouble::Dies(_) => None,
        };
        let kept = if cut_short.is_some() { self.chance.below(bytes.len() + 1) } else { bytes.len() };
        let node = self.node(name)?;
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        node.seen.truncate(offset);
        node.seen.extend(bytes.iter().take(kept));
        node.dirty = Some(node.dirty.map_or(offset, |from| from.min(offset)));
        cut_short.map_or(Ok(()), |kind| Err(kind.into()))
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        self.change()?;
        let fails = self.trouble == Trouble::SyncFails;
        let node = self.node(name)?;
        let Some(from) = node.dirty.take() else { return Ok(()) };
        if fails {
            return Err(io::Error::other("the disk does not answer"));
        }
        node.safe.truncate(from);
        node.safe.resize(from, 0);
        node.safe.extend_from_slice(node.seen.get(from..).unwrap_or_default());
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.change()?;
        self.node(from)?;
        self.name(Naming::Renamed(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.change()?;
        self.name(Naming::Gone(name.to_owned()));
        Ok(())
    }

    fn sync_names(&mut self) -> io::Result<()> {
        self.change()?;
        if self.trouble == Trouble::SyncFails {
            return Err(io::Error::other("the disk does not answer"));
        }
        for naming in std::mem::take(&mut self.unsafe_names) {
            apply(&mut self.safe, naming);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::audit::chain::Link;
    use crate::audit::log::{Log, Rotation, in_order};
    use crate::audit::record::{Dropped, Hold, HoldPhase, Record};
    use crate::model::ids::ConversationId;
    use crate::model::recording::Action;
    use crate::model::time::Wall;

    const ROTATION: Rotation = Rotation { every: Duration::from_secs(3600), size: 900 };

    fn hold(number: u64) -> Record {
        Record::Hold(Hold {
            conversation: ConversationId::new(format!("c{}", number % 3)),
            rule: "pause".into(),
            action: Action::Stop,
            since: Wall::from_micros(0),
            phase: HoldPhase::Held,
            claim: None,
        })
    }

    fn events(number: u64) -> Record {
        Record::Dropped(Dropped { events: number, why: "test".into() })
    }

    /// Checks the whole chain, and gives the numbers of the records that count.
    fn numbers(disk: &mut SimDisk) -> Vec<u64> {
        disk.trouble = Trouble::None;
        let mut link = Link::default();
        let mut found = Vec::new();
        for name in in_order(disk.names().expect("names")) {
            let bytes = disk.read(&name).expect("a file");
            // A torn last line stands until the next record is written.
            let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
            for line in String::from_utf8_lossy(&bytes[..whole]).lines() {
                if let Record::Dropped(one) = link.follow(line).expect("it follows").record {
                    found.push(one.events);
                }
            }
        }
        found
    }

    /// Writes numbered records through deaths and troubles drawn from the seed; whatever was durable must be
    /// there afterwards, once and in order, and the holds too.
    fn torment(seed: u64) {
        let mut chance = Chance::new(seed);
        let mut disk = SimDisk::new(seed);
        let (mut number, mut durable) = (0_u64, 0);
        for _life in 0..12 {
            let (mut log, recovered) = Log::open(disk, ROTATION).expect("it opens");
            assert!(durable == 0 || recovered.history.holds().count() > 0, "seed {seed}");
            disk = loop {
                let trouble = [Trouble::None, Trouble::Full, Trouble::ReadOnly, Trouble::SyncFails];
                log.disk_mut().trouble = match chance.below(12) {
                    0 => Trouble::Dies(u32::try_from(chance.below(6)).expect("small")),
                    _ => chance.pick(&trouble).copied().expect("one"),
                };
                number += 1;
                log.append(Wall::from_micros(0), &hold(number));
                log.append(Wall::from_micros(0), &events(number));
                if log.sync(Wall::from_micros(0)).is_ok() {
                    durable = number;
                }
                if log.disk().is_dead() || chance.strikes(0.05) {
                    break log.disk().clone();
                }
            };
            disk.outlive(if chance.strikes(0.5) { Death::Killed } else { Death::PowerLost });
            let (log, _) = Log::open(disk, ROTATION).expect("it opens");
            disk = log.disk().clone();
            let there = numbers(&mut disk);
            number = there.len() as u64;
            assert!(number >= durable, "seed {seed}: {durable} were durable, {there:?}");
            assert_eq!(there, (1..=number).collect::<Vec<u64>>(), "seed {seed}");
        }
    }

    #[test]
    fn nothing_durable_is_lost_whatever_the_disk_does() {
        (0..40).for_each(torment);
    }

    #[test]
    fn what_a_failed_sync_left_clean_is_not_stored_by_the_next_one() {
        let mut disk = SimDisk::new(1);
        disk.write("a", 0, b"one").expect("written");
        disk.trouble = Trouble::SyncFails;
        disk.sync("a").expect_err("it fails");
        disk.trouble = Trouble::None;
        disk.sync("a").expect("nothing is to be stored");
        disk.sync_names().expect("named");
        disk.outlive(Death::PowerLost);
        assert_eq!(disk.read("a").expect("a file"), b"");
    }

    #[test]
    fn a_full_disk_takes_a_beginning() {
        let mut disk = SimDisk::new(1);
        disk.trouble = Trouble::Full;
        assert_eq!(disk.write("a", 0, &[1; 100]).map_err(|error| error.kind()), Err(ErrorKind::StorageFull));
        assert!(disk.read("a").expect("a file").len() <= 100);
    }
}
