//! Listing the references of an upstream.

use gitsync_core::Result;
use gitsync_core::backend::Advertisement;
use gitsync_repository::upstream::listing::{ListLimits, Listing};
use gitsync_repository::upstream::{Call, Remembered, unborn_head};

use super::session::{Opening, Session};
use super::v2;

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
            v2::list(&mut session, &mut listing)?;
            listing
        }
    };
    let asked_by_v2 = session.is_v2();
    session.close();
    let format = listing.format();
    let mut advertisement = listing.finish();
    if advertisement.head.is_none() && !asked_by_v2 {
        advertisement.head = unborn_head(call, format)?;
    }
    Ok(advertisement)
}
