//! What a push target is told to do.

use gitsync_core::backend::RefEdit;
use gitsync_core::model::{ObjectFormat, ObjectId};
use gitsync_core::{Error, ErrorKind, Result};

use crate::upstream::{Greeting, packet};

/// What a push target can do of what we ask for.
#[derive(Clone, Debug)]
pub(super) struct Features {
    /// Whether its answer comes in a side band, beside which it says what its hooks print.
    pub(super) side_band: bool,
    format: ObjectFormat,
    asked: String,
}

impl Features {
    /// Chooses from what a target offers.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if it would not tell what became of the changes: all git servers do.
    pub(super) fn of(greeting: &Greeting) -> Result<Self> {
        let offers = |wanted: &str| greeting.capabilities().any(|(name, _)| name == wanted.as_bytes());
        if !offers("report-status") {
            return Err(Error::new(ErrorKind::Unsupported, "the push target does not report what it did"));
        }
        // Without progress nothing is said before all has been heard, so that neither side ever waits for the other.
        let side_band = offers("side-band-64k") && offers("quiet");
        let mut asked = vec!["report-status"];
        if side_band {
            asked.extend(["side-band-64k", "quiet"]);
        }
        if greeting.format() != ObjectFormat::Sha1 {
            asked.push("object-format=sha256");
        }
        Ok(Features { side_band, format: greeting.format(), asked: asked.join(" ") })
    }

    #[cfg(test)]
    pub(super) fn with_side_band(side_band: bool) -> Self {
        Features { side_band, format: ObjectFormat::Sha1, asked: String::new() }
    }
}

/// Writes the changes as a target is told of them; `None` if there are none.
pub(super) fn write(edits: &[RefEdit], features: &Features) -> Option<Vec<u8>> {
    let (first, others) = edits.split_first()?;
    let mut text = packet(&[&line(first, features.format)[..], b"\0 ", features.asked.as_bytes()].concat());
    for edit in others {
        text.extend_from_slice(&packet(&line(edit, features.format)));
    }
    text.extend_from_slice(b"0000");
    Some(text)
}

fn line(edit: &RefEdit, format: ObjectFormat) -> Vec<u8> {
    let hex = |id: Option<ObjectId>| id.map_or_else(|| "0".repeat(format.id_len() * 2), |id| id.to_string());
    let mut line = format!("{} {} ", hex(edit.old), hex(edit.new)).into_bytes();
    line.extend_from_slice(edit.name.as_bytes());
    line
}
