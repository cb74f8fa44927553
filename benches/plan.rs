//! How long the pure decisions take on an upstream with very many references.
#![allow(missing_docs, reason = "the macros of criterion document nothing")]

use criterion::{Criterion, criterion_group, criterion_main};
use gitsync_core::backend::{AdvertisedRef, Advertisement, Head, LocalRefs};
use gitsync_core::model::{ObjectFormat, ObjectId, RefName};
use gitsync_core::plan::{Baseline, MirrorKind, RefMapping, plan, refs_digest};

const REFS: u32 = 10_000;

fn id(number: u32) -> ObjectId {
    let mut bytes = [0; 20];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    ObjectId::Sha1(bytes)
}

fn refs() -> Vec<(RefName, ObjectId)> {
    let name = |number| RefName::new(format!("refs/heads/topic/{number:05}")).expect("git accepts the name");
    (0..REFS).map(|number| (name(number), id(number))).collect()
}

fn decisions(criterion: &mut Criterion) {
    let mapping = RefMapping { kind: MirrorKind::Mirror, exclude: Vec::new() };
    let refs = refs();
    let head = Head::Branch(refs[0].0.clone());
    let baseline: Baseline = refs.iter().cloned().collect();
    let local = LocalRefs { refs: refs.clone(), head: head.clone(), format: ObjectFormat::Sha1, shallow: Vec::new() };
    let mut advertised = Advertisement {
        refs: refs.iter().map(|(name, id)| AdvertisedRef { name: name.clone(), id: *id, peeled: None }).collect(),
        head: Some(head.clone()),
        ..Advertisement::default()
    };
    criterion.bench_function("digest of 10,000 references", |bencher| {
        bencher.iter(|| refs_digest(&mapping, refs.iter().map(|(name, id)| (name, id)), &head));
    });
    for moved in advertised.refs.iter_mut().step_by(100) {
        moved.id = id(REFS + 1);
    }
    criterion.bench_function("plan of 100 moves among 10,000 references", |bencher| {
        bencher.iter(|| plan(&mapping, &baseline, &local, &advertised));
    });
}

criterion_group!(benches, decisions);
criterion_main!(benches);
