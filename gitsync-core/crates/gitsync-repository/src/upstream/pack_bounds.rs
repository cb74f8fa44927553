//! What a pack may take: bytes, objects, and room on the disk.

use std::io;
use std::path::{Path, PathBuf};

use gitsync_core::backend::FetchRequest;
use gitsync_core::{Error, ErrorKind, Result};

/// How many bytes are received between two looks at the disk.
const LOOK_EVERY: u64 = 1 << 20;

/// The bounds of a pack that is being received.
#[derive(Debug)]
pub struct PackBounds {
    max_bytes: u64,
    max_objects: u64,
    min_free_bytes: u64,
    dir: PathBuf,
    looked_at: u64,
}

impl PackBounds {
    /// Takes the bounds of a request for a pack that goes into `dir`.
    ///
    /// # Errors
    /// [`ErrorKind::DiskFull`] if there is too little room already.
    pub fn new(request: &FetchRequest, dir: &Path) -> Result<Self> {
        let bounds = PackBounds {
            max_bytes: request.max_pack_bytes,
            max_objects: request.max_pack_objects,
            min_free_bytes: request.min_free_bytes,
            dir: dir.to_owned(),
            looked_at: 0,
        };
        bounds.check_room()?;
        Ok(bounds)
    }

    /// Checks how many objects the pack has: its first bytes tell.
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`] if they are too many.
    pub fn check_objects(&self, count: u64) -> Result<()> {
        if count <= self.max_objects {
            return Ok(());
        }
        let error = exceeded("objects", "max_pack_objects").with("objects", count);
        Err(error.with("limit", self.max_objects))
    }

    /// Checks how many bytes came in so far, and now and then how much room is left.
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`] if they are too many, [`ErrorKind::DiskFull`] if there is too little room.
    pub fn check_bytes(&mut self, received: u64) -> Result<()> {
        if received > self.max_bytes {
            return Err(too_many_bytes(self.max_bytes));
        }
        if received - self.looked_at >= LOOK_EVERY {
            self.looked_at = received;
            self.check_room()?;
        }
        Ok(())
    }

    fn check_room(&self) -> Result<()> {
        let room = rustix::fs::statvfs(&self.dir).map_err(io::Error::from)?;
        let free = room.f_bavail.saturating_mul(room.f_frsize);
        if free >= self.min_free_bytes {
            return Ok(());
        }
        Err(Error::new(ErrorKind::DiskFull, "the disk has too little room for what is to be fetched")
            .with("free_bytes", free)
            .with("reserve", self.min_free_bytes)
            .hint("free space on the disk that holds the repositories, or lower min_free_bytes"))
    }
}

/// The upstream sends more bytes than `limit`.
pub fn too_many_bytes(limit: u64) -> Error {
    exceeded("bytes", "max_pack_bytes").with("limit", limit)
}

fn exceeded(what: &str, option: &str) -> Error {
    Error::new(ErrorKind::LimitExceeded, format!("the upstream sends more {what} than allowed"))
        .hint(format!("raise {option} if the upstream is to be trusted with that"))
}

#[cfg(test)]
mod tests {
    use gitsync_core::backend::Durability;

    use super::*;

    fn bounds(min_free_bytes: u64) -> Result<PackBounds> {
        let request = FetchRequest {
            source: "https://host/a".parse()?,
            wants: Vec::new(),
            max_pack_bytes: 3 * LOOK_EVERY,
            max_pack_objects: 10,
            min_free_bytes,
            depth: None,
            durability: Durability::Engine,
        };
        PackBounds::new(&request, &std::env::temp_dir())
    }

    #[test]
    fn what_is_exceeded_is_told_with_its_limit() {
        let mut bounds = bounds(0).unwrap();
        assert!(bounds.check_objects(10).is_ok());
        let error = bounds.check_objects(11).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
        assert!(error.to_string().contains("more objects than allowed (objects: 11, limit: 10)"), "{error}");
        assert!(error.hint_text().unwrap().contains("max_pack_objects"));
        assert!(bounds.check_bytes(3 * LOOK_EVERY).is_ok());
        let error = bounds.check_bytes(3 * LOOK_EVERY + 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
        assert!(error.hint_text().unwrap().contains("max_pack_bytes"));
    }

    #[test]
    fn a_disk_without_room_is_found_full_at_once_and_then_now_and_then() {
        let error = bounds(u64::MAX).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DiskFull);
        assert!(error.is_retryable());
        let mut bounds = bounds(0).unwrap();
        bounds.min_free_bytes = u64::MAX;
        assert!(bounds.check_bytes(LOOK_EVERY - 1).is_ok());
        assert_eq!(bounds.check_bytes(LOOK_EVERY).unwrap_err().kind(), ErrorKind::DiskFull);
        assert!(bounds.check_bytes(LOOK_EVERY + 1).is_ok(), "it was looked at just now");
    }
}
