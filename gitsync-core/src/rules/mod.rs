//! The rules of requests: pure decisions over the rows a store has loaded.
//!
//! A store loads a repository and its unfinished tasks in a transaction, asks a rule, and writes what it says. So every
//! store decides alike, and each rule is tested without a database.

mod request;

pub use request::{Disposition, Request, Requested, Unfinished, request};
