//! The engine: what carries the decisions out.

pub mod disk;
