//! gix's HTTP transport over the HTTP exchanges of the core.

use std::any::Any;
use std::io::{self, BufRead, BufReader, Cursor, Read, Write};
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use gitsync_core::transport::HttpResponse;
use gitsync_repository::upstream::{Call, Guarded, exchange};
use gix_transport::client::blocking_io::http::{GetResponse, Http, PostBodyDataKind, PostResponse};

/// What gix believes to be the address: the real one is the transport's affair.
pub(super) const PLACEHOLDER: &str = "http://upstream";

/// How much is read ahead of gix, which reads in small pieces.
const BUFFER_BYTES: usize = 64 * 1024;

/// Hands gix's requests to the transport of a call.
#[derive(Debug)]
pub(super) struct UpstreamHttp {
    call: Call,
    /// The answer to the first request, if that is known beforehand.
    replay: Option<Vec<u8>>,
}

impl UpstreamHttp {
    pub(super) fn new(call: &Call, replay: Option<Vec<u8>>) -> Self {
        UpstreamHttp { call: call.clone(), replay }
    }

    fn exchange(&self, url: &str, headers: impl IntoIterator<Item = impl AsRef<str>>, is_post: bool) -> Exchange {
        // The transport says itself who it is.
        let headers = headers
            .into_iter()
            .filter_map(|header| header.as_ref().split_once(':').map(|(k, v)| (k.to_owned(), v.trim().to_owned())))
            .filter(|(name, _)| !name.eq_ignore_ascii_case("user-agent"))
            .collect();
        Exchange {
            call: self.call.clone(),
            suffix: url.strip_prefix(PLACEHOLDER).unwrap_or(url).to_owned(),
            headers,
            body: is_post.then(Vec::new),
            response: None,
            sent: false,
        }
    }
}

impl Http for UpstreamHttp {
    type Headers = Part;
    type ResponseBody = Part;
    type PostBody = Body;

    fn get(
        &mut self,
        url: &str,
        _base: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> gix::Result<GetResponse<Part, Part>> {
        let mut exchange = self.exchange(url, headers, false);
        match self.replay.take() {
            None => exchange.send().map_err(gix::Error::from_error)?,
            Some(answer) => {
                exchange.sent = true;
                exchange.response = Some(HttpResponse {
                    content_type: "application/x-git-upload-pack-advertisement".to_owned(),
                    body: Box::new(Cursor::new(answer)),
                });
            }
        }
        let exchange = Arc::new(Mutex::new(exchange));
        Ok(GetResponse { headers: Part::headers(&exchange), body: Part::body(&exchange) })
    }

    fn post(
        &mut self,
        url: &str,
        _base: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
        _kind: PostBodyDataKind,
    ) -> gix::Result<PostResponse<Part, Part, Body>> {
        let exchange = Arc::new(Mutex::new(self.exchange(url, headers, true)));
        Ok(PostResponse {
            headers: Part::headers(&exchange),
            body: Part::body(&exchange),
            post_body: Body(Arc::clone(&exchange)),
        })
    }

    fn configure(&mut self, _config: &dyn Any) -> gix::Result {
        Ok(())
    }
}

/// One request with its answer. A POST is sent when the answer is first looked at: gix has written the body by then.
#[derive(Debug)]
struct Exchange {
    call: Call,
    suffix: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
    response: Option<HttpResponse>,
    sent: bool,
}

impl Exchange {
    fn send(&mut self) -> io::Result<()> {
        if mem::replace(&mut self.sent, true) {
            return Ok(());
        }
        let headers: Vec<_> = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let mut body = self.body.take().map(Cursor::new);
        let body = body.as_mut().map(|body| body as &mut (dyn Read + Send));
        let answer = exchange(&self.call, &self.suffix, &headers, body);
        self.response = Some(answer.map_err(|error| self.call.failure.keep(error))?);
        Ok(())
    }
}

/// The body of a POST: it fits into memory, since we send no packs.
#[derive(Debug)]
pub(super) struct Body(Arc<Mutex<Exchange>>);

impl Write for Body {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut exchange = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        exchange.body.get_or_insert_default().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The headers or the body of an answer.
pub(super) struct Part {
    exchange: Arc<Mutex<Exchange>>,
    is_headers: bool,
    reader: Option<PartReader>,
}

type PartReader = BufReader<Box<dyn Read + Send>>;

impl Part {
    fn headers(exchange: &Arc<Mutex<Exchange>>) -> Self {
        Part { exchange: Arc::clone(exchange), is_headers: true, reader: None }
    }

    fn body(exchange: &Arc<Mutex<Exchange>>) -> Self {
        Part { exchange: Arc::clone(exchange), is_headers: false, reader: None }
    }

    fn open(&mut self) -> io::Result<&mut PartReader> {
        if self.reader.is_none() {
            let mut exchange = self.exchange.lock().unwrap_or_else(PoisonError::into_inner);
            exchange.send()?;
            let call = exchange.call.clone();
            let gone = || io::Error::other("the answer was read before");
            let reader = if self.is_headers {
                let response = exchange.response.as_ref().ok_or_else(gone)?;
                // The only header gix looks at.
                let line = format!("content-type: {}\n", response.content_type).into_bytes();
                BufReader::new(Box::new(Cursor::new(line)) as Box<dyn Read + Send>)
            } else {
                let body = Box::new(Guarded::new(exchange.response.take().ok_or_else(gone)?.body, &call));
                let mut reader = BufReader::with_capacity(BUFFER_BYTES, body as Box<dyn Read + Send>);
                // Where a pack may follow, gix takes such a line for a part of one.
                if let Some(said) = error_line(reader.fill_buf()?) {
                    call.failure.keep_said(said);
                }
                reader
            };
            drop(exchange);
            self.reader = Some(reader);
        }
        self.reader.as_mut().ok_or_else(|| io::Error::other("an answer was not opened"))
    }
}

/// Returns the message of an answer that begins with an error line.
fn error_line(answer: &[u8]) -> Option<String> {
    let length = std::str::from_utf8(answer.get(..4)?).ok().and_then(|hex| usize::from_str_radix(hex, 16).ok())?;
    let line = answer.get(4..length.clamp(4, answer.len()))?;
    Some(String::from_utf8_lossy(line.strip_prefix(b"ERR ")?).into_owned())
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.open()?.read(buffer)
    }
}

impl BufRead for Part {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.open()?.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        if let Some(reader) = &mut self.reader {
            reader.consume(amount);
        }
    }
}
