//! The listing of protocol version 2: a command of its own, which knows an unborn `HEAD`.

use gitsync_core::Result;
use gitsync_repository::upstream::listing::{Listing, not_understood};
use gix_transport::client::blocking_io::TransportV2Ext as _;

use super::AGENT;
use super::explain::explain;
use super::session::Session;

/// Asks for references and adds them to `listing`.
pub(super) fn list(session: &mut Session, listing: &mut Listing) -> Result<()> {
    let call = session.call().clone();
    let capabilities = session.capabilities();
    let knows_unborn = capabilities.capability("ls-refs").and_then(|it| it.supports("unborn")).unwrap_or(false);
    let mut features = vec![("agent", Some(AGENT))];
    if capabilities.contains("object-format") {
        features.push(("object-format", Some(listing.format().as_str())));
    }
    let mut arguments = vec!["symrefs", "peel"];
    arguments.extend(knows_unborn.then_some("unborn"));
    let arguments = arguments.into_iter().map(Into::into);
    let mut transport = session.transport();
    let mut lines = transport
        .invoke("ls-refs", features.into_iter(), Some(arguments), false)
        .map_err(|error| explain(&call, error))?;
    while let Some(line) = lines.readline() {
        let line = line.map_err(|error| explain(&call, error))?.map_err(|error| explain(&call, error))?;
        let Some(line) = line.as_slice() else { break };
        add(listing, line)?;
    }
    Ok(())
}

/// Understands `<id> <name>` or `unborn <name>`, followed by attributes.
fn add(listing: &mut Listing, line: &[u8]) -> Result<()> {
    listing.count(line)?;
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(hex), Some(name)) = (words.next(), words.next()) else {
        return Err(not_understood("a line without a name"));
    };
    let mut peeled = None;
    for attribute in words {
        if let Some(target) = attribute.strip_prefix(b"symref-target:")
            && name == b"HEAD"
        {
            listing.set_head_target(target);
        } else if let Some(hex) = attribute.strip_prefix(b"peeled:") {
            peeled = Some(listing.id(hex)?);
        }
    }
    if hex != b"unborn" {
        let id = listing.id(hex)?;
        if id.is_null() {
            return Err(not_understood("a reference to nothing"));
        }
        listing.add(name, id, peeled);
    }
    Ok(())
}
