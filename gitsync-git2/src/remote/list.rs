//! Listing the references of an upstream.

use gitsync_core::Result;
use gitsync_core::backend::Advertisement;
use gitsync_core::transport::Service;
use gitsync_repository::upstream::listing::ListLimits;
use gitsync_repository::upstream::{Call, Remembered, greet, unborn_head};

/// Lists an upstream: one request, and a second where the first tells nothing of `HEAD`.
pub(crate) fn list(call: &Call, limits: ListLimits, remembered: &Remembered) -> Result<Advertisement> {
    let (greeting, streams) = greet(call, Service::UploadPack, limits)?;
    match streams {
        Some(streams) => streams.close(),
        None if greeting.is_shallow() => {}
        None => remembered.keep(&call.source, greeting.capabilities(), greeting.format()),
    }
    let format = greeting.format();
    let mut advertisement = greeting.into_listing().finish();
    if advertisement.head.is_none() {
        advertisement.head = unborn_head(call, format)?;
    }
    Ok(advertisement)
}
