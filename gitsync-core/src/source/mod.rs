//! Where repositories come from: validated, secret-free addresses.

mod url;

pub use self::url::{HostKey, MAX_SOURCE_URL_BYTES, Scheme, SourceUrl};
