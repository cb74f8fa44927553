//! `Debug` of the messages that hold secrets: it shows none.

use std::fmt;

use crate::proto::set_credential_request::Secret;
use crate::proto::{SetCredentialRequest, SshKey, UserPassword};

impl fmt::Debug for SetCredentialRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetCredentialRequest")
            .field("organisation_id", &self.organisation_id)
            .field("name", &self.name)
            .field("scope", &self.scope)
            .field("secret", &self.secret)
            .finish()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Secret::UserPassword(_) => "UserPassword",
            Secret::Bearer(_) => "Bearer",
            Secret::SshKey(_) => "SshKey",
        })
    }
}

impl fmt::Debug for UserPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserPassword").finish_non_exhaustive()
    }
}

impl fmt::Debug for SshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SshKey").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_shown() {
        let text = || "s3cret".to_owned();
        let user_password = UserPassword { user: Some(text()), password: text() };
        let ssh_key = SshKey { key: text(), passphrase: Some(text()) };
        let mut shown = format!("{user_password:?} {ssh_key:#?}");
        for secret in [Secret::UserPassword(user_password), Secret::Bearer(text()), Secret::SshKey(ssh_key)] {
            let request = SetCredentialRequest { name: "n".to_owned(), secret: Some(secret), ..Default::default() };
            shown.push_str(&format!("{request:?} {request:#?} {:?}", tonic::Request::new(request.clone())));
        }
        assert!(!shown.contains("s3cret") && shown.contains("Bearer"), "{shown}");
    }
}
