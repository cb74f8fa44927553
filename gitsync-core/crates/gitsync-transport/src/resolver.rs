//! Resolves host names, and lets nothing pass that the policy refuses.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gitsync_core::source::{Host, SourcePolicy, redact};
use gitsync_core::{Error, ErrorKind};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use crate::limits::{from_io, into_io, on_a_thread};

/// Turns a host name into addresses.
pub(crate) type Lookup = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// How long an answer is used again: long enough for the requests of one fetch, which would otherwise wait for the name
/// server each.
const REUSE: Duration = Duration::from_secs(10);
/// How many answers are kept.
const MAX_ANSWERS: usize = 256;
/// How many addresses of a host are tried.
const MAX_ADDRESSES: usize = 16;

/// Asks the operating system.
pub(crate) fn system_lookup(host: &str) -> io::Result<Vec<IpAddr>> {
    Ok((host, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
}

/// What was answered about a name, and when.
type Answers = HashMap<String, (Instant, Vec<IpAddr>)>;

/// The resolver of all connections. The addresses it returns have passed the policy and are the only ones connected to. Clones
/// share the answers.
#[derive(Clone)]
pub(crate) struct GuardedResolver {
    policy: Arc<SourcePolicy>,
    lookup: Arc<Lookup>,
    timeout: Duration,
    answers: Arc<Mutex<Answers>>,
}

impl GuardedResolver {
    pub(crate) fn new(policy: Arc<SourcePolicy>, lookup: Arc<Lookup>, timeout: Duration) -> Self {
        GuardedResolver { policy, lookup, timeout, answers: Arc::default() }
    }

    /// Returns where to connect to a host. All its addresses were checked, also those that are too many.
    pub(crate) fn resolve(&self, host: &Host, port: u16) -> io::Result<Vec<SocketAddr>> {
        let addresses = self.look_up(host)?;
        self.policy.check_addresses(host, &addresses).map_err(into_io)?;
        Ok(with_port(addresses, port))
    }

    /// Returns the addresses of a host that the policy does not concern, since no source names it.
    pub(crate) fn addresses(&self, host: &Host, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(with_port(self.look_up(host)?, port))
    }

    fn look_up(&self, host: &Host) -> io::Result<Vec<IpAddr>> {
        let name = match host {
            Host::Domain(name) => name.as_str(),
            Host::Ipv4(address) => return Ok(vec![IpAddr::V4(*address)]),
            Host::Ipv6(address) => return Ok(vec![IpAddr::V6(*address)]),
        };
        let answers = || self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, addresses)) = answers().get(name)
            && at.elapsed() < REUSE
        {
            return Ok(addresses.clone());
        }
        let lookup = Arc::clone(&self.lookup);
        let owned = name.to_owned();
        let addresses = on_a_thread(self.timeout, move || lookup(&owned)).map_err(|error| {
            // Ended by the call's limits; anything else is the name server's answer.
            if from_io(&error).is_some() {
                return error;
            }
            into_io(
                Error::new(ErrorKind::SourceUnreachable, "the host name cannot be resolved")
                    .with("host", name)
                    .with("reason", redact(&error.to_string()))
                    .hint("check the spelling of the host"),
            )
        })?;
        let mut answers = answers();
        if answers.len() >= MAX_ANSWERS {
            answers.clear();
        }
        answers.insert(name.to_owned(), (Instant::now(), addresses.clone()));
        Ok(addresses)
    }
}

fn with_port(addresses: Vec<IpAddr>, port: u16) -> Vec<SocketAddr> {
    addresses.into_iter().take(MAX_ADDRESSES).map(|address| SocketAddr::new(address, port)).collect()
}

impl Resolver for GuardedResolver {
    fn resolve(&self, uri: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = Host::parse(uri.host().unwrap_or_default()).map_err(into_io)?;
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        let mut resolved = self.empty();
        for address in GuardedResolver::resolve(self, &host, port)? {
            resolved.push(address);
        }
        Ok(resolved)
    }
}

impl fmt::Debug for GuardedResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedResolver").finish_non_exhaustive()
    }
}
