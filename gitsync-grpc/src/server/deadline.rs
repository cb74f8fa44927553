//! Deadlines of requests.

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;

use gitsync_core::{Error, ErrorKind};
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::NamedService;

use crate::status::status;

/// The header in which clients say how long they wait.
const HEADER: &str = "grpc-timeout";

/// The most digits of that header's number.
const MAX_DIGITS: usize = 8;

/// The most of a client's patience that is left for the answer to reach it; else it is a tenth.
const MAX_WAY_BACK: Duration = Duration::from_millis(100);

/// A service whose answers begin in time. A request that takes longer, be it to arrive, is dropped where it waits and answered
/// with what that means.
///
/// Tonic's own time limit says `CANCELLED` and nothing else. It cannot be kept from looking at the client's header, so an
/// answer in the nick of time would be its.
#[derive(Clone, Debug)]
pub(super) struct Deadline<S> {
    service: S,
    limit: Duration,
}

impl<S> Deadline<S> {
    /// Ends requests after this time, or earlier if the client does not wait that long.
    pub(super) fn new(service: S, limit: Duration) -> Self {
        Deadline { service, limit }
    }
}

impl<S> Service<http::Request<Body>> for Deadline<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let header = request.headers().get(HEADER).and_then(|value| value.to_str().ok());
        let limit = header.and_then(patience).map_or(self.limit, |patience| in_time(patience).min(self.limit));
        let answer = tokio::time::timeout(limit, self.service.call(request));
        Box::pin(async move { answer.await.unwrap_or_else(|_| Ok(too_late())) })
    }
}

impl<S: NamedService> NamedService for Deadline<S> {
    const NAME: &'static str = S::NAME;
}

fn too_late() -> http::Response<Body> {
    let error = Error::new(ErrorKind::Timeout, "the request was not answered in time");
    status(error.hint("look whether it was carried out before sending it again")).into_http()
}

/// Returns when a client that waits so long has to be answered.
fn in_time(patience: Duration) -> Duration {
    patience - (patience / 10).min(MAX_WAY_BACK)
}

/// Reads how long a client waits; none, if it does not say so in a way that makes sense.
fn patience(header: &str) -> Option<Duration> {
    let unit = header.chars().next_back()?;
    let digits = header.strip_suffix(unit)?;
    if digits.len() > MAX_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        'H' => Duration::from_secs(number * 3600),
        'M' => Duration::from_secs(number * 60),
        'S' => Duration::from_secs(number),
        'm' => Duration::from_millis(number),
        'u' => Duration::from_micros(number),
        'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_say_of_their_patience_is_understood() {
        for (header, seconds) in [("99999999H", 359_999_996_400), ("2M", 120), ("3S", 3), ("4000m", 4)] {
            assert_eq!(patience(header), Some(Duration::from_secs(seconds)), "{header}");
        }
        assert_eq!(patience("5000u"), Some(Duration::from_millis(5)));
        assert_eq!(patience("6n"), Some(Duration::from_nanos(6)));
        for bad in ["", "S", "1", "1s", "-1S", "+1S", "100000000S", "1.5S", "1ä"] {
            assert_eq!(patience(bad), None, "{bad}");
        }
        assert_eq!(in_time(Duration::from_millis(50)), Duration::from_millis(45));
        assert_eq!(in_time(Duration::from_secs(60)), Duration::from_millis(59_900));
    }
}
