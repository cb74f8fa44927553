//! What upstreams were shown to prove who asks, so that it is found in what they say.
//!
//! A host is searched for what it was shown itself and for nothing else: by what is taken out of its answers whoever has a
//! repository there could find out what was shown to others.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use gitsync_core::source::{Credentials, HostKey, SourceUrl};
use gitsync_core::{Error, ErrorKind};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

/// What is put in the place of a secret.
const MASK: &str = "***";

/// How many credentials are remembered: more than calls run at once.
const MAX_KEPT: usize = 256;

/// Shorter texts are no secrets, and would be found in every word.
const MIN_BYTES: usize = 4;

/// The credentials that were used last. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Shown(Arc<Mutex<VecDeque<Entry>>>);

/// A secret, to which host it was shown, and the forms in which it may come back, in lower case.
struct Entry {
    host: HostKey,
    secret: SecretString,
    forms: Vec<SecretString>,
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown").finish_non_exhaustive()
    }
}

impl Shown {
    /// Remembers credentials that are about to be shown to the host of a source.
    pub(crate) fn remember(&self, source: &SourceUrl, credentials: &Credentials) {
        let host = source.host_key();
        match credentials {
            Credentials::UserPassword { user, password } => self.remember_login(source, user, password),
            Credentials::Bearer(token) => self.keep(host, token.expose_secret(), || forms(token.expose_secret())),
            Credentials::SshKey { key, passphrase } => {
                // None of it is sent. But there are hosts that know more of us than what they were told by ssh.
                self.keep(host.clone(), key.expose_secret(), || lines(key.expose_secret()));
                if let Some(passphrase) = passphrase {
                    self.keep(host, passphrase.expose_secret(), || forms(passphrase.expose_secret()));
                }
            }
            _ => {}
        }
    }

    /// Remembers a user and a password, which are sent as one, to the host of a source or on the way to it.
    pub(crate) fn remember_login(&self, source: &SourceUrl, user: &str, password: &SecretString) {
        let login = format!("{user}:{}", password.expose_secret());
        self.keep(source.host_key(), &login, || {
            // Some hosts take a token in the place of the user.
            let secret = [password.expose_secret(), "x-oauth-basic"];
            let secret = if secret[0].is_empty() || secret[0] == secret[1] { user } else { secret[0] };
            forms(&login).into_iter().chain(forms(secret)).collect()
        });
    }

    fn keep(&self, host: HostKey, secret: &str, forms: impl FnOnce() -> Vec<String>) {
        let mut kept = self.kept();
        let is_it = |entry: &Entry| entry.host == host && entry.secret.expose_secret() == secret;
        let entry = match kept.iter().position(is_it) {
            Some(at) => kept.remove(at),
            None => None,
        };
        let new = || {
            let forms = forms().into_iter().filter(|form| form.len() >= MIN_BYTES);
            Entry {
                host: host.clone(),
                secret: secret.into(),
                forms: forms.map(|form| form.to_ascii_lowercase().into()).collect(),
            }
        };
        let entry = entry.unwrap_or_else(new);
        kept.push_front(entry);
        kept.truncate(MAX_KEPT);
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what the host of a source said without what it was shown; `None` if there is nothing of it in there.
    pub(crate) fn hide(&self, source: &SourceUrl, text: &str) -> Option<String> {
        let host = source.host_key();
        // Names of hosts come back in lower case, and hexadecimal numbers are written in both. No byte gets elsewhere by that.
        let lower = text.to_ascii_lowercase();
        let mut hidden = vec![false; text.len()];
        for form in self.kept().iter().filter(|entry| entry.host == host).flat_map(|entry| &entry.forms) {
            let form = form.expose_secret();
            if form.len() > text.len() {
                continue;
            }
            for (at, _) in lower.match_indices(form) {
                hidden[at..at + form.len()].fill(true);
            }
        }
        if !hidden.contains(&true) {
            return None;
        }
        let mut clean = String::with_capacity(text.len());
        let mut was_hidden = false;
        for (at, letter) in text.char_indices() {
            match (hidden[at], was_hidden) {
                (false, _) => clean.push(letter),
                (true, false) => clean.push_str(MASK),
                (true, true) => {}
            }
            was_hidden = hidden[at];
        }
        Some(clean)
    }

    /// Returns an error of a call without any of it.
    pub(crate) fn clean(&self, error: Error, source: &SourceUrl) -> Error {
        if error.redirect_target().is_some_and(|target| self.hide(source, target).is_some()) {
            // To follow it would tell others what only this one is to know, and it might become the address of the repository.
            return Error::new(ErrorKind::SourceRefused, "the upstream leads to an address with our credentials in it")
                .with("url", source)
                .hint("whoever runs the server can read them, and so perhaps can others; use other ones");
        }
        error.hiding(|text| self.hide(source, text))
    }
}

/// Returns the forms in which a secret may come back.
fn forms(secret: &str) -> Vec<String> {
    let hex = |prefix: &str| secret.bytes().map(|byte| format!("{prefix}{byte:02x}")).collect::<String>();
    let encoded = secret.bytes().map(|byte| match byte {
        byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02x}"),
    });
    let numbers = secret.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(", ");
    let mut forms = vec![secret.to_owned(), hex(""), hex("%"), encoded.collect(), numbers, in_path(secret)];
    for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        // Whatever stands before it and after it: without the letters that depend on that.
        for before in 0..3 {
            let bytes = [&b"\0\0"[..before], secret.as_bytes()].concat();
            let text = engine.encode(&bytes);
            forms.push(text.get((before * 8).div_ceil(6)..bytes.len() * 8 / 6).unwrap_or_default().to_owned());
        }
    }
    forms
}

/// Returns what is left of a secret in the path of a redirect.
fn in_path(secret: &str) -> String {
    let mut url = Url::parse("http://h/").expect("it is a URL");
    url.set_path(secret);
    url.path().trim_start_matches('/').to_owned()
}

/// Returns the lines of a private key that tell something.
fn lines(key: &str) -> Vec<String> {
    key.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('-')).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "s/3cr+et&=~ %1";

    fn source() -> SourceUrl {
        "https://host.example/a.git".parse().unwrap()
    }

    fn shown() -> Shown {
        let shown = Shown::default();
        shown.remember(&source(), &Credentials::UserPassword { user: "mirror".to_owned(), password: SECRET.into() });
        shown
    }

    #[test]
    fn what_was_shown_is_found_in_all_its_forms() {
        let shown = shown();
        let header = STANDARD_NO_PAD.encode(format!("mirror:{SECRET}"));
        for form in forms(SECRET).into_iter().chain([header, SECRET.to_uppercase()]) {
            let hidden = shown.hide(&source(), &format!("ä <{form}> ö"));
            assert_eq!(hidden.as_deref(), Some("ä <***> ö"), "{form}");
        }
        for before in 0..5 {
            let text = STANDARD_NO_PAD.encode(format!("{}{SECRET}", "x".repeat(before)));
            let hidden = shown.hide(&source(), &text).unwrap();
            assert!(hidden.len() < MASK.len() + (before + 2) * 8 / 6 + 1, "{hidden}");
        }
        assert_eq!(shown.hide(&source(), &format!("{SECRET}{SECRET} and {SECRET}")).unwrap(), "*** and ***");
        for other in ["mirror", "nothing", ""] {
            assert_eq!(shown.hide(&source(), other), None, "{other}");
        }
    }

    #[test]
    fn a_host_learns_nothing_of_what_was_shown_to_others() {
        let other = "https://other.example/a.git".parse().unwrap();
        assert_eq!(shown().hide(&other, SECRET), None);
    }

    #[test]
    fn a_token_in_the_place_of_the_user_is_one() {
        for password in ["", "x-oauth-basic"] {
            let shown = Shown::default();
            shown.remember(
                &source(),
                &Credentials::UserPassword { user: "t0ken".to_owned(), password: password.into() },
            );
            assert_eq!(shown.hide(&source(), "a t0ken").as_deref(), Some("a ***"));
        }
    }

    #[test]
    fn keys_and_passphrases_are_hidden_too() {
        let (key, shown) = ("-----BEGIN\nb3BlbnNzaC1rZXk\n-----END\n", Shown::default());
        shown.remember(&source(), &Credentials::SshKey { key: key.into(), passphrase: Some("open it".into()) });
        assert_eq!(shown.hide(&source(), "b3BlbnNzaC1rZXk or open it").as_deref(), Some("*** or ***"));
        assert_eq!(shown.hide(&source(), "-----BEGIN"), None);
    }

    #[test]
    fn those_that_were_used_last_are_remembered() {
        let shown = Shown::default();
        let token = |number: usize| Credentials::Bearer(format!("token-{number:04}").into());
        for number in 0..MAX_KEPT {
            shown.remember(&source(), &token(number));
        }
        shown.remember(&source(), &token(0));
        shown.remember(&source(), &token(MAX_KEPT));
        assert_eq!(shown.kept().len(), MAX_KEPT);
        for (number, is_kept) in [(0, true), (1, false), (2, true), (MAX_KEPT, true)] {
            assert_eq!(shown.hide(&source(), &format!("token-{number:04}")).is_some(), is_kept, "{number}");
        }
    }

    #[test]
    fn an_address_with_credentials_is_not_followed() {
        let (shown, source) = (shown(), source());
        let redirect = |to: &str| Error::new(ErrorKind::SourceRedirected, "elsewhere").redirected_to(to);
        let target = Url::parse("https://host.example/").unwrap().join(&format!("{}/a.git", in_path(SECRET))).unwrap();
        let refused = shown.clean(redirect(target.as_str()), &source);
        assert_eq!((refused.kind(), refused.redirect_target()), (ErrorKind::SourceRefused, None));
        let other = shown.clean(redirect("https://host.example/b.git"), &source);
        assert_eq!(other.redirect_target(), Some("https://host.example/b.git"));
    }
}
