//! HTTP exchanges with git servers.

use std::io::Read;

use gitsync_core::transport::{HttpRequest, HttpResponse};
use gitsync_core::{Error, ErrorKind, Result};

use super::call::Call;

/// Carries out an exchange with the upstream of a call.
///
/// # Errors
/// Those of the [`Transport`](gitsync_core::Transport); [`ErrorKind::Corrupt`] if the answer is not by git's smart protocol.
pub fn exchange<'a>(
    call: &'a Call,
    suffix: &'a str,
    headers: &'a [(&'a str, &'a str)],
    body: Option<&'a mut (dyn Read + Send + 'a)>,
) -> Result<HttpResponse> {
    let request = HttpRequest { source: &call.source, suffix, headers, body };
    let response = call.transport.http(request, &call.limits)?;
    let expected = [
        "application/x-git-upload-pack-advertisement",
        "application/x-git-upload-pack-result",
        "application/x-git-receive-pack-advertisement",
        "application/x-git-receive-pack-result",
    ];
    if expected.contains(&response.content_type.trim()) {
        Ok(response)
    } else {
        Err(not_git(&call.hide_secrets(&response.content_type)))
    }
}

fn not_git(content_type: &str) -> Error {
    let content_type: String = content_type.chars().filter(|c| !c.is_control()).take(100).collect();
    Error::new(ErrorKind::Corrupt, "the upstream answers, but not by git's smart protocol")
        .with("content_type", content_type)
        .hint("check the address: it must be that of a repository, not of a web page about it")
}
