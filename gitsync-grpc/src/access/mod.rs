//! Who may do what.

mod open;
mod principal;
mod tokens;

use std::fmt;

use async_trait::async_trait;
use gitsync_core::Result;

pub use open::OpenAccess;
pub use principal::{Principal, Role};
pub use tokens::{TokensFile, hash_token};

/// Tells who a caller is.
///
/// ```
/// use gitsync_core::{Error, ErrorKind, Result};
/// use gitsync_grpc::access::{Authorizer, Principal, Role};
///
/// /// One secret for everybody who works at Acme.
/// #[derive(Debug)]
/// struct Acme;
///
/// #[async_trait::async_trait]
/// impl Authorizer for Acme {
///     async fn authenticate(&self, token: Option<&str>) -> Result<Principal> {
///         match token {
///             Some("sesame") => Ok(Principal::new("somebody").with_role("acme".parse()?, Role::Writer)),
///             _ => Err(Error::new(ErrorKind::Unauthenticated, "the token is not known")),
///         }
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let caller = Acme.authenticate(Some("sesame")).await?;
/// assert_eq!(caller.role_in(&"acme".parse()?), Some(Role::Writer));
/// assert_eq!(caller.role_in(&"other".parse()?), None);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait Authorizer: fmt::Debug + Send + Sync {
    /// Returns who presents this bearer token, or no token.
    ///
    /// Called once for each request, so it should be quick. The secret must reach neither a log nor an error.
    ///
    /// # Errors
    /// [`Unauthenticated`](gitsync_core::ErrorKind::Unauthenticated) if the token is unknown or expired, or if one is
    /// needed; [`Unavailable`](gitsync_core::ErrorKind::Unavailable) if that cannot be told now.
    async fn authenticate(&self, token: Option<&str>) -> Result<Principal>;

    /// Tells whether it lets everybody in: a server then listens on the loopback alone, unless told otherwise.
    fn is_open(&self) -> bool {
        false
    }
}
