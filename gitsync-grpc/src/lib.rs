//! gitsync served over gRPC: `gitsync.v1.GitRepositoryService`.
//!
//! The crate converts messages, maps errors to status codes and tells callers apart; every decision about repositories is
//! made by [`gitsync_core`].
//!
//! - [`proto`]: the messages, and the service as clients and servers see it.
//! - [`Service`]: the service over an engine.
//! - [`access`]: who may do what: [`Authorizer`](access::Authorizer), and tokens from a file.
//! - [`client`]: what callers need beside the generated client.
//! - [`server`]: all of it on a socket, with TLS, limits, health and reflection.

pub mod access;
pub mod client;
mod convert;
mod places;
mod secrets;
pub mod server;
mod service;
mod status;

pub use service::Service;

/// The protocol, generated from `proto/gitsync/v1`.
#[allow(missing_docs, clippy::all, clippy::pedantic, reason = "it is generated")]
pub mod proto {
    pub use prost_types::{Duration, FieldMask, Timestamp};

    tonic::include_proto!("gitsync.v1");

    /// The protocol as a serialized `FileDescriptorSet`, for reflection.
    pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("gitsync");
}
