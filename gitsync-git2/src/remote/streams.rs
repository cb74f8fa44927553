//! The streams that libgit2 reads and writes.

use std::io::{self, Cursor, Read, Write};
use std::sync::{Arc, PoisonError};

use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream};
use gitsync_repository::upstream::{Guarded, Streams, exchange, too_many_bytes};

use super::registry::Conversation;

/// Hands libgit2 the streams of a conversation.
#[derive(Debug)]
pub(super) struct Subtransport(pub(super) Arc<Conversation>);

impl SmartSubtransport for Subtransport {
    fn action(&self, _url: &str, action: Service) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        let conversation = Arc::clone(&self.0);
        match action {
            Service::UploadPackLs => {
                let greeting = Cursor::new(conversation.greeting.clone());
                let streams = conversation.streams.lock().unwrap_or_else(PoisonError::into_inner).take();
                Ok(Box::new(Watched { stream: Greeted { greeting, streams }, conversation, received: 0 }))
            }
            Service::UploadPack => {
                let stream = Exchange { conversation: Arc::clone(&conversation), body: Vec::new(), answer: None };
                Ok(Box::new(Watched { stream, conversation, received: 0 }))
            }
            Service::ReceivePackLs | Service::ReceivePack => Err(git2::Error::from_str("nothing is pushed this way")),
        }
    }

    fn close(&self) -> Result<(), git2::Error> {
        Ok(())
    }
}

/// A stream with a bound, whose errors are kept aside.
struct Watched<S> {
    stream: S,
    conversation: Arc<Conversation>,
    received: u64,
}

impl<S> Watched<S> {
    /// Keeps an error, and returns one that says nothing: libgit2 does not survive texts with a NUL in them.
    fn keep(&self, error: io::Error) -> io::Error {
        self.conversation.call.failure.keep_io(error);
        io::Error::other("the conversation with the upstream failed")
    }
}

impl<S: Read> Read for Watched<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let call = &self.conversation.call;
        call.limits.check().map_err(|error| self.keep(io::Error::other(error)))?;
        let read = loop {
            match self.stream.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read.map_err(|error| self.keep(error))?,
            }
        };
        self.received += read as u64;
        if self.received > self.conversation.max_bytes {
            let error = too_many_bytes(self.conversation.max_bytes).with("source", &call.source);
            return Err(self.keep(io::Error::other(error)));
        }
        Ok(read)
    }
}

impl<S: Write> Write for Watched<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes).map_err(|error| self.keep(error))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush().map_err(|error| self.keep(error))
    }
}

/// The greeting, and behind it the upstream itself if it goes on listening.
struct Greeted {
    greeting: Cursor<Vec<u8>>,
    streams: Option<Streams>,
}

impl Read for Greeted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match (self.greeting.read(buffer)?, &mut self.streams) {
            (0, Some(streams)) => streams.reader.read(buffer),
            (read, _) => Ok(read),
        }
    }
}

impl Write for Greeted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let streams = self.streams.as_mut().ok_or_else(|| io::Error::other("the upstream listens no more"))?;
        let written = streams.writer.write(bytes)?;
        // libgit2 never says that it waits for an answer.
        streams.writer.flush()?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A request over HTTP. It is sent when the answer is first looked at: libgit2 has written it by then. It fits into memory,
/// since no packs are sent.
struct Exchange {
    conversation: Arc<Conversation>,
    body: Vec<u8>,
    answer: Option<Box<dyn Read + Send>>,
}

impl Read for Exchange {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let answer = match &mut self.answer {
            Some(answer) => answer,
            None => {
                let headers = [
                    ("content-type", "application/x-git-upload-pack-request"),
                    ("accept", "application/x-git-upload-pack-result"),
                ];
                let call = &self.conversation.call;
                let mut body = Cursor::new(std::mem::take(&mut self.body));
                let answer = exchange(call, "/git-upload-pack", &headers, Some(&mut body)).map_err(io::Error::other)?;
                self.answer.insert(Box::new(Guarded::new(answer.body, call)))
            }
        };
        answer.read(buffer)
    }
}

impl Write for Exchange {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.body.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
