//! The commands about credentials that organisations keep on the server.

use std::fs;
use std::io::{self, IsTerminal as _, Read as _};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use gitsync_grpc::proto::set_credential_request::Secret;
use gitsync_grpc::proto::*;

use crate::commands::by_slug;
use crate::connection::Client;
use crate::options::{NewCredential, SecretKind};
use crate::output::{Output, moment};

/// Longer than any secret that the server takes.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// Sets credentials of an organisation.
pub(crate) async fn set(client: &mut Client, output: &Output, new: &NewCredential) -> Result<()> {
    let organisation_id = organisation(client, &new.organisation).await?;
    let text = secret(new.secret_file.as_deref())?;
    // Whoever writes a token to a file or a pipe ends the line.
    let line = || text.trim_end_matches(['\r', '\n']).to_owned();
    let secret = match new.kind {
        SecretKind::Token => Secret::UserPassword(UserPassword { user: new.user.clone(), password: line() }),
        SecretKind::Bearer => Secret::Bearer(line()),
        SecretKind::SshKey => {
            let passphrase = new.passphrase_file.as_deref().map(|file| self::secret(Some(file))).transpose()?;
            let passphrase = passphrase.map(|text| text.trim_end_matches(['\r', '\n']).to_owned());
            Secret::SshKey(SshKey { key: text, passphrase })
        }
    };
    let (name, scope) = (new.name.clone(), new.scope.clone());
    let request = SetCredentialRequest { organisation_id, name, scope, secret: Some(secret) };
    show(output, &[client.set_credential(request).await?.into_inner()]);
    Ok(())
}

/// Deletes credentials of an organisation.
pub(crate) async fn delete(client: &mut Client, slug: &str, name: &str) -> Result<()> {
    let organisation_id = organisation(client, slug).await?;
    client.delete_credential(DeleteCredentialRequest { organisation_id, name: name.to_owned() }).await?;
    Ok(())
}

pub(crate) async fn organisation(client: &mut Client, slug: &str) -> Result<i32> {
    Ok(client.get_organisation(by_slug(slug)).await?.into_inner().id)
}

/// Prints what is known of credentials.
pub(crate) fn show(output: &Output, credentials: &[Credential]) {
    output.list(credentials, &["NAME", "FOR", "KIND", "SET"], |credential| {
        let Credential { name, scope, kind, updated_at, .. } = credential;
        vec![name.clone(), scope.clone(), kind.clone(), moment(updated_at.as_ref())]
    });
}

/// Reads a secret from a file, or what is piped in.
fn secret(file: Option<&Path>) -> Result<String> {
    let mut text = String::new();
    match file {
        Some(file) => {
            let opened = fs::File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
            let read = opened.take(MAX_SECRET_BYTES).read_to_string(&mut text);
            read.with_context(|| format!("cannot read {}", file.display()))?;
        }
        None => {
            let stdin = io::stdin();
            ensure!(!stdin.is_terminal(), "pipe the secret in, or name its file with --secret-file");
            stdin.take(MAX_SECRET_BYTES).read_to_string(&mut text).context("cannot read the secret")?;
        }
    }
    Ok(text)
}
