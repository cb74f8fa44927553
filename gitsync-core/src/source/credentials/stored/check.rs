//! What may be stored.

use secrecy::{ExposeSecret as _, SecretString};

use crate::error::{Error, ErrorKind, Result};
use crate::rules::MAX_SECRET_BYTES;
use crate::source::Credentials;

/// The most bytes of a user.
const MAX_USER_BYTES: usize = 255;

/// Checks what a user sets. No error shows it.
pub(crate) fn check_credentials(credentials: &Credentials) -> Result<()> {
    let invalid =
        |field: &'static str, message: &str| Err(Error::new(ErrorKind::InvalidInput, message).in_field(field));
    let size = match credentials {
        Credentials::UserPassword { user, password } => {
            if user.is_empty() || user.len() > MAX_USER_BYTES || user.contains(|c: char| c == ':' || c.is_control()) {
                let message = format!("a user has 1 to {MAX_USER_BYTES} bytes, no colon and no control characters");
                return invalid("user_password.user", &message);
            }
            user.len() + size(password)
        }
        Credentials::Bearer(token) => {
            if size(token) == 0 || !token.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()) {
                return invalid("bearer", "a bearer token has visible characters of ASCII alone");
            }
            size(token)
        }
        Credentials::SshKey { key, passphrase } => {
            if !key.expose_secret().contains("PRIVATE KEY-----") {
                return invalid("ssh_key.key", "this is no private key in the format of OpenSSH");
            }
            size(key) + passphrase.as_ref().map_or(0, size)
        }
    };
    if size > MAX_SECRET_BYTES {
        let message = format!("a secret has at most {MAX_SECRET_BYTES} bytes");
        return Err(Error::new(ErrorKind::InvalidInput, message).in_field("secret").with("given", size));
    }
    Ok(())
}

fn size(secret: &SecretString) -> usize {
    secret.expose_secret().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_refused_without_showing_it() {
        let user_password =
            |user: &str, password: &str| Credentials::UserPassword { user: user.into(), password: password.into() };
        let key = |key: &str| Credentials::SshKey { key: key.into(), passphrase: Some("p".into()) };
        let pem = |length: usize| format!("{:x>length$}", "-----BEGIN PRIVATE KEY-----");
        for good in [
            user_password("token", ""),
            user_password("me", "a b\n\u{e4}"),
            Credentials::Bearer("a.b".into()),
            key(&pem(MAX_SECRET_BYTES - 1)),
        ] {
            check_credentials(&good).unwrap();
        }
        let bad = [
            user_password("", "s3cret"),
            user_password("me:s3cret", ""),
            user_password("s3cret\n", ""),
            user_password(&"s3cret".repeat(100), ""),
            user_password("me", &"s3cret".repeat(MAX_SECRET_BYTES)),
            Credentials::Bearer("".into()),
            Credentials::Bearer("s3cret\n".into()),
            key("ssh-ed25519 s3cret"),
            key(&pem(MAX_SECRET_BYTES)),
        ];
        for bad in bad {
            let error = check_credentials(&bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(!format!("{error:?}{error}").contains("s3cret"), "{error:?}");
        }
    }
}
