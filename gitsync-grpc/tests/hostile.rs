//! Requests that mean no good: none breaks the server, none reaches outside of its directories.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what helps to repeat it"
)]

mod support;

use std::path::Path;

use bytes::{Buf as _, BufMut as _, Bytes};
use fastrand::Rng;
use gitsync_grpc::proto::*;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Code, Request, Status};

use crate::support::{StoreKind, World, on_all_stores};

on_all_stores!(no_request_breaks_the_server,);

/// How many requests each method gets of each sort.
const ROUNDS: usize = 60;

/// Text that has broken something somewhere.
const HOSTILE: &[&str] = &[
    "",
    " ",
    "..",
    "../../etc/passwd",
    "/etc/passwd",
    "a/../../b",
    "-oProxyCommand=touch x",
    "--upload-pack=touch x",
    "ext::sh -c touch% x",
    "file:///etc/passwd",
    "file:///",
    "http://127.0.0.1:1/a.git",
    "https://169.254.169.254/latest/meta-data",
    "https://user:secret@example.com/a.git",
    "ssh://-oProxyCommand=x/a",
    "https://example.com/\u{0}",
    "a\nb",
    "\u{202e}gpj.exe",
    "'; DROP TABLE repository; --",
    "%00",
    "%2e%2e%2f",
    "CON",
    ".git",
    "a.lock",
    "name",
    "0",
    "-1",
    "01890000-0000-7000-8000-000000000000",
    "*",
    "description",
    "active",
    "sync",
    "refs/heads/../../x",
    "refs/gitsync/kept",
    "main",
    "https://example.com/upstream.git",
];

/// Messages as they are on the wire.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

fn random_bytes(rng: &mut Rng) -> Vec<u8> {
    (0..rng.usize(..200)).map(|_| rng.u8(..)).collect()
}

fn hostile_text(rng: &mut Rng) -> String {
    match rng.u8(..10) {
        0 => "a".repeat(rng.usize(..300_000)),
        1 => (0..rng.usize(..60)).map(|_| rng.char(..)).collect(),
        2 => format!("{}{}", rng.choice(HOSTILE).unwrap(), rng.choice(HOSTILE).unwrap()),
        _ => (*rng.choice(HOSTILE).unwrap()).to_owned(),
    }
}

fn value(rng: &mut Rng, field: &FieldDescriptor) -> Value {
    let numbers = [0, 1, 2, -1, 50, 1000, i64::from(i32::MAX), i64::from(i32::MIN), i64::MAX, i64::MIN];
    let number = *rng.choice(&numbers).unwrap();
    match field.kind() {
        Kind::String => Value::String(hostile_text(rng)),
        Kind::Bool => Value::Bool(rng.bool()),
        Kind::Int32 => Value::I32(i32::try_from(number).unwrap_or(i32::MAX)),
        Kind::Int64 => Value::I64(number),
        Kind::Bytes => Value::Bytes(random_bytes(rng).into()),
        Kind::Message(message) => Value::Message(hostile_message(rng, &message)),
        other => panic!("requests have no {other:?} yet"),
    }
}

fn hostile_message(rng: &mut Rng, descriptor: &MessageDescriptor) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    for field in descriptor.fields() {
        if rng.u8(..4) == 0 {
            continue;
        }
        let value = if field.is_list() {
            Value::List((0..rng.usize(..4)).map(|_| value(rng, &field)).collect())
        } else {
            value(rng, &field)
        };
        message.set_field(&field, value);
    }
    message
}

/// Lists what is in a directory and below.
fn files(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = vec![root.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("repos") {
                left.push(path.clone());
            }
            found.push(path.strip_prefix(root).unwrap().to_string_lossy().into_owned());
        }
    }
    found.sort();
    found
}

async fn no_request_breaks_the_server(kind: StoreKind) {
    let seed = std::env::var("GITSYNC_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    println!("GITSYNC_SEED={seed}");
    let mut rng = Rng::with_seed(seed);
    let world = World::open(kind).await;
    let organisation = world.organisation("name").await;
    world.mirror(organisation, "name").await;
    let before = files(world.dir.path());

    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    let service = pool.get_service_by_name("gitsync.v1.GitRepositoryService").unwrap();
    let mut raw = tonic::client::Grpc::new(world.channel().await);
    for method in service.methods() {
        for round in 0..ROUNDS {
            let message = match round % 3 {
                0 => random_bytes(&mut rng),
                1 => {
                    let mut bytes = hostile_message(&mut rng, &method.input()).encode_to_vec();
                    bytes.truncate(rng.usize(..=bytes.len()));
                    bytes
                }
                _ => hostile_message(&mut rng, &method.input()).encode_to_vec(),
            };
            let path = format!("/gitsync.v1.GitRepositoryService/{}", method.name()).parse().unwrap();
            raw.ready().await.unwrap();
            let answer = raw.server_streaming(Request::new(message.into()), path, Raw).await;
            let answer = match answer {
                Ok(stream) => stream.into_inner().message().await.map(|_| ()),
                Err(status) => Err(status),
            };
            if let Err(status) = answer {
                // What cannot be decoded is refused by the library below, which calls that internal.
                let is_undecodable = status.code() == Code::Internal && status.message().contains("decode");
                let is_fine = !matches!(status.code(), Code::Internal | Code::Unknown | Code::DataLoss | Code::Aborted);
                assert!(is_fine || is_undecodable, "{} in round {round}: {status:?}", method.name());
                let shown = format!("{status:?}");
                assert!(!shown.contains("panicked"), "{}: {shown}", method.name());
            }
        }
    }
    world.work().await;

    let mut client = world.client(None).await;
    client.list_repositories(ListRepositoriesRequest::default()).await.expect("the server is well");
    assert_eq!(files(world.dir.path()), before, "nothing was made beside the storage");
    for entry in std::fs::read_dir(world.dir.path().join("repos")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let is_slug = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        assert!(is_slug || name == ".gitsync", "{name}");
    }
}
