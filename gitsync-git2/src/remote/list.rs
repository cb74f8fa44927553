//! Listing the references of an upstream.

use gitsync_core::Result;
use gitsync_core::backend::Advertisement;
use gitsync_repository::upstream::listing::ListLimits;
use gitsync_repository::upstream::{Call, Remembered};

use super::greeting::greet;

/// Lists an upstream: one request. Where an unborn `HEAD` points it cannot tell.
pub(crate) fn list(call: &Call, limits: ListLimits, remembered: &Remembered) -> Result<Advertisement> {
    let (greeting, streams) = greet(call, limits)?;
    match streams {
        Some(streams) => streams.close(),
        None if greeting.is_shallow() => {}
        None => remembered.keep(&call.source, greeting.capabilities(), greeting.format()),
    }
    Ok(greeting.into_listing().finish())
}
