//! Lines of an audit log: each follows or breaks the chain, and what was sealed can be read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use recwarden::audit::chain::{Link, Sealed};
use recwarden::audit::history::History;
use recwarden::model::time::Wall;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (mut read, mut written, mut history) = (Link::default(), Link::default(), History::default());
    for line in text.lines() {
        drop((read.follow(line), Link::before(line)));
        // A hash is not guessed: what the line says is sealed anew, as the daemon would have.
        let Ok(sealed) = serde_json::from_str::<Sealed>(line) else { continue };
        let mut reader = written.clone();
        let Ok(again) = written.seal(Wall::from_micros(1_767_603_600_000_000), &sealed.record) else {
            continue;
        };
        let followed = reader.follow(again.trim_end()).expect("what was sealed follows");
        assert_eq!(followed.record, sealed.record);
        drop(history.take(sealed.time, &sealed.record));
    }
    drop((history.carried(), history.open_decisions().count(), history.holds().count()));
});
