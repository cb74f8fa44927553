//! What programs that call the service need beside the generated client.

use std::sync::LazyLock;

use prost::{Message, Name};
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use tonic::Status;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;

use crate::proto::FILE_DESCRIPTOR_SET;
use crate::proto::git_repository_service_server::SERVICE_NAME;

static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("the protocol describes itself"));

/// A message as JSON.
///
/// ```
/// use gitsync_grpc::client::ToJson as _;
/// use gitsync_grpc::proto::CancelSyncTaskRequest;
///
/// let request = CancelSyncTaskRequest { task_id: "a".into() };
/// assert_eq!(request.to_json(), r#"{"task_id":"a"}"#);
/// ```
pub trait ToJson {
    /// Returns the message as one line of JSON, with the names of the protocol and all fields that have no presence.
    ///
    /// Numbers of 64 bits are written as numbers.
    fn to_json(&self) -> String;
}

impl<M: Message + Name> ToJson for M {
    fn to_json(&self) -> String {
        let descriptor = POOL.get_message_by_name(&M::full_name()).expect("messages are part of the protocol");
        let message = DynamicMessage::decode(descriptor, self.encode_to_vec().as_slice());
        let message = message.expect("a message is decoded as it was encoded");
        let options = SerializeOptions::new()
            .use_proto_field_name(true)
            .skip_default_fields(false)
            .stringify_64_bit_integers(false);
        let mut text = Vec::new();
        message
            .serialize_with_options(&mut serde_json::Serializer::new(&mut text), &options)
            .expect("the messages of the protocol can be written as JSON");
        String::from_utf8(text).expect("JSON is text")
    }
}

/// Returns the stable name of an error's kind, as [`ErrorKind::as_str`](gitsync_core::ErrorKind::as_str) has it; `None` if the
/// error is not the service's own, as when the connection broke.
pub fn kind(status: &Status) -> Option<String> {
    status.get_details_error_info().and_then(|mut info| info.metadata.remove("kind"))
}

/// Asks a server whether it serves the service, which it tells everybody.
///
/// # Errors
/// The status of the call, as when there is no answer.
pub async fn serves(channel: Channel) -> Result<bool, Status> {
    let request = HealthCheckRequest { service: SERVICE_NAME.to_owned() };
    let answer = HealthClient::new(channel).check(request).await?.into_inner();
    Ok(answer.status() == ServingStatus::Serving)
}
