//! Organisations.

use gitsync_core::model::{OrganisationId, Page, Slug};
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
        let list = List::of("organisations", "");
        let page = list.request(request.page_size, &request.page_token)?;
        let (organisations, next_page_token) = list
            .answer(page, |page| async move {
                let found = if caller.role_everywhere().is_some() {
                    self.gitsync.list_organisations(&page).await?
                } else {
                    // As many as the token has roles, so one page has them all.
                    Page { items: self.scope.organisations_of(caller).await?, next: None }
                };
                Ok(page::convert(found, convert::organisation))
            })
            .await?;
        Ok(ListOrganisationsResponse { organisations, next_page_token })
    }
}
