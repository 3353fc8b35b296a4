//! What one event costs on one core: from the socket's text to the rules that match.
//! `cargo bench --bench event`.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use recwarden::policy::compile::Compiler;
use recwarden::policy::subject::{Facts, Subject};
use recwarden::sim::oracle::SAMPLE_POLICY;
use recwarden::wire::frame::{self, Frame};

const EVENT: &str = include_str!(
    "../tests/fixtures/payloads/notifications/users-calls-recordingstate-active-test-fixture.json"
);

fn one_event(criterion: &mut Criterion) {
    let mut compiler = Compiler::default();
    assert!(compiler.add_file("sample", SAMPLE_POLICY).is_empty());
    let policy = compiler.finish();
    let facts = Facts::new();
    let mut group = criterion.benchmark_group("one event");
    group.throughput(Throughput::Elements(1));
    group.bench_function("decode", |bencher| bencher.iter(|| frame::read(black_box(EVENT))));
    group.bench_function("decode and policy", |bencher| {
        bencher.iter(|| {
            let Ok(Frame::Conversation(event)) = frame::read(black_box(EVENT)) else {
                panic!("the payload is a conversation's event");
            };
            let conversation = &event.decoded.conversation;
            policy.matches(Subject { conversation, facts: &facts, topic: "" })
        });
    });
    group.finish();
}

criterion_group!(benches, one_event);
criterion_main!(benches);
