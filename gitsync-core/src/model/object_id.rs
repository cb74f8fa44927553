//! Object ids as raw bytes; hexadecimal only at the edges.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, ErrorKind, Result};

/// The hash function a repository names its objects with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ObjectFormat {
    /// 20-byte ids.
    #[default]
    Sha1,
    /// 32-byte ids.
    Sha256,
}

impl ObjectFormat {
    /// Returns git's name for the format: `sha1` or `sha256`.
    pub const fn as_str(self) -> &'static str {
        match self {
            ObjectFormat::Sha1 => "sha1",
            ObjectFormat::Sha256 => "sha256",
        }
    }

    /// Returns the length of an id in bytes.
    pub const fn id_len(self) -> usize {
        match self {
            ObjectFormat::Sha1 => 20,
            ObjectFormat::Sha256 => 32,
        }
    }
}

/// The id of a git object.
///
/// ```
/// use gitsync_core::model::ObjectId;
///
/// let id: ObjectId = "4b825dc642cb6eb9a060e54bf8d69288fbee4904".parse()?;
/// assert_eq!(id.as_bytes().len(), 20);
/// assert_eq!(id.to_string(), "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
/// # Ok::<(), gitsync_core::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectId {
    /// An id in a SHA-1 repository.
    Sha1([u8; 20]),
    /// An id in a SHA-256 repository.
    Sha256([u8; 32]),
}

impl ObjectId {
    /// Creates an id from its raw bytes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] unless there are 20 or 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        if let Ok(sha1) = bytes.try_into() {
            return Ok(ObjectId::Sha1(sha1));
        }
        if let Ok(sha256) = bytes.try_into() {
            return Ok(ObjectId::Sha256(sha256));
        }
        Err(Error::new(ErrorKind::InvalidInput, "an object id has 20 or 32 bytes").with("length", bytes.len()))
    }

    /// Creates an id from 40 or 64 hexadecimal digits, in either case.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if the length or a digit is wrong.
    pub fn from_hex(hex: &[u8]) -> Result<Self> {
        let invalid = || Error::new(ErrorKind::InvalidInput, "an object id is 40 or 64 hexadecimal digits");
        let mut bytes = [0_u8; 32];
        if hex.len() != 40 && hex.len() != 64 {
            return Err(invalid());
        }
        for (byte, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
            let high = char::from(pair[0]).to_digit(16).ok_or_else(invalid)?;
            let low = char::from(pair[1]).to_digit(16).ok_or_else(invalid)?;
            *byte = u8::try_from(high * 16 + low).map_err(|_| invalid())?;
        }
        ObjectId::from_bytes(&bytes[..hex.len() / 2])
    }

    /// Returns the raw bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            ObjectId::Sha1(bytes) => bytes,
            ObjectId::Sha256(bytes) => bytes,
        }
    }

    /// Returns the hash function the id comes from.
    pub const fn format(&self) -> ObjectFormat {
        match self {
            ObjectId::Sha1(_) => ObjectFormat::Sha1,
            ObjectId::Sha256(_) => ObjectFormat::Sha256,
        }
    }

    /// Tells whether all bytes are zero: git's way to say "no object".
    pub fn is_null(&self) -> bool {
        self.as_bytes().iter().all(|byte| *byte == 0)
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectId({self})")
    }
}

impl FromStr for ObjectId {
    type Err = Error;

    fn from_str(hex: &str) -> Result<Self> {
        ObjectId::from_hex(hex.as_bytes())
    }
}

impl Serialize for ObjectId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ObjectId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_and_bytes_round_trip_in_both_formats() {
        for hex in ["0123456789abcdef0123456789abcdef01234567", &"ab".repeat(32)] {
            let id: ObjectId = hex.parse().unwrap();
            assert_eq!(id.to_string(), hex);
            assert_eq!(ObjectId::from_bytes(id.as_bytes()).unwrap(), id);
            assert_eq!(id.as_bytes().len(), id.format().id_len());
        }
    }

    #[test]
    fn wrong_lengths_and_digits_are_refused() {
        for hex in ["", "12", &"0".repeat(39), &"0".repeat(41), &"g".repeat(40), &"é".repeat(20)] {
            assert_eq!(hex.parse::<ObjectId>().unwrap_err().kind(), ErrorKind::InvalidInput, "{hex}");
        }
        assert!(ObjectId::from_bytes(&[0; 21]).is_err());
    }

    #[test]
    fn the_null_id_is_known() {
        assert!(ObjectId::Sha1([0; 20]).is_null());
        assert!(!ObjectId::Sha256([1; 32]).is_null());
    }
}
