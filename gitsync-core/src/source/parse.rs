//! Takes a source apart. Everything that is not plainly one of the known forms is refused.

use secrecy::SecretString;

use super::credentials::Credentials;
use super::host::Host;
use super::url::{Scheme, SourceUrl};
use crate::error::{Error, ErrorKind, Result};

/// The longest source that is looked at.
const MAX_BYTES: usize = 2048;

/// A source as it arrived: the address, and the credentials that were written into it.
#[derive(Clone, Debug)]
pub struct ParsedSource {
    /// The address, without any secret.
    pub url: SourceUrl,
    /// What stood before the `@`, if that is more than an ssh login.
    pub credentials: Option<Credentials>,
}

fn invalid(message: &str, hint: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, message).hint(hint)
}

pub(super) fn parse(text: &str) -> Result<ParsedSource> {
    if text.is_empty() {
        return Err(invalid("the source is empty", "write a URL such as https://example.com/team/app.git"));
    }
    if text.len() > MAX_BYTES {
        return Err(invalid("the source is too long", "a source has at most 2048 bytes"));
    }
    check_text(text)?;
    if text.starts_with('-') {
        return Err(invalid("the source begins with `-`", "write a URL such as https://example.com/team/app.git"));
    }
    if is_remote_helper(text) {
        return Err(invalid(
            "remote helpers (`name::address`) are not supported",
            "use https, http, ssh (also as user@host:path), git or file",
        ));
    }
    if text.starts_with('/') {
        return file(text);
    }
    match text.split_once("://") {
        Some((scheme, rest)) => url(scheme.parse()?, rest),
        None => scp(text),
    }
}

/// Parses what follows `scheme://`.
fn url(scheme: Scheme, rest: &str) -> Result<ParsedSource> {
    if rest.contains(['?', '#']) {
        return Err(invalid(
            "a source has no query and no fragment",
            "cut the URL at `?` or `#`; where they belong to the path, write %3F and %23",
        ));
    }
    let (authority, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, ""),
    };
    if scheme == Scheme::File {
        if !(authority.is_empty() || authority.eq_ignore_ascii_case("localhost")) {
            return Err(invalid("a file source is on this machine", "write file:///path"));
        }
        return file(&decode(path)?);
    }

    let (userinfo, host_and_port) = match authority.rsplit_once('@') {
        Some((userinfo, rest)) => (Some(userinfo), rest),
        None => (None, authority),
    };
    let (host, port) = split_port(host_and_port)?;
    let host = Host::parse(host)?;
    let port = port.filter(|port| Some(*port) != scheme.default_port());
    let (user, credentials) = userinfo.map_or(Ok((None, None)), |userinfo| split_userinfo(scheme, userinfo))?;

    let decoded = decode(path)?;
    check_text(&decoded)?;
    let path = match scheme {
        Scheme::Http | Scheme::Https => encode_http(path),
        // git reads /~user/path as the path ~user/path. An encoded tilde is a directory of that name.
        Scheme::Ssh if path.starts_with("/~") => decoded[1..].to_owned(),
        _ => decoded.clone(),
    };
    check_path(&decoded)?;
    let path = path.trim_end_matches('/').to_owned();
    Ok(ParsedSource { url: SourceUrl { scheme, user, host: Some(host), port, path }, credentials })
}

/// Parses `user@host:path`. The user is required: without one, `javascript:x` and `c:/x` would be sources too.
fn scp(text: &str) -> Result<ParsedSource> {
    let unknown =
        || invalid("the source is not a URL", "write https://host/path, ssh://host/path, user@host:path or /path");
    let (user, rest) = text.split_once('@').ok_or_else(unknown)?;
    // The colons of an IPv6 address stand inside its brackets.
    let end_of_host = if rest.starts_with('[') { rest.find(']').ok_or_else(unknown)? } else { 0 };
    let colon = end_of_host + rest[end_of_host..].find(':').ok_or_else(unknown)?;
    let (host, path) = (&rest[..colon], &rest[colon + 1..]);
    if user.contains([':', '/']) || host.contains('/') {
        return Err(unknown());
    }
    check_user(user)?;
    check_path(path)?;
    let url = SourceUrl {
        scheme: Scheme::Ssh,
        user: Some(user.to_owned()),
        host: Some(Host::parse(host)?),
        port: None,
        path: path.trim_end_matches('/').to_owned(),
    };
    Ok(ParsedSource { url, credentials: None })
}

/// Takes an absolute path, literally.
fn file(path: &str) -> Result<ParsedSource> {
    check_text(path)?;
    check_path(path)?;
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let path = format!("/{}", parts.join("/"));
    Ok(ParsedSource {
        url: SourceUrl { scheme: Scheme::File, user: None, host: None, port: None, path },
        credentials: None,
    })
}

pub(super) fn split_port(text: &str) -> Result<(&str, Option<u16>)> {
    let end_of_host = text.rfind(']').map_or(0, |bracket| bracket + 1);
    let Some((_, port)) = text[end_of_host..].split_once(':') else {
        return Ok((text, None));
    };
    let host = &text[..text.len() - port.len() - 1];
    match port.parse::<u16>() {
        Ok(number) if number > 0 && port.bytes().all(|b| b.is_ascii_digit()) => Ok((host, Some(number))),
        _ => Err(invalid("the port of the source is not valid", "a port is a number from 1 to 65535")),
    }
}

/// Splits `user[:password]` into what is part of the address and what is a secret.
fn split_userinfo(scheme: Scheme, userinfo: &str) -> Result<(Option<String>, Option<Credentials>)> {
    let (user, password) = match userinfo.split_once(':') {
        Some((user, password)) => (user, Some(decode(password)?)),
        None => (userinfo, None),
    };
    let user = decode(user)?;
    if let Some(password) = &password {
        check_text(password)?;
    }
    let credentials = |user: &str, password: Option<String>| Credentials::UserPassword {
        user: user.to_owned(),
        password: SecretString::from(password.unwrap_or_default()),
    };
    match scheme {
        Scheme::Http | Scheme::Https => {
            check_text(&user)?;
            if user.is_empty() && password.is_none() {
                return Ok((None, None));
            }
            Ok((None, Some(credentials(&user, password))))
        }
        Scheme::Ssh => {
            check_user(&user)?;
            let split = password.is_some().then(|| credentials(&user, password));
            Ok((Some(user), split))
        }
        Scheme::Git | Scheme::File => {
            Err(invalid("git and file sources have no user", "remove what stands before the `@`"))
        }
    }
}

/// Checks a login, which ends up in an argument list.
fn check_user(user: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._+~$=".contains(c);
    if user.is_empty() || user.starts_with('-') || !user.chars().all(allowed) {
        return Err(invalid(
            "the user of the source is not valid",
            "a user has letters, digits and `-._+~$=`, and does not begin with `-`",
        ));
    }
    Ok(())
}

/// Checks a decoded path.
fn check_path(path: &str) -> Result<()> {
    let relative = path.trim_matches('/');
    if relative.is_empty() {
        return Err(invalid("the source has no path", "add the path of the repository, such as /team/app.git"));
    }
    if relative.starts_with('-') {
        return Err(invalid("the path of the source begins with `-`", "no repository is called like an option"));
    }
    if relative.split('/').any(|part| part == "." || part == "..") {
        return Err(invalid("the path of the source contains `.` or `..`", "write the path without detours"));
    }
    Ok(())
}

/// Refuses what no honest source contains, be it in the text or in what its percent-encoding stands for.
fn check_text(text: &str) -> Result<()> {
    if text.contains('\\') {
        return Err(invalid("the source contains a backslash", "write `/` between the parts of a path"));
    }
    // Invisible and direction-changing characters make a source look like another one.
    let invisible = |c: char| matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let bytes = text.as_bytes();
    let encoded_control = bytes.windows(3).any(|w| {
        w[0] == b'%' && (matches!(w[1], b'0' | b'1') && w[2].is_ascii_hexdigit() || w[1] == b'7' && w[2] | 0x20 == b'f')
    });
    if encoded_control || text.chars().any(|c| c.is_control() || invisible(c)) {
        return Err(invalid("the source contains control characters", "remove line breaks and invisible characters"));
    }
    Ok(())
}

/// Recognises `name::address`, which makes git run the program `git-remote-name`.
fn is_remote_helper(text: &str) -> bool {
    text.split_once("::").is_some_and(|(name, _)| !name.contains(['/', '@', '[', ':']))
}

/// Decodes percent-encoding once.
pub(super) fn decode(text: &str) -> Result<String> {
    let malformed = || invalid("the percent-encoding of the source is not valid", "write `%` as %25; texts are UTF-8");
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            decoded.push(*first);
            continue;
        }
        let digits = tail.get(..2).filter(|d| d.iter().all(u8::is_ascii_hexdigit)).ok_or_else(malformed)?;
        let digits = std::str::from_utf8(digits).map_err(|_| malformed())?;
        decoded.push(u8::from_str_radix(digits, 16).map_err(|_| malformed())?);
        rest = &tail[2..];
    }
    String::from_utf8(decoded).map_err(|_| malformed())
}

/// Brings a valid, partly encoded path into the form that may stand in a request line.
fn encode_http(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    let mut digits = 0;
    for byte in path.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/%".contains(&byte);
        match byte {
            // Equal paths shall be equal text: the digits of an encoding are upper case.
            _ if digits > 0 => encoded.push(char::from(byte.to_ascii_uppercase())),
            _ if plain => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
        digits = if byte == b'%' { 2 } else { usize::saturating_sub(digits, 1) };
    }
    encoded
}
