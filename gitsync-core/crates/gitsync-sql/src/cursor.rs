//! Keyset pages: what a cursor holds for each list, and how rows become a page.

use gitsync_core::model::{CredentialName, Cursor, ObjectId, OrganisationId, Page, PageRequest, RefName, TaskId};
use gitsync_core::{Error, ErrorKind, Result};

/// A sort key that a page may begin after.
pub(crate) trait Key: Sized {
    /// Writes the key.
    fn encode(&self) -> Vec<u8>;

    /// Reads a key that [`Key::encode`] wrote.
    fn decode(bytes: &[u8]) -> Option<Self>;
}

impl Key for i64 {
    fn encode(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(i64::from_be_bytes)
    }
}

impl Key for TaskId {
    fn encode(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        TaskId::from_bytes(bytes)
    }
}

impl Key for RefName {
    fn encode(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        RefName::new(bytes).ok()
    }
}

impl Key for CredentialName {
    fn encode(&self) -> Vec<u8> {
        self.as_str().as_bytes().to_vec()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        std::str::from_utf8(bytes).ok()?.parse().ok()
    }
}

impl Key for (OrganisationId, CredentialName) {
    fn encode(&self) -> Vec<u8> {
        [self.0.0.to_be_bytes().as_slice(), &self.1.encode()].concat()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (organisation, name) = bytes.split_first_chunk()?;
        Some((OrganisationId(i32::from_be_bytes(*organisation)), CredentialName::decode(name)?))
    }
}

/// The time of a commit, and its id for those of one second.
impl Key for (i64, ObjectId) {
    fn encode(&self) -> Vec<u8> {
        [self.0.to_be_bytes().as_slice(), self.1.as_bytes()].concat()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (seconds, id) = bytes.split_first_chunk()?;
        Some((i64::from_be_bytes(*seconds), ObjectId::from_bytes(id).ok()?))
    }
}

/// Returns the key to begin after, if there is one.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] if the cursor is not one of this list.
pub(crate) fn after<K: Key>(page: &PageRequest) -> Result<Option<K>> {
    let Some(cursor) = page.after() else { return Ok(None) };
    let key = K::decode(cursor.key());
    key.map(Some).ok_or_else(|| Error::new(ErrorKind::InvalidInput, "the cursor is not one of this list"))
}

/// Returns how many rows to ask for: one more than the page has tells whether another one follows.
pub(crate) fn rows(page: &PageRequest) -> u64 {
    u64::try_from(page.limit()).unwrap_or(u64::MAX).saturating_add(1)
}

/// Makes a page of the rows that were asked for.
pub(crate) fn page<T, K: Key>(request: &PageRequest, mut items: Vec<T>, key: impl FnOnce(&T) -> K) -> Page<T> {
    let more = items.len() > request.limit();
    items.truncate(request.limit());
    let next = items.last().filter(|_| more).map(|last| Cursor::new(key(last).encode()));
    Page { items, next }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_as_they_went_out() {
        assert_eq!(i64::decode(&(-7_i64).encode()), Some(-7));
        let id = TaskId::generate();
        assert_eq!(TaskId::decode(&id.encode()), Some(id));
        let commit = (-1_i64, ObjectId::Sha256([3; 32]));
        assert_eq!(Key::decode(&commit.encode()), Some(commit));
        let name = RefName::branch("a").unwrap();
        assert_eq!(RefName::decode(&name.encode()), Some(name));
        let name: CredentialName = "a".parse().unwrap();
        assert_eq!(CredentialName::decode(&name.encode()).as_ref(), Some(&name));
        let credential = (OrganisationId(-7), name);
        assert_eq!(Key::decode(&credential.encode()), Some(credential));
        assert_eq!(i64::decode(b"short"), None);
        assert_eq!(<(i64, ObjectId)>::decode(b"12345678short"), None);
    }

    #[test]
    fn a_page_has_a_next_one_only_if_a_row_is_left_over() {
        let request = PageRequest::new(2, None).unwrap();
        let full = page(&request, vec![1_i64, 2, 3], |n| *n);
        assert_eq!((full.items, full.next), (vec![1, 2], Some(Cursor::new(2_i64.encode()))));
        assert_eq!(page(&request, vec![1_i64, 2], |n| *n).next, None);
        let foreign = PageRequest::new(2, Some(Cursor::new("x"))).unwrap();
        assert_eq!(after::<i64>(&foreign).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}
