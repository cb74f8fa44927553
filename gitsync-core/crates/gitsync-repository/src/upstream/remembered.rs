//! Greetings of upstreams, kept from the listing to the fetch.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use gitsync_core::model::ObjectFormat;
use gitsync_core::source::SourceUrl;

use super::packets::packet;
use super::v1::Capability;

/// How long a greeting is good for. A fetch follows its listing within seconds.
const KEPT_FOR: Duration = Duration::from_secs(300);

/// How many greetings are kept: each is one line of at most 64 KiB.
const MAX_KEPT: usize = 1024;

/// What upstreams said of themselves lately.
///
/// Over HTTP a fetch needs nothing of the greeting but the capabilities, and the greeting lists all references. Knowing
/// them saves that request.
#[derive(Debug, Default)]
pub struct Remembered(Mutex<HashMap<SourceUrl, (Instant, Vec<u8>)>>);

impl Remembered {
    /// Remembers the capabilities of an upstream.
    pub fn keep<'a>(
        &self,
        source: &SourceUrl,
        capabilities: impl IntoIterator<Item = Capability<'a>>,
        format: ObjectFormat,
    ) {
        let now = Instant::now();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(source.clone(), (now, greeting(capabilities, format)));
        if kept.len() > MAX_KEPT {
            kept.retain(|_, (at, _)| now.duration_since(*at) < KEPT_FOR);
        }
        if kept.len() > MAX_KEPT
            && let Some((oldest, _)) = kept.iter().min_by_key(|(_, (at, _))| *at)
        {
            // The fetch from there greets by itself, should it still come.
            let oldest = oldest.clone();
            kept.remove(&oldest);
        }
    }

    /// Returns the greeting of an upstream as it would be without references. It is good for one fetch.
    pub fn take(&self, source: &SourceUrl) -> Option<Vec<u8>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, greeting) = kept.remove(source)?;
        (at.elapsed() < KEPT_FOR).then_some(greeting)
    }
}

/// Writes the greeting of an upstream without references.
fn greeting<'a>(capabilities: impl IntoIterator<Item = Capability<'a>>, format: ObjectFormat) -> Vec<u8> {
    let mut line = format!("{} capabilities^{{}}\0", "0".repeat(format.id_len() * 2)).into_bytes();
    line.extend_from_slice(&capabilities_for_a_fetch(capabilities));
    advertisement(&[&line])
}

/// Writes capabilities in one line, without where `HEAD` points: that is of no use to a fetch, and may be long.
pub fn capabilities_for_a_fetch<'a>(capabilities: impl IntoIterator<Item = Capability<'a>>) -> Vec<u8> {
    let words = capabilities.into_iter().filter(|(name, _)| *name != b"symref").map(|(name, value)| match value {
        Some(value) => [name, b"=", value].concat(),
        None => name.to_owned(),
    });
    words.collect::<Vec<_>>().join(&b' ')
}

/// Writes the answer by which a server greets over HTTP.
pub fn advertisement(lines: &[&[u8]]) -> Vec<u8> {
    let mut out = b"001e# service=git-upload-pack\n0000".to_vec();
    lines.iter().for_each(|line| out.extend_from_slice(&packet(line)));
    out.extend_from_slice(b"0000");
    out
}

#[cfg(test)]
mod tests {
    use super::super::v1::capabilities;
    use super::*;

    #[test]
    fn the_newest_are_kept_and_each_is_good_once() {
        let said = || capabilities(b"agent=git/2 symref=HEAD:refs/heads/main");
        let source = |number: usize| -> SourceUrl { format!("http://example.com/{number}.git").parse().unwrap() };
        let remembered = Remembered::default();
        for number in 0..MAX_KEPT + 2 {
            remembered.keep(&source(number), said(), ObjectFormat::Sha1);
        }
        // One that is told again takes no other's place.
        remembered.keep(&source(3), said(), ObjectFormat::Sha1);
        assert_eq!(remembered.0.lock().unwrap().len(), MAX_KEPT);
        for number in [0, 1] {
            assert_eq!(remembered.take(&source(number)), None, "{number}");
        }
        for number in [2, 3, MAX_KEPT + 1] {
            let greeting = remembered.take(&source(number)).unwrap();
            assert!(greeting.ends_with(b" capabilities^{}\0agent=git/2\n0000"), "{}", greeting.escape_ascii());
            assert_eq!(remembered.take(&source(number)), None, "{number}");
        }
    }
}
