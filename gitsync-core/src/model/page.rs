//! Lists in pages: keyset pagination with opaque tokens.

use crate::error::{Error, ErrorKind, Result};

/// The most items of a page.
pub const MAX_PAGE_ITEMS: usize = 1000;

/// Where a page begins: after an item, described by its sort key.
///
/// The text form is opaque to callers, bound to one kind of list and checked when it comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(Vec<u8>);

impl Cursor {
    /// Creates a cursor from the sort key of the last item, as its list encodes it.
    pub fn new(key: impl Into<Vec<u8>>) -> Self {
        Cursor(key.into())
    }

    /// Returns the sort key.
    pub fn key(&self) -> &[u8] {
        &self.0
    }

    /// Returns the token for a list named `list`: hexadecimal digits.
    pub fn to_token(&self, list: &str) -> String {
        let mut token = String::with_capacity(2 * (self.0.len() + CHECK_BYTES));
        for byte in self.0.iter().chain(&check(list, &self.0)) {
            token.push_str(&format!("{byte:02x}"));
        }
        token
    }

    /// Reads a token that [`Cursor::to_token`] made for the same list.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if the token was changed or is another list's.
    pub fn from_token(list: &str, token: &str) -> Result<Self> {
        let refused = || {
            Error::new(ErrorKind::InvalidInput, "the page token is not one of this list")
                .hint("pass the token of the previous page unchanged, or none for the first page")
        };
        if !token.len().is_multiple_of(2) || token.len() < 2 * CHECK_BYTES || !token.is_ascii() {
            return Err(refused());
        }
        let byte = |at| u8::from_str_radix(&token[at..at + 2], 16).ok();
        let bytes: Option<Vec<u8>> = (0..token.len()).step_by(2).map(byte).collect();
        let mut key = bytes.ok_or_else(refused)?;
        let found = key.split_off(key.len() - CHECK_BYTES);
        if found != check(list, &key) {
            return Err(refused());
        }
        Ok(Cursor(key))
    }
}

const CHECK_BYTES: usize = 4;

/// FNV-1a over the list's name and the key: it catches mistakes. A forged cursor gains nothing, as it only says where to
/// begin in a list the caller may read.
fn check(list: &str, key: &[u8]) -> [u8; CHECK_BYTES] {
    let bytes = list.bytes().chain([0]).chain(key.iter().copied());
    let hash = bytes.fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash.to_be_bytes()
}

/// Which page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    limit: usize,
    after: Option<Cursor>,
}

impl PageRequest {
    /// Asks for the first `limit` items, or those after a cursor.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] unless the limit is between 1 and [`MAX_PAGE_ITEMS`].
    pub fn new(limit: usize, after: Option<Cursor>) -> Result<Self> {
        if limit == 0 || limit > MAX_PAGE_ITEMS {
            let message = format!("a page has 1 to {MAX_PAGE_ITEMS} items");
            return Err(Error::new(ErrorKind::InvalidInput, message).with("limit", limit));
        }
        Ok(PageRequest { limit, after })
    }

    /// Returns the most items to answer with.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Returns the cursor to begin after.
    pub fn after(&self) -> Option<&Cursor> {
        self.after.as_ref()
    }
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<Cursor>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_as_it_went_out() {
        for key in [b"".as_slice(), b"a", &[0, 255, 7]] {
            let cursor = Cursor::new(key);
            assert_eq!(Cursor::from_token("tasks", &cursor.to_token("tasks")).unwrap(), cursor);
        }
    }

    #[test]
    fn a_foreign_or_changed_token_is_refused() {
        let token = Cursor::new("key").to_token("tasks");
        let changed = token.replacen('6', "7", 1);
        for bad in ["", "zz", "é", "00", &token[2..], &token[..token.len() - 1], &changed, &format!("{token}00")] {
            assert_eq!(Cursor::from_token("tasks", bad).unwrap_err().kind(), ErrorKind::InvalidInput, "{bad}");
        }
        assert!(Cursor::from_token("commits", &token).is_err());
    }

    #[test]
    fn pages_are_bounded() {
        assert!(PageRequest::new(0, None).is_err());
        assert!(PageRequest::new(MAX_PAGE_ITEMS, None).is_ok());
        assert!(PageRequest::new(MAX_PAGE_ITEMS + 1, None).is_err());
    }
}
