//! The numbers that the engine records.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

use super::hooks::{PauseAt, deaf, hasty, start};
use super::world::{LONG_ENOUGH, World, is_done};
use crate::engine::metrics;
use crate::error::{Error, ErrorKind};
use crate::memory::Call;

/// Every number that was recorded, by `name{label=value,…}`: counters and gauges as they are, of distributions each sample.
fn numbers(snapshotter: &Snapshotter) -> BTreeMap<String, Vec<f64>> {
    let all = snapshotter.snapshot().into_vec().into_iter();
    all.map(|(key, _, _, value)| {
        let key = key.key();
        let mut labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        labels.sort();
        let values = match value {
            DebugValue::Counter(count) => vec![count as f64],
            DebugValue::Gauge(value) => vec![*value],
            DebugValue::Histogram(samples) => samples.into_iter().map(|sample| *sample).collect(),
        };
        (format!("{}{{{}}}", key.name(), labels.join(",")), values)
    })
    .collect()
}

/// Tells how often something was recorded: `name{label=value,…}` and the number of a counter or of the samples.
fn counts(numbers: &BTreeMap<String, Vec<f64>>, name: &str) -> Vec<(String, usize)> {
    let of_name = numbers.iter().filter_map(|(key, values)| Some((key.strip_prefix(name)?, values)));
    of_name
        .map(|(labels, values)| {
            let is_counter = name.ends_with("_total");
            (labels.to_owned(), if is_counter { values[0] as usize } else { values.len() })
        })
        .collect()
}

#[tokio::test]
async fn tasks_attempts_and_what_they_fetched_are_counted() {
    let recorder = DebuggingRecorder::new();
    let _guard = ::metrics::set_default_local_recorder(&recorder);
    let world = World::new();
    world.create("missing", true).await;
    world.work().await;
    let line = world.upstream(3);
    let repository = world.mirror().await;
    world.clock.advance(Duration::from_secs(3000));
    let next = world.backend.commit(&[line[2]], "next");
    world.set("refs/heads/main", Some(next));
    world.backend.fail_next(Call::List, Error::new(ErrorKind::SourceUnreachable, "nobody answers"));
    world.sync(repository.id).await;
    world.clock.advance(LONG_ENOUGH);
    world.work().await;
    world.check_books(repository.id).await;
    world.gitsync.delete_repository(repository.id).await.unwrap();
    world.work().await;

    let numbers = numbers(&recorder.snapshotter());
    let expected = |labels: &[&str]| labels.iter().map(|labels| ((*labels).to_owned(), 1)).collect::<Vec<_>>();
    assert_eq!(
        counts(&numbers, metrics::TASKS),
        expected(&[
            "{error_kind=none,kind=delete,status=completed}",
            "{error_kind=none,kind=migrate,status=completed}",
            "{error_kind=none,kind=sync,status=completed}",
            "{error_kind=source_not_found,kind=migrate,status=failed}",
        ])
    );
    assert_eq!(
        counts(&numbers, metrics::ATTEMPT_DURATION),
        expected(&[
            "{kind=delete,outcome=completed}",
            "{kind=migrate,outcome=completed}",
            "{kind=migrate,outcome=failed}",
            "{kind=sync,outcome=completed}",
            "{kind=sync,outcome=retry}",
        ])
    );
    assert_eq!(counts(&numbers, metrics::RETRIES), expected(&["{error_kind=source_unreachable,kind=sync}"]));
    assert_eq!(numbers[&format!("{}{{}}", metrics::STALENESS)], [3600.0], "since the clone");
    assert_eq!(counts(&numbers, metrics::FETCHED_OBJECTS), [("{}".to_owned(), 3 + 4)], "the scripted engine sends all");
    assert_eq!(counts(&numbers, metrics::FETCHED_BYTES), [("{}".to_owned(), 0)], "and no bytes");
    assert_eq!(counts(&numbers, metrics::LEASES_LOST), []);
}

#[tokio::test]
async fn lost_leases_and_abandoned_attempts_are_counted() {
    let recorder = DebuggingRecorder::new();
    let _guard = ::metrics::set_default_local_recorder(&recorder);
    let world = World::new();
    world.upstream(3);
    let (_, task) = world.create("a", true).await;
    let slow = PauseAt::new("listed");
    let worker = start(&world.engine_with(Arc::clone(&slow) as _, deaf()));
    slow.reached.notified().await;
    world.clock.advance(LONG_ENOUGH);
    world.work().await;
    assert!(is_done(&world.gitsync.task(task.id).await.unwrap()));
    slow.open.notify_one();
    worker.await.unwrap();

    world.create("b", true).await;
    let hangs = PauseAt::new("listed");
    let worker = start(&world.engine_with(Arc::clone(&hangs) as _, hasty()));
    hangs.reached.notified().await;
    // From here on nobody does anything but wait, and all waiting takes no time.
    tokio::time::pause();
    worker.await.unwrap();

    let numbers = numbers(&recorder.snapshotter());
    for name in [metrics::LEASES_LOST, metrics::ATTEMPTS_ABANDONED] {
        assert_eq!(counts(&numbers, name), [("{}".to_owned(), 1)], "{name}");
    }
}
