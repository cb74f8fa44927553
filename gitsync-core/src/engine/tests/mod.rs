//! The engine around a scripted git engine and a database in memory.

mod crashes;
mod hooks;
mod lifecycle;
mod outrun;
mod retries;
mod schedule;
mod sources;
mod syncs;
mod workers;
mod world;
