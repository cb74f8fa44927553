//! Organisations.

use gitsync_core::model::{Cursor, Organisation as Model, OrganisationId, Page, PageRequest, Slug};
use tonic::Status;

use super::Service;
use super::page::{self, List};
use super::scope::check_everywhere;
use crate::access::{Principal, Role};
use crate::convert;
use crate::proto::*;
use crate::status::{at, status};

impl Service {
    pub(super) async fn create_organisation(
        &self,
        caller: &Principal,
        request: CreateOrganisationRequest,
    ) -> Result<Organisation, Status> {
        check_everywhere(caller, Role::Admin).map_err(status)?;
        let slug = Slug::new(request.slug).map_err(at("slug"))?;
        let organisation = self.gitsync.create_organisation(&slug, &request.name).await.map_err(status)?;
        Ok(convert::organisation(&organisation))
    }

    pub(super) async fn get_organisation(
        &self,
        caller: &Principal,
        request: GetOrganisationRequest,
    ) -> Result<Organisation, Status> {
        let organisation = if request.organisation_id == 0 {
            let slug = Slug::new(request.slug).map_err(at("slug"))?;
            self.scope.organisation_by_slug(caller, &slug, Role::Reader).await
        } else {
            self.scope.organisation(caller, OrganisationId(request.organisation_id), Role::Reader).await
        };
        Ok(convert::organisation(&organisation.map_err(status)?))
    }

    pub(super) async fn list_organisations(
        &self,
        caller: &Principal,
        request: ListOrganisationsRequest,
    ) -> Result<ListOrganisationsResponse, Status> {
        let is_everywhere = caller.role_everywhere().is_some();
        let list = List::of("organisations", is_everywhere);
        let page = list.request(request.page_size, &request.page_token)?;
        let (organisations, next_page_token) = list
            .answer(page, |page| async move {
                let found = if is_everywhere {
                    self.gitsync.list_organisations(&page).await?
                } else {
                    page_of(self.scope.organisations_of(caller).await?, &page)
                };
                Ok(page::convert(found, convert::organisation))
            })
            .await?;
        Ok(ListOrganisationsResponse { organisations, next_page_token })
    }
}

/// Cuts a page out of organisations in the order of their ids.
fn page_of(all: Vec<Model>, page: &PageRequest) -> Page<Model> {
    let key = |id: OrganisationId| id.0.to_be_bytes();
    let after = |found: &&Model| page.after().is_none_or(|after| key(found.id).as_slice() > after.key());
    let mut left = all.iter().filter(after);
    let items: Vec<_> = left.by_ref().take(page.limit()).cloned().collect();
    let next = left.next().and(items.last()).map(|last| Cursor::new(key(last.id)));
    Page { items, next }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_go_on_where_the_one_before_ended() {
        let organisation = |id| Model {
            id: OrganisationId(id),
            slug: format!("o{id}").parse().unwrap(),
            name: String::new(),
            created_at: gitsync_core::Timestamp::default(),
        };
        let all: Vec<_> = [1, 3, 200, 70_000].map(organisation).to_vec();
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = page_of(all.clone(), &PageRequest::new(2, after).unwrap());
            assert!(page.items.len() <= 2);
            seen.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, all);
    }
}
