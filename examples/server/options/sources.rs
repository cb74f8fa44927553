//! What may be fetched from where.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args};
use gitsync_core::engine::EngineOptions;
use gitsync_core::source::{
    ChainedCredentials, CredentialKeys, CredentialProvider, EnvironmentCredentials, FileCredentials, Scheme,
    SourcePolicy,
};
use gitsync_transport::{CaCertificates, NetOptions};

use super::hosts;

/// How many bytes an answer may have beside the pack.
const ANSWER_BYTES: u64 = 1 << 30;

#[derive(Args)]
#[command(next_help_heading = "Sources")]
pub(crate) struct Sources {
    /// Schemes that sources may have: https, ssh, http, git, file
    #[arg(
        long,
        env = "GITSYNC_ALLOWED_SCHEMES",
        value_name = "SCHEME",
        value_delimiter = ',',
        default_value = "https,ssh"
    )]
    allowed_schemes: Vec<String>,

    /// Allow sources on loopback, private and link-local addresses
    #[arg(
        long,
        env = "GITSYNC_ALLOW_PRIVATE_NETWORKS",
        action = ArgAction::SetTrue,
        value_parser = BoolishValueParser::new()
    )]
    allow_private_networks: bool,

    /// The only hosts that sources may be on: names, *.names or networks
    #[arg(long, env = "GITSYNC_ALLOWED_HOSTS", value_name = "HOST", value_delimiter = ',')]
    allowed_hosts: Vec<String>,

    /// Hosts that sources may not be on
    #[arg(long, env = "GITSYNC_DENIED_HOSTS", value_name = "HOST", value_delimiter = ',')]
    denied_hosts: Vec<String>,

    /// The only ports that sources may be on, instead of all
    #[arg(long, env = "GITSYNC_ALLOWED_PORTS", value_name = "PORT", value_delimiter = ',')]
    allowed_ports: Vec<u16>,

    /// Directories that repositories may be mirrored from by path; takes the scheme file
    #[arg(long, env = "GITSYNC_FILE_ROOTS", value_name = "DIR", value_delimiter = ',')]
    file_roots: Vec<PathBuf>,

    /// Hosts that may be pushed to, of those that sources may be on: names, *.names, * or addresses. None if it is not set
    #[arg(long, env = "GITSYNC_PUSH_HOSTS", value_name = "HOST", value_delimiter = ',')]
    push_hosts: Vec<String>,

    /// Directories in which repositories may be pushed to by path; takes the scheme file
    #[arg(long, env = "GITSYNC_PUSH_ROOTS", value_name = "DIR", value_delimiter = ',')]
    push_roots: Vec<PathBuf>,

    /// Files with the keys of the hosts that ssh sources may be on, as those of OpenSSH: ssh-keyscan prints their lines
    #[arg(long, env = "GITSYNC_KNOWN_HOSTS", value_name = "FILE", value_delimiter = ',')]
    known_hosts: Vec<PathBuf>,

    /// Credentials of sources, a TOML file of mode 0600 that is read again when it changes. What is not in there is looked
    /// for in the environment, as GITSYNC_CREDENTIAL_<HOST>_TOKEN and the like
    #[arg(long, env = "GITSYNC_CREDENTIALS_FILE", value_name = "FILE")]
    credentials_file: Option<PathBuf>,

    /// Keys that seal the credentials which organisations keep in the database, a TOML file of mode 0600 that is read again when it
    /// changes; the same for all processes. Or the keys themselves as GITSYNC_CREDENTIAL_KEYS. Without them none can be set
    #[arg(long, env = "GITSYNC_CREDENTIAL_KEYS_FILE", value_name = "FILE")]
    credential_keys_file: Option<PathBuf>,

    /// Files with certificates of private authorities that https sources may be under, beside the public ones, as PEM
    #[arg(long, env = "GITSYNC_CA_FILES", value_name = "FILE", value_delimiter = ',')]
    ca_files: Vec<PathBuf>,

    /// File (TOML) that says how some hosts are reached: private authorities, a client certificate, a proxy
    #[arg(long, env = "GITSYNC_HOSTS_FILE", value_name = "FILE")]
    hosts_file: Option<PathBuf>,

    /// The most references that an upstream may list
    #[arg(long, env = "GITSYNC_MAX_LISTED_REFS", value_name = "N", default_value = "1000000")]
    max_listed_refs: usize,

    /// The most bytes that one fetch may bring: more ends it, and nothing of it is kept
    #[arg(long, env = "GITSYNC_MAX_PACK_BYTES", value_name = "BYTES", default_value = "8589934592")]
    max_pack_bytes: u64,

    /// The most objects that one fetch may bring; a million of them take some 40 MB of memory while they are indexed
    #[arg(long, env = "GITSYNC_MAX_PACK_OBJECTS", value_name = "N", default_value = "13000000")]
    max_pack_objects: u64,
}

impl Sources {
    /// Returns how many references an upstream may list.
    pub(super) fn max_listed_refs(&self) -> usize {
        self.max_listed_refs
    }

    /// Returns the settings of the way out to upstreams.
    pub(super) fn net(&self) -> Result<NetOptions> {
        Ok(NetOptions {
            known_hosts: self.known_hosts.clone(),
            ca_certificates: CaCertificates::from_pem_files(&self.ca_files)?,
            hosts: self.hosts_file.as_deref().map(hosts::read).transpose()?.unwrap_or_default(),
            ..NetOptions::default()
        })
    }

    /// Returns who knows the credentials of sources: the file, then the environment.
    pub(super) fn credentials(&self) -> Result<ChainedCredentials> {
        let file = self.credentials_file.as_ref().map(FileCredentials::open).transpose()?;
        let file = file.map(|file| Arc::new(file) as Arc<dyn CredentialProvider>);
        Ok(ChainedCredentials::new(file.into_iter().chain([Arc::new(EnvironmentCredentials::read()?) as _])))
    }

    /// Returns the keys that seal stored credentials, if there are some: those of the file, or of the environment. They are in
    /// no option, which everybody on the machine could read.
    pub(super) fn credential_keys(&self) -> Result<Option<CredentialKeys>> {
        const VARIABLE: &str = "GITSYNC_CREDENTIAL_KEYS";
        match (&self.credential_keys_file, std::env::var_os(VARIABLE).filter(|text| !text.is_empty())) {
            (Some(_), Some(_)) => bail!("there are keys both in {VARIABLE} and in a file; leave one of them out"),
            (Some(file), None) => Ok(Some(CredentialKeys::open(file)?)),
            (None, Some(text)) => {
                let text = text.into_string().map_err(|_| anyhow!("{VARIABLE} is no text"))?;
                Ok(Some(CredentialKeys::from_text(&text).context(VARIABLE)?))
            }
            (None, None) => Ok(None),
        }
    }

    /// Sets what a fetch may bring.
    pub(super) fn bound(&self, options: EngineOptions) -> EngineOptions {
        EngineOptions {
            max_pack_bytes: self.max_pack_bytes,
            max_pack_objects: self.max_pack_objects,
            // What is said around a pack comes on top.
            max_response_bytes: self.max_pack_bytes.saturating_add(ANSWER_BYTES),
            ..options
        }
    }

    /// Returns the policy; nothing is fetched from what lies in a storage.
    pub(super) fn policy(&self, storages: Vec<(String, PathBuf)>) -> Result<SourcePolicy> {
        let schemes = self.allowed_schemes.iter().map(|name| {
            Scheme::from_name(name)
                .with_context(|| format!("there is no scheme {name:?}; use https, ssh, http, git or file"))
        });
        let mut builder = SourcePolicy::builder()
            .schemes(schemes.collect::<Result<Vec<_>>>()?)
            .allow_private_networks(self.allow_private_networks)
            .allowed_hosts(self.allowed_hosts.iter().map(String::as_str))?
            .denied_hosts(self.denied_hosts.iter().map(String::as_str))?;
        if !self.allowed_ports.is_empty() {
            builder = builder.allowed_ports(self.allowed_ports.iter().copied());
        }
        for root in &self.file_roots {
            builder = builder.file_root(root);
        }
        for host in &self.push_hosts {
            builder = builder.push_host(host)?;
        }
        for root in &self.push_roots {
            builder = builder.push_root(root);
        }
        let roots = storages.into_iter().map(|(_, root)| std::path::absolute(root));
        Ok(builder.build()?.with_storage_roots(roots.collect::<std::io::Result<Vec<_>>>()?)?)
    }
}
