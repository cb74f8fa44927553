//! Pages of lists.

use std::fmt::Display;

use gitsync_core::model::{Cursor, MAX_PAGE_ITEMS, Page, PageRequest};
use tonic::Status;

use crate::status::{at, refused};

/// How many items a page has if nobody says.
const DEFAULT_PAGE_ITEMS: usize = 50;

/// One list: its name binds the tokens of its pages to it.
pub(super) struct List(String);

impl List {
    /// Names a list, and of what it is the list.
    pub(super) fn of(what: &str, owner: impl Display) -> Self {
        List(format!("{what}/{owner}"))
    }

    /// Converts what a request says of its page. A size beyond the most there is gets the most there is.
    pub(super) fn request(&self, page_size: i32, page_token: &str) -> Result<PageRequest, Status> {
        let size = usize::try_from(page_size).map_err(|_| refused("page_size", "a page has no negative size"))?;
        let size = if size == 0 { DEFAULT_PAGE_ITEMS } else { size.min(MAX_PAGE_ITEMS) };
        let after = match page_token {
            "" => None,
            token => Some(Cursor::from_token(&self.0, token).map_err(at("page_token"))?),
        };
        PageRequest::new(size, after).map_err(at("page_size"))
    }

    /// Converts a page, and returns the token of the next one.
    pub(super) fn answer<T, M>(&self, page: &Page<T>, convert: impl FnMut(&T) -> M) -> (Vec<M>, String) {
        let next = page.next.as_ref().map_or_else(String::new, |cursor| cursor.to_token(&self.0));
        (page.items.iter().map(convert).collect(), next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_bounded_and_tokens_bound_to_their_list() {
        let list = List::of("branches", 1);
        assert_eq!(list.request(0, "").unwrap().limit(), DEFAULT_PAGE_ITEMS);
        assert_eq!(list.request(i32::MAX, "").unwrap().limit(), MAX_PAGE_ITEMS);
        assert!(list.request(-1, "").is_err());
        let page = Page { items: vec![1, 2], next: Some(Cursor::new("key")) };
        let (items, token) = list.answer(&page, |item| item * 2);
        assert_eq!(items, [2, 4]);
        assert_eq!(list.request(1, &token).unwrap().after(), Some(&Cursor::new("key")));
        assert!(List::of("branches", 2).request(1, &token).is_err());
        assert!(list.request(1, "zz").is_err());
    }
}
