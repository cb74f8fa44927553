//! The file that says how some hosts are reached.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use gitsync_core::watched_file::{Access, read_text, read_toml};
use gitsync_transport::{CaCertificates, ClientCertificate, HostOptions, Proxy};
use secrecy::ExposeSecret as _;
use serde::Deserialize;

/// The most entries of a file; each has an HTTP client of its own.
const MAX_HOSTS: usize = 256;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    #[serde(default)]
    host: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    pattern: String,
    #[serde(default)]
    ca_files: Vec<PathBuf>,
    client_cert: Option<PathBuf>,
    client_key: Option<PathBuf>,
    proxy: Option<String>,
    /// Holds `user:password`.
    proxy_login_file: Option<PathBuf>,
}

/// Reads the file, and those that it names.
pub(super) fn read(file: &Path) -> Result<Vec<HostOptions>> {
    let content: Content = read_toml("file of hosts", file, Access::Read)?;
    ensure!(content.host.len() <= MAX_HOSTS, "{} has more than {MAX_HOSTS} hosts", file.display());
    content.host.into_iter().map(Entry::options).collect()
}

impl Entry {
    fn options(self) -> Result<HostOptions> {
        let mut options = HostOptions::new(self.pattern.parse()?);
        options.ca_certificates = CaCertificates::from_pem_files(&self.ca_files)?;
        options.client_certificate = match (self.client_cert, self.client_key) {
            (Some(certificate), Some(key)) => Some(ClientCertificate::from_pem_files(&certificate, &key)?),
            (None, None) => None,
            _ => bail!("{}: client_cert and client_key belong together", self.pattern),
        };
        options.proxy = match (self.proxy, self.proxy_login_file) {
            (Some(proxy), None) => Some(proxy.parse()?),
            (Some(proxy), Some(file)) => Some(with_login(proxy.parse()?, &file)?),
            (None, None) => None,
            (None, Some(_)) => bail!("{}: proxy_login_file is for a proxy, and there is none", self.pattern),
        };
        Ok(options)
    }
}

fn with_login(proxy: Proxy, file: &Path) -> Result<Proxy> {
    let text = read_text("file of a login", file, Access::None)?;
    let login = text.expose_secret().trim_end_matches(['\r', '\n']).split_once(':');
    let (user, password) = login.with_context(|| format!("{} has to hold user:password", file.display()))?;
    Ok(proxy.with_login(user, password.into())?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn hosts_are_read_and_mistakes_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str, mode| {
            let file = dir.path().join(name);
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            file.display().to_string()
        };
        let login = write("login", "me:s3:cret\n", 0o600);
        let open = write("open", "me:s3cret\n", 0o644);
        let read = |text: &str| read(Path::new(&write("hosts.toml", text, 0o600)));

        let proxy = r#"[[host]]
            pattern = "*.corp.example"
            proxy = "socks5://10.0.0.1:1080""#;
        let hosts =
            read(&format!("{proxy}\nproxy_login_file = {login:?}\n[[host]]\npattern = \"10.0.0.0/8\"")).unwrap();
        let shown = format!("{hosts:?}");
        assert!(hosts.len() == 2 && shown.contains("socks5://10.0.0.1:1080") && !shown.contains("cret"), "{shown}");
        assert!(read("").unwrap().is_empty());

        let refused = |text: &str, reason: &str| {
            let said = format!("{:#}", read(text).unwrap_err());
            assert!(said.contains(reason) && !said.contains("s3cret"), "{said}");
        };
        refused(&format!("{proxy}\nproxy_login_file = {open:?}"), "others than its owner may use it");
        refused("[[host]]\npattern = \"a\"\nprox = \"b\"", "line 3: expected one of `pattern`");
        refused("[[host]]\npattern = \"a b\"", "pattern");
        refused("[[host]]\npattern = \"a\"\nproxy = \"http://me:s3cret@b:1\"", "proxy");
        refused("[[host]]\npattern = \"a\"\nclient_key = \"b\"", "client_cert");
        refused("[[host]]\npattern = \"a\"\nproxy_login_file = \"b\"", "there is none");
        refused(&format!("[[host]]\npattern = \"a\"\nca_files = [{login:?}]"), "no certificates");
        refused(&"[[host]]\npattern = \"a\"\n".repeat(257), "256");
    }
}
