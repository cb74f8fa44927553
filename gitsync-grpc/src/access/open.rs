//! No access control.

use async_trait::async_trait;
use gitsync_core::Result;

use super::{Authorizer, Principal, Role};

/// Lets everybody do everything, whatever token is shown. A server has it on the loopback only, unless told otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenAccess;

#[async_trait]
impl Authorizer for OpenAccess {
    async fn authenticate(&self, _token: Option<&str>) -> Result<Principal> {
        Ok(Principal::new("").with_role_everywhere(Role::Admin))
    }

    fn is_open(&self) -> bool {
        true
    }
}
