//! The engine around a scripted git engine and a database in memory.

mod crashes;
mod credentials;
mod faults;
#[cfg(feature = "testing")]
mod heartbeats;
mod hooks;
mod lifecycle;
mod logs;
mod measures;
mod outrun;
mod pushes;
mod regular;
mod renames;
mod retries;
mod schedule;
mod sources;
mod storages;
mod stored;
mod syncs;
mod trust;
mod upkeep;
// It needs a mock of the store.
#[cfg(feature = "testing")]
mod watch;
mod workers;
mod world;
