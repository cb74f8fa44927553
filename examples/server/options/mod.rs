//! The settings: flags and environment alike.

mod hosts;
mod observation;
mod service;
mod sources;
mod storage;
mod work;

use anyhow::Result;
use clap::Parser;
use gitsync_core::engine::EngineOptions;
use gitsync_core::source::{ChainedCredentials, CredentialKeys, SourcePolicy};
use gitsync_transport::NetOptions;

use self::observation::Observation;
use self::service::Service;
use self::sources::Sources;
use self::storage::Storage;
pub(crate) use self::storage::{Backend, Database};
pub(crate) use self::work::Role;
use self::work::Work;

/// Serves gitsync over gRPC, and does the work that is requested.
///
/// Without any setting it listens on 127.0.0.1:50051, lets everybody on this machine do everything, and keeps its database
/// and its repositories in ./gitsync-data. SIGTERM and Ctrl-C end it: what runs is waited for, then given back, and gone on
/// with at the next start.
#[derive(Parser)]
#[command(
    version,
    after_help = "\
Examples:
  server
  server --allowed-schemes https,http --allow-private-networks
  server --listen-addr 0.0.0.0:50051 --tokens-file tokens.toml --tls-cert cert.pem --tls-key key.pem
  server --roles worker --workers 8

Every setting can also be given in the environment, by the name in [env: …]; a switch is on by true, yes, on or 1, and off by
false, no, off or 0. Logs go to standard error."
)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) service: Service,
    #[command(flatten)]
    pub(crate) storage: Storage,
    #[command(flatten)]
    pub(crate) work: Work,
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    pub(crate) observation: Observation,
}

impl Options {
    /// Returns what may be fetched from where.
    pub(crate) fn policy(&self) -> Result<SourcePolicy> {
        self.sources.policy(self.storage.storages())
    }

    /// Returns the settings of the way out to upstreams.
    pub(crate) fn net(&self) -> Result<NetOptions> {
        self.sources.net()
    }

    /// Returns who knows the credentials of sources.
    pub(crate) fn credentials(&self) -> Result<ChainedCredentials> {
        self.sources.credentials()
    }

    /// Returns the keys that seal stored credentials.
    pub(crate) fn credential_keys(&self) -> Result<Option<CredentialKeys>> {
        self.sources.credential_keys()
    }

    /// Returns the engine's options.
    pub(crate) fn engine(&self) -> EngineOptions {
        let options = EngineOptions { min_free_bytes: self.storage.min_free_bytes, ..self.work.engine() };
        self.sources.bound(options)
    }

    /// Returns how many references an upstream may list.
    pub(crate) fn max_listed_refs(&self) -> usize {
        self.sources.max_listed_refs()
    }

    /// Returns the settings that were given, but are about a role that this process does not have.
    pub(crate) fn without_effect(&self) -> Vec<&'static str> {
        if self.work.has(Role::Api) { Vec::new() } else { self.service.given() }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use clap::CommandFactory as _;

    use super::*;

    fn options(arguments: &[&str]) -> Options {
        Options::try_parse_from([&["server"], arguments].concat()).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn every_setting_is_in_the_environment_too_and_has_a_place_in_the_help() {
        let command = Options::command();
        command.clone().debug_assert();
        for setting in command.get_arguments() {
            let name = setting.get_id();
            assert!(setting.get_env().is_some(), "{name} has no name in the environment");
            assert!(setting.get_help().is_some(), "{name} is not explained");
            assert!(setting.get_long().is_some() && !setting.is_hide_set(), "{name} is not in the help");
            let heading = setting.get_help_heading().unwrap_or_default();
            assert!(["Service", "Storage", "Work", "Sources", "Observation"].contains(&heading), "{name}: {heading:?}");
        }
    }

    #[test]
    fn the_containers_are_given_settings_that_there_are() {
        let command = Options::command();
        let settings: Vec<_> = command.get_arguments().filter_map(|setting| setting.get_env()).collect();
        for file in [
            include_str!("../docker/Dockerfile"),
            include_str!("../docker/compose.yaml"),
            include_str!("../docker/compose.sqlite.yaml"),
        ] {
            let words = file.split(|letter: char| !letter.is_ascii_uppercase() && letter != '_');
            let names: Vec<_> = words.filter(|word| word.starts_with("GITSYNC_")).collect();
            assert!(!names.is_empty(), "some are given");
            for name in names {
                assert!(settings.contains(&name.as_ref()), "there is no setting {name}");
            }
        }
    }

    #[test]
    fn there_are_as_many_retries_as_pauses() {
        assert_eq!(options(&[]).work.limits().max_attempts, 4);
        assert_eq!(options(&["--retry-delays", "5"]).work.limits().max_attempts, 2);
        assert_eq!(options(&["--retry-delays", ""]).work.limits().max_attempts, 1);
        assert!(options(&["--retry-delays", ""]).work.engine().retry_delays.is_empty());
        assert!(Options::try_parse_from(["server", "--retry-delays", "5,,6"]).is_err());
    }

    #[test]
    fn bounds_are_those_of_the_engine_unless_they_are_set() {
        let (default, engine) = (options(&[]), EngineOptions::default());
        let bounds = |it: &EngineOptions| (it.max_pack_bytes, it.max_pack_objects, it.min_free_bytes);
        assert_eq!(bounds(&default.engine()), bounds(&engine));
        assert_eq!(default.max_listed_refs(), gitsync_gix::GixOptions::default().max_listed_refs);
        let given =
            ["--max-pack-bytes", "1", "--max-pack-objects", "2", "--min-free-bytes", "3", "--max-listed-refs", "4"];
        let given = options(&given);
        assert_eq!((bounds(&given.engine()), given.max_listed_refs()), ((1, 2, 3), 4));
        assert!(given.engine().max_response_bytes > 1, "an answer is more than its pack");
    }

    #[test]
    fn files_of_known_hosts_are_handed_on() {
        let given = options(&["--known-hosts", "a,b", "--known-hosts", "c"]);
        assert_eq!(given.net().unwrap().known_hosts, ["a", "b", "c"].map(std::path::PathBuf::from));
        assert!(options(&[]).net().unwrap().known_hosts.is_empty());
    }

    #[test]
    fn all_ports_are_allowed_unless_some_are_named() {
        let allows = |arguments: &[&str], source: &str| {
            let policy = options(arguments).policy().unwrap();
            policy.check_url(&source.parse().unwrap()).is_ok()
        };
        let [usual, other] = ["https://git.example.com/a", "https://git.example.com:8443/a"];
        assert!(allows(&[], usual) && allows(&[], other));
        let given = ["--allowed-ports", "443,22"];
        assert!(allows(&given, usual) && !allows(&given, other));
        assert!(Options::try_parse_from(["server", "--allowed-ports", "65536"]).is_err());
    }

    #[test]
    fn what_has_no_effect_without_the_role_is_told() {
        let given = ["--tls-cert", "a", "--tls-key", "b", "--tokens-file", "c", "--public-reads", "--allow-open"];
        assert!(options(&given).without_effect().is_empty());
        assert!(options(&["--roles", "worker"]).without_effect().is_empty());
        let told = options(&[&["--roles", "worker,janitor"][..], &given].concat()).without_effect();
        assert_eq!(told, ["--tokens-file", "--public-reads", "--allow-open", "--tls-cert"]);
    }
}
