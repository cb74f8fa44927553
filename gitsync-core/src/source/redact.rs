//! Takes secrets out of texts that others wrote.

/// What a secret is replaced by.
const MASK: &str = "***";

/// How access tokens of well-known hosts begin.
const TOKEN_PREFIXES: [&str; 11] =
    ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "gldt-", "glrt-", "ATBB", "ATCTT"];

/// What the names of parameters and headers that hold secrets contain.
const SECRET_NAMES: [&str; 8] =
    ["token", "passw", "secret", "api_key", "apikey", "authorization", "credential", "signature"];

/// Removes what looks like a secret from a text of third parties, such as the error output of a program.
///
/// User information in URLs goes, as do `Authorization` headers, access tokens of well-known hosts, and the values of
/// parameters with telling names. Line breaks become spaces and other control characters go too, so that the text cannot
/// pretend to be something else in a log.
///
/// This is the second line of defence: the first is that secrets are never given to whatever writes such texts.
///
/// ```
/// use gitsync_core::source::redact;
///
/// assert_eq!(
///     redact("fatal: unable to access 'https://me:s3cret@example.com/a.git': refused"),
///     "fatal: unable to access 'https://***@example.com/a.git': refused"
/// );
/// ```
pub fn redact(text: &str) -> String {
    let text: String =
        text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| !c.is_control()).collect();
    let mut clean = String::with_capacity(text.len());
    // How many of the coming words are secret.
    let mut hidden = 0;
    for word in text.split_inclusive([' ', '\'', '"', '<', '>', '(', ')', ',']) {
        let (body, separator) = match word.char_indices().next_back() {
            Some((at, last)) if " '\"<>(),".contains(last) => word.split_at(at),
            _ => (word, ""),
        };
        let lower = body.to_ascii_lowercase();
        if body.is_empty() {
            // Two separators in a row.
        } else if lower == "basic" || lower == "bearer" {
            clean.push_str(body);
            hidden = if hidden > 0 || separator == " " { 1 } else { 0 };
        } else if hidden > 0 {
            hidden -= 1;
            // A sentence about authentication is no secret.
            clean.push_str(if body.bytes().all(|b| b.is_ascii_lowercase()) { body } else { MASK });
        } else if lower.ends_with(':') && SECRET_NAMES.iter().any(|name| lower.contains(name)) && !lower.contains("//")
        {
            clean.push_str(body);
            hidden = 1;
        } else {
            clean.push_str(&redact_word(body));
        }
        clean.push_str(separator);
    }
    clean.trim().to_owned()
}

fn redact_word(word: &str) -> String {
    let word = redact_userinfo(word);
    let mut clean = String::with_capacity(word.len());
    for part in word.split_inclusive(['?', '&', '/', ';', ':', '@']) {
        let end = part.trim_end_matches(['?', '&', '/', ';', ':', '@']);
        let tail = &part[end.len()..];
        let masked = match end.split_once('=') {
            Some((name, _)) if SECRET_NAMES.iter().any(|secret| name.to_ascii_lowercase().contains(secret)) => {
                format!("{name}={MASK}")
            }
            _ if TOKEN_PREFIXES.iter().any(|prefix| end.starts_with(prefix) && end.len() > prefix.len() + 8) => {
                MASK.to_owned()
            }
            _ => end.to_owned(),
        };
        clean.push_str(&masked);
        clean.push_str(tail);
    }
    clean
}

/// Replaces `user:password@`, and in URLs anything before the `@` of the authority.
fn redact_userinfo(word: &str) -> String {
    let (scheme, rest) = match word.find("://") {
        Some(at) => word.split_at(at + 3),
        None => ("", word),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let at = match authority.rfind('@') {
        Some(at) if !scheme.is_empty() || authority[..at].contains(':') => Some(at),
        Some(_) => None,
        // A password may contain an unencoded slash; what looks like a port but is no number gives it away.
        None if !scheme.is_empty() => authority
            .split_once(':')
            .filter(|(_, port)| !port.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|_| rest.rfind('@')),
        None => None,
    };
    match at {
        // The login of ssh sources is no secret, and telling.
        Some(at) if scheme.starts_with("ssh") && !rest[..at].contains(':') => word.to_owned(),
        Some(at) => format!("{scheme}{MASK}{}", &rest[at..]),
        None => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_and_the_rest_stays() {
        let table = [
            ("https://tok3n@example.com/a", "https://***@example.com/a"),
            ("https://me:p@ss/w0rd@example.com/a", "https://***@ss/w0rd@example.com/a"),
            ("https://me:pa/ss@example.com/a", "https://***@example.com/a"),
            ("https://example.com:8443/a@b", "https://example.com:8443/a@b"),
            ("me:pw@example.com/a", "***@example.com/a"),
            ("git@example.com:team/a.git", "git@example.com:team/a.git"),
            ("ssh://git@example.com/a", "ssh://git@example.com/a"),
            ("ssh://git:pw@example.com/a", "ssh://***@example.com/a"),
            ("GET /a?private_token=abc&x=1", "GET /a?private_token=***&x=1"),
            ("Authorization: Basic bWU6cHc=", "Authorization: Basic ***"),
            ("authorization: Bearer abc.DEF", "authorization: Bearer ***"),
            ("password: hunter2", "password: ***"),
            ("HTTP Basic: Access denied", "HTTP Basic: Access denied"),
            ("basic authentication failed", "basic authentication failed"),
            ("bad ghp_0123456789abcdefghij given", "bad *** given"),
            ("one\ntwo\u{1b}[31m", "one two[31m"),
            ("", ""),
        ];
        for (text, expected) in table {
            assert_eq!(redact(text), expected, "{text}");
        }
    }
}
