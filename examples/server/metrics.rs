//! Metrics for Prometheus.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use gitsync_core::GitSync;
use metrics::gauge;
use metrics_exporter_prometheus::PrometheusBuilder;

/// How often the queue is counted.
const SAMPLE_EVERY: Duration = Duration::from_secs(10);

/// Serves what is measured at an address.
pub(crate) fn serve(address: SocketAddr) -> Result<()> {
    PrometheusBuilder::new().with_http_listener(address).install().context("cannot serve metrics")?;
    gitsync_core::engine::metrics::describe();
    Ok(())
}

/// Counts the queue from time to time.
pub(crate) async fn sample(gitsync: &GitSync) {
    loop {
        match gitsync.queue_stats().await {
            Ok(stats) => {
                for (state, count) in
                    [("ready", stats.ready), ("scheduled", stats.scheduled), ("running", stats.running)]
                {
                    gauge!("gitsync_queue_jobs", "state" => state).set(count as f64);
                }
                gauge!("gitsync_queue_oldest_ready_seconds").set(stats.oldest_ready.unwrap_or_default().as_secs_f64());
            }
            Err(error) => tracing::warn!(%error, "cannot count the queue"),
        }
        tokio::time::sleep(SAMPLE_EVERY).await;
    }
}
