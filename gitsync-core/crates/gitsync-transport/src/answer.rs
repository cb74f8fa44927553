//! What the answer of an HTTP server means.

use std::time::{Duration, SystemTime};

use gitsync_core::source::SourceUrl;
use gitsync_core::transport::{CREDENTIALS, REFUSED, Service};
use gitsync_core::{Error, ErrorKind};
use ureq::http::{HeaderMap, StatusCode, header};
use url::Url;

/// The longest pause a server can ask for.
const MAX_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

/// Turns every answer that is not a success into an error.
pub(crate) fn failure(
    status: StatusCode,
    headers: &HeaderMap,
    source: &SourceUrl,
    suffix: &str,
    had_credentials: bool,
    now: SystemTime,
) -> Error {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let pause = text(header::RETRY_AFTER).and_then(|value| parse_retry_after(value, now));
    let new = |kind, message: &str| Error::new(kind, message).with("status", status.as_u16()).with("url", source);
    match status.as_u16() {
        301 | 302 | 303 | 307 | 308 => {
            match text(header::LOCATION).and_then(|location| repository_behind(source, suffix, location)) {
                Some(target) => {
                    let error = new(ErrorKind::SourceRedirected, "the upstream is elsewhere");
                    if matches!(status.as_u16(), 301 | 308) {
                        error.moved_to(target)
                    } else {
                        error.redirected_to(target)
                    }
                }
                None => new(ErrorKind::SourceNotFound, "the server leads away from the repository")
                    .hint("it may be private (then configure credentials) or gone"),
            }
        }
        401 if had_credentials => new(ErrorKind::Unauthenticated, "the server refused the credentials")
            .with(CREDENTIALS, REFUSED)
            .hint("check whether the configured token is still valid"),
        401 => new(ErrorKind::Unauthenticated, "the server asks for credentials")
            .hint("configure credentials for the host; many servers ask for them when a repository does not exist"),
        // Forges say 403 for some of their rate limits.
        429 | 403 | 503 if pause.is_some() || status.as_u16() == 429 => {
            let error = new(ErrorKind::RateLimited, "the server asks for a pause");
            match pause {
                Some(pause) => error.retry_in(pause),
                None => error,
            }
        }
        403 if suffix.contains(Service::ReceivePack.as_str()) => {
            new(ErrorKind::PermissionDenied, "the server does not allow pushing to the repository")
                .hint("check what the configured credentials may do")
        }
        403 => new(ErrorKind::PermissionDenied, "the server does not allow reading the repository")
            .hint("check what the configured credentials may do"),
        404 | 410 => new(ErrorKind::SourceNotFound, "the server has no repository at this address")
            .hint("check the spelling, or whether the repository is private"),
        _ => new(ErrorKind::SourceUnreachable, "the server failed"),
    }
}

/// Returns the repository that a redirect of one of its resources points to: what precedes the suffix of the request.
///
/// `None` means that the redirect points at something else, such as a login page.
fn repository_behind(source: &SourceUrl, suffix: &str, location: &str) -> Option<String> {
    let mut target = Url::parse(&source.join_suffix(suffix)).ok()?.join(location).ok()?;
    // Whatever the server puts there, it is not our login.
    let _ = target.set_username("");
    let _ = target.set_password(None);
    let resource = suffix.split('?').next().unwrap_or(suffix);
    let path = target.path().strip_suffix(resource)?.to_owned();
    target.set_path(&path);
    target.set_query(None);
    target.set_fragment(None);
    Some(target.into())
}

/// Reads a `Retry-After` header: seconds, or a date. One that is over asks for no pause that anybody could keep.
fn parse_retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    let pause = match value.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(pause.min(MAX_PAUSE)).filter(|pause| *pause >= Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO_REFS: &str = "/info/refs?service=git-upload-pack";

    fn answer(status: u16, headers: &[(&'static str, &str)]) -> Error {
        let source: SourceUrl = "https://host.example/team/app.git".parse().unwrap();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        // 26 October 1994, 08:49:37
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(783_161_377);
        failure(StatusCode::from_u16(status).unwrap(), &map, &source, INFO_REFS, false, now)
    }

    #[test]
    fn statuses_have_kinds() {
        for (status, kind) in [
            (401, ErrorKind::Unauthenticated),
            (403, ErrorKind::PermissionDenied),
            (404, ErrorKind::SourceNotFound),
            (410, ErrorKind::SourceNotFound),
            (429, ErrorKind::RateLimited),
            (302, ErrorKind::SourceNotFound),
            (304, ErrorKind::SourceUnreachable),
            (400, ErrorKind::SourceUnreachable),
            (500, ErrorKind::SourceUnreachable),
            (503, ErrorKind::SourceUnreachable),
        ] {
            assert_eq!(answer(status, &[]).kind(), kind, "{status}");
        }
    }

    #[test]
    fn pauses_are_seconds_or_dates_and_bounded() {
        let pause = |status, value| {
            let error = answer(status, &[("retry-after", value)]);
            (error.kind(), error.retry_after().map(|pause| pause.as_secs()))
        };
        let limited = |seconds| (ErrorKind::RateLimited, seconds);
        assert_eq!(pause(429, "120"), limited(Some(120)));
        assert_eq!(pause(503, " 7 "), limited(Some(7)));
        assert_eq!(pause(403, "7"), limited(Some(7)));
        assert_eq!(pause(429, "Wed, 26 Oct 1994 08:50:37 GMT"), limited(Some(60)));
        for over in ["0", "Wed, 26 Oct 1994 08:00:00 GMT"] {
            assert_eq!(pause(429, over), limited(None), "{over}");
        }
        assert_eq!(pause(429, "99999999999"), limited(Some(86_400)));
        assert_eq!(pause(429, "soon"), limited(None));
        assert_eq!(pause(503, "soon"), (ErrorKind::SourceUnreachable, None));
    }

    #[test]
    fn redirects_name_the_repository() {
        let target = |location: &str| answer(301, &[("location", location)]).redirect_target().map(str::to_owned);
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(target(&format!("https://other.example/x/y{INFO_REFS}")), some("https://other.example/x/y"));
        assert_eq!(target("/x/y/info/refs"), some("https://host.example/x/y"));
        assert_eq!(target("//other.example/x/info/refs?a=b#c"), some("https://other.example/x"));
        assert_eq!(target("http://me:pw@10.0.0.1:81/x/info/refs"), some("http://10.0.0.1:81/x"));
        assert_eq!(target("file:///etc/info/refs"), some("file:///etc"));
        assert_eq!(target("https://host.example/login"), None);
        assert_eq!(target("https://host.example/login?next=/info/refs"), None);
        assert_eq!(target("http://[bad"), None);
    }
}
