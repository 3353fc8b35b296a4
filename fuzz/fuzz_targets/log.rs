//! A whole log on a disk: opened as it stands, and written through troubles and deaths. The input is the text of one
//! file. Its first line also says what befalls the writing of the records in the others, a byte for each: by its
//! remainder by eight, `0` to `7` are what [`Step`] names, in that order.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use recwarden::audit::chain::{Link, Sealed};
use recwarden::audit::history::History;
use recwarden::audit::log::{Disk, Log, Recovered, Rotation, in_order};
use recwarden::audit::record::{DaemonStopped, Record};
use recwarden::model::time::Wall;
use recwarden::sim::disk::{Death, SimDisk, Trouble};

const ROTATION: Rotation = Rotation { every: Duration::from_secs(120), size: 1500 };
/// Records beyond are left out: each file of these holds a few.
const MOST_RECORDS: usize = 12;

fuzz_target!(|data: &[u8]| {
    as_it_stands(data);
    as_written(data);
});

/// Opens a folder with this one file. What opens once opens again, with the same to be cut, and goes on; then it is cut.
fn as_it_stands(data: &[u8]) {
    let first = data.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let seq =
        std::str::from_utf8(first).ok().and_then(|line| Link::before(line).ok()).map_or(1, |link| link.seq);
    let mut disk = SimDisk::new(0);
    put(&mut disk, &format!("audit-2026-01-05-{seq}.jsonl"), data);
    let Ok((mut log, recovered)) = Log::open(disk, ROTATION) else { return };
    let torn = data.len() - data.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    assert_eq!(recovered.cut.map_or(0, |cut| cut.bytes), torn as u64);
    let again = open(log.disk().clone());
    assert_eq!((&again.1.history, again.1.cut), (&recovered.history, recovered.cut));
    if seq > u64::MAX / 2 {
        // No log counts so far.
        return;
    }
    let record = serde_json::from_str(r#"{"kind":"daemon.stopped","reason":"told to"}"#).expect("a record");
    log.append(at(0), &record);
    log.sync(at(0)).expect("a sound disk");
    assert_eq!(open(log.disk().clone()).1.cut, None);
}

/// What befalls the log after a record was appended.
enum Step {
    Sync,
    Wait,
    Full,
    ReadOnly,
    SyncFails,
    Killed(u32),
    PowerLost(u32),
    BeginAnew,
}

impl Step {
    fn of(byte: u8) -> Self {
        let calls = u32::from(byte / 8 % 6);
        match byte % 8 {
            0 => Self::Sync,
            1 => Self::Wait,
            2 => Self::Full,
            3 => Self::ReadOnly,
            4 => Self::SyncFails,
            5 => Self::Killed(calls),
            6 => Self::PowerLost(calls),
            _ => Self::BeginAnew,
        }
    }
}

/// A log that is written, and what must be in it.
struct Written {
    log: Log<SimDisk>,
    /// All that was appended and not lost.
    records: Vec<Record>,
    /// How many of these are durable.
    durable: usize,
}

fn as_written(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let script = lines.next().unwrap_or_default();
    // As a line of a log, or as what it says alone.
    let parse = |line| {
        let sealed = serde_json::from_slice::<Sealed>(line).map(|sealed| sealed.record);
        sealed.or_else(|_| serde_json::from_slice(line)).ok()
    };
    let own = |record: &Record| !matches!(record, Record::Carried(_));
    let appended: Vec<Record> = lines.filter_map(parse).filter(own).take(MOST_RECORDS).collect();
    let mut written = Written { log: open(SimDisk::new(1)).0, records: Vec::new(), durable: 0 };
    let mut script = script.iter().copied();
    for record in appended {
        let step = Step::of(script.next().unwrap_or_default());
        let now = at(written.records.len());
        written.log.append(now, &record);
        written.records.push(record);
        written = written.go_on(step, now);
    }
    let end = Record::DaemonStopped(DaemonStopped { reason: "the end".into() });
    written.log.append(at(written.records.len()), &end);
    written.records.push(end);
    written.log.sync(at(written.records.len())).expect("a sound disk");
    let mut disk = written.log.disk().clone();
    assert_eq!(records(&mut disk, Tail::Whole), written.records);
    in_force_stands_in_the_last_file(disk.clone(), &written.records);
    let cut = data.iter().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    a_cut_tail_opens(disk, cut, &written.records);
}

impl Written {
    fn go_on(mut self, step: Step, now: Wall) -> Self {
        let (trouble, death) = match step {
            Step::Wait => return self,
            Step::BeginAnew => {
                self.log.sync(now).expect("a sound disk");
                self.log.begin_anew();
                (Trouble::None, None)
            }
            Step::Sync => (Trouble::None, None),
            Step::Full => (Trouble::Full, None),
            Step::ReadOnly => (Trouble::ReadOnly, None),
            Step::SyncFails => (Trouble::SyncFails, None),
            Step::Killed(calls) => (Trouble::Dies(calls), Some(Death::Killed)),
            Step::PowerLost(calls) => (Trouble::Dies(calls), Some(Death::PowerLost)),
        };
        self.log.disk_mut().trouble = trouble;
        let outcome = self.log.sync(now);
        self.log.disk_mut().trouble = Trouble::None;
        if outcome.is_ok() {
            self.durable = self.records.len();
        }
        let Some(death) = death else {
            self.log.sync(now).expect("what a disk refused is written once it takes it");
            self.durable = self.records.len();
            return self;
        };
        let mut disk = self.log.disk().clone();
        disk.outlive(death);
        let log = open(disk).0;
        let there = records(&mut log.disk().clone(), Tail::PerhapsTorn);
        assert!(there.len() >= self.durable, "of {} durable records {} are there", self.durable, there.len());
        assert!(self.records.starts_with(&there), "what is there was appended, in its order");
        let durable = there.len();
        Self { log, records: there, durable }
    }
}

/// A start reads the last file alone, and must find in it all that the log as a whole left in force; where the
/// records keep their promise of order, of which each breach is told.
fn in_force_stands_in_the_last_file(disk: SimDisk, records: &[Record]) {
    let mut whole = History::default();
    for (number, record) in records.iter().enumerate() {
        if whole.take(at(number), record).is_some() {
            return;
        }
    }
    assert_eq!(open(disk).1.history.in_force(), whole.in_force());
}

/// However much of the last file is gone, what is left opens.
fn a_cut_tail_opens(mut disk: SimDisk, cut: usize, all: &[Record]) {
    let Some(last) = in_order(disk.names().expect("names")).pop() else { return };
    let bytes = disk.read(&last).expect("a file");
    let left = &bytes[..cut % (bytes.len() + 1)];
    put(&mut disk, &last, left);
    let torn = left.len() - left.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let (log, recovered) = open(disk);
    assert_eq!(recovered.cut.map_or(0, |cut| cut.bytes), torn as u64);
    let there = records(&mut log.disk().clone(), Tail::PerhapsTorn);
    assert!(all.starts_with(&there), "a cut tail changes nothing before it");
}

/// Whether a last line may be torn: it stays until something is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tail {
    Whole,
    PerhapsTorn,
}

/// Every record but what was carried; the chain holds across all files.
fn records(disk: &mut SimDisk, tail: Tail) -> Vec<Record> {
    let mut link = Link::default();
    let mut found = Vec::new();
    for name in in_order(disk.names().expect("names")) {
        let mut bytes = disk.read(&name).expect("a file");
        if tail == Tail::PerhapsTorn {
            bytes.truncate(bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1));
        }
        for line in std::str::from_utf8(&bytes).expect("text").lines() {
            let record = link.follow(line).expect("it follows").record;
            if !matches!(record, Record::Carried(_)) {
                found.push(record);
            }
        }
    }
    found
}

fn open(disk: SimDisk) -> (Log<SimDisk>, Recovered) {
    Log::open(disk, ROTATION).expect("it opens")
}

fn put(disk: &mut SimDisk, name: &str, bytes: &[u8]) {
    disk.write(name, 0, bytes).expect("written");
    disk.sync(name).expect("durable");
    disk.sync_names().expect("named");
}

/// Half a minute for each record.
fn at(number: usize) -> Wall {
    Wall::from_micros(1_767_603_600_000_000)
        + Duration::from_secs(30) * u32::try_from(number).unwrap_or(u32::MAX)
}
