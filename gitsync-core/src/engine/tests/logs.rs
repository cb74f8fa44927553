//! Logs say which attempt they are about.

use std::io;
use std::sync::{Arc, Mutex};

use super::world::{LONG_ENOUGH, World};
use crate::error::{Error, ErrorKind};
use crate::memory::Call;

/// What was logged while its guard lives, on this thread.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(super) fn begin() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
        (log, tracing::subscriber::set_default(subscriber.finish()))
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn every_line_of_an_attempt_says_which_one_it_is() {
    let (log, _guard) = Log::begin();
    let world = World::new();
    world.upstream(1);
    let (repository, task) = world.create("a", true).await;
    world.backend.fail_next(Call::List, Error::new(ErrorKind::SourceUnreachable, "nobody answers"));
    world.work().await;
    world.clock.advance(LONG_ENOUGH);
    world.work().await;

    let text = log.text();
    // These fields and no others: none of them can be a secret.
    let span = |attempt: u32| {
        format!("attempt{{task={} repository={} kind=\"migrate\" attempt={attempt}}}:", task.id, repository.id)
    };
    for (attempt, event) in
        [(1, "task started"), (1, "the attempt failed"), (1, "task ended"), (2, "task started"), (2, "task ended")]
    {
        let told = text.lines().any(|line| line.contains(&span(attempt)) && line.contains(event));
        assert!(told, "attempt {attempt}, {event}:\n{text}");
    }
}
