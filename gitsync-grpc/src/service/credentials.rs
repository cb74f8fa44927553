//! Credentials that organisations keep here.

use gitsync_core::model::{CredentialName, OrganisationId};
use gitsync_core::source::{Credentials, TOKEN_USER};
use tonic::Status;

use super::Service;
use super::page::{self, List};
use crate::access::{Principal, Role};
use crate::convert;
use crate::proto::set_credential_request::Secret;
use crate::proto::*;
use crate::status::{at, refused, status};

impl Service {
    pub(super) async fn set_credential(
        &self,
        caller: &Principal,
        request: SetCredentialRequest,
    ) -> Result<Credential, Status> {
        let organisation = self.credentials_of(caller, request.organisation_id, Role::Admin).await?;
        let name = CredentialName::new(request.name).map_err(at("name"))?;
        let scope = request.scope.parse().map_err(at("scope"))?;
        let secret = request.secret.ok_or_else(|| refused("secret", "the secret is missing"))?;
        let set = self.gitsync.set_credential(organisation, name, scope, &credentials(secret)).await.map_err(status)?;
        Ok(convert::credential(&set))
    }

    pub(super) async fn list_credentials(
        &self,
        caller: &Principal,
        request: ListCredentialsRequest,
    ) -> Result<ListCredentialsResponse, Status> {
        let organisation = self.credentials_of(caller, request.organisation_id, Role::Reader).await?;
        let list = List::of("credentials", organisation);
        let page = list.request(request.page_size, &request.page_token)?;
        let (credentials, next_page_token) = list
            .answer(page, |page| async move {
                let found = self.gitsync.list_credentials(organisation, &page).await?;
                Ok(page::convert(found, convert::credential))
            })
            .await?;
        Ok(ListCredentialsResponse { credentials, next_page_token })
    }

    pub(super) async fn delete_credential(
        &self,
        caller: &Principal,
        request: DeleteCredentialRequest,
    ) -> Result<DeleteCredentialResponse, Status> {
        let organisation = self.credentials_of(caller, request.organisation_id, Role::Admin).await?;
        let name = CredentialName::new(request.name).map_err(at("name"))?;
        self.gitsync.delete_credential(organisation, &name).await.map_err(status)?;
        Ok(DeleteCredentialResponse {})
    }

    /// Returns the organisation whose credentials a caller with this role may see or change.
    async fn credentials_of(&self, caller: &Principal, id: i32, role: Role) -> Result<OrganisationId, Status> {
        let organisation = self.scope.organisation(caller, OrganisationId(id), role).await.map_err(status)?;
        Ok(organisation.id)
    }
}

fn credentials(secret: Secret) -> Credentials {
    match secret {
        Secret::UserPassword(UserPassword { user, password }) => {
            Credentials::UserPassword { user: user.unwrap_or_else(|| TOKEN_USER.to_owned()), password: password.into() }
        }
        Secret::Bearer(token) => Credentials::Bearer(token.into()),
        Secret::SshKey(SshKey { key, passphrase }) => {
            Credentials::SshKey { key: key.into(), passphrase: passphrase.map(Into::into) }
        }
    }
}
