//! Listing the references of an upstream.

use gitsync_core::backend::{Advertisement, Head};
use gitsync_core::model::ObjectFormat;
use gitsync_core::{ErrorKind, Result};
use gitsync_repository::upstream::listing::{ListLimits, Listing};
use gitsync_repository::upstream::{Call, Remembered, advertisement};

use super::session::{Opening, Session};
use super::v2::{self, Scope};

/// Lists an upstream: one request, and a second where the first tells nothing of `HEAD`.
pub(crate) fn list(call: &Call, limits: ListLimits, remembered: &Remembered) -> Result<Advertisement> {
    let (mut session, listing) = Session::open(call, Opening::Original, limits)?;
    let listing = match listing {
        Some(listing) => {
            if call.source.scheme().is_http() && !listing.is_shallow() {
                remembered.keep(&call.source, session.said(), listing.format());
            }
            listing
        }
        // Not what was asked for, but as good.
        None => {
            let mut listing = Listing::new(session.format()?, limits);
            v2::list(&mut session, Scope::All, &mut listing)?;
            listing
        }
    };
    let asked_by_v2 = session.is_v2();
    session.close();
    let format = listing.format();
    let mut advertisement = listing.finish();
    if advertisement.head.is_none() && !asked_by_v2 {
        advertisement.head = unborn_head(call, format, limits)?;
    }
    Ok(advertisement)
}

/// Asks by version 2 where `HEAD` points. A server that cannot tell has not failed: the listing is there.
fn unborn_head(call: &Call, format: ObjectFormat, limits: ListLimits) -> Result<Option<Head>> {
    let ask = || -> Result<Option<Head>> {
        let call = call.aside();
        let opening = if call.source.scheme().is_http() { Opening::ReplayV2(greeting_v2(format)) } else { Opening::V2 };
        let (mut session, listing) = Session::open(&call, opening, limits)?;
        if listing.is_some() {
            return Ok(None);
        }
        let mut listing = Listing::new(format, limits);
        v2::list(&mut session, Scope::Head, &mut listing)?;
        session.close();
        Ok(listing.head())
    };
    match ask() {
        Ok(head) => Ok(head),
        Err(error) if matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::Timeout) => Err(error),
        Err(_) => Ok(None),
    }
}

/// Returns the greeting of a server that knows version 2 and tells where an unborn `HEAD` points.
fn greeting_v2(format: ObjectFormat) -> Vec<u8> {
    let format = format!("object-format={}", format.as_str());
    advertisement(&[b"version 2", b"ls-refs=unborn", format.as_bytes()])
}
