//! Credentials from the environment.

use std::collections::HashMap;

use secrecy::SecretString;

use super::file::TOKEN_USER;
use super::{CredentialProvider, Credentials};
use crate::error::{Error, ErrorKind, Result};
use crate::source::{Host, SourceUrl};

/// How the names of the variables begin.
const PREFIX: &str = "GITSYNC_CREDENTIAL_";

/// How the names of others end that begin alike: those of the [keys](super::CredentialKeys) for stored credentials.
const KEYS: [&str; 2] = ["KEYS", "KEYS_FILE"];

/// Credentials for https sources from the environment of the process, as it was at its start:
///
/// ```sh
/// GITSYNC_CREDENTIAL_GITHUB_COM_TOKEN=…             # https://github.com/…
/// GITSYNC_CREDENTIAL_GIT_EXAMPLE_COM_8443_USER=me   # https://git.example.com:8443/…
/// GITSYNC_CREDENTIAL_GIT_EXAMPLE_COM_8443_PASSWORD=…
/// GITSYNC_CREDENTIAL_MY__FORGE_EXAMPLE_BEARER=…     # https://my-forge.example/…
/// ```
///
/// The name has the host in capitals, `_` for each dot, `__` for each hyphen, and the port unless it is the usual one of the
/// scheme, so that no two hosts have the same name. Hosts with underscores and IPv6 addresses have none, and go into a
/// [file](super::FileCredentials).
///
/// A token is sent with the user `x-access-token`, which forges do not look at, unless `_USER` says otherwise; `_BEARER` is for
/// an `Authorization: Bearer` header.
#[derive(Debug, Default)]
pub struct EnvironmentCredentials {
    by_name: HashMap<String, Credentials>,
}

#[derive(Default)]
struct Given {
    user: Option<String>,
    password: Option<SecretString>,
    token: Option<SecretString>,
    bearer: Option<SecretString>,
}

impl EnvironmentCredentials {
    /// Reads the environment of the process.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a variable that begins as these do but is none, and for a host with too few or too
    /// many of them; the message has the name, not the value.
    pub fn read() -> Result<Self> {
        let texts = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok().filter(|name| name.starts_with(PREFIX))?;
            Some((name, value))
        });
        let texts = texts.map(|(name, value)| match value.into_string() {
            Ok(value) => Ok((name, value)),
            Err(_) => Err(invalid("the variable is no text", &name)),
        });
        Self::from_variables(texts.collect::<Result<Vec<_>>>()?)
    }

    /// Takes variables from elsewhere than the environment; others than these are passed over.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn from_variables(variables: impl IntoIterator<Item = (String, String)>) -> Result<Self> {
        let mut given: HashMap<String, Given> = HashMap::new();
        for (name, value) in variables {
            let Some(rest) = name.strip_prefix(PREFIX).filter(|rest| !KEYS.contains(rest)) else { continue };
            let (host, what) = rest.rsplit_once('_').unwrap_or_default();
            if host.is_empty() {
                return Err(invalid("the variable names no host", &name));
            }
            let given = given.entry(host.to_owned()).or_default();
            match what {
                "USER" if !value.contains(':') => given.user = Some(value),
                "USER" => return Err(invalid("a user has no colon", &name)),
                "PASSWORD" => given.password = Some(value.into()),
                "TOKEN" => given.token = Some(value.into()),
                "BEARER" => given.bearer = Some(value.into()),
                _ => return Err(invalid("the variable ends in _USER, _PASSWORD, _TOKEN or _BEARER", &name)),
            }
        }
        let checked = given.into_iter().map(|(host, given)| match given.credentials() {
            Some(credentials) => Ok((host, credentials)),
            None => {
                let hint = "set _USER and _PASSWORD, or _TOKEN (and a _USER, if that matters), or _BEARER";
                Err(invalid("the variables of a host do not fit together", &format!("{PREFIX}{host}_*")).hint(hint))
            }
        });
        Ok(EnvironmentCredentials { by_name: checked.collect::<Result<_>>()? })
    }
}

impl Given {
    fn credentials(self) -> Option<Credentials> {
        Some(match (self.user, self.password, self.token, self.bearer) {
            (Some(user), Some(password), None, None) => Credentials::UserPassword { user, password },
            (user, None, Some(token), None) => {
                let user = user.unwrap_or_else(|| TOKEN_USER.to_owned());
                Credentials::UserPassword { user, password: token }
            }
            (None, None, None, Some(token)) => Credentials::Bearer(token),
            _ => return None,
        })
    }
}

impl CredentialProvider for EnvironmentCredentials {
    fn credentials(&self, source: &SourceUrl) -> Result<Option<Credentials>> {
        let name = source.scheme().is_http().then(|| name_of(source)).flatten();
        Ok(name.and_then(|name| self.by_name.get(&name)).cloned())
    }
}

/// Returns what variables call the host and port of a source. A host has no hyphen beside a dot, so that each is told apart.
fn name_of(source: &SourceUrl) -> Option<String> {
    let host = match source.host()? {
        Host::Ipv6(_) => return None,
        host => host.to_string(),
    };
    if host.contains('_') {
        return None;
    }
    let name = host.to_ascii_uppercase().replace('.', "_").replace('-', "__");
    let port = source.port().filter(|port| Some(*port) != source.scheme().default_port());
    Some(port.map_or(name.clone(), |port| format!("{name}_{port}")))
}

fn invalid(message: &str, name: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, message).with("variable", name.escape_debug())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn provider(variables: &[(&str, &str)]) -> Result<EnvironmentCredentials> {
        EnvironmentCredentials::from_variables(
            variables.iter().map(|(name, value)| (format!("{PREFIX}{name}"), (*value).to_owned())),
        )
    }

    #[test]
    fn a_variable_is_for_one_host_and_port() {
        let provider = provider(&[
            ("GITHUB_COM_TOKEN", "t"),
            ("GIT_EXAMPLE_COM_8443_USER", "me"),
            ("GIT_EXAMPLE_COM_8443_PASSWORD", "p"),
            ("MY__FORGE_EXAMPLE_BEARER", "b"),
            ("10_0_0_1_USER", "you"),
            ("10_0_0_1_TOKEN", "u"),
        ])
        .unwrap();
        let table = [
            ("https://github.com/a/b", Some("x-access-token:t")),
            ("https://github.com:443/a/b", Some("x-access-token:t")),
            ("https://github.com:8443/a/b", None),
            ("https://github--com.example/a/b", None),
            ("ssh://git@github.com/a/b", None),
            ("https://git.example.com:8443/a/b", Some("me:p")),
            ("https://git.example.com/a/b", None),
            ("https://git-example.com:8443/a/b", None),
            ("https://git_example.com:8443/a/b", None),
            ("https://my-forge.example/a", Some("b")),
            ("https://my.forge.example/a", None),
            ("https://my_forge.example/a", None),
            ("https://my__forge.example/a", None),
            ("https://10.0.0.1/a", Some("you:u")),
        ];
        for (source, expected) in table {
            let found = provider.credentials(&source.parse().unwrap()).unwrap().map(|found| match found {
                Credentials::UserPassword { user, password } => format!("{user}:{}", password.expose_secret()),
                Credentials::Bearer(token) => token.expose_secret().to_owned(),
                Credentials::SshKey { .. } => unreachable!("there is no variable for a key"),
            });
            assert_eq!(found.as_deref(), expected, "{source}");
        }
        assert!(!format!("{provider:?}").contains("\"p\""));
    }

    #[test]
    fn variables_that_make_no_sense_are_refused_without_showing_them() {
        let secret = "s3cret-value";
        let bad: [&[(&str, &str)]; 8] = [
            &[("TOKEN", secret)],
            &[("_TOKEN", secret)],
            &[("A_EXAMPLE_KEY", secret)],
            &[("A_EXAMPLE_PASSWORD", secret)],
            &[("A_EXAMPLE_USER", "me")],
            &[("A_EXAMPLE_USER", "me:s3cret-value"), ("A_EXAMPLE_TOKEN", secret)],
            &[("A_EXAMPLE_TOKEN", secret), ("A_EXAMPLE_BEARER", secret)],
            &[("A_EXAMPLE_USER", "me"), ("A_EXAMPLE_BEARER", secret)],
        ];
        for variables in bad {
            let error = provider(variables).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{variables:?}");
            assert!(!format!("{error:?} {error}").contains(secret), "{error:?}");
        }
        for other in ["PATH", "GITSYNC_CREDENTIAL_KEYS", "GITSYNC_CREDENTIAL_KEYS_FILE"] {
            assert!(EnvironmentCredentials::from_variables([(other.to_owned(), secret.to_owned())]).is_ok());
        }
    }
}
