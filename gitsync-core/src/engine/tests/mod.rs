//! The engine around a scripted git engine and a database in memory.

mod crashes;
mod lifecycle;
mod retries;
mod review;
mod schedule;
mod syncs;
mod world;
