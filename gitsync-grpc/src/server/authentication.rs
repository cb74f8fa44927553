//! Who calls is known before anything of a request is read.

use std::convert::Infallible;
use std::task::{Context, Poll};

use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service as Layered, http};
use tonic::metadata::MetadataMap;
use tonic::server::NamedService;

use crate::Service;

/// A service that only those reach whom the authorizer lets in. Anybody else is answered at once, and costs no more than the
/// headers: what comes after them is neither read nor waited for.
#[derive(Clone, Debug)]
pub(super) struct Authentication<S> {
    inner: S,
    service: Service,
}

impl<S> Authentication<S> {
    /// Lets those through to `inner` whom the service knows, and tells it who they are.
    pub(super) fn new(inner: S, service: Service) -> Self {
        Authentication { inner, service }
    }
}

impl<S> Layered<http::Request<Body>> for Authentication<S>
where
    S: Layered<http::Request<Body>, Response = http::Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        // The one that is ready now is used; the copy gets ready when it is asked.
        let copy = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, copy);
        let service = self.service.clone();
        Box::pin(async move {
            let (mut head, body) = request.into_parts();
            let metadata = MetadataMap::from_headers(std::mem::take(&mut head.headers));
            match service.authenticate(&metadata).await {
                Ok(caller) => head.extensions.insert(caller),
                Err(status) => return Ok(status.into_http()),
            };
            head.headers = metadata.into_headers();
            inner.call(http::Request::from_parts(head, body)).await
        })
    }
}

impl<S: NamedService> NamedService for Authentication<S> {
    const NAME: &'static str = S::NAME;
}
