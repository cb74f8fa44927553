//! An upstream that suddenly loses most of its references is looked at twice.

use std::time::Duration;

use crate::clock::Timestamp;

/// How long a collapse must last before it is believed.
pub const SHRINK_PATIENCE: Duration = Duration::from_secs(3600);

/// The number of branches and tags from which on the loss of more than half of them is suspicious.
const SUSPICIOUS_FROM: usize = 100;

/// What to do about the size of an advertisement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShrinkVerdict {
    /// Nothing unusual: go on, and forget an earlier suspicion.
    Normal,
    /// Leave everything as it is and look again when [`SHRINK_PATIENCE`] has passed since the first sight.
    Suspicious {
        /// When the collapse was first seen.
        since: Timestamp,
    },
    /// It has lasted long enough, or the caller vouches for it: go on and prune.
    Accepted,
}

/// Judges whether upstream collapsed between the recorded and the advertised number of branches and tags.
///
/// Only references that the repository's policy takes over count, before as after; newly excluded ones are left out of
/// `recorded`. `first_seen` is when an earlier sync became suspicious.
pub fn judge_shrinking(
    recorded: usize,
    advertised: usize,
    first_seen: Option<Timestamp>,
    accept: bool,
    now: Timestamp,
) -> ShrinkVerdict {
    let vanished = recorded > 0 && advertised == 0;
    let halved = recorded >= SUSPICIOUS_FROM && advertised < recorded.div_ceil(2);
    if !vanished && !halved {
        return ShrinkVerdict::Normal;
    }
    let since = first_seen.unwrap_or(now);
    if accept || (first_seen.is_some() && now >= since.after(SHRINK_PATIENCE)) {
        return ShrinkVerdict::Accepted;
    }
    ShrinkVerdict::Suspicious { since }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn judge(recorded: usize, advertised: usize) -> ShrinkVerdict {
        judge_shrinking(recorded, advertised, None, false, NOW)
    }

    #[test]
    fn only_a_collapse_is_suspicious() {
        let suspicious = ShrinkVerdict::Suspicious { since: NOW };
        assert_eq!(judge(0, 0), ShrinkVerdict::Normal);
        assert_eq!(judge(1, 0), suspicious);
        assert_eq!(judge(99, 1), ShrinkVerdict::Normal);
        assert_eq!(judge(100, 50), ShrinkVerdict::Normal);
        assert_eq!(judge(100, 49), suspicious);
        assert_eq!(judge(101, 51), ShrinkVerdict::Normal);
        assert_eq!(judge(101, 50), suspicious);
        assert_eq!(judge(200, 400), ShrinkVerdict::Normal);
    }

    #[test]
    fn it_is_believed_after_an_hour_or_on_request() {
        let first = NOW.before(SHRINK_PATIENCE);
        assert_eq!(judge_shrinking(5, 0, Some(first), false, NOW), ShrinkVerdict::Accepted);
        let later = first.after(Duration::from_secs(1));
        assert_eq!(judge_shrinking(5, 0, Some(later), false, NOW), ShrinkVerdict::Suspicious { since: later });
        assert_eq!(judge_shrinking(5, 0, None, true, NOW), ShrinkVerdict::Accepted);
        assert_eq!(judge_shrinking(5, 5, Some(first), false, NOW), ShrinkVerdict::Normal);
    }
}
