//! Many upstreams on one server, and whether mirrors are as they are.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use gitsync_core::engine::disk::Manifest;
use gitsync_core::model::RepositoryId;
use gitsync_core::state::RepositoryStatus;
use gitsync_core::testing::http_server::{Behaviour, Endpoint};
use gitsync_core::testing::{Git, RandomUpstream, SmartHttpServer, check_mirror};
use tempfile::TempDir;

use crate::{Fleet, until};

pub(crate) struct Upstreams {
    pub(crate) server: SmartHttpServer,
    each: Vec<RandomUpstream>,
    _root: TempDir,
}

impl Upstreams {
    /// Makes upstreams with a history each.
    pub(crate) fn new(count: usize) -> Self {
        let root = tempfile::tempdir().unwrap();
        let each: Vec<_> = (0..count).map(|number| RandomUpstream::new(number as u64)).collect();
        for (number, one) in each.iter().enumerate() {
            symlink(one.upstream().dir(), root.path().join(format!("{number}.git"))).unwrap();
        }
        let mut upstreams = Upstreams { server: SmartHttpServer::start(root.path()), each, _root: root };
        upstreams.change(10);
        upstreams
    }

    /// Returns the addresses of all.
    pub(crate) fn sources(&self) -> Vec<String> {
        (0..self.each.len()).map(|number| self.server.source(&format!("{number}.git")).to_string()).collect()
    }

    /// Changes each of them some times at random. There is always something new to fetch.
    pub(crate) fn change(&mut self, times: usize) {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let share = self.each.len().div_ceil(threads);
        std::thread::scope(|scope| {
            for some in self.each.chunks_mut(share) {
                scope.spawn(move || {
                    for one in some {
                        one.change(times);
                        one.upstream().commit("main");
                    }
                });
            }
        });
    }

    /// Lets all transfers wait.
    pub(crate) fn hold(&self) {
        self.server.answer(Endpoint::Command, Behaviour::Hold);
    }

    /// Lets them go on.
    pub(crate) fn release(&self) {
        self.server.answer(Endpoint::Command, Behaviour::Serve);
    }

    /// Checks that the mirrors, by number, and all that is written about them are what git says.
    pub(crate) async fn check(&self, fleet: &Fleet, ids: &[i32]) {
        let reader = fleet.reader().await;
        for (number, (id, one)) in ids.iter().zip(&self.each).enumerate() {
            let id = RepositoryId(*id);
            let mirror = fleet.storage(&format!("acme/mirror-{number}"));
            check_mirror(&reader, id, &mirror, one.upstream().dir()).await;
            Git::at(&mirror).assert_sound();
            let repository = reader.repository(id).await.unwrap();
            assert_eq!((repository.status, repository.error), (RepositoryStatus::Active, None));

            let fence = fs::read_to_string(fleet.storage(&format!(".gitsync/fence/{id}"))).unwrap();
            assert_eq!(fence.trim().parse(), Ok(repository.fence), "the fence of {number} on disk");
            let manifest = Manifest::read(&mirror).unwrap().expect("a mirror says whose it is");
            assert_eq!((manifest.repository, manifest.source), (id, repository.source));
            assert_eq!(reader.task(manifest.task).await.unwrap().repository, id);
        }
        // What attempts leave that were outrun in the middle of their work is the janitor's.
        until("nothing is left over", async || {
            reader.janitor().round().await;
            ["tmp", "trash", "journal", "aside"]
                .iter()
                .all(|directory| is_empty(&fleet.storage(".gitsync").join(directory)))
        })
        .await;
    }
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).unwrap().next().is_none()
}
