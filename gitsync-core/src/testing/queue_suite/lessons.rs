//! What the ends of jobs teach about their hosts.

use super::harness::{LIMITS, QueueHarness, SECOND, WIDER, ids};
use crate::clock::Clock;
use crate::queue::{ClaimedJob, HostReport, HostStats, JobEnd, JobOutcome, NewJob};
use HostReport::{Answered, Away, Nothing};

const BUSY: HostReport = HostReport::Busy { pause: None };

/// The host that most cases are about.
const HOST: &str = "busy.example";

/// A host that asks for a pause gets half as many jobs at once after it, and all of them again after successes, not more.
pub async fn a_host_that_asks_for_a_pause_gets_fewer_jobs(h: QueueHarness) {
    let claimed = h.begin(8).await;
    h.say(&claimed[0], HostReport::Busy { pause: Some(10 * SECOND) }).await;
    h.say(&claimed[1], Nothing).await;
    h.clock.advance(11 * SECOND);
    let slowed = h.claim(10).await;
    assert_eq!(slowed.len(), 1, "half of two");
    assert_eq!(h.claim(10).await, []);
    h.say(&slowed[0], Nothing).await;
    let slowed = h.claim_one().await;
    h.done(&slowed, Answered).await;
    let claimed = h.claim(10).await;
    assert_eq!(claimed.len(), 2);
    for job in &claimed {
        h.done(job, Answered).await;
    }
    assert_eq!(h.claim(10).await.len(), 2, "never more than is configured");
}

/// A host that does not say for how long is left alone for a minute, and for twice as long each time until it has answered.
pub async fn a_pause_of_no_length_doubles(h: QueueHarness) {
    for seconds in [60, 120, 240] {
        let claimed = h.begin(2).await;
        h.say(&claimed[0], BUSY).await;
        h.is_left_alone_for(seconds).await;
        h.cancel_all(&claimed).await;
    }
    let claimed = h.begin(1).await;
    h.done(&claimed[0], Answered).await;
    let claimed = h.begin(1).await;
    h.say(&claimed[0], BUSY).await;
    h.is_left_alone_for(60).await;
}

/// A host that does not answer is left alone for ever longer, and tried with one job each time. One success is enough to
/// trust it again.
pub async fn a_host_that_is_away_is_probed(h: QueueHarness) {
    h.drive_away().await;
    h.is_left_alone_for(30).await;
    let probe = h.claim_one().await;
    assert_eq!(h.claim(10).await, [], "one at a time");
    h.say(&probe, Away).await;
    h.is_left_alone_for(60).await;
    let probe = h.claim_one().await;
    h.done(&probe, Answered).await;
    let claimed = h.claim(10).await;
    assert_eq!(claimed.len(), 2);
    // It is trusted as if it had never been away.
    h.say(&claimed[0], Away).await;
    h.say(&claimed[1], Nothing).await;
    assert_eq!(h.claim(10).await.len(), 2);
}

/// A probe that is given back, or whose worker dies, is made again at once, by one job.
pub async fn a_probe_that_says_nothing_is_made_again(h: QueueHarness) {
    h.drive_away().await;
    h.is_left_alone_for(30).await;
    let probe = h.claim_one().await;
    assert!(h.finish(probe.lease, JobOutcome::Released).await);
    let probe = h.claim_one().await;
    assert_eq!(h.claim(10).await, []);
    h.let_leases_expire();
    let again = h.claim_one().await;
    assert_eq!(h.claim(10).await, []);
    let late = JobEnd { host: Answered, ..JobEnd::new(probe.lease, JobOutcome::Done) };
    assert!(!h.end(late).await);
    h.say(&again, Nothing).await;
    h.claim_one().await;
}

/// What ends while a host is left alone began before that: it makes nothing worse, and no pause shorter.
pub async fn what_was_under_way_counts_once(h: QueueHarness) {
    let claimed = h.begin(4).await;
    h.say(&claimed[0], BUSY).await;
    h.say(&claimed[1], BUSY).await;
    h.is_left_alone_for(60).await;
    let slowed = h.claim_one().await;
    h.say(&slowed, BUSY).await;
    h.is_left_alone_for(120).await;
    h.claim_one().await;
}

/// Ends that come together are taken in one after the other.
pub async fn ends_that_come_together_all_count(h: QueueHarness) {
    let Some(h) = h.wider() else { return };
    let end = |job: &ClaimedJob, host| JobEnd { host, ..JobEnd::new(job.lease, JobOutcome::Done) };
    let finish = async |ends: Vec<JobEnd>| {
        let answers = h.queue.finish(&ends).await.expect("work can be ended");
        assert_eq!(answers, vec![true; ends.len()]);
    };
    let claimed = h.begin(30).await;
    assert_eq!(claimed.len(), 8);
    finish(claimed.iter().map(|job| end(job, BUSY)).collect()).await;
    h.clock.advance(73 * SECOND);
    let claimed = h.claim(10).await;
    assert_eq!(claimed.len(), 4, "they were under way together, so it is halved once");
    finish(claimed.iter().map(|job| end(job, Answered)).collect()).await;
    let claimed = h.claim(10).await;
    assert_eq!(claimed.len(), 5, "all four have succeeded");
    let reports = [Away, Away, Away, Away, Answered];
    finish(claimed.iter().zip(reports).map(|(job, host)| end(job, host)).collect()).await;
    let claimed = h.claim(10).await;
    assert_eq!(claimed.len(), 5, "the last one says that it is there");
    finish(claimed.iter().map(|job| end(job, Away)).collect()).await;
    h.is_left_alone_for(30).await;
    h.claim_one().await;
}

/// A repository that fails alone among others that do not slows nobody down.
pub async fn what_fails_alone_slows_nobody(h: QueueHarness) {
    let broken = NewJob { priority: -1, ..h.job(HOST) };
    h.enqueue(std::slice::from_ref(&broken)).await;
    for _ in 0..10 {
        h.enqueue(&[h.job(HOST)]).await;
        let claimed = h.claim(2).await;
        assert_eq!(claimed.len(), 2);
        assert_eq!(claimed[0].lease.id, broken.id);
        h.say(&claimed[0], Away).await;
        h.done(&claimed[1], Answered).await;
    }
}

/// Jobs that only wait for their host lose no attempt, and are due as they were.
pub async fn who_waits_for_a_host_loses_no_attempt(h: QueueHarness) {
    let waiting = h.job(HOST);
    h.enqueue(std::slice::from_ref(&waiting)).await;
    h.clock.advance(SECOND);
    let late = |h: &QueueHarness| NewJob { priority: -1, ..h.job(HOST) };
    for failure in 0..8 {
        let job = late(&h);
        h.enqueue(std::slice::from_ref(&job)).await;
        let claimed = h.claim(1).await;
        assert_eq!(claimed.iter().map(|job| job.lease.id).collect::<Vec<_>>(), [job.id]);
        h.done(&claimed[0], Away).await;
        if failure >= 4 {
            assert_eq!(h.claim(10).await, []);
            h.clock.advance(1000 * SECOND);
        }
    }
    let claimed = h.claim_one().await;
    assert_eq!((claimed.lease.id, claimed.attempt, claimed.exhausted), (waiting.id, 1, false));
}

/// Neither other hosts nor work without a host are concerned.
pub async fn other_hosts_are_as_they_were(h: QueueHarness) {
    h.drive_away().await;
    let local: Vec<_> = (0..5).map(|_| h.job("local")).collect();
    h.enqueue(&local).await;
    for report in [Away, Away, Away, Away, Away, Away, BUSY, HostReport::Busy { pause: Some(100 * SECOND) }] {
        let claimed = h.claim(1).await;
        h.say(&claimed[0], report).await;
    }
    let mut claimed = h.claim_ids(10).await;
    claimed.sort_unstable();
    assert_eq!(claimed, ids(&local));
    let other: Vec<_> = (0..3).map(|_| h.job("other.example")).collect();
    h.enqueue(&other).await;
    assert_eq!(h.claim_ids(10).await, ids(&other[..2]));
}

/// What was learned stays for a day, and then is forgotten.
pub async fn lessons_are_kept_for_a_day(h: QueueHarness) {
    let claimed = h.begin(4).await;
    h.say(&claimed[0], HostReport::Busy { pause: Some(10 * SECOND) }).await;
    h.say(&claimed[1], Nothing).await;
    h.clock.advance(11 * SECOND);
    h.forget_all_hosts().await;
    let slowed = h.claim_one().await;
    h.say(&slowed, Nothing).await;
    h.clock.advance(crate::rules::LESSONS_KEPT);
    let slowed = h.claim_one().await;
    h.forget_all_hosts().await;
    assert_eq!(h.claim(10).await, [], "one of its jobs runs");
    h.say(&slowed, Nothing).await;
    h.forget_all_hosts().await;
    assert_eq!(h.claim(10).await.len(), 2);
}

/// All who share the queue learn together, also those that are opened later; each goes by what is configured for it.
pub async fn all_processes_learn_together(h: QueueHarness) {
    let Some(wider) = h.wider() else { return };
    let claimed = h.begin(20).await;
    h.say(&claimed[0], HostReport::Busy { pause: Some(10 * SECOND) }).await;
    h.say(&claimed[1], Nothing).await;
    assert_eq!(wider.claim(10).await, []);
    h.clock.advance(11 * SECOND);
    for limit in 1..WIDER.host_concurrency {
        let claimed = wider.claim(10).await;
        assert_eq!(claimed.len(), limit as usize, "one more after as many successes");
        assert_eq!(h.claim(10).await, [], "there is room neither for who goes by {}", LIMITS.host_concurrency);
        for job in &claimed {
            wider.say(job, Answered).await;
        }
    }
    assert_eq!(h.claim(10).await.len(), 2, "what is configured here");
    assert_eq!(wider.claim(10).await.len(), 6, "what is configured there");
    assert_eq!(wider.claim(10).await, []);
}

/// What was learned can be seen.
pub async fn lessons_can_be_seen(h: QueueHarness) {
    let hosts = async || h.queue.stats().await.expect("jobs can be counted").hosts;
    let claimed = h.begin(4).await;
    assert_eq!(hosts().await, []);
    h.done(&claimed[0], Answered).await;
    assert_eq!(hosts().await, [], "it is like any other");
    h.say(&claimed[1], HostReport::Busy { pause: Some(10 * SECOND) }).await;
    let slowed = HostStats {
        host: HOST.parse().expect("a host"),
        limit: 1,
        configured: 2,
        failures: 0,
        blocked_until: Some(h.in_seconds(10)),
    };
    let seen = hosts().await;
    assert!(
        seen[0].blocked_until.is_some_and(|until| until >= h.in_seconds(9) && until <= h.in_seconds(11)),
        "{seen:?}"
    );
    assert_eq!(seen, [HostStats { blocked_until: seen[0].blocked_until, ..slowed.clone() }]);
    h.clock.advance(11 * SECOND);
    assert_eq!(hosts().await, [HostStats { blocked_until: None, ..slowed.clone() }]);
    let claimed = h.claim_one().await;
    h.say(&claimed, Away).await;
    assert_eq!(hosts().await, [HostStats { failures: 1, blocked_until: None, ..slowed }]);
    let claimed = h.claim_one().await;
    h.done(&claimed, Answered).await;
    assert_eq!(hosts().await, []);
}

impl QueueHarness {
    /// Puts jobs of the host into the queue, and claims what can be.
    async fn begin(&self, count: usize) -> Vec<ClaimedJob> {
        self.enqueue(&(0..count).map(|_| self.job(HOST)).collect::<Vec<_>>()).await;
        self.claim(10).await
    }

    /// Gives a job back that says something of its host; it is due at once, and the attempt does not count.
    async fn say(&self, job: &ClaimedJob, host: HostReport) {
        let outcome = JobOutcome::Retry { at: self.clock.now(), spent: false };
        assert!(self.end(JobEnd { host, ..JobEnd::new(job.lease, outcome) }).await);
    }

    /// Ends a job that says something of its host.
    async fn done(&self, job: &ClaimedJob, host: HostReport) {
        assert!(self.end(JobEnd { host, ..JobEnd::new(job.lease, JobOutcome::Done) }).await);
    }

    async fn cancel_all(&self, jobs: &[ClaimedJob]) {
        let jobs: Vec<_> = jobs.iter().map(|job| job.lease.id).collect();
        self.queue.cancel(&jobs).await.expect("jobs can be cancelled");
    }

    /// Has so many jobs fail by the host that it is left alone.
    async fn drive_away(&self) {
        let mut running = self.begin(6).await;
        for _ in 0..5 {
            assert_eq!(running.len(), 2);
            self.say(&running.remove(0), Away).await;
            running.extend(self.claim(10).await);
        }
        assert_eq!(running.len(), 1, "the host is left alone");
        // It began before that, so it says nothing new.
        self.say(&running[0], Away).await;
    }

    /// Checks that nothing is to be had of the host for as long, and lets that pass. It is stretched by a fifth at the most.
    async fn is_left_alone_for(&self, seconds: u32) {
        self.clock.advance(seconds * SECOND - SECOND);
        assert_eq!(self.claim(10).await, [], "for {seconds} seconds");
        self.clock.advance(seconds * SECOND / 5 + 2 * SECOND);
    }
}
