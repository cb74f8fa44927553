//! Pushing to a target.
//!
//! The protocol of `git-receive-pack` is spoken here, so that all engines push alike: the target greets with its references,
//! is told what to change and given a pack, and reports what became of each change. An engine only
//! [writes packs](Engine::write_pack).

mod commands;
mod pack;
mod report;
mod select;

use std::io::{self, BufReader, Cursor, Read, Write};

use gitsync_core::backend::{PushPermit, PushRequest, Pushed, RefEdit};
use gitsync_core::model::ObjectId;
use gitsync_core::plan::plan_push;
use gitsync_core::transport::Service;
use gitsync_core::{Error, ErrorKind, Result};

use self::commands::Features;
use self::pack::PackFile;
use self::report::Report;
use self::select::select;
use crate::engine::Engine;
use crate::quarantine::Quarantine;
use crate::repository::Repository;
use crate::upstream::listing::ListLimits;
use crate::upstream::{Call, Greeting, Guarded, Streams, exchange, greet};

/// How many bytes are read behind the report of a target, until it ends.
const MAX_LAST_WORDS: u64 = 64 * 1024;

/// Makes a push target have what was asked for; see
/// [`push_mirror`](gitsync_core::GitBackend::push_mirror).
///
/// # Errors
/// As there.
pub(crate) fn push<E: Engine>(
    engine: &E,
    repository: &Repository<E::Objects>,
    request: &PushRequest,
    permit: &dyn PushPermit,
    call: &Call,
) -> Result<Pushed> {
    let push = Push { engine, repository, request, permit, call, limits: engine.list_limits() };
    push.run().map_err(|error| {
        let error = call.failure.take().unwrap_or(error);
        if error.context().any(|(key, _)| key == "source") { error } else { error.with("source", &call.source) }
    })
}

/// One push.
struct Push<'a, E: Engine> {
    engine: &'a E,
    repository: &'a Repository<E::Objects>,
    request: &'a PushRequest,
    permit: &'a dyn PushPermit,
    call: &'a Call,
    limits: ListLimits,
}

impl<E: Engine> Push<'_, E> {
    fn run(&self) -> Result<Pushed> {
        if !self.repository.shallow().is_empty() {
            return Err(Error::new(ErrorKind::Unsupported, "a history of limited depth cannot be pushed"));
        }
        let (greeting, streams) = greet(self.call, Service::ReceivePack, self.limits)?;
        self.check(&greeting)?;
        let features = Features::of(&greeting)?;
        let advertised = greeting.into_listing().finish().refs;
        let edits = plan_push(&self.request.mapping, &self.request.refs, &advertised);
        let Some(commands) = commands::write(&edits, &features) else {
            // Nobody is left waiting at the other end of a pipe.
            if let Some(streams) = streams {
                streams.close();
            }
            return Ok(Pushed::default());
        };
        let known: Vec<ObjectId> = advertised.iter().map(|there| there.id).collect();
        let pack = self.pack(&edits, &known)?;
        let (objects, bytes) = pack.as_ref().map_or((0, 0), |pack| (pack.objects, pack.bytes));
        self.call.limits.check()?;
        // Whoever took over since the target said what it has either pushes after this, or has changed what it compares.
        self.permit.check()?;
        let report = match streams {
            Some(streams) => self.converse(streams, &commands, pack, &features),
            None => self.post(commands, pack, &features),
        }?;
        Ok(Pushed { objects, bytes, ..report.outcome(&edits)? })
    }

    fn check(&self, greeting: &Greeting) -> Result<()> {
        if greeting.is_shallow() {
            return Err(Error::new(ErrorKind::Unsupported, "the push target is a shallow clone"));
        }
        if greeting.format() != self.repository.format() {
            return Err(Error::new(
                ErrorKind::Conflict,
                "the push target's object format is not that of the repository",
            ));
        }
        Ok(())
    }

    /// Makes the pack of what the target lacks; none if it is only to delete.
    fn pack(&self, edits: &[RefEdit], known: &[ObjectId]) -> Result<Option<PackFile>> {
        let tips: Vec<ObjectId> = edits.iter().filter_map(|edit| edit.new).collect();
        if tips.is_empty() {
            return Ok(None);
        }
        let objects = select(self.repository, &tips, known, &self.call.limits)?;
        let quarantine = Quarantine::new(self.repository.git_dir())?;
        PackFile::write(self.engine, self.repository, quarantine, &objects, self.request.max_pack_bytes, self.call)
            .map(Some)
    }

    /// Pushes over HTTP: one request.
    fn post(&self, commands: Vec<u8>, pack: Option<PackFile>, features: &Features) -> Result<Report> {
        let headers = [
            ("content-type", "application/x-git-receive-pack-request"),
            ("accept", "application/x-git-receive-pack-result"),
        ];
        let mut body: Box<dyn Read + Send> = match &pack {
            Some(pack) => Box::new(Cursor::new(commands).chain(pack.open()?)),
            None => Box::new(Cursor::new(commands)),
        };
        let answer = exchange(self.call, "/git-receive-pack", &headers, Some(&mut body))?;
        self.read(&mut BufReader::new(Guarded::new(answer.body, self.call)), features)
    }

    /// Pushes to a service that listens.
    fn converse(
        &self,
        mut streams: Streams,
        commands: &[u8],
        pack: Option<PackFile>,
        features: &Features,
    ) -> Result<Report> {
        let sent = send(&mut streams.writer, commands, pack.as_ref());
        // A target that gives up says why, also to one who could not tell it everything.
        let report = match (self.read(&mut streams.reader, features), sent) {
            (Err(_), Err(unsent)) => Err(unsent.into()),
            (report, _) => report,
        }?;
        // It tidies up; how it ends does not matter any more.
        let _ = io::copy(&mut streams.reader.take(MAX_LAST_WORDS), &mut io::sink());
        Ok(report)
    }

    fn read(&self, reader: &mut impl Read, features: &Features) -> Result<Report> {
        Report::read(reader, features, self.limits.bytes, &|said| self.call.hide_secrets(said).into_owned())
    }
}

fn send(writer: &mut impl Write, commands: &[u8], pack: Option<&PackFile>) -> io::Result<()> {
    writer.write_all(commands)?;
    if let Some(pack) = pack {
        io::copy(&mut pack.open()?, writer)?;
    }
    writer.flush()
}
