//! Pages of lists.

use std::fmt::Display;

use gitsync_core::model::{Cursor, MAX_PAGE_ITEMS, Page, PageRequest};
use prost::Message;
use tonic::Status;

use crate::status::{at, refused, status};

/// The most bytes of a page's items. Clients take 4 MiB unless they were told otherwise.
const MAX_PAGE_BYTES: usize = 3 * 1024 * 1024;

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

    /// Gets a page and returns its items with the token of the next one. A page that clients would not take because it is
    /// too large is asked for again with half the items.
    pub(super) async fn answer<M: Message, F>(
        &self,
        mut request: PageRequest,
        get: impl Fn(PageRequest) -> F,
    ) -> Result<(Vec<M>, String), Status>
    where
        F: Future<Output = gitsync_core::Result<Page<M>>>,
    {
        loop {
            let page = get(request.clone()).await.map_err(status)?;
            let bytes: usize = page.items.iter().map(Message::encoded_len).sum();
            if bytes <= MAX_PAGE_BYTES || page.items.len() <= 1 {
                let next = page.next.as_ref().map_or_else(String::new, |cursor| cursor.to_token(&self.0));
                return Ok((page.items, next));
            }
            let half = page.items.len().div_ceil(2);
            request = PageRequest::new(half, request.after().cloned()).map_err(at("page_size"))?;
        }
    }
}

/// Converts the items of a page.
pub(super) fn convert<T, M>(page: Page<T>, convert: impl FnMut(&T) -> M) -> Page<M> {
    Page { items: page.items.iter().map(convert).collect(), next: page.next }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn sizes_are_bounded_and_tokens_bound_to_their_list() {
        let list = List::of("branches", 1);
        assert_eq!(list.request(0, "").unwrap().limit(), DEFAULT_PAGE_ITEMS);
        assert_eq!(list.request(i32::MAX, "").unwrap().limit(), MAX_PAGE_ITEMS);
        assert!(list.request(-1, "").is_err());
        let token = Cursor::new("key").to_token(&list.0);
        assert_eq!(list.request(1, &token).unwrap().after(), Some(&Cursor::new("key")));
        assert!(List::of("branches", 2).request(1, &token).is_err());
        assert!(list.request(1, "zz").is_err());
    }

    #[test]
    fn a_page_that_is_too_large_is_made_smaller() {
        gitsync_core::testing::run(async {
            let asked = Mutex::new(Vec::new());
            let get = |page: PageRequest| {
                asked.lock().unwrap().push(page.limit());
                let items = vec!["x".repeat(MAX_PAGE_BYTES / 3); page.limit().min(7)];
                async move { Ok(Page { items, next: Some(Cursor::new("key")) }) }
            };
            let list = List::of("commits", 1);
            let (items, token) = list.answer(list.request(10, "").unwrap(), get).await.unwrap();
            assert_eq!((items.len(), token), (2, Cursor::new("key").to_token(&list.0)));
            assert_eq!(*asked.lock().unwrap(), [10, 4, 2]);
        });
    }
}
